"""Batches in Redis, and the outboxes through which shards tell others of what has ended in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from coordinator.domain.batch import Batch, BatchView
from coordinator.domain.ids import shard_of_id
from coordinator.domain.job import Job
from coordinator.errors import NotFound, idempotency_mismatch
from coordinator.store.connection import Connection
from coordinator.store.jobs import BATCH_LIMIT, IDEMPOTENCY_MS
from coordinator.store.records import read_view
from coordinator.store.scripts import Argument
from coordinator.store.sealing import PLAIN, Sealer

_decoder = msgspec.json.Decoder(Batch)

_BATCH = "batch:"
"""How the entry of a batch begins in an outbox; that of a job is its id."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What others are to be told of since `written_at`: a job, as it is now, or a batch that is complete.

    It is neither if nothing is left of the job.
    """

    entry: str
    written_at: int
    job: Job | None = None
    batch_id: str | None = None


class BatchStore:
    """Batches. Every method may raise `StoreUnavailable`; those that take an id `NotFound`."""

    def __init__(self, connection: Connection, sealer: Sealer = PLAIN) -> None:
        """A batch lives in the shard that its id names; its jobs may live anywhere."""
        self._connection = connection
        self._sealer = sealer

    async def create(self, batch_id: str, batch: Batch, idempotency: tuple[str, str] | None) -> tuple[str, bool]:
        """Begin a batch. Returns its id, and whether the same request made it before. Raises `Invalid`."""
        key, fingerprint = idempotency or ("", "")
        reply, *made = await self._connection.run(
            "create_batch",
            self._root_of(batch_id),
            id=batch_id,
            record=msgspec.json.encode(self._sealer.seal_batch(batch, batch_id)),
            idempotency=key,
            fingerprint=fingerprint,
            idempotency_ms=IDEMPOTENCY_MS,
        )
        if reply == b"idempotency_mismatch":
            raise idempotency_mismatch()
        return made[0].decode(), bool(reply == b"replayed")

    async def add(self, batch_id: str, job_ids: Sequence[str]) -> list[str]:
        """Have a batch wait for jobs. Returns those that come too late: it is complete without them."""
        return await self._add(batch_id, job_ids, seal="", refused="")

    async def seal(self, batch_id: str, job_ids: Sequence[str], refused: int) -> list[str]:
        """The same with the last jobs that the batch's maker brings, and with the number of those that were refused."""
        return await self._add(batch_id, job_ids, seal="1", refused=refused)

    async def _add(self, batch_id: str, job_ids: Sequence[str], **values: Argument) -> list[str]:
        reply, *told = await self._connection.run(
            "add_members", self._root_of(batch_id), [(job,) for job in job_ids], id=batch_id, **values
        )
        if reply != b"ok":
            raise batch_not_found(batch_id)
        return [job.decode() for job in told[0]]

    async def end(self, batch_id: str, ended: Sequence[tuple[str, str]]) -> bool:
        """Tell a batch of jobs and their final states. Whether others are to be told of it now."""
        _, due_in = await self._connection.run("end_members", self._root_of(batch_id), ended, id=batch_id)
        return bool(due_in == 0)

    async def read(self, batch_id: str) -> BatchView:
        """A batch as it is now."""
        view, _, _ = await self._read(batch_id, "0", 0)
        return view

    async def pending(self, batch_id: str, cursor: str) -> tuple[list[str], str]:
        """Some of the jobs that a batch waits for, and where to go on: "0" at the end."""
        _, after, jobs = await self._read(batch_id, cursor, BATCH_LIMIT)
        return jobs, after

    async def _read(self, batch_id: str, cursor: str, limit: int) -> tuple[BatchView, str, list[str]]:
        reply, *rest = await self._connection.run(
            "read_batch", self._root_of(batch_id), id=batch_id, cursor=cursor, limit=limit
        )
        if reply != b"ok":
            raise batch_not_found(batch_id)
        pairs, pending, after, jobs = rest
        field = dict(zip(pairs[::2], pairs[1::2], strict=True))
        view = BatchView(
            id=batch_id,
            batch=self._sealer.open_batch(_decoder.decode(field[b"record"]), batch_id),
            created_at=int(field[b"created_at"]),
            completed_at=int(field[b"completed_at"]) if b"completed_at" in field else None,
            pending=pending,
            succeeded=int(field.get(b"succeeded", 0)),
            dead=int(field.get(b"dead", 0)),
            cancelled=int(field.get(b"cancelled", 0)),
            refused=int(field.get(b"refused", 0)),
        )
        return view, after.decode(), [job.decode() for job in jobs]

    async def outgoing(self, shard: int) -> list[Outgoing]:
        """Some of what others are to be told of, the oldest first."""
        _, now, found = await self._connection.run("read_outbox", self._connection.root(shard), limit=BATCH_LIMIT)
        return [self._outgoing(entry.decode(), written_at, view, now) for entry, written_at, view in found]

    async def clear(self, shard: int, told: Sequence[Outgoing]) -> bool:
        """Others have been told of these. Whether there is more, also of these: a job may have ended again."""
        rows = [(one.entry, one.written_at) for one in told]
        _, due_in = await self._connection.run("clear_outbox", self._connection.root(shard), rows)
        return bool(due_in == 0)

    def _outgoing(self, entry: str, written_at: int, view: list[Any], now: int) -> Outgoing:
        if entry.startswith(_BATCH):
            return Outgoing(entry, written_at, batch_id=entry.removeprefix(_BATCH))
        return Outgoing(entry, written_at, job=read_view(view, now, self._sealer) if view else None)

    def _root_of(self, batch_id: str) -> str:
        shard = shard_of_id(batch_id)
        if shard is None or shard >= self._connection.shards:
            raise batch_not_found(batch_id)
        return self._connection.root(shard)


def batch_not_found(batch_id: str) -> NotFound:
    """The refusal for an id that names no batch."""
    return NotFound("batch_not_found", f"There is no batch {batch_id[:80]!r}; complete ones are kept for a day.")
