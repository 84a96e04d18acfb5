"""Schedules in Redis: a record each, an index by next tick and one by id in the shard of their queue, and their names.

The names stand in one place for all shards, so a schedule and its name are written one after the other. A schedule gets
its name while it is paused, and begins when it has it: two of one name never fire.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from coordinator.domain.ids import shard_of_id
from coordinator.domain.schedule import Schedule
from coordinator.errors import NotFound
from coordinator.store.connection import Connection
from coordinator.store.jobs import BATCH_LIMIT, IDEMPOTENCY_MS, RETENTION
from coordinator.store.records import NewJob, kept_of, lane_of
from coordinator.store.scripts import or_empty
from coordinator.store.sealing import PLAIN, NotOpened, Sealer, key_of

log = logging.getLogger(__name__)

PAGE_BYTES_LIMIT = 1 << 20
"""Of records that a page takes from one shard."""

_decoder = msgspec.json.Decoder(Schedule)


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose tick has come; `version` and `tick` are what a fire is checked against."""

    id: str
    tick: int
    version: str
    runs: int
    record: bytes
    sealer: Sealer = PLAIN

    @property
    def schedule(self) -> Schedule:
        """The schedule itself. Raises `msgspec.ValidationError` if this version cannot read it, `NotOpened`."""
        schedule = _opened(_decoder.decode(self.record), self.id, self.sealer)
        if schedule.spec.sealed is not None:
            raise NotOpened(key_of(schedule.spec))
        return schedule


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about the schedules of a shard at the instant `now`; `ended` are to be forgotten."""

    now: int
    schedules: list[DueSchedule]
    ended: list[str]


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a write: `ok`, `changed`, `idempotency_mismatch`, or `replayed` with the id that was made."""

    reply: str
    id: str


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as it is now. `next_at` is None when it is paused or has ended.

    `missed` are the ticks that nobody was there for, `skipped` those that met runs which still lived; `held` is the run
    that waits for others to end.
    """

    id: str
    schedule: Schedule
    created_at: int
    next_at: int | None
    last_at: int | None = None
    runs: int = 0
    missed: int = 0
    skipped: int = 0
    held: str | None = None
    is_paused: bool = False
    version: int = 1

    @property
    def state(self) -> Literal["active", "paused", "ended"]:
        """Whether it fires."""
        if self.is_paused:
            return "paused"
        return "ended" if self.next_at is None else "active"


class ScheduleStore:
    """Recurring rules and their ticks. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection, sealer: Sealer = PLAIN) -> None:
        """A schedule lives where its jobs will, so that a tick is one step."""
        self._connection = connection
        self._sealer = sealer

    async def now(self) -> int:
        """The instant that first ticks are counted from, Unix ms."""
        _, now = await self._connection.run("read_clock", self._connection.root(0))
        return int(now)

    async def put(self, stored: StoredSchedule, idempotency: tuple[str, str] | None = None) -> Put:
        """Write a schedule if its version is still `stored.version`, 0 for a new one. Its history stays."""
        key, fingerprint = idempotency or ("", "")
        reply, *made = await self._connection.run(
            "put_schedule",
            self._root_of(stored.id),
            id=stored.id,
            version=stored.version,
            record=msgspec.json.encode(
                replace(stored.schedule, spec=self._sealer.seal_spec(stored.schedule.spec, f"schedule {stored.id}"))
            ),
            next_at=or_empty(stored.next_at),
            paused="1" if stored.is_paused else "",
            name=stored.schedule.name or "",
            idempotency=key,
            fingerprint=fingerprint,
            idempotency_ms=IDEMPOTENCY_MS,
        )
        return Put(reply.decode(), made[0].decode() if made else stored.id)

    async def due(self, shard: int) -> Due:
        """A batch of the schedules whose tick has come."""
        _, now, rows, ended = await self._connection.run(
            "due_schedules", self._connection.root(shard), limit=BATCH_LIMIT
        )
        schedules = [
            DueSchedule(schedule_id.decode(), tick, version.decode(), runs, record, self._sealer)
            for schedule_id, tick, version, runs, record in rows
        ]
        return Due(now, schedules, [schedule_id.decode() for schedule_id in ended])

    async def fire(
        self, due: DueSchedule, schedule: Schedule, jobs: Sequence[NewJob], *, next_at: int | None, missed: int
    ) -> tuple[bool, int | None]:
        """Make the jobs of the ticks and move on. Returns whether this call did it, and `due_in_ms` as enqueue does."""
        reply, *due_in = await self._connection.run(
            "fire_schedule",
            self._root_of(due.id),
            [(job.id, lane_of(job.spec), *kept_of(job.spec, job.id, self._sealer)) for job in jobs],
            retention=RETENTION,
            id=due.id,
            expected=due.tick,
            version=due.version,
            next_at=or_empty(next_at),
            last_at=jobs[-1].spec.scheduled_for or "" if jobs else "",
            missed=missed,
            overlap=schedule.overlap,
            max_runs=or_empty(schedule.max_runs),
            told_lane=lane_of(schedule.spec),
            told_worker=schedule.spec.worker,
        )
        if reply != b"ok":
            return False, None
        return True, None if due_in[0] < 0 else due_in[0]

    async def put_off(self, due: DueSchedule, look_at: int) -> None:
        """Look at a schedule later whose tick cannot be fired now; the tick stays due."""
        await self._connection.run(
            "put_off_schedule",
            self._root_of(due.id),
            id=due.id,
            expected=due.tick,
            version=due.version,
            look_at=look_at,
        )

    async def read(self, schedule_id: str) -> StoredSchedule:
        """One schedule. Raises `NotFound`."""
        stored, _ = await self.read_now(schedule_id)
        return stored

    async def read_now(self, schedule_id: str) -> tuple[StoredSchedule, int]:
        """One schedule, and the instant at which it is so. Raises `NotFound`."""
        reply, *rest = await self._connection.run("read_schedule", self._root_of(schedule_id), id=schedule_id)
        if reply != b"ok":
            raise schedule_not_found(schedule_id)
        now, view = rest
        return _read_view(view, self._sealer), now

    async def page(self, after: str, limit: int) -> tuple[list[StoredSchedule], str | None]:
        """Up to `limit` schedules behind the id `after`, the oldest first, and the id to go on behind, None at the end.

        One that cannot be read is left out.
        """
        views: list[list[Any]] = []
        ends: list[str] = []
        for shard in range(self._connection.shards):
            root = self._connection.root(shard)
            _, found, has_more = await self._connection.run(
                "list_schedules", root, after=after, limit=limit, bytes_limit=PAGE_BYTES_LIMIT
            )
            views += found
            if has_more:
                ends.append(found[-1][0].decode())
        # Behind the first end of a shard, its others are not known yet.
        known = sorted((view for view in views if not ends or view[0].decode() <= min(ends)), key=lambda view: view[0])
        page = known[:limit]
        is_all = not ends and len(known) == len(page)
        return [stored for view in page if (stored := _try_to_read(view, self._sealer))], None if is_all else page[-1][
            0
        ].decode()

    async def delete(self, schedule_id: str, *, only_ended: bool = False) -> None:
        """Delete a schedule; the jobs it has made stay. Raises `NotFound`, also for one that has not ended if asked."""
        reply, *told = await self._connection.run(
            "delete_schedule", self._root_of(schedule_id), id=schedule_id, only_ended="1" if only_ended else ""
        )
        if reply != b"ok":
            raise schedule_not_found(schedule_id)
        if told[0]:
            await self.rename(told[0].decode(), schedule_id, "")

    async def find(self, name: str) -> str:
        """The id that a name stands for, "" for none."""
        _, found = await self._connection.run("find_schedule", self._connection.root(0), name=name)
        return str(found.decode())

    async def rename(self, name: str, before: str, after: str) -> bool:
        """Have a name stand for the id `after`, "" for none. False if it does not stand for `before` any more."""
        reply, *_ = await self._connection.run(
            "name_schedule", self._connection.root(0), name=name, before=before, after=after
        )
        return bool(reply == b"ok")

    def _root_of(self, schedule_id: str) -> str:
        shard = shard_of_id(schedule_id)
        if shard is None or shard >= self._connection.shards:
            raise schedule_not_found(schedule_id)
        return self._connection.root(shard)


