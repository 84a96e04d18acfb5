"""One call for many attempts, for workers that want it: a bulk insert costs a function what a single one does.

```
 attempt ─▶ joins the group of its worker and lane ─┬─ full, or the window has passed ─▶ one call
                                                    │                                      │
 its outcome ◀── its own receipt in the answer ─────┴──────────────────────────────────────┘
```

Only the call is shared. Each attempt keeps its claim, lease, deadline, limits and end: whoever waits here gets the
outcome of one attempt, as from a call of its own. An attempt whose time is over leaves, and the call goes on for the
others; with the last one it is broken off. Groups are a replica's own, and never mix lanes, so what a function says of
the limits of one key cannot reach another.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coordinator.calling.answer import timed_out
from coordinator.calling.caller import Caller, CallLimit, OnSent
from coordinator.domain.job import Attempt
from coordinator.domain.outcome import Outcome
from coordinator.domain.trace import Headers
from coordinator.domain.worker import Worker
from coordinator.engine.calls import Desk, joint_call

BYTES_LIMIT = 4 << 20
"""Of the args of a call: Lambda takes 6 MB, Vercel 4.5 MB."""

Lane = tuple[str, str, str | None]
"""Worker, queue and key."""


@dataclass(eq=False)
class _Member:
    attempt: Attempt
    outcome: "asyncio.Future[Outcome]"
    on_sent: OnSent
    trace: Headers


@dataclass(eq=False)
class _Group:
    worker: Worker
    members: dict[str, _Member] = field(default_factory=dict)
    size_bytes: int = 0
    task: "asyncio.Task[None] | None" = None


class Gatherer:
    """Collects attempts and calls for them together."""

    def __init__(self, caller: Caller, desk: Desk) -> None:
        """`desk` is where functions post their receipts."""
        self._caller = caller
        self._desk = desk
        self._open: dict[Lane, _Group] = {}
        self._is_stopping = False

    async def call(
        self, attempt: Attempt, worker: Worker, limit: CallLimit, on_sent: OnSent, trace: Headers = ()
    ) -> Outcome:
        """What the attempt came to. Until `on_sent` is called, its call was surely not made."""
        loop = asyncio.get_running_loop()
        lane = attempt.spec.worker, attempt.spec.queue, attempt.spec.key
        group = self._join(lane, worker, _Member(attempt, loop.create_future(), on_sent, trace))
        timer = loop.call_later(_window_s(attempt, worker), self._send, lane, group)
        if worker.batch is None or len(group.members) >= worker.batch.size or self._is_stopping:
            self._send(lane, group)
        try:
            async with limit:
                return await group.members[attempt.job_id].outcome
        except TimeoutError:
            return timed_out(limit.timeout_s)
        finally:
            timer.cancel()
            self._leave(lane, group, attempt)

    def flush(self) -> None:
        """Wait for company no longer."""
        self._is_stopping = True
        for lane, group in list(self._open.items()):
            self._send(lane, group)

    def _join(self, lane: Lane, worker: Worker, member: _Member) -> _Group:
        job_id, spec = member.attempt.job_id, member.attempt.spec
        size_bytes = len(spec.args) + len(spec.meta)
        group = self._open.get(lane)
        # A job may meet its own earlier attempt, whose lease has lapsed; an answer names jobs.
        if group and (group.worker != worker or job_id in group.members or group.size_bytes + size_bytes > BYTES_LIMIT):
            self._send(lane, group)
            group = None
        if group is None:
            group = self._open[lane] = _Group(worker)
        group.members[job_id] = member
        group.size_bytes += size_bytes
        return group

    def _send(self, lane: Lane, group: _Group) -> None:
        if self._open.get(lane) is group:
            del self._open[lane]
        if group.task is None and group.members:
            group.task = asyncio.create_task(self._call(group))

    async def _call(self, group: _Group) -> None:
        members = dict(group.members)
        try:
            attempts = [member.attempt for member in members.values()]
            call = joint_call(attempts, group.worker, self._desk, _trace_of(list(members.values())))
            outcomes = await self._caller.call_for_many(call, list(members), lambda: _tell(members.values()))
        except Exception as fault:  # noqa: BLE001 - a fault of ours is for each to meet, as it would in a call of its own
            for member in members.values():
                if not member.outcome.done():
                    member.outcome.set_exception(fault)
            return
        for job_id, member in members.items():
            if not member.outcome.done():
                member.outcome.set_result(outcomes[job_id])

    def _leave(self, lane: Lane, group: _Group, attempt: Attempt) -> None:
        del group.members[attempt.job_id]
        if group.members:
            return
        if group.task:
            group.task.cancel()
        else:
            self._send(lane, group)


def _tell(members: Iterable[_Member]) -> None:
    for member in members:
        member.on_sent()


def _trace_of(members: Sequence[_Member]) -> Headers:
    """What the function is told of the trace: nothing where the jobs do not all belong to one."""
    traces = {member.attempt.spec.trace and member.attempt.spec.trace.trace_id for member in members}
    return members[0].trace if len(traces) == 1 else ()


def _window_s(attempt: Attempt, worker: Worker) -> float:
    """How long an attempt waits for company: it is taken from its time, most of which is the function's."""
    time_ms = min(attempt.spec.timeout_ms, attempt.spec.heartbeat_ms or attempt.spec.timeout_ms)
    return min(worker.batch.window_ms if worker.batch else 0, time_ms / 4) / 1000
