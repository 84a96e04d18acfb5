"""`GET /stat`: the whole of the coordinator on one page, now and in the last minutes."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, get
from msgspec import Meta

from coordinator.api.answers import json_response
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.permissions import hold_to
from coordinator.api.reading import Body, QueueName, decode_query
from coordinator.api.setting_answers import roster_answer
from coordinator.domain.activity import UNNAMED, Activity
from coordinator.domain.ids import shard_of_queue
from coordinator.domain.instants import format_instant
from coordinator.domain.job import STATES
from coordinator.domain.queue import QueueTally
from coordinator.engine.replica import Replica
from coordinator.errors import StoreUnavailable
from coordinator.store.stats import MINUTES_MOST

QUEUES_MOST = 1000
"""Queues of one answer; the first by their names."""

WORKERS_MOST = 200
"""Workers of one answer; those that did most."""

_MINUTE_MS = 60_000
_OF_QUEUE = ("created", "succeeded", "failed", "dead")
_OF_ALL = ("created", "started", "succeeded", "failed", "dead", "cancelled", "throttled")


class StatQuery(Body):
    """`GET /stat?…`."""

    minutes: Annotated[int, Meta(ge=1, le=MINUTES_MOST)] = 60
    queue: QueueName | None = None


@get("/stat")
async def read_stats(request: Request) -> Response[bytes]:
    """How many jobs are in which state, and what happened minute by minute; of the queues that the token is for."""
    query, grant, replica = decode_query(request.query_params, StatQuery), grant_of(request), replica_of(request)
    if query.queue is not None:
        hold_to(grant, [query.queue])
    names = [query.queue] if query.queue else await replica.store.queues.names()
    known = [name for name in names if grant.covers(name)]
    shards = range(replica.store.shards)

    def is_wanted(queue: str) -> bool:
        # Those without a name are of all.
        return queue == query.queue if query.queue else (not grant.queues if queue == UNNAMED else grant.covers(queue))

    meant = [shard_of_queue(query.queue, len(shards))] if query.queue else shards
    activity, (now, tallies) = await asyncio.gather(
        replica.store.stats.read(query.minutes, meant, is_wanted), replica.store.queues.tallies(known[:QUEUES_MOST])
    )
    now = now or (activity.first + query.minutes) * _MINUTE_MS
    answer = {
        "now": format_instant(now),
        "since": format_instant(activity.first * _MINUTE_MS),
        "minutes": query.minutes,
        "stepMs": _MINUTE_MS,
        "counts": {state: sum(tally.counts[state] for tally in tallies) for state in STATES},
        "oldestDue": _oldest_due(tallies, now),
        "series": {kind: activity.totals(kind) for kind in _OF_ALL} | _durations(activity),
        "queues": [_queue_answer(tally, activity, now) for tally in tallies],
        "workers": None if grant.queues else _worker_answers(activity),
        "replicas": None,
        "store": None,
        "isTruncated": len(known) > QUEUES_MOST or (not grant.queues and len(activity.workers) > WORKERS_MOST),
    }
    return json_response(answer if grant.queues else answer | await _whole(replica))


def _durations(activity: Activity) -> dict[str, Any]:
    return {
        "waitP50Ms": activity.wait_ms(0.5),
        "waitP95Ms": activity.wait_ms(0.95),
        "runP50Ms": activity.run_ms(0.5),
        "runP95Ms": activity.run_ms(0.95),
    }


def _oldest_due(tallies: Sequence[QueueTally], now: int) -> dict[str, object] | None:
    """The job that has waited longest for its turn: in which queue, since when."""
    due = [(tally.oldest_due_at, tally.name) for tally in tallies if tally.oldest_due_at is not None]
    if not due:
        return None
    oldest, queue = min(due)
    return {"queue": queue, "dueAt": format_instant(oldest), "latencyMs": max(0, now - oldest)}


def _queue_answer(tally: QueueTally, activity: Activity, now: int) -> dict[str, object]:
    return {
        "name": tally.name,
        "counts": tally.counts,
        "latencyMs": 0 if tally.oldest_due_at is None else max(0, now - tally.oldest_due_at),
        "paused": tally.paused,
        "series": {kind: activity.of_queue(tally.name, kind) for kind in _OF_QUEUE},
    }


def _worker_answers(activity: Activity) -> list[dict[str, object]]:
    most = sorted(activity.workers.items(), key=lambda found: (-found[1].succeeded - found[1].failed, found[0]))
    return [
        {
            "name": name,
            "succeeded": worker.succeeded,
            "failed": worker.failed,
            "runP50Ms": worker.run_ms(0.5),
            "runP95Ms": worker.run_ms(0.95),
        }
        for name, worker in most[:WORKERS_MOST]
    ]


async def _whole(replica: Replica) -> dict[str, object]:
    """What concerns all queues."""
    store = replica.store
    roster = roster_answer(await store.leadership.roster(), store.shards)
    return {
        "replicas": {"items": roster["items"], "unled": roster["unled"]},
        "store": await _fullest(replica),
    }


async def _fullest(replica: Replica) -> dict[str, object] | None:
    """The memory of the server that is nearest to its limit; None for an imitation, or while none tells."""
    try:
        fills = await replica.store.capacity.fills()
    except StoreUnavailable:
        return None
    if not fills:
        return None
    fill = max(fills, key=lambda one: (one.used / one.most if one.most else 0, one.used))
    return {
        "usedBytes": fill.used,
        "maxBytes": fill.most or None,
        "percent": round(100 * fill.used / fill.most, 1) if fill.most else None,
    }
