"""The clock of `coordinator dev`, which can be moved on, and the way back to an empty store."""

import asyncio

from coordinator.store.connection import Connection


class ClockStore:
    """Only for a connection whose scripts go by this clock. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """Each shard keeps by how much it is ahead of its server."""
        self._connection = connection
        self._advancing = asyncio.Lock()

    async def advance(self, by_ms: int) -> int:
        """Move all shards on. Returns by how much they are ahead in all, ms."""
        async with self._advancing:
            ahead_ms = await read_ahead(self._connection) + by_ms
            for shard in range(self._connection.shards):
                await self._connection.run("advance_clock", self._connection.root(shard), ahead_ms=ahead_ms)
        return ahead_ms

    async def reset(self) -> None:
        """Forget all jobs, schedules, batches and queues; workers and tokens stay."""
        for shard in range(self._connection.shards):
            await self._connection.run("reset_shard", self._connection.root(shard))


async def read_ahead(connection: Connection) -> int:
    """By how much the shard that is furthest ahead is so, ms; 0 where time was never moved.

    Raises `StoreUnavailable`.
    """
    roots = map(connection.root, range(connection.shards))
    found = await asyncio.gather(*(connection.call("GET", f"{root}:clock_ahead") for root in roots))
    return max(int(ahead or 0) for ahead in found)
