"""Pages of jobs across queues and states.

The store lists one queue's jobs in one state. A page here walks these lists one after the other, by queue name and then
in the order of a job's life, and its cursor names the list and the place in it: what is enqueued or finishes meanwhile
cannot make the walk skip or repeat what stood still.
"""

import base64
import binascii
import re

import msgspec
from msgspec.structs import replace

from coordinator.domain.ids import shard_of_id, shard_of_queue
from coordinator.domain.job import STATES, Job, State
from coordinator.domain.selection import Selection
from coordinator.errors import Invalid
from coordinator.store.open import Store

LISTS_LIMIT = 100
"""Lists that one page looks into; thousands of empty queues must not make one request slow."""

_SCORE = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
"""An instant as Redis writes it, or nothing."""


class Cursor(msgspec.Struct, array_like=True):
    """The list to go on in, and the place behind which to begin; both empty at its start.

    A list is a queue and a state, or for what is found by a tag, schedule or batch one of the shards.
    """

    queue: str
    state: State | None
    shard: int
    score: str = ""
    id: str = ""

    @property
    def rank(self) -> tuple[str, int, int]:
        """Where it stands among the lists."""
        return self.queue, -1 if self.state is None else STATES.index(self.state), self.shard


async def named(store: Store, chosen: Selection) -> Selection | None:
    """The selection with the id of its schedule instead of a name; None when no schedule has that name."""
    if chosen.schedule_id is None or shard_of_id(chosen.schedule_id) is not None:
        return chosen
    schedule_id = await store.schedules.find(chosen.schedule_id)
    return replace(chosen, schedule_id=schedule_id) if schedule_id else None


async def read_page(store: Store, chosen: Selection, limit: int, cursor: str | None) -> tuple[list[Job], str | None]:
    """Up to `limit` jobs and the cursor of the next page, None at the end. Raises `Invalid`."""
    lists = await _lists(store, chosen)
    if cursor is not None:
        place = _read_cursor(cursor)
        lists = [found for found in lists if found.rank >= place.rank]
        if lists and lists[0].rank == place.rank:
            lists[0] = place
    jobs: list[Job] = []
    for looked, at in enumerate(lists):
        if len(jobs) >= limit or looked >= LISTS_LIMIT:
            return jobs, _write_cursor(at)
        narrowed = chosen if chosen.index else replace(chosen, queue=at.queue, state=at.state)
        after = (at.score, at.id) if at.score else None
        page = await store.jobs.page(at.shard, narrowed, after=after, limit=limit - len(jobs))
        jobs += page.jobs
        if page.after:
            return jobs, _write_cursor(Cursor(at.queue, at.state, at.shard, *page.after))
    return jobs, None


async def _lists(store: Store, chosen: Selection) -> list[Cursor]:
    if chosen.index:
        shards = range(store.shards) if chosen.queue is None else [shard_of_queue(chosen.queue, store.shards)]
        return [Cursor("", None, shard) for shard in shards]
    queues = await store.queues.names() if chosen.queue is None else [chosen.queue]
    states = STATES if chosen.state is None else (chosen.state,)
    return [Cursor(name, state, shard_of_queue(name, store.shards)) for name in queues for state in states]


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
