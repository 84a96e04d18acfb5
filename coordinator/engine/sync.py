"""Have workers, queues and schedules be as an application declares them, which it may do at each of its deploys.

Everything is planned first, and nothing is written if one thing belongs to somebody else. Then it is written one after
the other, workers first, because what follows names them; a request that fails on the way is simply sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from coordinator.domain.plan import Plan, plan
from coordinator.domain.queue import QueueSettings
from coordinator.domain.schedule import Schedule, anchored
from coordinator.domain.worker import Worker
from coordinator.engine.replica import DIRECTORY_CHANGED, Replica
from coordinator.errors import Conflict, NotFound
from coordinator.store.open import Store
from coordinator.store.schedules import StoredSchedule

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an application wants there to be. A kind that is None is left alone."""

    owner: str
    workers: Mapping[str, Worker] | None
    queues: Mapping[str, QueueSettings] | None
    schedules: Mapping[str, Schedule] | None


Plans = dict[str, Plan[Any]]
"""By kind: `worker`, `queue`, `schedule`."""


async def sync(replica: Replica, declared: Declaration, *, is_dry: bool) -> Plans:
    """Plan it, and do it unless `is_dry`. Raises `Invalid`, `StoreUnavailable`, `Conflict` for what is another's."""
    store, owner = replica.store, declared.owner
    plans: Plans = {}
    if declared.workers is not None:
        workers = {name: (worker.owner, worker) for name, worker in (await store.workers.read_all()).items()}
        plans["worker"] = plan(owner, declared.workers, workers)
    if declared.queues is not None:
        queues = await _queues(store)
        plans["queue"] = plan(owner, _with_pauses(declared.queues, queues), _labelled(queues))
    if declared.schedules is not None:
        schedules = await _named_schedules(store)
        plans["schedule"] = plan(owner, *_comparable(declared.schedules, schedules))
    _refuse_foreign(plans)
    if not is_dry:
        await _Doer(replica, declared).do(plans)
    return plans


class _Doer:
    """Does what was planned."""

    def __init__(self, replica: Replica, declared: Declaration) -> None:
        self._replica = replica
        self._store = replica.store
        self._workers = declared.workers or {}
        self._queues = declared.queues or {}
        self._schedules = declared.schedules or {}

    async def do(self, plans: Plans) -> None:
        """What is needed by others first, what needs others gone last."""
        nothing: Plan[Any] = Plan()
        workers, queues, schedules = (plans.get(kind, nothing) for kind in ("worker", "queue", "schedule"))
        for name in (*workers.created, *workers.updated):
            await self._store.workers.put(name, self._workers[name])
        for name in (*queues.created, *queues.updated):
            await self._configure(name, self._queues[name])
        self._replica.tell(DIRECTORY_CHANGED)
        for name in (*schedules.created, *schedules.updated):
            await self._replica.schedules.declare(name, self._schedules[name])
        for name in schedules.deleted:
            await self._delete_schedule(name)
        for name in queues.deleted:
            # Its jobs stay, and with them the queue, but without anything that was set.
            await self._configure(name, QueueSettings(owner=""))
            await self._store.queues.delete(name)
        for name in workers.deleted:
            await self._store.workers.delete(name)
        self._replica.tell(DIRECTORY_CHANGED)

    async def _configure(self, name: str, settings: QueueSettings) -> None:
        due_in_ms = await self._store.queues.configure(name, settings)
        self._replica.wake(self._replica.shard_of(name), due_in_ms)

    async def _delete_schedule(self, name: str) -> None:
        schedule_id = await self._store.schedules.find(name)
        try:
            await self._store.schedules.delete(schedule_id)
        except NotFound:
            return


async def _named_schedules(store: Store) -> dict[str, StoredSchedule]:
    """Every schedule that has a name."""
    found: dict[str, StoredSchedule] = {}
    after: str | None = ""
    while after is not None:
        page, after = await store.schedules.page(after, _PAGE)
        found |= {stored.schedule.name: stored for stored in page if stored.schedule.name is not None}
    return found


async def _queues(store: Store) -> dict[str, QueueSettings]:
    return {view.name: view.settings for view in await store.queues.read_all(await store.queues.names())}


def _labelled(queues: Mapping[str, QueueSettings]) -> dict[str, tuple[str | None, QueueSettings]]:
    return {name: (settings.owner, settings) for name, settings in queues.items()}


def _with_pauses(
    declared: Mapping[str, QueueSettings], existing: Mapping[str, QueueSettings]
) -> dict[str, QueueSettings]:
    """A pause that is not declared stays as it is, and makes no difference."""
    return {
        name: replace(settings, paused=existing[name].paused)
        if settings.paused is None and name in existing
        else settings
        for name, settings in declared.items()
    }


def _comparable(
    declared: Mapping[str, Schedule], existing: Mapping[str, StoredSchedule]
) -> tuple[dict[str, Schedule], dict[str, tuple[str | None, Schedule]]]:
    """What is declared, with all that a schedule gets when it is stored."""
    wanted = {
        name: replace(anchored(schedule, 0, existing[name].schedule if name in existing else None), name=name)
        for name, schedule in declared.items()
    }
    return wanted, {name: (stored.schedule.owner, stored.schedule) for name, stored in existing.items()}


def _refuse_foreign(plans: Plans) -> None:
    foreign = [(kind, name, label) for kind, made in plans.items() for name, label in made.foreign]
    if not foreign:
        return
    kind, name, label = foreign[0]
    detail = f"The {kind} {name!r} belongs to {label!r}; nothing was changed. Leave it out, or delete it there first."
    listed = [{"kind": kind, "name": name, "owner": label} for kind, name, label in foreign]
    raise Conflict("already_exists", detail, foreign=listed)
