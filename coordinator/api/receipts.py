"""What functions say of their jobs: `/job/:id/receipt`, `/job/:id/heartbeat`, and `/receipt` for many jobs at once."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.params import FromPath, RawBody
from msgspec import Meta, Raw

from coordinator.api.answers import HeartbeatAnswer, ReceiptAnswer, json_response, refused_item
from coordinator.api.context import Request, grant_of, receipt_token_of, replica_of
from coordinator.api.job_bodies import DurabilityQuery
from coordinator.api.permissions import check_scope, hold_to_job
from coordinator.api.reading import Body, check_nesting, decode_query, skim
from coordinator.domain.durability import asking
from coordinator.domain.instants import format_instant
from coordinator.domain.job import FINAL_STATES
from coordinator.domain.receipt import Heartbeat, Receipt, parse_heartbeat, parse_receipt
from coordinator.domain.receipt_token import Fence
from coordinator.engine.replica import Replica
from coordinator.errors import BadRequest, Conflict, Invalid, NotFound, Refusal, StoreUnavailable
from coordinator.store.jobs import job_not_found
from coordinator.store.replies import Beaten, Settled

RECEIPTS_LIMIT = 100
"""As many as one call is for."""

RECEIPTS_LIMIT_BYTES = 8 * 1024 * 1024


class ReceiptsBody(Body):
    """`POST /receipt`. Each of `receipts` is a body of `POST /job/:id/receipt` with its `jobId`."""

    receipts: Annotated[list[Raw], Meta(min_length=1, max_length=RECEIPTS_LIMIT)]


class _Claim(msgspec.Struct, rename="camel"):
    """What is read of one of many receipts first: of which job it is, and by what right. The rest is skipped over."""

    job_id: str
    token: Raw = Raw(b"null")


@post("/job/{job_id:str}/receipt", status_code=200)
async def receive_receipt(request: Request, job_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """End the attempt that the receipt names, or the current one."""
    with asking(decode_query(request.query_params, DurabilityQuery).durability):
        with _letting_in(request):
            receipt = parse_receipt(body, _now())
            check_nesting(body)
        right = await _right(request, job_id, receipt.token)
        return json_response(await _receive(request, job_id, receipt, right))


@post("/receipt", status_code=200, request_max_body_size=RECEIPTS_LIMIT_BYTES)
async def receive_receipts(request: Request, body: RawBody) -> Response[bytes]:
    """End many attempts. Each item is answered by itself; 503 is of all, and all may be sent again."""
    with _letting_in(request):
        asked = skim(body, ReceiptsBody)
    with asking(decode_query(request.query_params, DurabilityQuery).durability):
        claims = [_claim(raw, at) for at, raw in enumerate(asked.receipts)]
        rights = await asyncio.gather(*(_right_or_refusal(request, claim) for claim in claims))
        # A body of megabytes is read for those only who may report at all.
        if not all(isinstance(right, Refusal) for right in rights):
            check_nesting(body)
        of_each = zip(asked.receipts, claims, rights, strict=True)
        items = await asyncio.gather(*(_receive_item(request, *one) for one in of_each))
    return json_response({"items": items})


@post("/job/{job_id:str}/heartbeat", status_code=200)
async def receive_heartbeat(request: Request, job_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """A function goes on: how far it is, and whether it needs longer. The answer tells whether it is to stop."""
    with _letting_in(request):
        heartbeat = parse_heartbeat(body, _now())
    right = await _right(request, job_id, heartbeat.token)
    return json_response(await _heed_heartbeat(request, job_id, heartbeat, right))


def _claim(raw: Raw, at: int) -> _Claim:
    try:
        return msgspec.json.decode(raw, type=_Claim)
    except (msgspec.DecodeError, RecursionError):
        raise Invalid(f"receipts[{at}].jobId", "is missing, or no text; each receipt names its job") from None


async def _right_or_refusal(request: Request, claim: _Claim) -> Fence | Refusal | None:
    try:
        return await _right(request, claim.job_id, _token_in(claim))
    except StoreUnavailable:
        raise
    except Refusal as refusal:
        return refusal


def _token_in(claim: _Claim) -> str | None:
    """The token in a receipt. What is none is refused by `parse_receipt`, before those who may know."""
    try:
        return msgspec.json.decode(claim.token, type=str | None)
    except msgspec.DecodeError:
        return None


async def _receive_item(
    request: Request, raw: Raw, claim: _Claim, right: Fence | Refusal | None
) -> ReceiptAnswer | HeartbeatAnswer | dict[str, Any]:
    try:
        if isinstance(right, Refusal):
            raise right
        receipt = parse_receipt(_receipt_in(raw), _now())
        return await _receive(request, claim.job_id, receipt, right)
    except StoreUnavailable:
        raise
    except Refusal as refusal:
        return {"id": claim.job_id} | refused_item(refusal)


def _receipt_in(raw: Raw) -> bytes:
    """A receipt of many as it would be sent alone. Raises `BadRequest`."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise BadRequest("invalid_json", f"The receipt is not JSON that can be read: {error}.") from None
    fields.pop("jobId", None)
    return msgspec.json.encode(fields)


