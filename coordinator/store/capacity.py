"""How full the servers are."""

from dataclasses import dataclass

from coordinator.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Fill:
    """What one server uses of its `maxmemory`, in bytes; `most` is 0 without one. `shards` are those that lie on it."""

    used: int
    most: int
    shards: frozenset[int]

    def is_over(self, percent: int) -> bool:
        """Whether more than so much of it is used."""
        return self.most > 0 and self.used * 100 > self.most * percent


class CapacityStore:
    """Looks at the servers' memory."""

    def __init__(self, connection: Connection) -> None:
        """All primaries count, each for the shards that lie on it."""
        self._connection = connection

    async def fills(self) -> list[Fill]:
        """How full each primary is that answers; nothing for an imitation. Raises `StoreUnavailable`."""
        if self._connection.in_process:
            return []
        infos = await self._connection.infos("memory")
        shards = range(self._connection.shards)
        homes = await self._connection.homes()
        return [
            Fill(
                # What the server keeps for its replicas and its file does not count against its limit.
                used=int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0)),
                most=int(info.get("maxmemory", 0)),
                shards=frozenset(shard for shard, home in zip(shards, homes, strict=True) if home is client),
            )
            for client, info in infos.items()
        ]
