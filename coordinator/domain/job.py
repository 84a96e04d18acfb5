"""A job: what was asked for (`Spec`) and how far it has come (`Job`, as read from the store).

```
 enqueue ─▶ waiting ──claim──▶ running ──success──▶ succeeded
               ▲                │   │  └─ cancelled ▶ cancelled
               └── retry, spare ┘   └─ no attempts left, or final ▶ dead
```

The store knows five states. People are shown seven: a waiting job is `scheduled` before its time, `retrying`
when it waits after a failed attempt, and `queued` once it is due; only the clock tells these apart, so
nothing has to be moved when time passes.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from coordinator.domain.retry import ATTEMPTS_DEFAULT, Backoff
from coordinator.domain.unique import Unique

TIMEOUT_DEFAULT_MS = 900_000
"""Fifteen minutes, the longest a Lambda function may run: a shorter default would call live functions twice."""

QUEUE_DEFAULT = "default"
PRIORITY_DEFAULT = 5
"""From 0, which goes first, to 9."""

State = Literal["scheduled", "queued", "running", "retrying", "succeeded", "dead", "cancelled"]
StoredState = Literal["waiting", "running", "succeeded", "dead", "cancelled"]

STATES: tuple[State, ...] = ("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled")
"""In the order of a job's life."""

FINAL_STATES = frozenset({"succeeded", "dead", "cancelled"})

NO_META = msgspec.Raw(b"{}")


class Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was asked for. `args` and `meta` are the caller's own bytes, passed on as they came.

    `worker` stays the first field: the scripts read it there, and nothing behind it. `sealed` is what the store keeps
    instead of all that is secret; outside of the store, only a spec has it that cannot be opened.
    """

    worker: str
    args: msgspec.Raw
    queue: str = QUEUE_DEFAULT
    key: str | None = None
    priority: int = PRIORITY_DEFAULT
    cost: float = 1
    max_attempts: int = ATTEMPTS_DEFAULT
    backoff: Backoff = Backoff()
    retry: tuple[int, ...] | None = None
    max_retry_ms: int | None = None
    timeout_ms: int = TIMEOUT_DEFAULT_MS
    heartbeat_ms: int | None = None
    expires_ms: int | None = None
    unique: Unique | None = None
    tags: tuple[str, ...] = ()
    meta: msgspec.Raw = NO_META
    batch_id: str | None = None
    on_success: "Spec | None" = None
    on_failure: "Spec | None" = None
    schedule_id: str | None = None
    scheduled_for: int | None = None
    sealed: str | None = None


UNREADABLE = Spec(worker="", args=msgspec.Raw(b"null"))
"""Stands for a spec that this version cannot read: in a rolling deploy, another version wrote it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a job has been through; `attempt` counts the one that is under way, the others only what is over.

    `earlier` are the calls before a person had it tried anew.
    """

    attempt: int
    lost: int = 0
    snoozes: int = 0
    throttles: int = 0
    earlier: int = 0

    @property
    def calls(self) -> int:
        """How often the job was called: it names a call, because unlike `attempt` it is never given back by one."""
        return self.earlier + self.attempt + self.snoozes + self.throttles


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claimed call of a worker. The nonce tells it from any other, even of the same number."""

    job_id: str
    nonce: str
    deadline_at: int
    tally: Tally
    spec: Spec


class LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the attempt log, as the scripts write it."""

    attempt: int
    started_at: int | None
    finished_at: int
    outcome: str
    http_status: int | None
    error: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job waits. `scope` says whose limit it is (`queue`, `key`, `worker`, or the `job`'s own time).

    `number` is the limit of a `concurrency`, and of a `turn` how many jobs of its line come before.
    """

    kind: str
    scope: str
    until: int | None
    number: int | None


class Job(msgspec.Struct, frozen=True):
    """A job as it was at one instant. `attempts` is its log, oldest first; instants are None until they come."""

    id: str
    state: State
    spec: Spec
    tally: Tally
    nonce: str
    created_at: int
    run_at: int
    started_at: int | None
    deadline_at: int | None
    finished_at: int | None
    reason: str | None
    outcome: str | None
    answered: str | None
    result: msgspec.Raw | None
    attempts: list[LogEntry]
    progress: float | None = None
    message: str | None = None
    cancel_requested: bool = False
    edits: int = 0
    waiting_for: list[Reason] = []


def accepted_job(job_id: str, spec: Spec, run_at: int, now: int) -> Job:
    """A job at the instant of its acceptance."""
    return Job(
        id=job_id,
        state="queued" if run_at <= now else "scheduled",
        spec=spec,
        tally=Tally(0),
        nonce="",
        created_at=now,
        run_at=run_at,
        started_at=None,
        deadline_at=None,
        finished_at=None,
        reason=None,
        outcome=None,
        answered=None,
        result=None,
        attempts=[],
        waiting_for=[Reason("runAt", "job", run_at, None)] if run_at > now else [],
    )


def shown_state(stored: StoredState, run_at: int, spent: int, now: int) -> State:
    """The state people see. `spent` is the number of attempts that failed."""
    if stored != "waiting":
        return stored
    if run_at <= now:
        return "queued"
    return "retrying" if spent else "scheduled"
