"""One bounded pass over all shards, for a coordinator that is itself scaled to zero.

Who runs all the time needs none: its loops do the same. A platform that stops a process when it has answered its
requests stops the loops too; something outside has to ask for a pass, once a minute or when the last one said that
there is something due again, and the answer comes when all that was due has been done.
"""

import asyncio
import time
from dataclasses import dataclass

from coordinator.engine.dispatcher import Dispatcher
from coordinator.engine.poller import Poller
from coordinator.store.open import Store


@dataclass(frozen=True, slots=True)
class Passed:
    """What was done meanwhile in this replica.

    `called` are calls begun, `ended` attempts that nobody but the clock ended, `expired` jobs that were given up before
    they began, `in_flight` calls that go on. `next_due_at` is an instant in Unix ms before which nothing is
    due, None when nothing waits for its time.
    """

    called: int
    ended: int
    ticked: int
    expired: int
    purged: int
    in_flight: int
    next_due_at: int | None


class Passes:
    """Makes passes, through the poller and the dispatcher of a replica."""

    def __init__(self, poller: Poller, dispatcher: Dispatcher, store: Store) -> None:
        """Beside the replica's own loops: every script is right whoever calls it."""
        self._poller = poller
        self._dispatcher = dispatcher
        self._store = store

    async def make(self, limit_s: float) -> Passed:
        """Do all that is due, and wait for the calls, so long at the most. Raises `StoreUnavailable`."""
        ends_at = time.monotonic() + limit_s
        begun, done = self._dispatcher.begun, self._poller.done.copy()
        while True:
            before = self._dispatcher.begun, self._poller.done.total()
            await asyncio.gather(*(self._poller.look_after(shard) for shard in range(self._store.shards)))
            await self._dispatcher.rest(ends_at - time.monotonic())
            # What a call has ended may have made something else due: a retry, a callback, a free slot.
            has_moved = before != (self._dispatcher.begun, self._poller.done.total())
            if not has_moved or time.monotonic() >= ends_at:
                break
        done = self._poller.done - done
        return Passed(
            called=self._dispatcher.begun - begun,
            ended=done["ended"],
            ticked=done["ticked"],
            expired=done["expired"],
            purged=done["purged"],
            in_flight=self._dispatcher.in_flight,
            next_due_at=await self._next_due_at(),
        )

    async def _next_due_at(self) -> int | None:
        # The clock first: what is counted from it then comes rather too early than too late.
        now = await self._store.schedules.now()
        instants = await asyncio.gather(*(self._store.jobs.poll(shard) for shard in range(self._store.shards)))
        soonest = min((due_in for found in instants for due_in in found if due_in is not None), default=None)
        return None if soonest is None else now + soonest
