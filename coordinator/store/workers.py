"""Workers in Redis: one hash for all, a JSON record each. It belongs to no shard."""

import msgspec

from coordinator.domain.worker import Worker
from coordinator.store.connection import Connection

_decoder = msgspec.json.Decoder(Worker)


class WorkerStore:
    """The registered workers. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """`<prefix>:workers` is the one key."""
        self._connection = connection
        self._key = f"{connection.prefix}:workers"

    async def put(self, name: str, worker: Worker) -> bool:
        """Register or replace a worker. Returns whether it is new."""
        _, known = await self._connection.run("put_worker", self._key, name=name, record=msgspec.json.encode(worker))
        return not known

    async def read_all(self) -> dict[str, Worker]:
        """Every worker by name."""
        pairs = await self._connection.call("HGETALL", self._key)
        if isinstance(pairs, dict):
            return {name.decode(): _decoder.decode(record) for name, record in pairs.items()}
        return {name.decode(): _decoder.decode(record) for name, record in zip(pairs[::2], pairs[1::2], strict=True)}

    async def delete(self, name: str) -> bool:
        """Forget a worker. Returns whether there was one."""
        _, known = await self._connection.run("put_worker", self._key, name=name, record="")
        return bool(known)
