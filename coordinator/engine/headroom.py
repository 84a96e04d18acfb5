"""New jobs are refused before Redis is full.

The last part of the memory is for what was accepted: retries, receipts, ticks and callbacks need some too, and a Redis
that refuses its writes in the middle of them would hold up everybody. So above `percent` of `maxmemory` callers get 503
`memory_limit`, while all that runs goes on and makes room.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from coordinator.errors import StoreUnavailable
from coordinator.store.capacity import Fill

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
"""Between two looks. What can come in meanwhile is little beside the part that is kept free."""

_RETRY_AFTER_S = 10


class Headroom:
    """Knows which shards are nearly full. `run` it once."""

    def __init__(self, fills: Callable[[], Awaitable[list[Fill]]], percent: int) -> None:
        """`fills` tells how full the servers are; with a `percent` of 100 Redis itself is who refuses."""
        self._is_away = False
        self._fills = fills
        self._percent = percent
        self._full: dict[int, Fill] = {}

    def check(self, shard: int) -> None:
        """Refuse what is new where there is no room for it. Raises `StoreUnavailable`."""
        fill = self._full.get(shard)
        if fill is not None:
            detail = (
                f"Redis uses {_mib(fill.used)} of its {_mib(fill.most)}; what is above {self._percent} % is kept for "
                "jobs that were accepted. Nothing was stored."
            )
            raise StoreUnavailable("memory_limit", detail, _RETRY_AFTER_S)

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Look now."""
        try:
            fills = await self._fills()
        except StoreUnavailable as error:
            if not self._is_away:
                log.warning("the store is away", extra={"event": "store.away", "error": error.code})
            self._is_away = True
            return  # What cannot be reached refuses by itself.
        if self._is_away:
            log.warning("the store is back", extra={"event": "store.back"})
            self._is_away = False
        full = {shard: fill for fill in fills if fill.is_over(self._percent) for shard in fill.shards}
        if full.keys() != self._full.keys():
            if full:
                worst = max(full.values(), key=lambda fill: fill.used / fill.most)
                told = {"used": _mib(worst.used), "maxmemory": _mib(worst.most)}
                log.warning(
                    "Redis is nearly full: new jobs are refused, all others go on",
                    extra={"event": "store.full", **told},
                )
            else:
                log.warning("Redis has room again: new jobs are accepted", extra={"event": "store.roomy"})
        self._full = full


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
