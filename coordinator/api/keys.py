"""`/queue/:name/key`: the keys of a queue, each with its own share of the limits.

A key may hold any printable text, slashes too, so it is the rest of the path; what is done to it is the last word.
"""

import re
from typing import Literal, cast, get_args
from urllib.parse import unquote

from litestar import Response, get, post
from litestar.params import FromPath

from coordinator.api.answers import json_response
from coordinator.api.context import Request, replica_of
from coordinator.api.job_bodies import check_key
from coordinator.api.queues import checked_queue
from coordinator.api.reading import CursorQuery, decode_query
from coordinator.api.setting_answers import key_answer
from coordinator.domain.ids import shard_of_queue
from coordinator.errors import NotFound

Action = Literal["pause", "resume", "reset"]
ACTIONS: tuple[str, ...] = get_args(Action)

_CURSOR = re.compile(r"0|[1-9]\d{0,14}", re.ASCII)
"""As Redis writes it: other digits it refuses."""


@get("/queue/{name:str}/key")
async def list_keys(request: Request, name: FromPath[str]) -> Response[bytes]:
    """The keys of a queue that have jobs waiting."""
    query = decode_query(request.query_params, CursorQuery)
    queues = replica_of(request).store.queues
    cursor = query.cursor if query.cursor and _CURSOR.fullmatch(query.cursor) else "0"
    views, after = await queues.list_keys(checked_queue(name), cursor, query.limit)
    return json_response({"items": [key_answer(view) for view in views], "cursor": None if after == "0" else after})


@get("/queue/{name:str}/key/{key:path}")
async def read_key(request: Request, name: FromPath[str]) -> Response[bytes]:
    """One key: its tokens, what runs and what waits. One that was never heard of is free."""
    key = check_key(_rest_of_path(request, name))
    return json_response(key_answer(await replica_of(request).store.queues.read_key(checked_queue(name), key)))


@post("/queue/{name:str}/key/{key:path}", status_code=200)
async def change_key(request: Request, name: FromPath[str]) -> Response[bytes]:
    """Pause or resume a key, or forget what is held against it (`reset`: a full bucket, nothing blocks)."""
    replica = replica_of(request)
    key, _, action = _rest_of_path(request, name).rpartition("/")
    if action not in ACTIONS:
        raise NotFound("not_found", "What is done to a key is the last word of the path: /pause, /resume or /reset.")
    act = cast("Action", action)
    due_in_ms = await replica.store.queues.change_key(checked_queue(name), check_key(key), act)
    replica.wake(shard_of_queue(name, replica.store.shards), due_in_ms)
    return json_response(key_answer(await replica.store.queues.read_key(name, key)))


def _rest_of_path(request: Request, name: str) -> str:
    """As it came: the router's own drops a slash at the end and one of two in a row, and keys may be URLs."""
    return unquote(request.scope["raw_path"]).partition(f"/queue/{name}/key/")[2]
