"""A job: what was asked for (`Spec`, never changed) and how far it has come (`Job`, as read from the store).

```
 enqueue ─▶ waiting ──claim──▶ running ──success──▶ succeeded
               ▲                │   │  └─ cancelled ▶ cancelled
               └── retry, spare ┘   └─ no attempts left, or final ▶ dead
```

The store knows five states. People are shown seven: a waiting job is `scheduled` before its time, `retrying`
when it waits after a failed attempt, and `queued` once it is due; only the clock tells these apart, so
nothing has to be moved when time passes.
"""

from typing import Literal

import msgspec

from coordinator.domain.retry import ATTEMPTS_DEFAULT, Backoff

TIMEOUT_DEFAULT_MS = 900_000
"""Fifteen minutes, the longest a Lambda function may run: a shorter default would call live functions twice."""

QUEUE_DEFAULT = "default"

State = Literal["scheduled", "queued", "running", "retrying", "succeeded", "dead", "cancelled"]
StoredState = Literal["waiting", "running", "succeeded", "dead", "cancelled"]

FINAL_STATES = frozenset({"succeeded", "dead", "cancelled"})


class Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was asked for. `args` are the caller's own bytes, passed on as they came."""

    worker: str
    args: msgspec.Raw
    queue: str = QUEUE_DEFAULT
    max_attempts: int = ATTEMPTS_DEFAULT
    backoff: Backoff = Backoff()
    timeout_ms: int = TIMEOUT_DEFAULT_MS
    schedule_id: str | None = None
    scheduled_for: int | None = None


def shown_state(stored: StoredState, run_at: int, spent: int, now: int) -> State:
    """The state people see. `spent` is the number of attempts that failed."""
    if stored != "waiting":
        return stored
    if run_at <= now:
        return "queued"
    return "retrying" if spent else "scheduled"
