"""What became of an attempt, as told by whoever knows: the HTTP answer, a receipt, or the deadline.

An `Outcome` says what happened; `settlement.decide` says what follows from it. Every way an attempt can end
passes through these few words, so a receipt that was posted, one that came inside the answer, a failed call
and a missed deadline cannot be treated differently by accident.
"""

from dataclasses import dataclass
from typing import Literal

JsonBytes = bytes
"""One JSON value, encoded; user data travels as these bytes and is never re-encoded."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the function saw of the limits of what it calls, e.g. a shop's API.

    Of `maximum` tokens `remaining` are left, `restore_rate` come back per second, and the attempt used `cost`.
    """

    remaining: float | None = None
    maximum: float | None = None
    restore_rate: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """The function did the work."""

    result: JsonBytes | None = None
    http_status: int | None = None
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The attempt is over and did not do the work.

    `kind` tells the attempt log who noticed: the function or the HTTP call (`failure`), the deadline
    (`timeout`), or the lease of a replica that died (`lost`).
    """

    error: JsonBytes
    kind: Literal["failure", "timeout", "lost"] = "failure"
    retryable: bool = True
    retry_after_ms: int | None = None
    http_status: int | None = None
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """The function asks to be called again later; the attempt is not spent."""

    delay_ms: int
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Throttle:
    """The function, or what it calls, is at its limit (429, 503 with `Retry-After`); the attempt is not spent."""

    delay_ms: int
    http_status: int | None = None
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The function asks to stop for good."""

    reason: str = "worker"


@dataclass(frozen=True, slots=True)
class Beat:
    """The function goes on. `progress` is 0 to 100; `extend_ms` is how long it still needs, from now."""

    progress: float | None = None
    message: str = ""
    extend_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The function has the job, or may have it: only its receipt or the deadline can end the attempt.

    `beat` is what it said of how far it is; `note` tells people what in its answer was not understood.
    """

    http_status: int | None = None
    beat: Beat | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unsent:
    """No byte of the call left this replica, for a reason of our own: the attempt is given back."""

    reason: str


Ending = Success | Failure | Snooze | Throttle | Cancel
"""What ends an attempt."""

Outcome = Ending | Delivered | Unsent
"""All that a call can come to."""
