"""`/schedule`: what recurs. A schedule is known by its id, or by the name that it was declared with."""

from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, RawBody

from coordinator.api.answers import job_answer, json_response, schedule_answer
from coordinator.api.asking import spec_asked
from coordinator.api.bulk import cancel_runs
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.job_bodies import NewJobBody
from coordinator.api.permissions import hold_to, hold_to_job, is_covered, queues_of
from coordinator.api.reading import CursorQuery, decode, decode_query
from coordinator.api.redaction import redaction_of
from coordinator.api.rule_bodies import PreviewBody, rule_of
from coordinator.api.schedule_bodies import DeleteQuery, checked_name, patched_body, schedule_of
from coordinator.domain.ids import shard_of_id
from coordinator.domain.instants import format_instant, parse_instant
from coordinator.domain.recurrence import ticks_after
from coordinator.domain.schedule import Schedule, anchored_rule
from coordinator.engine.intake import sealed_away
from coordinator.engine.schedules import paused, resumed
from coordinator.store.schedules import StoredSchedule


@get("/schedule")
async def list_schedules(request: Request) -> Response[bytes]:
    """A page of schedules, the oldest first. One with those left out that the token is not for may be short."""
    query = decode_query(request.query_params, CursorQuery)
    grant = grant_of(request)
    found, after = await replica_of(request).store.schedules.page(query.cursor or "", query.limit)
    redaction = redaction_of(request)
    seen = (stored for stored in found if is_covered(grant, stored.schedule.spec))
    items = [redaction.schedule(schedule_answer(stored)) for stored in seen]
    return json_response({"items": items, "cursor": after})


@get("/schedule/{schedule_id:str}")
async def read_schedule(request: Request, schedule_id: FromPath[str]) -> Response[bytes]:
    """One schedule."""
    return json_response(schedule_answer(await replica_of(request).schedules.find(schedule_id)))


@put("/schedule/{schedule_id:str}")
async def put_schedule(request: Request, schedule_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Declare a schedule by a name: 201 if it is new, else 200, and what is the same already stays untouched."""
    replica = replica_of(request)
    asked = decode(body, NewJobBody)
    schedule = schedule_of(asked, await spec_asked(replica.directory, asked))
    grant = grant_of(request)
    hold_to(grant, queues_of(schedule.spec))
    await hold_to_job(replica, grant, schedule_id)
    if shard_of_id(schedule_id) is not None:
        return json_response(schedule_answer(await replica.schedules.rewrite(schedule_id, schedule)))
    stored, is_new = await replica.schedules.declare(checked_name(schedule_id), schedule)
    return json_response(schedule_answer(stored), 201 if is_new else 200, {"Location": f"/schedule/{schedule_id}"})


@patch("/schedule/{schedule_id:str}", status_code=200)
async def edit_schedule(request: Request, schedule_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change some fields of a schedule. A changed rule counts from now."""
    return json_response(schedule_answer(await patch_schedule(request, schedule_id, body)))


@delete("/schedule/{schedule_id:str}", status_code=200)
async def delete_schedule(request: Request, schedule_id: FromPath[str]) -> Response[bytes]:
    """Delete a schedule. Its jobs stay; with `runs=cancel` those that wait are cancelled."""
    replica = replica_of(request)
    query = decode_query(request.query_params, DeleteQuery)
    known = await replica.schedules.resolve(schedule_id)
    await replica.store.schedules.delete(known)
    cancelled = await cancel_runs(replica, grant_of(request), known) if query.runs == "cancel" else 0
    return json_response({"id": known, "erased": True, "cancelled": cancelled})


@post("/schedule/{schedule_id:str}/pause", status_code=200)
async def pause_schedule(request: Request, schedule_id: FromPath[str]) -> Response[bytes]:
    """Fire no more. Ticks that come meanwhile are not made up for."""
    replica = replica_of(request)
    known = await replica.schedules.resolve(schedule_id)

    async def pause(stored: StoredSchedule, _: int) -> StoredSchedule:
        return paused(stored)

    return json_response(schedule_answer(await replica.schedules.change(known, pause)))


@post("/schedule/{schedule_id:str}/resume", status_code=200)
async def resume_schedule(request: Request, schedule_id: FromPath[str]) -> Response[bytes]:
    """Go on with the next tick."""
    replica = replica_of(request)
    known = await replica.schedules.resolve(schedule_id)

    async def resume(stored: StoredSchedule, now: int) -> StoredSchedule:
        return resumed(stored, now)

    return json_response(schedule_answer(await replica.schedules.change(known, resume)))


@post("/schedule/{schedule_id:str}/trigger")
async def trigger_schedule(request: Request, schedule_id: FromPath[str]) -> Response[bytes]:
    """Make a run now, whatever the rule says, also of a schedule that is paused or has ended. The answer is the job."""
    replica = replica_of(request)
    stored = await replica.schedules.find(schedule_id)
    if stored.schedule.spec.sealed is not None:
        raise sealed_away(stored.schedule.spec)
    taken = await replica.schedules.trigger(stored)
    job = taken.job or await replica.store.jobs.read(taken.id)
    return json_response(job_answer(job), 201, {"Location": f"/job/{taken.id}"})


@post("/schedule/preview", status_code=200)
async def preview_schedule(request: Request, body: RawBody) -> Response[bytes]:
    """When a rule would fire; nothing is stored."""
    asked = decode(body, PreviewBody)
    rule = rule_of(asked)
    now = await replica_of(request).store.schedules.now()
    after = now if asked.after is None else parse_instant(asked.after, "after", rule.timezone)
    ticks = ticks_after(anchored_rule(rule, now), after, asked.count)
    answer = {"cron": rule.cron, "everyMs": rule.every_ms, "timezone": rule.timezone}
    return json_response(answer | {"nextRuns": [format_instant(tick) for tick in ticks]})


async def patch_schedule(request: Request, id_or_name: str, body: bytes) -> StoredSchedule:
    """Change a schedule as the body says. Raises `NotFound`, `BadRequest`, `Invalid`, `Forbidden`."""
    replica = replica_of(request)
    known = await replica.schedules.resolve(id_or_name)

    async def patched(before: Schedule) -> Schedule:
        if before.spec.sealed is not None:
            raise sealed_away(before.spec)
        asked = patched_body(before, body)
        changed = schedule_of(asked, await spec_asked(replica.directory, asked))
        hold_to(grant_of(request), queues_of(changed.spec))
        return changed

    return await replica.schedules.edit(known, patched)
