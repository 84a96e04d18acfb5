"""Claim what is due, call the function, apply what came of it.

```
 wake(shard) ─▶ claim, as many as there are free slots ─▶ one task per attempt:
                   ▲                   call, alone or with others ─┬─ an ending ─▶ settle
                   └──────── more is due, a slot is free ◀─────────┼─ delivered ─▶ detach: its receipt ends it
                                                                   └─ unsent ────▶ release: as if never claimed
```

Every replica claims for itself, no more than it can hold, so the idle ones take more. Nothing polls here: a shard is
looked at when someone knows that it has something due.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from coordinator.calling.caller import Caller
from coordinator.domain.job import UNREADABLE, Attempt
from coordinator.domain.outcome import Delivered, Failure, JsonBytes, Outcome, Unsent
from coordinator.engine.calls import UNREADABLE_ERROR, Desk, call_for, sealed_job, unknown_worker, unreadable_worker
from coordinator.engine.directory import Directory
from coordinator.engine.gathering import Gatherer
from coordinator.engine.group_commit import GroupCommit
from coordinator.engine.leases import Leases
from coordinator.engine.receipt_tokens import fence_of
from coordinator.engine.settler import Settler
from coordinator.engine.witness import Witness
from coordinator.errors import NOT_CONFIRMED, StoreUnavailable
from coordinator.store.jobs import BATCH_LIMIT, JobStore
from coordinator.store.sealing import key_of

log = logging.getLogger(__name__)

_SHARE = 8
"""One claim takes this part of all slots at the most."""

_PAUSE_S = 1.0
"""After Redis was found away; also the most that one lost wake costs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a replica may hold, what it is reached at, and who is told what it does."""

    replica: str
    max_calls: int
    lease_ms: int
    desk: Desk
    witness: Witness


class Dispatcher:
    """Claims and calls. `wake` it when a shard has something due; `run` it once."""

    def __init__(
        self, jobs: JobStore, caller: Caller, settler: Settler, directory: Directory, leases: Leases, limits: Limits
    ) -> None:
        """`leads`, `lacks_key` and `on_backlog` are set by the replica that assembles the parts."""
        self._jobs = jobs
        self._caller = caller
        self._settler = settler
        self._directory = directory
        self._leases = leases
        self._limits = limits
        self._gatherer = Gatherer(caller, limits.desk)
        self._detaching = GroupCommit(self._detach, BATCH_LIMIT)
        self._due: dict[int, float] = {}
        self._claims: dict[int, asyncio.Task[None]] = {}
        self._reserved = 0
        self._away: set[int] = set()
        self._requests: dict[int, str] = {}
        self._unsent: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        self._at_rest = asyncio.Event()
        self.begun = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._behind_until = float("-inf")
        self._is_stopping = False
        self._is_cut_off = False
        self.leads: Callable[[int], bool] = lambda _shard: False
        self.lacks_key: Callable[[str], Awaitable[bool]] | None = None
        self.on_backlog: Callable[[int], None] = lambda _shard: None

    @property
    def free_slots(self) -> int:
        """Calls that may still be taken; what is being claimed may need as many as were asked for."""
        return 0 if self._is_stopping else self._limits.max_calls - len(self._tasks) - self._reserved

    def wake(self, shard: int, due_in_ms: int | None = 0) -> None:
        """Tell that a shard has something to claim in so many ms; None is nothing new."""
        if due_in_ms is None:
            return
        due = max(time.monotonic() + due_in_ms / 1000, self._behind_until)
        if due_in_ms <= 0:
            self._at_rest.clear()
        if due < self._due.get(shard, float("inf")):
            self._due[shard] = due
            self._changed.set()

    async def run(self) -> None:
        """Claim whatever is due, until `stop_claiming`. No shard waits for the claim of another."""
        while not self._is_stopping:
            await self._until_something_is_due()
            for shard in self._shards_due():
                if self.free_slots > 0:
                    self._begin_claim(shard)
        await asyncio.gather(*self._claims.values(), return_exceptions=True)
        self._at_rest.set()  # Nobody is to wait for what will not be claimed.

    @property
    def in_flight(self) -> int:
        """Calls that are being made."""
        return len(self._tasks)

    async def rest(self, limit_s: float) -> None:
        """Wait until nothing is due and no call is in flight, so long at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._at_rest.wait()

    def stop_claiming(self) -> None:
        """End `run` after the claim that is under way, if any."""
        self._is_stopping = True
        self._gatherer.flush()
        self._changed.set()

    async def finish(self, grace_s: float) -> None:
        """Let the calls in flight end, and leave the rest to their receipts."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        self._is_cut_off = True
        cut_off = self._leases.held()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for shard, attempts in cut_off:
            with contextlib.suppress(StoreUnavailable):  # Then their leases lapse.
                await self._jobs.release(shard, [attempt for attempt in attempts if _key(attempt) in self._unsent])
                await self._jobs.detach(shard, [attempt for attempt in attempts if _key(attempt) not in self._unsent])
        await self._detaching.drain()

    async def _until_something_is_due(self) -> None:
        while not self._is_stopping:
            self._changed.clear()
            instants = [due for shard, due in self._due.items() if shard not in self._claims]
            wait_s = min(instants, default=float("inf")) - time.monotonic()
            if self.free_slots > 0 and wait_s <= 0:
                return
            if not self._tasks and not self._claims:
                self._at_rest.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s if 0 < wait_s < float("inf") else None):
                    await self._changed.wait()

    def _shards_due(self) -> list[int]:
        now = time.monotonic()
        due_now = (shard for shard, due in self._due.items() if due <= now and shard not in self._claims)
        return sorted(due_now, key=self._due.__getitem__)

    def _begin_claim(self, shard: int) -> None:
        # Taken out first: a wake that comes while the claim is under way must not be lost.
        del self._due[shard]
        # A share, or one if its server was away: claims that wait for theirs are to leave room for the others.
        share = 1 if shard in self._away else max(1, self._limits.max_calls // _SHARE)
        limit = min(self.free_slots, BATCH_LIMIT, share)
        self._reserved += limit
        self._claims[shard] = asyncio.create_task(self._claim(shard, limit))
        self._claims[shard].add_done_callback(lambda task: self._end_claim(shard, task))

    def _end_claim(self, shard: int, task: "asyncio.Task[None]") -> None:
        del self._claims[shard]
        self._end_task(task)

    async def _claim(self, shard: int, limit: int) -> None:
        # A claim that got no answer may have been made: asked for again by the same name, it is answered again.
        request = self._requests.setdefault(shard, secrets.token_urlsafe(9))
        try:
            claim = await self._jobs.claim(
                shard,
                holder=self._limits.replica,
                request=request,
                limit=limit,
                lease_ms=self._limits.lease_ms,
            )
        except StoreUnavailable as error:
            log.warning("claiming failed", extra={"event": "claim.failed", "shard": shard, "error": error.code})
            self._away.add(shard)
            self.wake(shard, int(_PAUSE_S * 1000))
            return
        finally:
            self._reserved -= limit
        del self._requests[shard]
        self._away.discard(shard)
        if self._is_stopping:
            with contextlib.suppress(StoreUnavailable):  # Then their leases lapse.
                await self._jobs.release(shard, claim.attempts)
            return
        for attempt in claim.attempts:
            self._attend(shard, attempt)
        # A later instant is the leader's to wait for, or every replica would wake for it.
        if claim.due_in_ms == 0 or self.leads(shard):
            self.wake(shard, claim.due_in_ms)
        if claim.due_in_ms == 0 and self.free_slots <= 0:
            self.on_backlog(shard)

    def _attend(self, shard: int, attempt: Attempt) -> None:
        self._leases.take(shard, attempt)
        self._at_rest.clear()
        self.begun += 1
        self._unsent.add(_key(attempt))
        task = asyncio.create_task(self._run_attempt(shard, attempt))
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._changed.set()
        if not task.cancelled() and task.exception():
            log.error(
                "a claim or an attempt was abandoned by a fault of ours",
                exc_info=task.exception(),
                extra={"event": "fault"},
            )

    async def _run_attempt(self, shard: int, attempt: Attempt) -> None:
        """The whole of an attempt. Its lease is held until its end is recorded."""
        try:
            outcome = await self._call(shard, attempt)
            match outcome:
                case Delivered() as delivered:
                    await self._leave(shard, attempt, delivered)
                case Unsent(reason=reason):
                    told = {"job": attempt.job_id, "attempt": attempt.tally.attempt, "queue": attempt.spec.queue}
                    log.warning("a call could not be sent: %s", reason, extra={"event": "call.unsent", **told})
                    self._unsent.add(_key(attempt))
                    await asyncio.sleep(_PAUSE_S)
                    await self._insist(lambda: self._jobs.release(shard, [attempt]))
                    # Another replica may be able to, and would not hear of it before its next look.
                    self.on_backlog(shard)
                    self.wake(shard)
                case ending:
                    # Refused when its own receipt, or another attempt's, was first; then nothing is left to do.
                    await self._insist(lambda: self._settler.settle(attempt, ending))
        finally:
            # Not when cut off: what becomes of the attempt then depends on it.
            if not self._is_cut_off:
                self._unsent.discard(_key(attempt))
                self._leases.drop(shard, attempt)

    async def _leave(self, shard: int, attempt: Attempt, delivered: Delivered) -> None:
        """Only a receipt or the deadline ends it now; how far it is, and until when, its answer may have told."""
        if delivered.beat is not None:
            beat = delivered.beat
            await self._insist(lambda: self._settler.beat(attempt.job_id, beat, fence_of(attempt)))
        await self._insist(lambda: self._detaching.submit(shard, (attempt, delivered)))

    async def _call(self, shard: int, attempt: Attempt) -> Outcome:
        try:
            worker = await self._directory.find(attempt.spec.worker)
        except StoreUnavailable:
            return Unsent("the workers could not be read")
        if attempt.spec is UNREADABLE:
            return Failure(UNREADABLE_ERROR)
        if attempt.spec.sealed is not None:
            return await self._sealed_away(key_of(attempt.spec), sealed_job(key_of(attempt.spec)))
        if worker is None:
            return Failure(unknown_worker(attempt.spec.worker))
        if worker.lost_key is not None:
            return await self._sealed_away(worker.lost_key, unreadable_worker(worker))
        if worker.unreadable:
            return Failure(unreadable_worker(worker))
        limit, on_sent = self._leases.limit_of(shard, attempt), partial(self._unsent.discard, _key(attempt))
        calling = self._limits.witness.calling(attempt)
        outcome = None
        try:
            if worker.batch:
                outcome = await self._gatherer.call(attempt, worker, limit, on_sent, calling.headers)
            else:
                call = call_for(attempt, worker, self._limits.desk, calling.headers)
                outcome = await self._caller.call(call, limit, on_sent)
        finally:
            calling.end(outcome)
        return outcome

    async def _sealed_away(self, key: str, error: JsonBytes) -> Outcome:
        """Nobody can open it, or the others can: while new keys are rolled out the attempt is left to them."""
        try:
            is_behind = self.lacks_key is not None and await self.lacks_key(key)
        except StoreUnavailable:
            is_behind = True
        if is_behind:
            # It is given back after a pause, and then the others have as much time to take it.
            self._behind_until = time.monotonic() + 2 * _PAUSE_S
        return Unsent(f"this replica lacks the key {key!r}, which others seal with") if is_behind else Failure(error)

    async def _insist(self, act: Callable[[], Awaitable[object]]) -> None:
        """Do it, however long Redis is away: what the function said must not be lost by us."""
        while True:
            try:
                await act()
            except StoreUnavailable as error:
                if error.code == NOT_CONFIRMED:
                    # It was made, and nobody is told so: if a failover loses it, the function is called once more.
                    extra = {"error": error.detail}
                    log.warning("what a call came to is not safe yet", extra={"event": "settle.unsafe", **extra})
                    return
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    async def _detach(self, shard: int, left: Sequence[tuple[Attempt, Delivered]]) -> list[None]:
        rows = [(attempt, told) for attempt, delivered in left for told in _told_of(delivered)]
        await self._jobs.detach(shard, [attempt for attempt, _ in rows], [told for _, told in rows])
        return [None] * len(left)


def _told_of(delivered: Delivered) -> tuple[str, ...]:
    """What came of the call, for people. The last stays; a bare status is what the script knows an acceptance by."""
    if delivered.http_status is None:
        return ("the connection broke",)
    status = str(delivered.http_status)
    return (status, f"{status}, {delivered.note}") if delivered.note else (status,)


def _key(attempt: Attempt) -> tuple[str, str]:
    return attempt.job_id, attempt.nonce
