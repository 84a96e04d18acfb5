"""`/sync`: all workers, queues and schedules of an application in one declaration, planned or applied."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from litestar import Response, post
from litestar.params import RawBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from coordinator.api.answers import json_response
from coordinator.api.asking import spec_asked
from coordinator.api.context import Request, egress_of, replica_of, takes_literals
from coordinator.api.job_bodies import DryRunQuery, NewJobBody
from coordinator.api.plan_fields import changed_fields
from coordinator.api.queue_bodies import QueueBody, queue_settings_of
from coordinator.api.queues import checked_queue
from coordinator.api.reading import QUEUE_NAME, Body, decode, decode_query
from coordinator.api.schedule_bodies import checked_name, schedule_of
from coordinator.api.worker_bodies import WorkerBody, check_places, worker_of
from coordinator.api.workers import checked_worker
from coordinator.domain.queue import QueueDefaults, QueueSettings
from coordinator.domain.schedule import Schedule
from coordinator.domain.worker import ENTRY_POINT, Worker
from coordinator.engine.directory import Directory
from coordinator.engine.sync import Declaration, sync
from coordinator.errors import Invalid

BODY_LIMIT_BYTES = 16 * 1024 * 1024

Asked = TypeVar("Asked")
Thing = TypeVar("Thing")


class SyncBody(Body):
    """`POST /sync`. A kind that is left out is left alone; in one that is given, what is left out is deleted."""

    owner: Annotated[str, Meta(pattern=QUEUE_NAME)]
    workers: Annotated[dict[str, WorkerBody], Meta(max_length=10_000)] | UnsetType = UNSET
    queues: Annotated[dict[str, QueueBody], Meta(max_length=10_000)] | UnsetType = UNSET
    schedules: Annotated[dict[str, NewJobBody], Meta(max_length=10_000)] | UnsetType = UNSET


class _Declared:
    """Knows the workers and the queues of a declaration, and behind them those that are there and will stay."""

    def __init__(
        self,
        owner: str,
        workers: Mapping[str, Worker] | None,
        queues: Mapping[str, QueueSettings] | None,
        known: Directory,
    ) -> None:
        self._leaving = owner if workers is not None else None
        self._workers = workers or {}
        self._queues = queues or {}
        self._known = known

    async def find(self, name: str) -> Worker | None:
        """The worker that will serve a name."""
        found = self._workers.get(name) or await self._known.find(name)
        is_leaving = found is not None and self._leaving is not None and found.owner == self._leaving
        if is_leaving and found not in self._workers.values():
            return self._workers.get(ENTRY_POINT)
        return found or self._workers.get(ENTRY_POINT)

    async def defaults_of(self, queue: str) -> QueueDefaults:
        """What jobs of a queue will have that name none themselves."""
        declared = self._queues.get(queue)
        return await self._known.defaults_of(queue) if declared is None else declared.defaults


@post("/sync", status_code=200, request_max_body_size=BODY_LIMIT_BYTES)
async def sync_all(request: Request, body: RawBody) -> Response[bytes]:
    """Have workers, queues and schedules be as declared; `dryRun` only tells what would change."""
    replica = replica_of(request)
    is_dry = decode_query(request.query_params, DryRunQuery).dry_run
    asked = decode(body, SyncBody)
    literals = takes_literals(request)
    workers = _read(
        asked.workers,
        "workers",
        checked_worker,
        lambda body: replace(worker_of(body, takes_literals=literals), owner=asked.owner),
    )
    queues = _read(
        asked.queues, "queues", checked_queue, lambda body: replace(queue_settings_of(body), owner=asked.owner)
    )
    await check_places(
        egress_of(request), {f"workers.{name}.url": found.url for name, found in (workers or {}).items()}
    )
    schedules = await _schedules(asked, _Declared(asked.owner, workers, queues, replica.directory))
    plans = await sync(replica, Declaration(asked.owner, workers, queues, schedules), is_dry=is_dry)
    changes: dict[str, list[dict[str, Any]]] = {
        change: [{"kind": kind, "name": name} for kind, made in plans.items() for name in getattr(made, change)]
        for change in ("created", "updated", "deleted", "unchanged")
    }
    for one in changes["updated"]:
        one["fields"] = changed_fields(*plans[one["kind"]].changes[one["name"]])
    return json_response({"owner": asked.owner, "dryRun": is_dry} | changes)


def _read(
    asked: Mapping[str, Asked] | UnsetType, kind: str, check: Callable[[str], str], thing_of: Callable[[Asked], Thing]
) -> dict[str, Thing] | None:
    if isinstance(asked, UnsetType):
        return None
    things: dict[str, Thing] = {}
    for name, body in asked.items():
        with _inside(f"{kind}.{name}"):
            things[check(name)] = thing_of(body)
    return things


async def _schedules(asked: SyncBody, known: _Declared) -> dict[str, Schedule] | None:
    if isinstance(asked.schedules, UnsetType):
        return None
    schedules: dict[str, Schedule] = {}
    for name, body in asked.schedules.items():
        with _inside(f"schedules.{name}"):
            schedule = schedule_of(body, await spec_asked(known, body))
            schedules[checked_name(name)] = replace(schedule, owner=asked.owner)
    return schedules


@contextmanager
def _inside(path: str) -> Iterator[None]:
    """What is wrong with a part is said with its place in the whole."""
    try:
        yield
    except Invalid as wrong:
        raise Invalid(f"{path}.{wrong.path}", wrong.message, code=wrong.code) from None
