"""What happened in a run of chaos.py: faults, accepted jobs, calls, and what was told of their ends.

All instants are seconds since the run began, by one clock: faults are made, calls are received and jobs are sent by the
same process.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TIMEOUT_S = 4
"""Of a job's call: twice a lease, so that a lapsed lease and a missed deadline are different things."""

FINAL = frozenset({"succeeded", "dead", "cancelled"})


@dataclass(slots=True)
class Fault:
    """Something that was done to `who`: a replica's process as `r1/3`, or `*` for what all of them depend on."""

    kind: str
    who: str
    began: float
    ended: float | None = None

    def meets(self, other: "Fault") -> bool:
        """Whether both were done to the same at the same time."""
        ends = [float("inf") if one.ended is None else one.ended for one in (self, other)]
        return self.who == other.who and max(self.began, other.began) <= min(ends)

    def shown(self) -> str:
        """For people."""
        return f"{self.kind} {self.who} {self.began:.2f}-{'' if self.ended is None else f'{self.ended:.2f}'}"


@dataclass(slots=True)
class Call:
    """One HTTP call that the function received.

    `number` is that of the call in its `webhook-id`, which ends with the nonce of its `token`; `deed` what the function
    did, for which it had `limit_s`; `answered` when its answer was written or the connection dropped; `done` when its
    last receipt was acknowledged or given up. `via` are the processes of
    replicas that did not take a receipt of it, `*` if Redis was away.
    """

    job: str
    number: int
    token: str
    by: str
    deed: str
    arrived: float
    limit_s: float = TIMEOUT_S
    answered: float | None = None
    done: float | None = None
    said_success: bool = False
    said_final: bool = False
    was_believed: bool = False
    """A receipt with a token that is not its own was accepted."""
    via: set[str] = field(default_factory=set)
    receipts: list[str] = field(default_factory=list)

    def shown(self) -> str:
        """For people."""
        times = f"{self.arrived:.3f}, answered {self.answered}, done {self.done}"
        return f"call {self.number} by {self.by} token {self.token} at {times}: {self.deed} {self.receipts}"


class Record:
    """Grows during the run; the verdict is made of it."""

    def __init__(self) -> None:
        """The clock starts now."""
        self._began = time.monotonic()
        self.may_forget = False
        """Redis may forget what it has acknowledged."""
        self.faults: list[Fault] = []
        self.calls: dict[str, list[Call]] = {}
        self.accepted_at: dict[str, float] = {}
        self.accepted: dict[str, int] = {}
        """Job -> the number that its caller gave it in `args`."""
        self.jobs_of: dict[int, set[str]] = {}
        """That number -> the jobs that the function was called for with it."""
        self.given_up: set[int] = set()
        self.acknowledged: dict[str, str] = {}
        """Job -> the final state that a receipt was answered with."""
        self.sampled: dict[str, str] = {}
        """Job -> the first final state that it was seen in."""
        self.refusals: Counter[str] = Counter()
        self.wrong: list[str] = []
        """What must never happen, in words."""

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @contextmanager
    def fault(self, kind: str, who: str) -> Iterator[Fault]:
        """Something is broken as long as this lasts."""
        made = Fault(kind, who, self.now())
        self.faults.append(made)
        try:
            yield made
        finally:
            made.ended = self.now()

    def accept(self, job: str, number: int) -> None:
        """The caller was told that its job is accepted."""
        self.accepted[job] = number
        self.accepted_at.setdefault(job, self.now())

    def call(self, call: Call, number: int | None) -> None:
        """The function was called."""
        self.calls.setdefault(call.job, []).append(call)
        if number is not None:
            self.jobs_of.setdefault(number, set()).add(call.job)

    def acknowledge(self, job: str, state: str) -> None:
        """A receipt was accepted and answered with this state."""
        if state in FINAL and self.acknowledged.setdefault(job, state) != state and not self.may_forget:
            self.wrong.append(f"{job}: acknowledged as {self.acknowledged[job]}, and then as {state}")

    def sample(self, job: str, state: str) -> None:
        """The job was seen in this state."""
        first = self.sampled.get(job)
        if first is None and state in FINAL:
            self.sampled[job] = state
        elif first is not None and state != first:
            self.wrong.append(f"{job}: was {first}, and then {state}")
