"""`/queue`: limits, pause and retention of a queue, and how many jobs are in which state."""

import re

from litestar import Response, get, put
from litestar.params import FromPath, RawBody

from coordinator.api.answers import json_response, queue_answer
from coordinator.api.context import Request, replica_of
from coordinator.api.queue_bodies import QueueBody, queue_settings_of
from coordinator.api.reading import QUEUE_NAME, decode
from coordinator.domain.ids import shard_of_queue
from coordinator.errors import Invalid, NotFound


@get("/queue")
async def list_queues(request: Request) -> Response[bytes]:
    """Every queue that ever had a job or settings."""
    queues = replica_of(request).store.queues
    return json_response({"items": [queue_answer(await queues.read(name)) for name in await queues.names()]})


@get("/queue/{name:str}")
async def read_queue(request: Request, name: FromPath[str]) -> Response[bytes]:
    """One queue."""
    queues = replica_of(request).store.queues
    view = await queues.read(_checked(name))
    if not any(view.counts.values()) and name not in await queues.names():
        detail = f"There is no queue {name!r}; it begins with its first job or PUT /queue/{name}."
        raise NotFound("queue_not_found", detail)
    return json_response(queue_answer(view))


@put("/queue/{name:str}")
async def put_queue(request: Request, name: FromPath[str], body: RawBody) -> Response[bytes]:
    """Set the limits and the retention of a queue, and pause or resume it."""
    replica = replica_of(request)
    queues = replica.store.queues
    asked = decode(body, QueueBody)
    due_in_ms = await queues.configure(_checked(name), queue_settings_of(asked))
    replica.wake(shard_of_queue(name, replica.store.shards), due_in_ms)
    return json_response(queue_answer(await queues.read(name)))


def _checked(name: str) -> str:
    if not re.fullmatch(QUEUE_NAME, name):
        remedy = "letters, digits and _ . : - up to 128, a letter or digit first"
        raise Invalid("name", f"{name[:80]!r} is not a queue name: {remedy}")
    return name
