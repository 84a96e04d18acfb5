"""`/worker`: where the functions are. The name `*` is the entry point for all names without a URL of their own."""

import re

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, RawBody
from msgspec.structs import replace

from coordinator.api.answers import json_response
from coordinator.api.context import Request, egress_of, replica_of, takes_literals
from coordinator.api.reading import NAME, decode
from coordinator.api.setting_answers import ping_answer, worker_answer
from coordinator.api.worker_bodies import WorkerBody, check_places, worker_of
from coordinator.domain.worker import ENTRY_POINT
from coordinator.engine.replica import DIRECTORY_CHANGED
from coordinator.errors import Invalid, NotFound


@get("/worker")
async def list_workers(request: Request) -> Response[bytes]:
    """Every registered worker."""
    workers = await replica_of(request).store.workers.read_all()
    return json_response({"items": [worker_answer(name, workers[name]) for name in sorted(workers)]})


@get("/worker/{name:path}")
async def read_worker(request: Request, name: FromPath[str]) -> Response[bytes]:
    """One worker."""
    name = checked_worker(name)
    worker = (await replica_of(request).store.workers.read_all()).get(name)
    if worker is None:
        raise _not_found(name)
    return json_response(worker_answer(name, worker))


@put("/worker/{name:path}")
async def put_worker(request: Request, name: FromPath[str], body: RawBody) -> Response[bytes]:
    """Register a worker, or replace it: 201 if it is new, else 200. All replicas know within a second."""
    replica = replica_of(request)
    name = checked_worker(name)
    worker = worker_of(decode(body, WorkerBody), takes_literals=takes_literals(request))
    await check_places(egress_of(request), {"url": worker.url})
    before = (await replica.store.workers.read_all()).get(name)
    worker = replace(worker, owner=before.owner if before else None)
    is_new = await replica.store.workers.put(name, worker)
    replica.tell(DIRECTORY_CHANGED)
    return json_response(worker_answer(name, worker), 201 if is_new else 200)


@post("/worker/{name:path}", status_code=200)
async def ping_worker(request: Request, name: FromPath[str]) -> Response[bytes]:
    """Send a signed test request to the function that serves this name, and say what it answered. Nothing is run."""
    rest, _, action = name.rpartition("/")
    if action != "ping":
        raise NotFound("not_found", "What is done to a worker is the last word of the path: /ping.")
    name = checked_worker(rest)
    pinged = await replica_of(request).ping(name)
    if pinged is None:
        raise _not_found(name)
    return json_response(ping_answer(pinged))


@delete("/worker/{name:path}", status_code=204)
async def delete_worker(request: Request, name: FromPath[str]) -> None:
    """Forget a worker. Its jobs that wait fail their attempts until it is registered again."""
    replica = replica_of(request)
    name = checked_worker(name)
    if not await replica.store.workers.delete(name):
        raise _not_found(name)
    replica.tell(DIRECTORY_CHANGED)


def checked_worker(path: str) -> str:
    """The name in the rest of a path. Raises `Invalid`."""
    # Worker names may hold slashes, so the path's whole rest is the name.
    name = path.removeprefix("/")
    if name != ENTRY_POINT and not re.fullmatch(NAME, name):
        raise Invalid("name", f"{name[:80]!r} is not a worker name: letters, digits and _ . : / - up to 128, or '*'")
    return name


def _not_found(name: str) -> NotFound:
    return NotFound("worker_not_found", f"No worker is registered as {name!r}.")