async def _receive(
    request: Request, job_id: str, receipt: Receipt | Heartbeat, right: Fence | None
) -> ReceiptAnswer | HeartbeatAnswer:
    replica = replica_of(request)
    if isinstance(receipt, Heartbeat):
        return await _heed_heartbeat(request, job_id, receipt, right)
    try:
        settled = await replica.settler.receive(job_id, receipt.ending, right or Fence(receipt.attempt))
    except NotFound:
        settled = Settled("job_not_found", "")
    match settled.reply:
        case "ok" if settled.state in FINAL_STATES:
            return ReceiptAnswer(job_id, settled.state, accepted=True)
        case "ok":
            # How it waits, only the clock tells: a failure may be due at once, a snooze gives the attempt back.
            job = await replica.store.jobs.read(job_id)
            return ReceiptAnswer(job_id, job.state, accepted=True)
        case "already_recorded":
            job = await replica.store.jobs.read(job_id)
            return ReceiptAnswer(job_id, job.state, accepted=False, reason=settled.reply)
    raise await _refused(replica, job_id, settled.reply, "this receipt is logged and changes nothing")


async def _heed_heartbeat(request: Request, job_id: str, heartbeat: Heartbeat, right: Fence | None) -> HeartbeatAnswer:
    replica = replica_of(request)
    try:
        beaten = await replica.settler.beat(job_id, heartbeat.beat, right or Fence(heartbeat.attempt))
    except NotFound:
        beaten = Beaten("job_not_found", "", 0, cancel_requested=False)
    if beaten.reply != "ok":
        raise await _refused(replica, job_id, beaten.reply, "this heartbeat changes nothing")
    deadline = format_instant(beaten.deadline_at)
    return HeartbeatAnswer(
        id=job_id, state=beaten.state, accepted=True, cancel_requested=beaten.cancel_requested, deadline=deadline
    )


@contextmanager
def _letting_in(request: Request) -> Iterator[None]:
    """Who shows no right to report is not told what is wrong with the report."""
    try:
        yield
    except Refusal:
        if receipt_token_of(request) is None:
            check_scope(grant_of(request), "receipt")
        raise


async def _right(request: Request, job_id: str, token: str | None) -> Fence | None:
    """By what right a job is told of: the attempt whose token it is, or None for one of the API.

    Raises `Unauthenticated`, `Forbidden`, `StoreUnavailable`.
    """
    replica = replica_of(request)
    token = token or receipt_token_of(request)
    if token is not None:
        return await replica.receipt_tokens.verified(token, job_id)
    grant = grant_of(request)
    check_scope(grant, "receipt")
    await hold_to_job(replica, grant, job_id)
    return None


async def _refused(replica: Replica, job_id: str, reply: str, effect: str) -> Refusal:
    if reply == "stale_receipt":
        job = await replica.store.jobs.read(job_id)
        detail = f"The job is {job.state}, attempt {job.tally.attempt}; {effect}."
        return Conflict("stale_receipt", detail, state=job.state, attempt=job.tally.attempt)
    if await replica.schedules.has(job_id):
        return Conflict("not_a_run", f"{job_id} is a schedule; receipts belong to the jobs that it makes.")
    return job_not_found(job_id)


def _now() -> int:
    return time.time_ns() // 1_000_000
