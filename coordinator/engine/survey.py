"""One look at the whole store, for whoever draws its figures.

It costs a short script per hundred queues, whatever the number of jobs, and of queues so many at the most. Whoever asks
while a look is under way gets what that one finds.
"""

import asyncio

from coordinator.errors import StoreUnavailable
from coordinator.store.capacity import Fill
from coordinator.store.open import Store
from coordinator.telemetry.metrics import Survey

LIMIT_S = 3.0
"""Less than the patience of those who collect figures, which is ten seconds mostly."""

QUEUES_MOST = 10_000
"""In the order of their names, so that all replicas look at the same ones."""


class Surveyor:
    """Looks at a store."""

    def __init__(self, store: Store) -> None:
        """Nothing is asked before `look`."""
        self._store = store
        self._looking: asyncio.Task[Survey | None] | None = None

    async def look(self) -> Survey | None:
        """What there is now; None if the store cannot be reached, or not in time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        # Whoever goes away while others wait must not end it for them.
        return await asyncio.shield(self._looking)

    async def _look(self) -> Survey | None:
        store = self._store
        try:
            async with asyncio.timeout(LIMIT_S):
                names, fills, roster = await asyncio.gather(
                    store.queues.names(), store.capacity.fills(), store.leadership.roster()
                )
                now, queues = await store.queues.tallies(names[:QUEUES_MOST])
        except (StoreUnavailable, TimeoutError):
            return None
        used, most = _memory(fills)
        return Survey(
            now=now,
            queues=queues,
            unlisted=max(0, len(names) - QUEUES_MOST),
            used_bytes=used,
            max_bytes=most,
            replicas=len(roster.members),
            unled=len(roster.unled),
        )


def _memory(fills: list[Fill]) -> tuple[int | None, int | None]:
    """What all servers use, and may use; None for what is not known or has no limit."""
    if not fills:
        return None, None
    most = sum(fill.most for fill in fills) if all(fill.most for fill in fills) else None
    return sum(fill.used for fill in fills), most
