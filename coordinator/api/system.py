"""`/health` says that the process lives, `/ready` that it can work, `/replica` who does; `/tick` has them do it."""

import asyncio

from litestar import HttpMethod, Response, get, post, route

from coordinator import __version__
from coordinator.api.answers import json_response
from coordinator.api.context import Request, replica_of
from coordinator.api.guards import PUBLIC
from coordinator.api.setting_answers import pass_answer, roster_answer
from coordinator.api.waiting import wait_of
from coordinator.errors import StoreUnavailable

_TICK_WAIT_MS, _TICK_WAIT_MOST_MS = 25_000, 900_000
"""Most who call give up after half a minute; what calls long functions may take as long as a platform allows."""

_READY_LIMIT_S = 0.5
"""A probe that waits for a dead Redis is no probe."""


# HEAD is answered as GET: the server itself sends no body then.
_METHODS = [HttpMethod.GET, HttpMethod.HEAD]


@route("/health", http_method=_METHODS, opt=PUBLIC)
async def health() -> Response[bytes]:
    """The process lives."""
    return json_response({"status": "ok", "version": __version__})


@route("/ready", http_method=_METHODS)
async def ready(request: Request) -> Response[bytes]:
    """Redis answers and runs our scripts.

    Raises `StoreUnavailable`.
    """
    replica = replica_of(request)
    if replica.is_stopping:
        raise StoreUnavailable("stopping", "This replica is stopping; ask another.")
    try:
        async with asyncio.timeout(_READY_LIMIT_S):
            await replica.store.schedules.now()
    except TimeoutError:
        raise StoreUnavailable("redis_unavailable", "Redis did not answer in time.") from None
    return json_response({"status": "ready", "replica": replica.id, "leads": len(replica.led)})


@get("/replica")
async def list_replicas(request: Request) -> Response[bytes]:
    """The replicas that live, and the shards that each leads."""
    replica = replica_of(request)
    answer = roster_answer(await replica.store.leadership.roster(), replica.store.shards)
    return json_response({"answeredBy": replica.id} | answer)


@post("/tick", status_code=200)
async def make_pass(request: Request) -> Response[bytes]:
    """Do all that is due now in all shards, and answer when it is done, or after `wait`."""
    wait_ms = wait_of(request.query_params, unasked_ms=_TICK_WAIT_MS, most_ms=_TICK_WAIT_MOST_MS)
    return json_response(pass_answer(await replica_of(request).passes.make(wait_ms / 1000)))
