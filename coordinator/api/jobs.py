"""`/job`: enqueue, read, list. A schedule is made here too; its id works wherever a job's does."""

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from msgspec.structs import replace

from coordinator.api import audit
from coordinator.api.answers import job_answer, json_response, schedule_answer
from coordinator.api.asking import spec_asked, trace_of
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.dry_runs import dry_job, dry_schedule
from coordinator.api.job_bodies import (
    EnqueueQuery,
    ListQuery,
    NewJobBody,
    request_of,
    selection_of,
    start_of,
)
from coordinator.api.listing import named, read_page
from coordinator.api.permissions import hold_to, hold_to_batch, hold_to_chosen, is_covered, queues_of
from coordinator.api.reading import decode, decode_query, plain_name
from coordinator.api.redaction import redaction_of
from coordinator.api.schedule_bodies import schedule_of
from coordinator.api.waiting import until_final, wait_of
from coordinator.domain.durability import asking
from coordinator.domain.job import Job
from coordinator.engine.intake import Intaken
from coordinator.errors import Invalid, NotFound
from coordinator.store.open import Store
from coordinator.store.schedules import StoredSchedule


@post("/job")
async def enqueue_job(request: Request, body: RawBody) -> Response[bytes]:
    """Accept a job that runs now or later, or with `cron` or `every` a schedule."""
    query = decode_query(request.query_params, EnqueueQuery)
    with asking(query.durability):
        return await _enqueue(request, body, is_dry=query.dry_run)


async def _enqueue(request: Request, body: bytes, *, is_dry: bool) -> Response[bytes]:
    replica = replica_of(request)
    asked = decode(body, NewJobBody)
    spec = await spec_asked(replica.directory, asked)
    hold_to(grant_of(request), queues_of(spec))
    idempotency = request_of(request.headers.get("idempotency-key"), body)
    if asked.is_rule:
        schedule = schedule_of(asked, spec)
        if is_dry:
            return await dry_schedule(replica, schedule)
        audit.mark(request.scope, "enqueue_job", grant_of(request))
        stored, was_replayed = await replica.schedules.create(schedule, idempotency)
        audit.name(request.scope, stored.id)
        return _scheduled(stored, was_replayed=was_replayed)
    run_at, delay_ms = start_of(asked)
    # A schedule's runs are nobody's request.
    if (trace := trace_of(request)) is not None:
        spec = replace(spec, trace=trace)
    if asked.batch_id is not None:
        hold_to_batch(grant_of(request), await replica.intake.open_batch(asked.batch_id))
        spec = replace(spec, batch_id=asked.batch_id)
    if is_dry:
        return await dry_job(replica, spec, run_at, delay_ms)
    taken = await replica.intake.enqueue(spec, run_at=run_at, delay_ms=delay_ms, idempotency=idempotency)
    return _taken(taken)


@get("/job")
async def list_jobs(request: Request) -> Response[bytes]:
    """A page of jobs, queue by queue and state by state: of each the waiting ones by run-at, the others newest first.

    The newest of all queues are not to be had so: each page would have to look into every list of every queue.
    """
    given = {plain_name(name): value for name, value in request.query_params.items()}
    query = decode_query(given, ListQuery)
    grant = grant_of(request)
    hold_to_chosen(grant, query.queue, "?queue=")
    store, redaction = replica_of(request).store, redaction_of(request)
    if query.unique is not None:
        found = [
            redaction.job(job_answer(job)) for job in await _by_handle(store, query) if is_covered(grant, job.spec)
        ]
        return json_response({"items": found, "cursor": None})
    chosen = await named(store, selection_of(query))
    if chosen is None:
        return json_response({"items": [], "cursor": None})
    jobs, after = await read_page(store, chosen, query.limit, query.cursor)
    return json_response(
        {"items": [redaction.job(job_answer(job)) for job in jobs if is_covered(grant, job.spec)], "cursor": after}
    )


async def _by_handle(store: Store, query: ListQuery) -> list[Job]:
    if query.queue is None:
        raise Invalid("queue", "is needed beside unique: a handle is unique within its queue")
    job_id = await store.jobs.find(query.queue, query.unique or "")
    try:
        return [] if job_id is None else [await store.jobs.read(job_id)]
    except NotFound:
        return []


@get("/job/{job_id:str}")
async def read_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """A job with its attempts, or a schedule; with `wait` when it is final, or when so much time has passed."""
    store = replica_of(request).store
    wait_ms = wait_of(request.query_params)
    try:
        return json_response(job_answer(await until_final(store.jobs, job_id, wait_ms)))
    except NotFound as missing:
        try:
            return json_response(schedule_answer(await store.schedules.read(job_id)))
        except NotFound:
            raise missing from None


def _taken(taken: Intaken) -> Response[bytes]:
    """201 for a new job; 200 for one that stands for it; and for a repeated request what it was answered at first."""
    if taken.job is None:
        # It has been purged; its handle is all that is left.
        return json_response({"id": taken.id, "kind": "job", "state": None, "duplicate": True})
    answer = job_answer(taken.job)
    if taken.how == "duplicate":
        answer.duplicate = True
        return json_response(answer, 200, {"Location": f"/job/{taken.id}"})
    headers = {"Idempotency-Replayed": "true"} if taken.how == "replayed" else {}
    return json_response(answer, 201, {"Location": f"/job/{taken.id}", **headers})


def _scheduled(stored: StoredSchedule, *, was_replayed: bool) -> Response[bytes]:
    headers = {"Idempotency-Replayed": "true"} if was_replayed else {}
    return json_response(schedule_answer(stored), 201, {"Location": f"/job/{stored.id}", **headers})
