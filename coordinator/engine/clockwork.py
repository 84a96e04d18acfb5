"""Time that is moved on by hand, in `coordinator dev`: a day in a second.

All scripts of a store go by one clock; here it is one that is ahead of the server's by what the store says. Waits of
ours are relative, and none is longer than a look of the leader: after a jump everything is looked at at once.
"""

from dataclasses import dataclass

from coordinator.engine.passes import Passed, Passes
from coordinator.errors import Conflict
from coordinator.store.clock import ClockStore, read_ahead
from coordinator.store.open import Store


@dataclass(frozen=True, slots=True)
class Advanced:
    """It is `now` (Unix ms) in the store, `ahead_ms` later than it is; and what was due by then."""

    now: int
    ahead_ms: int
    passed: Passed


class Clockwork:
    """Every method may raise `StoreUnavailable`, and `Conflict` where others work on the store, by another clock.

    `ahead_ms` is by how much the store's clock is ahead of the server's. Nobody else moves it, so it is read once.
    """

    def __init__(self, store: Store, passes: Passes, replica: str) -> None:
        """The scripts of the store have to be linked with the clock of `dev`."""
        self._store = store
        self._passes = passes
        self._replica = replica
        self._clock = ClockStore(store.connection)
        self.ahead_ms = 0

    async def begin(self) -> None:
        """Go on at the time to which the store was moved before."""
        self.ahead_ms = await read_ahead(self._store.connection)

    async def advance(self, by_ms: int, limit_s: float) -> Advanced:
        """Move the time on, and do all that is due by then, so long at the most."""
        await self._refuse_others()
        self.ahead_ms = await self._clock.advance(by_ms)
        passed = await self._passes.make(limit_s)
        return Advanced(await self._store.schedules.now(), self.ahead_ms, passed)

    async def reset(self) -> None:
        """Begin anew: with no job, and at the present."""
        await self._refuse_others()
        await self._clock.reset()
        self.ahead_ms = 0

    async def _refuse_others(self) -> None:
        roster = await self._store.leadership.roster()
        others = [member.id for member in roster.members if member.id != self._replica]
        if others:
            detail = f"Others work on this store, by the real time: {', '.join(others)}. Give dev a store of its own."
            raise Conflict("invalid_state", detail)
