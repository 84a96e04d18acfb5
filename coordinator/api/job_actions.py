"""`/job/:id`, what people do to a job: change, cancel, delete, retry, run."""

import msgspec
from litestar import Response, delete, patch, post
from litestar.params import FromPath, RawBody
from msgspec import UnsetType

from coordinator.api.answers import ErasedAnswer, job_answer, json_response, schedule_answer
from coordinator.api.context import Request, replica_of
from coordinator.api.job_bodies import EditBody, ForceQuery, RetryBody, args_of, edited_spec, new_start_of
from coordinator.api.reading import decode, decode_query
from coordinator.api.schedules import patch_schedule
from coordinator.domain.job import UNREADABLE, Job, Spec
from coordinator.engine.intake import sealed_away
from coordinator.engine.replica import Replica
from coordinator.errors import Conflict, Invalid, NotFound
from coordinator.store.jobs import Change, job_not_found
from coordinator.store.replies import Settled

_EDIT_TRIES = 3


@delete("/job/{job_id:str}", status_code=200)
async def delete_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """Cancel a job that waits, erase one that is final, delete a schedule; with `force` ask one that runs to stop."""
    replica = replica_of(request)
    query = decode_query(request.query_params, ForceQuery)
    changed = await change(replica, "delete", job_id)
    if changed.reply == "invalid_state" and query.force:
        changed = await change(replica, "cancel", job_id)
    match changed.reply:
        case "erased":
            return json_response(ErasedAnswer(job_id, erased=True))
        case "invalid_state":
            detail = "The job is running; ?force=true asks its function to stop, or wait until the attempt is over."
            raise Conflict("invalid_state", detail, state=changed.state)
        case "job_not_found":
            return await _delete_schedule(replica, job_id)
    return json_response(job_answer(await replica.store.jobs.read(job_id)))


@post("/job/{job_id:str}/cancel", status_code=200)
async def cancel_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """Cancel a job that waits; ask the function of one that runs to stop (`cancelRequested` of its next heartbeat)."""
    return await _act(request, "cancel", job_id, "only a job that waits or runs can be cancelled")


@post("/job/{job_id:str}/retry", status_code=200)
async def retry_job(request: Request, job_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Have a dead or cancelled job tried anew, with all its attempts; with other args if the body has some.

    The scope `manage` is enough for that, too: whoever has it may change the args of any job that waits.
    """
    asked = decode(body or b"{}", RetryBody)
    else_ = "only a dead or cancelled job can be tried anew"
    if isinstance(asked.args, UnsetType):
        return await _act(request, "retry", job_id, else_)
    replica = replica_of(request)
    job = await replica.store.jobs.read(job_id)
    spec = msgspec.structs.replace(_spec_of(job), args=args_of(asked.args))
    replayed, due_in_ms = await replica.store.jobs.replay(job, spec)
    if replayed.reply == "changed":
        # Not once more: it may be what this very call has done, and somebody has stopped since.
        raise _keeps_changing(job)
    replica.wake(replica.store.jobs.shard_of(job_id), due_in_ms)
    return await _answer(replica, job_id, replayed, else_)


@post("/job/{job_id:str}/run", status_code=200)
async def run_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """Make a job that waits for its time due now. The limits of its queue still hold."""
    return await _act(request, "run", job_id, "only a job that waits can be made due")


@patch("/job/{job_id:str}", status_code=200)
async def edit_job(request: Request, job_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Change what a job that waits is to do, or when."""
    replica = replica_of(request)
    asked: EditBody | None = None
    for _ in range(_EDIT_TRIES):
        try:
            job = await replica.store.jobs.read(job_id)
        except NotFound:
            if not await replica.schedules.has(job_id):
                raise
            return json_response(schedule_answer(await patch_schedule(request, job_id, body)))
        spec = _spec_of(job)
        asked = asked or decode(body, EditBody)
        run_at, delay_ms = new_start_of(asked)
        edited, due_in_ms = await replica.store.jobs.edit(
            job, edited_spec(spec, asked), run_at=run_at, delay_ms=delay_ms
        )
        match edited.reply:
            case "ok":
                replica.wake(replica.store.jobs.shard_of(job_id), due_in_ms)
                return json_response(job_answer(await replica.store.jobs.read(job_id)))
            case "invalid_state":
                detail = "Only a job that waits can be changed."
                raise Conflict("invalid_state", detail, state=edited.state)
            case "cost_exceeds_burst":
                detail = f"{spec.cost:g} is more than the burst of {edited.state} of the new key"
                raise Invalid("key", detail, code="cost_exceeds_burst")
            case "job_not_found":
                raise job_not_found(job_id)
    raise _keeps_changing(job)


async def change(replica: Replica, verb: Change, job_id: str) -> Settled:
    """Do it to one job. Raises `NotFound` only for what is no id at all."""
    shard = replica.store.jobs.shard_of(job_id)
    (changed,), due_in_ms = await replica.store.jobs.change(shard, verb, [job_id])
    replica.wake(shard, due_in_ms)
    return changed


async def _act(request: Request, verb: Change, job_id: str, else_: str) -> Response[bytes]:
    replica = replica_of(request)
    return await _answer(replica, job_id, await change(replica, verb, job_id), else_)


async def _answer(replica: Replica, job_id: str, changed: Settled, else_: str) -> Response[bytes]:
    """The job as it is by now, or why it was not changed; `else_` is said of one in the wrong state."""
    if changed.reply == "job_not_found":
        raise job_not_found(job_id)
    if changed.reply == "unique_conflict":
        detail = "Another job that waits or runs has the unique handle of this one by now."
        raise Conflict("unique_conflict", detail, state=changed.state)
    if changed.reply == "untold":
        detail = "Others are still to be told that the job has ended (onFailure, its batch); try again in a moment."
        raise Conflict("invalid_state", detail, state=changed.state)
    if changed.reply == "invalid_state":
        state = changed.state
        if state == "waiting":
            # People know three kinds of waiting, which only the clock tells apart.
            state = (await replica.store.jobs.read(job_id)).state
        raise Conflict("invalid_state", f"The job is {state}; {else_}.", state=state)
    return json_response(job_answer(await replica.store.jobs.read(job_id)))


def _spec_of(job: Job) -> Spec:
    """What a job is to do, to be written anew. Raises `Conflict` if that would lose what cannot be read."""
    if job.spec is UNREADABLE:
        detail = "Another version of the coordinator wrote this job; this one cannot read it, and would overwrite it."
        raise Conflict("invalid_state", detail, state=job.state)
    if job.spec.sealed is not None:
        raise sealed_away(job.spec)
    return job.spec


def _keeps_changing(job: Job) -> Conflict:
    return Conflict("invalid_state", "Others keep changing this job; try again.", state=job.state)


async def _delete_schedule(replica: Replica, schedule_id: str) -> Response[bytes]:
    try:
        await replica.store.schedules.delete(schedule_id)
    except NotFound:
        raise job_not_found(schedule_id) from None
    return json_response(ErasedAnswer(schedule_id, erased=True))
