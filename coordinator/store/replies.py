"""What the scripts of jobs have answered, by names."""

from dataclasses import dataclass, field
from typing import Any, Literal

from coordinator.domain.job import Attempt, Job


@dataclass(frozen=True, slots=True)
class Accepted:
    """The script's answer for a new job: `created`, or what stands in its way, as told in `enqueue_jobs.lua`."""

    reply: str
    told: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of new jobs at the instant `now`.

    `due_in_ms`: how soon there is something to claim if they made that sooner, else None.
    """

    now: int
    due_in_ms: int | None
    accepted: list[Accepted]


@dataclass(frozen=True, slots=True)
class Beaten:
    """The script's answer to a heartbeat: `ok`, `stale_receipt` or `job_not_found`. `deadline_at` is the new one."""

    reply: str
    state: str
    deadline_at: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought. `due_in_ms`: 0 when more is due, None when nothing waits."""

    attempts: list[Attempt]
    due_in_ms: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The script's answer: `reply` is `ok`, `already_recorded`, `stale_receipt` or `job_not_found`.

    Of what was settled it tells whose it is.
    """

    reply: str
    state: str
    queue: str = field(default="", compare=False)
    worker: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SettledBatch:
    """An answer for each ending; `due_in_ms` as for `Enqueued`; `outbox` is how much others are to be told of."""

    settled: list[Settled]
    due_in_ms: int | None
    outbox: int


@dataclass(frozen=True, slots=True)
class Expired:
    """An attempt whose lease (`lost`) or deadline (`timeout`) has passed. `answered` is as `detach` was told."""

    attempt: Attempt
    kind: Literal["lost", "timeout"]
    answered: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `after` is where the next begins, None at the end."""

    jobs: list[Job]
    after: tuple[str, str] | None
