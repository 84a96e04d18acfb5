"""Workers in Redis: one hash for all, a JSON record each. It belongs to no shard."""

import msgspec

from coordinator.domain.worker import Worker
from coordinator.store.connection import Connection


class _Outline(msgspec.Struct, rename="camel"):
    """What a record of any version is likely to have."""

    url: str = ""
    timeout_ms: int | None = None
    queue: str | None = None
    owner: str | None = None


_decoder = msgspec.json.Decoder(Worker)
_outline_decoder = msgspec.json.Decoder(_Outline)


class WorkerStore:
    """The registered workers. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """`<prefix>:workers` is the one key."""
        self._connection = connection
        self._key = f"{connection.prefix}:workers"

    async def put(self, name: str, worker: Worker) -> bool:
        """Register or replace a worker. Returns whether it is new."""
        _, known = await self._connection.run("put_record", self._key, name=name, record=msgspec.json.encode(worker))
        return not known

    async def read_all(self) -> dict[str, Worker]:
        """Every worker by name. One that cannot be read is `unreadable`, and costs the others nothing."""
        return {name.decode(): _read(record) for name, record in (await self._connection.pairs(self._key)).items()}

    async def delete(self, name: str) -> bool:
        """Forget a worker. Returns whether there was one."""
        _, known = await self._connection.run("drop_record", self._key, name=name)
        return bool(known)


def _read(record: bytes) -> Worker:
    try:
        return _decoder.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _outlined(record)


def _outlined(record: bytes) -> Worker:
    """Left out, it would not be unknown: the entry point would get its jobs."""
    try:
        seen = _outline_decoder.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        seen = _Outline()
    return Worker(seen.url, timeout_ms=seen.timeout_ms, queue=seen.queue, owner=seen.owner, unreadable=True)
