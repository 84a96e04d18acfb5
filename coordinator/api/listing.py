"""Pages of jobs across queues and states.

The store lists one queue's jobs in one state. A page here walks these lists one after the other, by queue name and then
in the order of a job's life, and its cursor names the list and the place in it: what is enqueued or finishes meanwhile
cannot make the walk skip or repeat what stood still.
"""

import base64
import binascii
import re

import msgspec

from coordinator.api.job_bodies import ListQuery
from coordinator.domain.ids import shard_of_queue
from coordinator.domain.job import Job, State
from coordinator.errors import Invalid
from coordinator.store.open import Store

LISTS_LIMIT = 100
"""Lists that one page looks into; thousands of empty queues must not make one request slow."""

_SCORE = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
"""An instant as Redis writes it, or nothing."""

STATES: tuple[State, ...] = ("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled")


class Cursor(msgspec.Struct, array_like=True):
    """The list to go on in, and the place behind which to begin; both empty at its start."""

    queue: str
    state: State
    score: str = ""
    id: str = ""


async def read_page(store: Store, query: ListQuery) -> tuple[list[Job], str | None]:
    """Up to `limit` jobs and the cursor of the next page, None at the end. Raises `Invalid`."""
    queues = await store.queues.names() if query.queue is None else [query.queue]
    states = STATES if query.state is None else (query.state,)
    lists = [Cursor(name, listed) for name in queues for listed in states]
    if query.cursor is not None:
        place = _read_cursor(query.cursor)
        rank = (place.queue, STATES.index(place.state))
        lists = [found for found in lists if (found.queue, STATES.index(found.state)) >= rank]
        if lists and (lists[0].queue, lists[0].state) == (place.queue, place.state):
            lists[0] = place
    jobs: list[Job] = []
    for looked, at in enumerate(lists):
        if len(jobs) >= query.limit or looked >= LISTS_LIMIT:
            return jobs, _write_cursor(at)
        shard = shard_of_queue(at.queue, store.shards)
        after = (at.score, at.id) if at.score else None
        page = await store.jobs.page(shard, at.queue, at.state, after=after, limit=query.limit - len(jobs))
        jobs += page.jobs
        if page.after:
            return jobs, _write_cursor(Cursor(at.queue, at.state, *page.after))
    return jobs, None


def _write_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str) -> Cursor:
    cursor: Cursor | None
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        cursor = None
    if cursor is None or (cursor.score and not _SCORE.fullmatch(cursor.score)):
        raise Invalid("cursor", "is not a cursor of ours; send back the one of the last page, or none")
    return cursor
