"""The clock of `coordinator dev`, which can be moved on, and the way back to an empty store."""

from coordinator.store.connection import Connection


class ClockStore:
    """Only for a connection whose scripts go by this clock. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """Each shard keeps by how much it is ahead of its server."""
        self._connection = connection

    async def advance(self, by_ms: int) -> int:
        """Move all shards on. Returns by how much they are ahead in all, ms."""
        ahead_ms = 0
        for shard in range(self._connection.shards):
            _, ahead_ms = await self._connection.run("advance_clock", self._connection.root(shard), by_ms=by_ms)
        return ahead_ms

    async def reset(self) -> None:
        """Forget all jobs, schedules, batches and queues; workers and tokens stay."""
        for shard in range(self._connection.shards):
            await self._connection.run("reset_shard", self._connection.root(shard))