def schedule_not_found(schedule_id: str) -> NotFound:
    """The refusal for an id that names no schedule."""
    return NotFound("schedule_not_found", f"There is no schedule {schedule_id[:80]!r}.")


def _try_to_read(view: list[Any], sealer: Sealer) -> StoredSchedule | None:
    try:
        return _read_view(view, sealer)
    except msgspec.DecodeError as error:
        # One schedule that another version wrote must not keep the others from being seen.
        told = {"schedule": view[0].decode(), "error": str(error)}
        log.warning("a schedule cannot be read", extra={"event": "schedule.unreadable", **told})
        return None


def _read_view(view: list[Any], sealer: Sealer) -> StoredSchedule:
    schedule_id, next_at, held, pairs = view
    field = dict(zip(pairs[::2], pairs[1::2], strict=True))
    is_still = next_at == b"inf" or b"ended_at" in field
    return StoredSchedule(
        id=schedule_id.decode(),
        schedule=_opened(_decoder.decode(field[b"record"]), schedule_id.decode(), sealer),
        created_at=int(field[b"created_at"]),
        next_at=None if is_still else int(float(next_at)),
        last_at=int(field[b"last_at"]) if b"last_at" in field else None,
        runs=int(field.get(b"runs", 0)),
        missed=int(field.get(b"missed", 0)),
        skipped=int(field.get(b"skipped", 0)),
        held=held.decode() or None,
        is_paused=b"paused" in field,
        version=int(field[b"version"]),
    )


def _opened(schedule: Schedule, schedule_id: str, sealer: Sealer) -> Schedule:
    if schedule.spec.sealed is None:
        return schedule
    return replace(schedule, spec=sealer.open_spec(schedule.spec, f"schedule {schedule_id}"))
