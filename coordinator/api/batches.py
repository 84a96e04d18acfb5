"""`/job/batch` and `/batch`: many jobs in one request, and their ends waited for together."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace as replaced
from itertools import chain
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from msgspec import Meta, Raw
from msgspec.structs import replace

from coordinator.api.answers import batch_answer, json_response, refused_item
from coordinator.api.asking import callback_asked, spec_asked, trace_of
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.job_bodies import CallbackBody, DurabilityQuery, NewJobBody, request_of, start_of
from coordinator.api.permissions import hold_to, hold_to_batch, queues_of
from coordinator.api.reading import Body, decode, decode_query
from coordinator.domain.batch import Batch
from coordinator.domain.durability import asking
from coordinator.domain.ids import shard_of_queue
from coordinator.domain.job import QUEUE_DEFAULT
from coordinator.domain.tokens import Grant
from coordinator.domain.trace import Trace
from coordinator.engine.intake import batch_complete, refusal_of
from coordinator.engine.replica import Replica
from coordinator.errors import Invalid, Refusal, TooMany
from coordinator.store.records import NewJob
from coordinator.store.replies import Accepted

JOBS_LIMIT = 1000
BODY_LIMIT_BYTES = 16 * 1024 * 1024

_PUT_OFF_MS = 60_000
"""What a repeated request stores for a batch that is complete must not run before it is taken back."""

Item = dict[str, Any]


class BatchBody(Body):
    """`POST /job/batch`. Each of `jobs` is a body of `POST /job`."""

    jobs: Annotated[list[Raw], Meta(min_length=1, max_length=JOBS_LIMIT)]
    atomic: bool = False
    on_complete: CallbackBody | None = None
    on_success: CallbackBody | None = None
    on_failure: CallbackBody | None = None


@post("/job/batch", request_max_body_size=BODY_LIMIT_BYTES)
async def enqueue_batch(request: Request, body: RawBody) -> Response[bytes]:
    """Accept up to 1000 jobs: 201 if all were made, 207 if some were not; with `atomic` all or none."""
    with asking(decode_query(request.query_params, DurabilityQuery).durability):
        return await _enqueue(request, body)


async def _enqueue(request: Request, body: bytes) -> Response[bytes]:
    replica = replica_of(request)
    asked = decode(body, BatchBody)
    batch = Batch(
        on_complete=await callback_asked(replica.directory, asked.on_complete, "onComplete"),
        on_success=await callback_asked(replica.directory, asked.on_success, "onSuccess"),
        on_failure=await callback_asked(replica.directory, asked.on_failure, "onFailure"),
        trace=trace_of(request),
    )
    grant = grant_of(request)
    hold_to(grant, chain(*map(queues_of, (batch.on_complete, batch.on_success, batch.on_failure))))
    idempotency = request_of(request.headers.get("idempotency-key"), body)
    made = await asyncio.gather(
        *(_read_item(replica, grant, raw, _share(idempotency, raw, at)) for at, raw in enumerate(asked.jobs))
    )
    made = [_in_trace(job, batch.trace) if isinstance(job, NewJob) else job for job in made]
    jobs = [job for job in made if isinstance(job, NewJob)]
    if asked.atomic:
        _refuse_unless_whole(replica, made)
    batch = replace(batch, queues=tuple(sorted({job.spec.queue for job in jobs})))
    new_id = replica.intake.new_id(_home_of(jobs, idempotency))
    replica.intake.check_room([new_id, *(job.id for job in jobs)])
    batch_id, was_replayed = await replica.store.batches.create(new_id, batch, idempotency)
    is_over = was_replayed and (await replica.store.batches.read(batch_id)).completed_at is not None
    jobs = [_in_batch(job, batch_id, put_off_ms=_PUT_OFF_MS if is_over else 0) for job in jobs]
    items = iter(await _store(replica, jobs, atomic=asked.atomic))
    answers = [refused_item(job) if isinstance(job, Refusal) else next(items) for job in made]
    answers = await _seal(replica, batch_id, answers)
    view = await replica.store.batches.read(batch_id)
    listed = [{"index": at, **answer} for at, answer in enumerate(answers)]
    headers = {"Location": f"/batch/{batch_id}"} | ({"Idempotency-Replayed": "true"} if was_replayed else {})
    return json_response(batch_answer(view) | {"jobs": listed}, 207 if _refused(answers) else 201, headers)


@get("/batch/{batch_id:str}")
async def read_batch(request: Request, batch_id: FromPath[str]) -> Response[bytes]:
    """How many of a batch's jobs have ended, and how."""
    view = await replica_of(request).store.batches.read(batch_id)
    hold_to_batch(grant_of(request), view.batch)
    return json_response(batch_answer(view))


