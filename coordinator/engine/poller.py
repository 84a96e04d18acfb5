"""The leader's loop: what nobody else would notice.

For each shard it leads it asks, in one trip, how soon there is something to claim, to expire, to fire or to purge, does
what is due, and sleeps until the next of these instants, at most `poll_interval_ms`. What it misses, by a lost message
or a change of leader, it finds at the next look.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from coordinator.domain.outcome import Failure
from coordinator.domain.schedule import fire, run_of, tick_id
from coordinator.engine.dispatcher import Dispatcher
from coordinator.engine.leadership import Leadership
from coordinator.engine.settler import Settler
from coordinator.engine.witness import Witness
from coordinator.errors import NotFound, StoreUnavailable
from coordinator.settings import Settings
from coordinator.store.open import Store
from coordinator.store.records import NewJob
from coordinator.store.replies import Expired
from coordinator.store.schedules import DueSchedule

log = logging.getLogger(__name__)

Done = Literal["ended", "expired", "purged", "ticked"]
"""What a leader does: attempts ended, jobs given up before they began, jobs erased, ticks fired."""

_PUT_OFF_MS = 600_000
"""Until a schedule that met a fault of ours is tried again."""


def lapse(found: Expired) -> Failure:
    """The failure of an attempt that nobody but the clock ends, with what is known of its call."""
    if found.kind == "lost":
        error = {"type": "Lost", "message": "The replica that claimed the job stopped renewing its lease."}
        return Failure(msgspec.json.encode(error), kind="lost")
    told = f"; the call was answered: {found.answered}" if found.answered else ""
    silence_ms = found.attempt.spec.heartbeat_ms
    heard = f", at the latest {silence_ms / 1000:g} s after the last heartbeat" if silence_ms else ""
    error = {"type": "Timeout", "message": f"No receipt came before the deadline{heard}{told}."}
    status = int(found.answered) if found.answered.isdigit() else None
    return Failure(msgspec.json.encode(error), kind="timeout", http_status=status)


class Poller:
    """Looks after the shards that `leadership` holds."""

    def __init__(
        self,
        store: Store,
        leadership: Leadership,
        settler: Settler,
        dispatcher: Dispatcher,
        settings: Settings,
        witness: Witness,
    ) -> None:
        """It acts through the settler, the dispatcher and the store."""
        self._witness = witness
        self._store = store
        self._leadership = leadership
        self._settler = settler
        self._dispatcher = dispatcher
        self._poll_interval_ms = settings.poll_interval_ms
        self._lease_ms = settings.lease_ms
        self._away_at: dict[int, float] = {}
        self._changed = asyncio.Event()
        self.done: Counter[Done] = Counter()

    def wake(self) -> None:
        """Something is to be looked at sooner than planned: a schedule was written, a queue's retention shortened."""
        self._changed.set()

    async def run(self) -> None:
        """Look, act, sleep, for ever."""
        while True:
            self._changed.clear()
            self._leadership.changed.clear()
            # All at once: in a cluster one of their servers may be away, and holds up none but its own.
            looks = await asyncio.gather(*(self.look_after(shard) for shard in sorted(self._leadership.led)))
            await self._sleep(min([self._poll_interval_ms, *looks]) / 1000)

    async def _sleep(self, pause_s: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, self._leadership.changed)]
        try:
            await asyncio.wait(waits, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def look_after(self, shard: int) -> int:
        """Do what is due in a shard, whoever leads it. Returns in how many ms to look again, but for what to claim."""
        try:
            claim_in, lapse_in, fire_in, purge_in, expire_in, tell_in = await self._store.jobs.poll(shard)
        except StoreUnavailable as error:
            log.warning("polling failed", extra={"event": "poll.failed", "shard": shard, "error": error.code})
            self._away_at[shard] = time.monotonic()
            return self._poll_interval_ms
        if claim_in is not None and claim_in <= self._poll_interval_ms:
            self._offer(shard, claim_in)
        # The purge before what may be refused for want of memory: it is what makes room.
        acts = (
            (lapse_in, self._end_lapsed),
            (purge_in, self._purge),
            (expire_in, self._expire),
            (tell_in, self._tell),
            (fire_in, self._fire),
        )
        return min([await self._act(shard, due_in, act) for due_in, act in acts])

    async def _act(self, shard: int, due_in: int | None, act: Callable[[int], Awaitable[bool]]) -> int:
        """Act if it is due. Returns in how many ms to look again: at once if one batch may not have been all."""
        if due_in != 0:
            return self._poll_interval_ms if due_in is None else due_in
        try:
            return 0 if await act(shard) else self._poll_interval_ms
        except StoreUnavailable as error:
            log.warning("polling failed", extra={"event": "poll.failed", "shard": shard, "error": error.code})
        except Exception:
            # One shard, or one kind of work, that meets a fault of ours must not stop the others.
            log.exception("polling met a fault of ours", extra={"event": "fault", "shard": shard})
        return self._poll_interval_ms

    def _offer(self, shard: int, claim_in_ms: int) -> None:
        if claim_in_ms == 0 and self._dispatcher.free_slots <= 0:
            self._dispatcher.on_backlog(shard)
        self._dispatcher.wake(shard, claim_in_ms)

    async def _end_lapsed(self, shard: int) -> bool:
        expired = await self._store.jobs.expired(shard)
        if time.monotonic() - self._away_at.get(shard, float("-inf")) < self._lease_ms / 1000:
            # While Redis was away nobody could renew a lease: those that live get the time to do it now.
            expired = [found for found in expired if found.kind != "lost"]
        await asyncio.gather(*(self._end(found) for found in expired))
        return self._count("ended", len(expired))

    async def _end(self, found: Expired) -> None:
        await self._settler.settle(found.attempt, lapse(found), lapsed=True)

    async def _expire(self, shard: int) -> bool:
        return self._count("expired", await self._store.jobs.expire(shard))

    async def _tell(self, shard: int) -> bool:
        return await self._settler.outbox.deliver(shard)

    async def _purge(self, shard: int) -> bool:
        return self._count("purged", await self._store.jobs.purge(shard))

    async def _fire(self, shard: int) -> bool:
        due = await self._store.schedules.due(shard)
        for schedule_id in due.ended:
            with contextlib.suppress(NotFound):
                await self._store.schedules.delete(schedule_id, only_ended=True)
        for schedule in due.schedules:
            try:
                await self._fire_one(shard, schedule, due.now)
            except StoreUnavailable:
                raise
            except Exception:
                # One schedule that cannot be read or computed must not keep the others from firing.
                told = {"schedule": schedule.id, "shard": shard}
                log.exception("a schedule cannot be fired; it is put off", extra={"event": "schedule.failed", **told})
                await self._store.schedules.put_off(schedule, due.now + _PUT_OFF_MS)
        return bool(due.schedules or due.ended)

    async def _fire_one(self, shard: int, due: DueSchedule, now: int) -> None:
        schedule = due.schedule
        firing = fire(schedule, due.tick, now)
        most = schedule.max_runs
        ticks = firing.ticks if most is None else firing.ticks[: max(0, most - due.runs)]
        jobs = [NewJob(tick_id(due.id, tick), run_of(schedule, due.id, tick)) for tick in ticks]
        with self._witness.enqueuing(jobs) as traced:
            fired, due_in_ms = await self._store.schedules.fire(
                due, schedule, traced, next_at=firing.next_at, missed=firing.missed
            )
        if fired:
            self._count("ticked", len(ticks))
            self._dispatcher.wake(shard, due_in_ms)

    def _count(self, done: Done, number: int) -> bool:
        """Whether there was anything of it to do."""
        self.done[done] += number
        return number > 0
