"""The leader's loop: what nobody else would notice.

For each shard it leads it asks, in one trip, how soon there is something to claim, to expire, to fire or to purge, does
what is due, and sleeps until the next of these instants, at most `poll_interval_ms`. What it misses, by a lost message
or a change of leader, it finds at the next look.
"""

import asyncio
import logging

import msgspec

from coordinator.domain.job import Spec
from coordinator.domain.outcome import Failure
from coordinator.domain.schedule import fire, tick_id
from coordinator.engine.dispatcher import Dispatcher
from coordinator.engine.leadership import Leadership
from coordinator.engine.settler import Settler
from coordinator.errors import StoreUnavailable
from coordinator.store.jobs import Expired, NewJob
from coordinator.store.open import Store
from coordinator.store.schedules import DueSchedule

log = logging.getLogger(__name__)

_ERRORS = {
    "timeout": msgspec.json.encode({"type": "Timeout", "message": "No receipt came before the deadline."}),
    "lost": msgspec.json.encode({"type": "Lost", "message": "The replica that made the call is gone."}),
}

_PUT_OFF_MS = 600_000
"""Until a schedule that met a fault of ours is tried again."""


class Poller:
    """Looks after the shards that `leadership` holds."""

    def __init__(
        self, store: Store, leadership: Leadership, settler: Settler, dispatcher: Dispatcher, poll_interval_ms: int
    ) -> None:
        """It acts through the settler and the dispatcher; on its own it only fires and purges."""
        self._store = store
        self._leadership = leadership
        self._settler = settler
        self._dispatcher = dispatcher
        self._poll_interval_ms = poll_interval_ms
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something is to be looked at sooner than planned: a schedule was written, a queue's retention shortened."""
        self._changed.set()

    async def run(self) -> None:
        """Look, act, sleep, for ever."""
        while True:
            self._changed.clear()
            self._leadership.changed.clear()
            sleep_ms = self._poll_interval_ms
            for shard in sorted(self._leadership.led):
                sleep_ms = min(sleep_ms, await self._look_after(shard))
            await self._sleep(sleep_ms / 1000)

    async def _sleep(self, pause_s: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, self._leadership.changed)]
        try:
            await asyncio.wait(waits, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _look_after(self, shard: int) -> int:
        """Do what is due. Returns in how many ms to look again."""
        try:
            claim_in, *others = await self._store.jobs.poll(shard)
            if claim_in is not None and claim_in <= self._poll_interval_ms:
                self._offer(shard, claim_in)
            for due_in, act in zip(others, (self._expire, self._fire, self._store.jobs.purge), strict=True):
                if due_in == 0:
                    await act(shard)
        except StoreUnavailable as error:
            log.warning("polling failed", extra={"shard": shard, "error": error.code})
            return self._poll_interval_ms
        # What was due had one batch done: a 0 looks again at once, there may be more.
        return min((due_in for due_in in others if due_in is not None), default=self._poll_interval_ms)

    def _offer(self, shard: int, claim_in_ms: int) -> None:
        if claim_in_ms == 0 and self._dispatcher.free_slots <= 0:
            self._dispatcher.on_backlog(shard)
        self._dispatcher.wake(shard, claim_in_ms)

    async def _expire(self, shard: int) -> None:
        expired = await self._store.jobs.expired(shard)
        await asyncio.gather(*(self._end(found) for found in expired))

    async def _end(self, found: Expired) -> None:
        await self._settler.settle(found.attempt, Failure(_ERRORS[found.kind], kind=found.kind), lapsed=True)

    async def _fire(self, shard: int) -> None:
        now, due = await self._store.schedules.due(shard)
        for schedule in due:
            try:
                await self._fire_one(shard, schedule, now)
            except StoreUnavailable:
                raise
            except Exception:
                # One schedule that cannot be computed must not keep the others from firing.
                log.exception("a schedule cannot be fired; it is put off", extra={"schedule": schedule.id})
                await self._store.schedules.fire(schedule, [], next_at=now + _PUT_OFF_MS, missed=1)

    async def _fire_one(self, shard: int, due: DueSchedule, now: int) -> None:
        firing = fire(due.schedule, due.tick, now)
        ticks, next_at = firing.ticks, firing.next_at
        most = due.schedule.max_runs
        if most is not None and due.runs + len(ticks) >= most:
            ticks, next_at = ticks[: max(0, most - due.runs)], None
        jobs = [NewJob(tick_id(due.id, tick), self._spec_of(due, tick)) for tick in ticks]
        fired, due_in_ms = await self._store.schedules.fire(due, jobs, next_at=next_at, missed=firing.missed)
        if fired:
            self._dispatcher.wake(shard, due_in_ms)

    def _spec_of(self, due: DueSchedule, tick: int) -> Spec:
        return msgspec.structs.replace(due.schedule.spec, schedule_id=due.id, scheduled_for=tick)