@post("/batch/{batch_id:str}/cancel", status_code=200)
async def cancel_batch(request: Request, batch_id: FromPath[str]) -> Response[bytes]:
    """Cancel those of a batch's jobs that wait, and ask the functions of those that run to stop."""
    replica = replica_of(request)
    jobs, cursor, done = replica.store.jobs, "0", 0
    while True:
        pending, cursor = await replica.store.batches.pending(batch_id, cursor)
        for shard, here in jobs.by_shard(pending).items():
            changed, _ = await jobs.change(shard, "cancel", here)
            done += sum(one.reply in {"cancelled", "requested"} for one in changed)
            replica.settler.outbox.notice(shard)
        if cursor == "0":
            break
    return json_response(batch_answer(await replica.store.batches.read(batch_id)) | {"done": done})


async def _read_item(replica: Replica, grant: Grant, raw: Raw, idempotency: tuple[str, str] | None) -> NewJob | Refusal:
    try:
        asked = decode(bytes(raw), NewJobBody)
        if asked.is_rule or asked.batch_id is not None:
            raise Invalid("cron" if asked.is_rule else "batchId", "cannot stand in a batch; send it to POST /job")
        spec = await spec_asked(replica.directory, asked)
        hold_to(grant, queues_of(spec))
        run_at, delay_ms = start_of(asked)
    except Refusal as refusal:
        return refusal
    return replica.intake.new_job(spec, run_at=run_at, delay_ms=delay_ms, idempotency=idempotency)


def _share(idempotency: tuple[str, str] | None, raw: Raw, at: int) -> tuple[str, str] | None:
    """Each job's own share of the request's key: what was stored before an answer was lost is found again."""
    return request_of(f"{idempotency[0]}/{at}", bytes(raw)) if idempotency else None


def _home_of(jobs: Sequence[NewJob], idempotency: tuple[str, str] | None) -> str:
    """A queue where the batch lives.

    That of a repeated request is sought by the request's key alone: of its jobs others may be refused this time.
    """
    if idempotency is not None:
        return idempotency[0]
    return jobs[0].spec.queue if jobs else QUEUE_DEFAULT


async def _seal(replica: Replica, batch_id: str, answers: list[Item]) -> list[Item]:
    """Have the batch wait for what was stored. What a repeated request stores when it is complete, is taken back."""
    members = [answer["id"] for answer in answers if answer["status"] == 201]
    late = set(await replica.store.batches.seal(batch_id, members, _refused(answers)))
    await replica.intake.take_back(sorted(late))
    too_late = refused_item(batch_complete())
    return [too_late if answer["status"] == 201 and answer["id"] in late else answer for answer in answers]


def _refused(answers: Sequence[Item]) -> int:
    return sum(answer["status"] >= 300 for answer in answers)


def _in_batch(job: NewJob, batch_id: str, put_off_ms: int) -> NewJob:
    delay_ms = max(job.delay_ms, put_off_ms)
    return NewJob(job.id, replace(job.spec, batch_id=batch_id), job.run_at, delay_ms, job.idempotency)


def _in_trace(job: NewJob, trace: Trace | None) -> NewJob:
    return job if trace is None else replaced(job, spec=replace(job.spec, trace=trace))


def _refuse_unless_whole(replica: Replica, made: Sequence[NewJob | Refusal]) -> None:
    for at, job in enumerate(made):
        if isinstance(job, Refusal):
            raise Invalid(f"jobs[{at}]", f"{job.detail}; with atomic none of the jobs was stored", code=job.code)
    shards = {shard_of_queue(job.spec.queue, replica.store.shards) for job in made if isinstance(job, NewJob)}
    if len(shards) > 1:
        raise Invalid("atomic", "is possible for the jobs of one queue: two queues may lie apart in Redis")


async def _store(replica: Replica, jobs: Sequence[NewJob], *, atomic: bool) -> list[Item]:
    if not jobs:
        return []
    if atomic:
        accepted = await replica.intake.enqueue_all(jobs)
        for at, (one, job) in enumerate(zip(accepted, jobs, strict=True)):
            if one.reply not in {"created", "replayed", "duplicate", "not_created"}:
                refusal = refusal_of(one, job.spec)
                if isinstance(refusal, TooMany):
                    raise refusal  # No job is wrong, and the same request may pass later.
                raise Invalid(f"jobs[{at}]", f"{refusal.detail}; none of the jobs was stored", code=refusal.code)
    else:
        accepted = await asyncio.gather(*(replica.intake.submit(job) for job in jobs))
    return [_item(one, job) for one, job in zip(accepted, jobs, strict=True)]


def _item(accepted: Accepted, job: NewJob) -> Item:
    match accepted.reply, accepted.told:
        case "created", _:
            return {"status": 201, "id": job.id}
        case "replayed", (known, *_):
            return {"status": 201, "id": known.decode()}
        case "duplicate", (known,):
            return {"status": 200, "id": known.decode(), "duplicate": True}
    return refused_item(refusal_of(accepted, job.spec))
