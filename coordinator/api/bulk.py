"""`/job/bulk` and `/queue/:name/purge`: one act on all jobs that a filter finds."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

import msgspec
from litestar import Response, post
from litestar.params import FromPath, RawBody
from msgspec import UnsetType
from msgspec.structs import replace

from coordinator.api.answers import json_response
from coordinator.api.bulk_bodies import LIMIT, NDJSON, STREAM_LIMIT, BulkBody
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.guards import Admission
from coordinator.api.job_bodies import DryRunQuery, EditBody, FilterBody, edited_spec, new_start_of, selection_of
from coordinator.api.listing import named, read_page
from coordinator.api.permissions import hold_to_chosen, is_covered
from coordinator.api.problems import problem_in_stream
from coordinator.api.queues import checked_queue
from coordinator.api.reading import decode, decode_query
from coordinator.api.streaming import Chunks, Places, Streamed
from coordinator.domain.job import UNREADABLE, Job, State
from coordinator.domain.selection import Selection
from coordinator.domain.tokens import Grant
from coordinator.engine.bulk import STATES, WAITING, Act, BulkDone, Pages, act_by_pages, act_on_all
from coordinator.engine.replica import Replica
from coordinator.errors import Invalid, StoreUnavailable
from coordinator.store.jobs import Change

STREAMS_MOST = 4
"""Of one replica: each remembers up to a million jobs that it has met."""

TELL_S = 0.5
"""Between two lines of progress."""

_DONE = {"cancelled", "requested", "erased", "retried", "due"}


@post("/job/bulk", status_code=200)
async def act_in_bulk(request: Request, body: RawBody) -> Response[bytes]:
    """Retry, cancel, delete, run or edit all jobs that a filter finds; `dryRun` only counts them.

    Those that call into a queue which the token is not for are left out, and not counted.
    Who accepts `application/x-ndjson` is told how far it is, line by line, and has no limit of time.
    """
    is_dry = decode_query(request.query_params, DryRunQuery).dry_run
    asked = decode(body, BulkBody)
    asked.dry_run |= is_dry
    chosen = selection_of(FilterBody() if isinstance(asked.filter, UnsetType) else asked.filter)
    if chosen == Selection() and not asked.all:
        raise Invalid("filter", 'is empty, which means every job of every queue; say "all": true if that is meant')
    replica, grant = replica_of(request), grant_of(request)
    hold_to_chosen(grant, chosen.queue, "filter.queue")
    act = _act_of(replica, asked)
    streams = NDJSON in request.headers.get("accept", "")
    if not streams and (asked.limit or 0) > LIMIT:
        raise Invalid("limit", f"is {LIMIT} at the most, or with the header Accept: {NDJSON} {STREAM_LIMIT}")
    meant = await named(replica.store, chosen)
    if streams:
        admission = Admission(request, chosen.queue, "filter.queue")
        places: Places = request.app.state["bulk_places"]
        places.take()
        told = _progress(request, _steps(replica, grant, meant, act, asked, admission))
        return Streamed(told, NDJSON, places.leave)
    done = await _act(replica, grant, meant, act, asked) if meant else BulkDone(0, 0, is_all=True)
    return json_response(_bulk_answer(done))


@post("/queue/{name:str}/purge", status_code=200)
async def purge_queue(request: Request, name: FromPath[str]) -> Response[bytes]:
    """Delete all jobs of a queue but those that run: the waiting are cancelled, the finished erased.

    Those that call into a queue which the token is not for are left out.
    """
    replica, grant = replica_of(request), grant_of(request)
    asked = BulkBody(action="delete")
    chosen = Selection(queue=checked_queue(name))
    return json_response(_bulk_answer(await _act(replica, grant, chosen, _changer(replica, "delete"), asked)))


async def _act(replica: Replica, grant: Grant, chosen: Selection, act: Act, asked: BulkBody) -> BulkDone:
    return await act_on_all(_pages(replica, grant, chosen), *_asked(chosen, act, asked), asked.limit or LIMIT)


async def _steps(
    replica: Replica, grant: Grant, chosen: Selection | None, act: Act, asked: BulkBody, admission: Admission
) -> AsyncGenerator[BulkDone, None]:
    """How far it is, again and again.

    Raises `StoreUnavailable` when the replica stops, and the refusal when whoever asked is not let in any more.
    """
    if chosen is None:
        yield BulkDone(0, 0, is_all=True)
        return
    meant = _asked(chosen, act, asked)
    pages = _pages(replica, grant, chosen)
    async with contextlib.aclosing(act_by_pages(pages, *meant, asked.limit or STREAM_LIMIT)) as steps:
        async for done in steps:
            yield done
            if replica.is_stopping:
                raise StoreUnavailable("stopping", "This replica is stopping; ask another for the rest.")
            await admission.renew()


def _pages(replica: Replica, grant: Grant, chosen: Selection) -> Pages:
    async def pages(state: State | None, limit: int, cursor: str | None) -> tuple[list[Job], str | None]:
        jobs, after = await read_page(replica.store, replace(chosen, state=state), limit, cursor)
        # As of one job: what decides when a callback runs is of the callback's queue, too.
        return [job for job in jobs if is_covered(grant, job.spec)], after

    return pages


def _asked(chosen: Selection, act: Act, asked: BulkBody) -> tuple[Act, tuple[State, ...]]:
    async def count_only(_: list[Job]) -> int:
        return 0

    states = STATES[asked.action] if chosen.state is None else (chosen.state,)
    return count_only if asked.dry_run else act, states


async def _progress(request: Request, steps: AsyncGenerator[BulkDone, None]) -> Chunks:
    """Lines of JSON. The page in hand is done to its end, also when nobody is there any more to be told."""
    done, told_at = BulkDone(0, 0, is_all=False), 0.0
    step: asyncio.Future[BulkDone] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(anext(steps))
            await asyncio.wait({step}, timeout=TELL_S)
            if step.done():
                done, step = step.result(), None
            if time.monotonic() - told_at >= TELL_S:
                told_at = time.monotonic()
                yield _line({"matched": done.matched, "done": done.done})
    except StopAsyncIteration:
        yield _line(_bulk_answer(done))
    except Exception as error:  # noqa: BLE001 - the status is sent, so that any error has to be told in the stream
        yield _line({"problem": problem_in_stream(request, error)})
    finally:
        if step is not None:
            await asyncio.gather(step, return_exceptions=True)
        await steps.aclose()


def _line(told: dict[str, object]) -> bytes:
    return msgspec.json.encode(told) + b"\n"


async def cancel_runs(replica: Replica, grant: Grant, schedule_id: str) -> int:
    """Cancel the runs of a schedule that wait, and that the grant is for. Returns how many."""
    chosen = Selection(schedule_id=schedule_id)
    done = 0
    for state in WAITING:
        is_all = False
        while not is_all:
            asked = BulkBody(action="cancel")
            cancel = _changer(replica, "cancel")
            acted = await _act(replica, grant, replace(chosen, state=state), cancel, asked)
            done, is_all = done + acted.done, acted.is_all or not acted.matched
    return done


def _act_of(replica: Replica, asked: BulkBody) -> Act:
    if asked.action == "edit":
        if isinstance(asked.set, UnsetType):
            raise Invalid("set", 'is needed with the action edit, e.g. {"priority": 1}')
        return _editor(replica, asked.set)
    if not isinstance(asked.set, UnsetType):
        raise Invalid("set", "is for the action edit")
    return _changer(replica, asked.action)


def _changer(replica: Replica, verb: Change) -> Act:
    async def change(jobs: list[Job]) -> int:
        store, done = replica.store.jobs, 0
        for shard, ids in store.by_shard(job.id for job in jobs).items():
            changed, due_in_ms = await store.change(shard, verb, ids)
            replica.wake(shard, due_in_ms)
            replica.settler.outbox.notice(shard)
            done += sum(one.reply in _DONE for one in changed)
        return done

    return change


def _editor(replica: Replica, changes: EditBody) -> Act:
    run_at, delay_ms = new_start_of(changes)

    async def edit(jobs: list[Job]) -> int:
        done = 0
        for job in jobs:
            if job.spec is UNREADABLE or job.spec.sealed is not None:
                continue
            spec = edited_spec(job.spec, changes)
            edited, due_in_ms = await replica.store.jobs.edit(job, spec, run_at=run_at, delay_ms=delay_ms)
            replica.wake(replica.store.jobs.shard_of(job.id), due_in_ms)
            done += edited.reply == "ok"
        return done

    return edit


def _bulk_answer(done: BulkDone) -> dict[str, object]:
    return {"matched": done.matched, "done": done.done, "more": not done.is_all}
