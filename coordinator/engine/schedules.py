"""What people do to schedules: make them, declare them by name, change, pause, resume, trigger and delete them.

A change is read, decided and written; the script refuses it when somebody else was faster, and it is decided anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace as replaced

from msgspec.structs import replace

from coordinator.domain.ids import shard_of_id, shard_of_queue
from coordinator.domain.recurrence import next_tick
from coordinator.domain.schedule import Schedule, anchored, run_of
from coordinator.engine.intake import Intake, Intaken
from coordinator.errors import Conflict, Invalid, NotFound, idempotency_mismatch
from coordinator.store.open import Store
from coordinator.store.schedules import StoredSchedule, schedule_not_found

_TRIES = 10

Changed = Callable[[StoredSchedule, int], Awaitable[StoredSchedule]]
"""What a schedule is to become at an instant. The very same object means that nothing changes."""


class Schedules:
    """Every method may raise `StoreUnavailable`; those that take an id or a name, `NotFound`."""

    def __init__(self, store: Store, intake: Intake, tell: Callable[[], None]) -> None:
        """`tell` is called when pollers have to look anew."""
        self._store = store
        self._intake = intake
        self._tell = tell

    async def find(self, id_or_name: str) -> StoredSchedule:
        """A schedule by its id or its name."""
        return await self._store.schedules.read(await self.resolve(id_or_name))

    async def resolve(self, id_or_name: str) -> str:
        """The id of a schedule."""
        if shard_of_id(id_or_name) is not None:
            return id_or_name
        schedule_id = await self._store.schedules.find(id_or_name)
        if not schedule_id:
            raise schedule_not_found(id_or_name)
        return schedule_id

    async def has(self, schedule_id: str) -> bool:
        """Whether this is the id of a schedule."""
        try:
            await self._store.schedules.read(schedule_id)
        except NotFound:
            return False
        return True

    async def create(
        self, schedule: Schedule, idempotency: tuple[str, str] | None = None
    ) -> tuple[StoredSchedule, bool]:
        """Accept a schedule. Returns it, and whether this request was answered with it before. Raises `Invalid`."""
        new = await self.plan(schedule)
        self._intake.check_room([new.id])
        put = await self._store.schedules.put(new, idempotency)
        if put.reply == "idempotency_mismatch":
            raise idempotency_mismatch()
        if put.reply == "replayed":
            return await self._store.schedules.read(put.id), True
        self._tell()
        return await self._store.schedules.read(new.id), False

    async def declare(self, name: str, schedule: Schedule) -> tuple[StoredSchedule, bool]:
        """Have the name stand for this schedule. Returns it and whether it is new.

        What is the same already stays untouched. One whose queue lies in another shard is moved: deleted and made
        anew, and if the request fails between the two it has to be repeated. Raises `Invalid`.
        """
        for _ in range(_TRIES):
            known = await self._store.schedules.find(name)
            before = await self._try_to_read(known)
            try:
                if before is not None and shard_of_id(before.id) == self._shard(schedule.spec.queue):
                    await self._begin(before)
                    return await self.rewrite(before.id, schedule), False
                stored = await self._make_named(name, schedule, known, before)
            except NotFound:
                continue  # Somebody deleted it meanwhile.
            if stored is not None:
                return stored, before is None
        raise _too_busy(name)

    async def _make_named(
        self, name: str, schedule: Schedule, known: str, before: StoredSchedule | None
    ) -> StoredSchedule | None:
        """A schedule that takes the place of `before`; None if somebody else was faster."""
        owner = schedule.owner or (before.schedule.owner if before else None)
        new = await self.plan(replace(schedule, name=name, owner=owner))
        new = replaced(new, is_paused=True, next_at=None)
        await self._store.schedules.put(new)
        if before is not None:
            await self._store.schedules.delete(before.id)
            known = ""
        if not await self._store.schedules.rename(name, known, new.id):
            await self._store.schedules.delete(new.id)
            return None
        return await self._begin(replaced(new, version=1), stays_paused=before is not None and before.is_paused)

    async def _begin(self, made: StoredSchedule, *, stays_paused: bool = False) -> StoredSchedule:
        """Let a schedule fire that has got its name, also one whose maker was cut off before."""

        async def begin(stored: StoredSchedule, now: int) -> StoredSchedule:
            if not _is_unbegun(stored):
                return stored
            return replaced(stored) if stays_paused else resumed(stored, now)

        return await self.change(made.id, begin) if _is_unbegun(made) else made

    async def _try_to_read(self, schedule_id: str) -> StoredSchedule | None:
        try:
            return await self._store.schedules.read(schedule_id) if schedule_id else None
        except NotFound:
            return None

    async def rewrite(self, schedule_id: str, schedule: Schedule) -> StoredSchedule:
        """Have a schedule be this one. Raises `Invalid`."""

        async def write(_: Schedule) -> Schedule:
            return schedule

        return await self.edit(schedule_id, write)

    async def edit(self, schedule_id: str, edited: Callable[[Schedule], Awaitable[Schedule]]) -> StoredSchedule:
        """Change what a schedule is. Raises `Invalid`, also for a queue of another shard, and what `edited` raises."""

        async def change(stored: StoredSchedule, now: int) -> StoredSchedule:
            schedule = await edited(stored.schedule)
            if shard_of_id(stored.id) != self._shard(schedule.spec.queue):
                remedy = "declare it anew by its name with PUT /schedule/<name>, which moves it"
                raise Invalid("queue", f"{schedule.spec.queue!r} lies in another shard than the schedule; {remedy}")
            return rewritten(stored, schedule, now)

        return await self.change(schedule_id, change)

    async def change(self, schedule_id: str, changed: Changed) -> StoredSchedule:
        """Write what a schedule is to become. Raises what `changed` raises."""
        for _ in range(_TRIES):
            before, now = await self._store.schedules.read_now(schedule_id)
            after = await changed(before, now)
            if after is before:
                return before
            if (await self._store.schedules.put(after)).reply == "ok":
                self._tell()
                return await self._store.schedules.read(schedule_id)
        raise _too_busy(schedule_id)

    async def trigger(self, stored: StoredSchedule) -> Intaken:
        """A run of now, whatever the rule says; it counts as a run that lives for those that follow."""
        now = await self._store.schedules.now()
        return await self._intake.enqueue(run_of(stored.schedule, stored.id, now))

    async def plan(self, schedule: Schedule) -> StoredSchedule:
        """A schedule with an id of its own, not stored yet. Raises `Invalid` if it would never fire."""
        now = await self._store.schedules.now()
        schedule = anchored(schedule, now)
        schedule_id = self._intake.new_id(schedule.spec.queue)
        return StoredSchedule(schedule_id, schedule, created_at=now, next_at=first_tick(schedule, now), version=0)

    def _shard(self, queue: str) -> int:
        return shard_of_queue(queue, self._store.shards)


def first_tick(schedule: Schedule, now: int) -> int:
    """The next tick. Raises `Invalid` if there is none."""
    next_at = next_tick(schedule.rule, now)
    if next_at is None and (schedule.rule.end_at, schedule.rule.start_at) != (None, None):
        bound = "startAt" if schedule.rule.end_at is None else "endAt"
        raise Invalid(bound, "leaves no tick that is still to come")
    if next_at is None:
        raise Invalid("dst.gap", 'skips every time that this cron names; "next" runs it after the gap')
    return next_at


def rewritten(stored: StoredSchedule, schedule: Schedule, now: int) -> StoredSchedule:
    """The stored one with another content, but its own name. A changed rule counts from now. Raises `Invalid`."""
    before = stored.schedule
    schedule = replace(schedule, name=before.name, owner=schedule.owner or before.owner)
    schedule = anchored(schedule, now, before)
    if schedule == before:
        return stored
    next_at = stored.next_at
    if schedule.rule != before.rule or stored.state == "ended":
        next_at = first_tick(schedule, now)
    if schedule.max_runs is not None and stored.runs >= schedule.max_runs:
        next_at = None
    return replaced(stored, schedule=schedule, next_at=next_at)


def _is_unbegun(stored: StoredSchedule) -> bool:
    """Whether it is still as it was before it got its name."""
    return stored.is_paused and stored.version == 1


def paused(stored: StoredSchedule) -> StoredSchedule:
    """It fires no more until it is resumed. Raises `Conflict` if it has ended."""
    if stored.state == "ended":
        raise Conflict("invalid_state", "The schedule has ended; it fires no more.", state="ended")
    return stored if stored.is_paused else replaced(stored, is_paused=True, next_at=None)


def resumed(stored: StoredSchedule, now: int) -> StoredSchedule:
    """It goes on with its next tick; those of the pause are no misfires."""
    if not stored.is_paused:
        return stored
    return replaced(stored, is_paused=False, next_at=next_tick(stored.schedule.rule, now))


def _too_busy(name: str) -> Conflict:
    return Conflict("invalid_state", f"Others keep changing the schedule {name[:80]!r}; try again.", state="active")
