"""`/queue`: limits, pause and retention of a queue, and how many jobs are in which state."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, RawBody

from coordinator.api.answers import json_response
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.queue_bodies import QueueBody, queue_settings_of
from coordinator.api.reading import check_name, decode
from coordinator.api.setting_answers import queue_answer
from coordinator.domain.ids import shard_of_queue
from coordinator.engine.replica import DIRECTORY_CHANGED
from coordinator.errors import Conflict, NotFound


@get("/queue")
async def list_queues(request: Request) -> Response[bytes]:
    """Every queue that ever had a job or settings; of those that the token is for."""
    queues, grant = replica_of(request).store.queues, grant_of(request)
    views = await queues.read_all([name for name in await queues.names() if grant.covers(name)])
    return json_response({"items": [queue_answer(view) for view in sorted(views, key=lambda view: view.name)]})


@get("/queue/{name:str}")
async def read_queue(request: Request, name: FromPath[str]) -> Response[bytes]:
    """One queue."""
    queues = replica_of(request).store.queues
    view = await queues.read(checked_queue(name))
    if not any(view.counts.values()) and name not in await queues.names():
        raise _not_found(name)
    return json_response(queue_answer(view))


@put("/queue/{name:str}")
async def put_queue(request: Request, name: FromPath[str], body: RawBody) -> Response[bytes]:
    """Set the limits and the retention of a queue, and pause or resume it."""
    replica = replica_of(request)
    queues = replica.store.queues
    asked = decode(body, QueueBody)
    due_in_ms = await queues.configure(checked_queue(name), queue_settings_of(asked))
    replica.tell(DIRECTORY_CHANGED)
    replica.wake(shard_of_queue(name, replica.store.shards), due_in_ms)
    return json_response(queue_answer(await queues.read(name)))


@delete("/queue/{name:str}", status_code=204)
async def delete_queue(request: Request, name: FromPath[str]) -> None:
    """Forget a queue and its settings. It must have no jobs."""
    replica = replica_of(request)
    reply = await replica.store.queues.delete(checked_queue(name))
    replica.tell(DIRECTORY_CHANGED)
    if reply == "invalid_state":
        raise Conflict("invalid_state", f"The queue {name!r} has jobs; purge it first with POST /queue/{name}/purge.")
    if reply != "ok":
        raise _not_found(name)


@post("/queue/{name:str}/pause", status_code=200)
async def pause_queue(request: Request, name: FromPath[str]) -> Response[bytes]:
    """Start nothing more of a queue; what runs goes on."""
    return await _pause(request, name, paused=True)


@post("/queue/{name:str}/resume", status_code=200)
async def resume_queue(request: Request, name: FromPath[str]) -> Response[bytes]:
    """Go on with a queue that was paused."""
    return await _pause(request, name, paused=False)


async def _pause(request: Request, name: str, *, paused: bool) -> Response[bytes]:
    replica = replica_of(request)
    due_in_ms = await replica.store.queues.pause(checked_queue(name), paused=paused)
    replica.wake(shard_of_queue(name, replica.store.shards), due_in_ms)
    return json_response(queue_answer(await replica.store.queues.read(name)))


def checked_queue(name: str) -> str:
    """The name as it came. Raises `Invalid`."""
    return check_name(name, "a queue name")


def _not_found(name: str) -> NotFound:
    return NotFound(
        "queue_not_found", f"There is no queue {name!r}; it begins with its first job or PUT /queue/{name}."
    )
