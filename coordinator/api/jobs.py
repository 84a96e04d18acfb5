"""`/job`: enqueue, read, list, receipts, delete. A schedule is made here too; its id works wherever a job's does."""

import time

from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody

from coordinator.api.answers import ReceiptAnswer, job_answer, json_response, schedule_answer
from coordinator.api.context import Request, replica_of
from coordinator.api.job_bodies import ListQuery, NewJobBody, spec_of, start_of
from coordinator.api.listing import read_page
from coordinator.api.reading import check_nesting, decode, decode_query
from coordinator.api.schedule_bodies import schedule_of
from coordinator.domain.job import FINAL_STATES
from coordinator.domain.receipt import parse_receipt
from coordinator.domain.worker import ENTRY_POINT
from coordinator.engine.replica import SCHEDULES_CHANGED, Replica
from coordinator.errors import Conflict, Invalid, NotFound
from coordinator.store.jobs import Settled, job_not_found


@post("/job")
async def enqueue_job(request: Request, body: RawBody) -> Response[bytes]:
    """Accept a job that runs now or later, or with `cron` or `every` a schedule."""
    replica = replica_of(request)
    asked = decode(body, NewJobBody)
    worker = await replica.directory.find(asked.worker)
    if worker is None:
        raise Invalid(
            "worker",
            f"no worker is registered as {asked.worker!r}; register it with PUT /worker/{asked.worker}, "
            f"or an entry point for all with PUT /worker/{ENTRY_POINT} or COORDINATOR_WORKER_URL",
            code="unknown_worker",
        )
    spec = spec_of(asked, worker)
    if asked.is_schedule:
        stored = await replica.intake.schedule(schedule_of(asked, spec))
        replica.tell(SCHEDULES_CHANGED)
        return _created(stored.id, schedule_answer(stored))
    run_at, delay_ms = start_of(asked)
    job = await replica.intake.enqueue(spec, run_at=run_at, delay_ms=delay_ms)
    return _created(job.id, job_answer(job))


@post("/job/{job_id:str}/receipt", status_code=200)
async def receive_receipt(request: Request, job_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """End the attempt that the receipt names, or the current one."""
    replica = replica_of(request)
    receipt = parse_receipt(body, _now())
    check_nesting(body)
    try:
        settled = await replica.settler.receive(job_id, receipt)
    except NotFound:
        settled = Settled("job_not_found", "")
    match settled.reply:
        case "ok" if settled.state in FINAL_STATES:
            return json_response(ReceiptAnswer(job_id, settled.state, accepted=True))
        case "ok":
            # How it waits, only the clock tells: a failure may be due at once, a snooze gives the attempt back.
            job = await replica.store.jobs.read(job_id)
            return json_response(ReceiptAnswer(job_id, job.state, accepted=True))
        case "already_recorded":
            job = await replica.store.jobs.read(job_id)
            return json_response(ReceiptAnswer(job_id, job.state, accepted=False, reason=settled.reply))
        case "stale_receipt":
            job = await replica.store.jobs.read(job_id)
            detail = f"The job is {job.state}, attempt {job.tally.attempt}; this receipt is logged and changes nothing."
            raise Conflict("stale_receipt", detail, state=job.state, attempt=job.tally.attempt)
    if await _is_schedule(replica, job_id):
        raise Conflict("not_a_run", f"{job_id} is a schedule; receipts belong to the jobs that it makes.")
    raise job_not_found(job_id)


@get("/job")
async def list_jobs(request: Request) -> Response[bytes]:
    """A page of jobs; waiting ones by run-at, the others newest first, queue by queue."""
    query = decode_query(request.query_params, ListQuery)
    jobs, after = await read_page(replica_of(request).store, query)
    return json_response({"items": [job_answer(job) for job in jobs], "cursor": after})


@get("/job/{job_id:str}")
async def read_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """A job with its attempts, or a schedule."""
    store = replica_of(request).store
    try:
        return json_response(job_answer(await store.jobs.read(job_id)))
    except NotFound as missing:
        try:
            return json_response(schedule_answer(await store.schedules.read(job_id)))
        except NotFound:
            raise missing from None


@delete("/job/{job_id:str}", status_code=200)
async def delete_job(request: Request, job_id: FromPath[str]) -> Response[bytes]:
    """Cancel a job that waits, erase one that is final, delete a schedule."""
    store = replica_of(request).store
    reply, state = await store.jobs.delete(job_id)
    match reply:
        case "cancelled":
            return json_response(job_answer(await store.jobs.read(job_id)))
        case "erased":
            return json_response({"id": job_id, "erased": True})
        case "invalid_state":
            detail = "The job is running; it can be deleted when its attempt is over."
            raise Conflict("invalid_state", detail, state=state)
    try:
        await store.schedules.delete(job_id)
    except NotFound:
        raise job_not_found(job_id) from None
    return json_response({"id": job_id, "erased": True})


async def _is_schedule(replica: Replica, job_id: str) -> bool:
    try:
        await replica.store.schedules.read(job_id)
    except NotFound:
        return False
    return True


def _now() -> int:
    return time.time_ns() // 1_000_000


def _created(new_id: str, body: object) -> Response[bytes]:
    return json_response(body, 201, {"Location": f"/job/{new_id}"})
