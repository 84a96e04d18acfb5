"""Workers in Redis: one hash for all, a JSON record each. It belongs to no shard.

Of a record only its secrets are sealed, each by itself; a reference to a variable is none.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from coordinator.domain.worker import AwsSigV4, Bearer, Worker
from coordinator.store.connection import Connection
from coordinator.store.sealing import PLAIN, NotOpened, Sealer

_REFERENCE = "env:"


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

    def __init__(self, connection: Connection, sealer: Sealer = PLAIN) -> None:
        """`<prefix>:workers` is the one key."""
        self._connection = connection
        self._sealer = sealer
        self._key = f"{connection.prefix}:workers"

    async def put(self, name: str, worker: Worker) -> bool:
        """Register or replace a worker. Returns whether it is new."""
        record = msgspec.json.encode(self._sealed(name, worker))
        _, known = await self._connection.run("put_record", self._key, name=name, record=record)
        return not known

    async def read_all(self) -> dict[str, Worker]:
        """Every worker by name. One that cannot be read is `unreadable`, and costs the others nothing."""
        records = await self._connection.pairs(self._key)
        return {name.decode(): self._opened(name.decode(), _read(record)) for name, record in records.items()}

    async def delete(self, name: str) -> bool:
        """Forget a worker. Returns whether there was one."""
        _, known = await self._connection.run("drop_record", self._key, name=name)
        return bool(known)

    def _sealed(self, name: str, worker: Worker) -> Worker:
        def seal(value: str, field: str) -> str:
            return value if value.startswith(_REFERENCE) else self._sealer.seal_text(value, f"worker {name} {field}")

        return _each_secret(worker, seal)

    def _opened(self, name: str, worker: Worker) -> Worker:
        try:
            return _each_secret(worker, lambda value, field: self._sealer.open_text(value, f"worker {name} {field}"))
        except NotOpened as lost:
            shown = Worker(worker.url, timeout_ms=worker.timeout_ms, queue=worker.queue, owner=worker.owner)
            return replace(shown, unreadable=True, lost_key=lost.key)


def _each_secret(worker: Worker, change: Callable[[str, str], str]) -> Worker:
    """The worker with each of its secrets changed; `change` is told the value and its field."""

    def changed(value: str | None, field: str) -> str | None:
        return None if value is None else change(value, field)

    auth = worker.auth
    match auth:
        case Bearer():
            auth = Bearer(change(auth.token, "token"))
        case AwsSigV4():
            auth = replace(
                auth,
                access_key_id=changed(auth.access_key_id, "accessKeyId"),
                secret_access_key=changed(auth.secret_access_key, "secretAccessKey"),
                session_token=changed(auth.session_token, "sessionToken"),
            )
    return replace(
        worker,
        headers={header: change(value, f"header {header}") for header, value in worker.headers.items()},
        secret=changed(worker.secret, "secret"),
        previous_secret=changed(worker.previous_secret, "previousSecret"),
        auth=auth,
    )


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
