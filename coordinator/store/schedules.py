"""Schedules in Redis: a record each, and one index by next tick in the shard of their queue."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from coordinator.domain.ids import shard_of_id
from coordinator.domain.schedule import Schedule
from coordinator.errors import NotFound
from coordinator.store.connection import Connection
from coordinator.store.jobs import BATCH_LIMIT
from coordinator.store.records import NewJob, kept_of, lane_of

_decoder = msgspec.json.Decoder(Schedule)


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose tick has come; `version` and `tick` are what a fire is checked against."""

    id: str
    tick: int
    version: str
    runs: int
    record: bytes

    @property
    def schedule(self) -> Schedule:
        """The schedule itself. Raises `msgspec.ValidationError` if this version cannot read it."""
        return _decoder.decode(self.record)


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as it is now. `next_at` is None when it has no further tick."""

    id: str
    schedule: Schedule
    created_at: int
    next_at: int | None
    last_at: int | None = None
    runs: int = 0
    missed: int = 0


class ScheduleStore:
    """Recurring rules and their ticks. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """A schedule lives where its jobs will, so that a tick is one step."""
        self._connection = connection

    async def now(self) -> int:
        """The instant that first ticks are counted from, Unix ms."""
        _, now = await self._connection.run("read_clock", self._connection.root(0))
        return int(now)

    async def put(self, schedule_id: str, schedule: Schedule, next_at: int | None) -> None:
        """Write a schedule."""
        await self._connection.run(
            "put_schedule",
            self._root_of(schedule_id),
            id=schedule_id,
            record=msgspec.json.encode(schedule),
            next_at=_score(next_at),
        )

    async def due(self, shard: int) -> tuple[int, list[DueSchedule]]:
        """Now, and a batch of the schedules whose tick has come."""
        _, now, rows = await self._connection.run("due_schedules", self._connection.root(shard), limit=BATCH_LIMIT)
        return now, [
            DueSchedule(schedule_id.decode(), tick, version.decode(), runs, record)
            for schedule_id, tick, version, runs, record in rows
        ]

    async def fire(
        self, due: DueSchedule, jobs: Sequence[NewJob], *, next_at: int | None, missed: int
    ) -> tuple[bool, int | None]:
        """Make the jobs of the ticks and move on. Returns whether this call did it, and `due_in_ms` as enqueue does."""
        reply, *due_in = await self._connection.run(
            "fire_schedule",
            self._root_of(due.id),
            [(job.id, lane_of(job.spec), *kept_of(job.spec)) for job in jobs],
            id=due.id,
            expected=due.tick,
            version=due.version,
            next_at=_score(next_at),
            last_at=jobs[-1].spec.scheduled_for or "" if jobs else "",
            missed=missed,
        )
        if reply != b"ok":
            return False, None
        return True, None if due_in[0] < 0 else due_in[0]

    async def read(self, schedule_id: str) -> StoredSchedule:
        """One schedule. Raises `NotFound`."""
        reply, *rest = await self._connection.run("read_schedule", self._root_of(schedule_id), id=schedule_id)
        if reply != b"ok":
            raise schedule_not_found(schedule_id)
        _, next_at, pairs = rest
        field = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return StoredSchedule(
            id=schedule_id,
            schedule=_decoder.decode(field[b"record"]),
            created_at=int(field[b"created_at"]),
            next_at=None if next_at == b"inf" else int(float(next_at)),
            last_at=int(field[b"last_at"]) if b"last_at" in field else None,
            runs=int(field.get(b"runs", 0)),
            missed=int(field.get(b"missed", 0)),
        )

    async def ids(self, limit: int) -> list[str]:
        """The ids of up to `limit` schedules of each shard, the next to fire first in each."""
        found: list[str] = []
        for shard in range(self._connection.shards):
            _, ids = await self._connection.run("list_schedules", self._connection.root(shard), limit=limit)
            found.extend(schedule_id.decode() for schedule_id in ids)
        return found

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; the jobs it has made stay. Raises `NotFound`."""
        (reply,) = await self._connection.run("delete_schedule", self._root_of(schedule_id), id=schedule_id)
        if reply != b"ok":
            raise schedule_not_found(schedule_id)

    def _root_of(self, schedule_id: str) -> str:
        shard = shard_of_id(schedule_id)
        if shard is None or shard >= self._connection.shards:
            raise schedule_not_found(schedule_id)
        return self._connection.root(shard)


def schedule_not_found(schedule_id: str) -> NotFound:
    """The refusal for an id that names no schedule."""
    return NotFound("schedule_not_found", f"There is no schedule {schedule_id[:80]!r}.")


def _score(next_at: int | None) -> str | int:
    return "inf" if next_at is None else next_at
