"""Which shards this replica polls for.

All replicas that live stand in one register. Sorted, they share the shards like cards: shard i belongs to replica
i mod n, so the spread is within one of even and everybody computes the same. Who has a shard that is no longer his
gives it up at once and says so; who should have one takes it as soon as its lock is free.

A dead replica falls out of the register and its locks lapse within three quarters of `ttl_ms`, and the others look
every quarter: its shards are led again within `ttl_ms`. Two leaders for a moment waste a call and break nothing.
"""

import asyncio
import contextlib
import logging

from coordinator.errors import StoreUnavailable
from coordinator.store.leadership import LeadershipStore

log = logging.getLogger(__name__)

CHANGED = "replicas"
"""The message that says: look again, someone came or went."""


class Leadership:
    """Keeps `led` up to date."""

    def __init__(self, store: LeadershipStore, replica: str, shards: int, ttl_ms: int) -> None:
        """`ttl_ms` is the longest that a shard may be without a leader after a replica died."""
        self._store = store
        self._replica = replica
        self._shards = shards
        self._lock_ms = ttl_ms * 3 // 4
        self._pause_s = ttl_ms / 4000
        self._look_again = asyncio.Event()
        self._is_known = False
        self.led: set[int] = set()
        self.changed = asyncio.Event()

    def look_again(self) -> None:
        """Someone came or went."""
        self._look_again.set()

    async def run(self) -> None:
        """Register, take and give up, for ever."""
        while True:
            self._look_again.clear()
            try:
                await self._take_share()
            except StoreUnavailable as error:
                log.warning("leadership could not be renewed", extra={"event": "leader.failed", "error": error.code})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._look_again.wait()

    async def stop(self) -> None:
        """Hand everything over at once."""
        led = sorted(self.led)
        self.led.clear()
        with contextlib.suppress(StoreUnavailable):  # Then it is missed when its time is over.
            await self._store.unregister(self._replica)
        await asyncio.gather(*(self._resign(shard) for shard in led))
        with contextlib.suppress(StoreUnavailable):
            await self._store.publish(CHANGED)

    async def _take_share(self) -> None:
        living = await self._store.register(self._replica, self._lock_ms)
        mine = share_of(self._replica, living, self._shards)
        given_up = self.led - mine
        self.led -= given_up
        await asyncio.gather(*(self._resign(shard) for shard in sorted(given_up)))
        before = set(self.led)
        await asyncio.gather(*(self._take(shard) for shard in sorted(mine)))
        if self.led != before or given_up:
            told = {"replica": self._replica, "led": sorted(self.led)}
            log.info("leading %d of %d shards", len(self.led), self._shards, extra={"event": "leader.changed", **told})
            self.changed.set()
        # A newcomer's shards are still held by others, and what was given up is waited for.
        if given_up or not self._is_known:
            self._is_known = True
            await self._store.publish(CHANGED)

    async def _resign(self, shard: int) -> None:
        with contextlib.suppress(StoreUnavailable):  # Then its lock lapses.
            await self._store.resign(shard, self._replica)

    async def _take(self, shard: int) -> None:
        try:
            is_mine = await self._store.hold(shard, self._replica, self._lock_ms)
        except StoreUnavailable as error:
            # It stays as it is. Where the server of one shard is away, the others are led on.
            told = {"shard": shard, "error": error.code}
            log.warning("the lead of a shard could not be renewed", extra={"event": "leader.failed", **told})
            return
        if is_mine:
            self.led.add(shard)
        else:
            self.led.discard(shard)


def share_of(replica: str, living: list[str], shards: int) -> set[int]:
    """The shards that are this replica's; none if it is not among the living."""
    if replica not in living:
        return set()
    return set(range(living.index(replica), shards, len(living)))
