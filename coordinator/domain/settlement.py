"""The one decision about an attempt that is over.

```
            Success ──▶ succeed
            Cancel  ──▶ cancel
            Snooze, Throttle ──▶ wait again, the attempt given back (too often: die)
            Failure ─┬─ final, or attempts used up, or lost too often ──▶ die
                     └─ else ──▶ wait again: after the backoff, or at once if its replica died
```

Receipts, failed calls and missed deadlines all come here; a second copy of this decision is where bugs live.
"""

from dataclasses import dataclass
from typing import Literal

from coordinator.domain.job import Spec, Tally
from coordinator.domain.outcome import Cancel, Ending, Failure, JsonBytes, Limits, Snooze, Success, Throttle
from coordinator.domain.retry import wait_ms

LOST_LIMIT = 5
"""A job whose replica died this often may be what kills replicas; it is not tried again."""

SPARED_LIMIT = 1000
"""Throttled or snoozed calls of one job; past it, waiting politely has become waiting for ever."""

SPARED_LEAST_MS = 1000
"""A wait of nothing would be a thousand calls back to back."""

Verb = Literal["succeed", "retry", "spare", "die", "cancel"]
"""What the store does: `retry` waits with the attempt spent, `spare` waits with the attempt given back."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be done, in words the store's script knows. `delay_ms` counts from the script's own clock."""

    verb: Verb
    outcome: str
    delay_ms: int = 0
    reason: str = ""
    error: JsonBytes = b""
    result: JsonBytes = b""
    http_status: int | None = None
    limits: Limits | None = None


def decide(ending: Ending, tally: Tally, spec: Spec, chance: float) -> Settlement:
    """What follows from `ending`. `chance` is drawn from [-1, 1] and spreads the retries."""
    match ending:
        case Success(result=result, http_status=status, limits=limits):
            return Settlement("succeed", "success", result=result or b"", http_status=status, limits=limits)
        case Cancel(reason=reason):
            return Settlement("cancel", "cancelled", reason=reason)
        case Snooze():
            return _spare("snoozed", ending, tally, None)
        case Throttle(http_status=status):
            return _spare("throttled", ending, tally, status)
        case Failure():
            return _fail(ending, tally, spec, chance)


def _spare(outcome: str, ending: Snooze | Throttle, tally: Tally, status: int | None) -> Settlement:
    verb: Verb = "die" if tally.snoozes + tally.throttles >= SPARED_LIMIT else "spare"
    reason = f"{outcome}_out" if verb == "die" else ""
    # A throttle's delay is the lane's as well, whatever becomes of the job.
    delay_ms = max(ending.delay_ms, SPARED_LEAST_MS)
    return Settlement(verb, outcome, delay_ms=delay_ms, reason=reason, http_status=status, limits=ending.limits)


def _fail(failure: Failure, tally: Tally, spec: Spec, chance: float) -> Settlement:
    verb: Verb
    if not failure.retryable:
        verb, delay_ms, reason = "die", 0, "non_retryable"
    elif failure.kind == "lost" and tally.lost + 1 >= LOST_LIMIT:
        verb, delay_ms, reason = "die", 0, "lost_too_often"
    elif failure.kind == "lost":
        # The replica failed, not the function, which may not even have been called: nothing speaks for waiting.
        verb, delay_ms, reason = "retry", 0, ""
    elif tally.attempt - tally.lost >= spec.max_attempts:
        verb, delay_ms, reason = "die", 0, "attempts_exhausted"
    else:
        wait = wait_ms(spec.retry, spec.backoff, tally.attempt, chance)
        verb, delay_ms, reason = "retry", max(wait, failure.retry_after_ms or 0), ""
    return Settlement(
        verb,
        failure.kind,
        delay_ms=delay_ms,
        reason=reason,
        error=failure.error,
        http_status=failure.http_status,
        limits=failure.limits,
    )
