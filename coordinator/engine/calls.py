"""What a worker is sent for an attempt, for several at once, or for none."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from coordinator.calling.request import Call
from coordinator.domain.instants import format_instant
from coordinator.domain.job import Attempt
from coordinator.domain.outcome import JsonBytes
from coordinator.domain.receipt import EXTEND_LIMIT_MS
from coordinator.domain.trace import Headers
from coordinator.domain.worker import Worker


@dataclass(frozen=True, slots=True)
class Desk:
    """Where functions report: at this URL, each with the token of its attempt."""

    url: str
    token_of: Callable[[Attempt], str]


class CallBody(msgspec.Struct, rename="camel"):
    """The JSON body of a call. Instants are ISO 8601; `args` are the bytes that were enqueued."""

    job_id: str
    worker: str
    args: msgspec.Raw
    attempt: int
    max_attempts: int
    queue: str
    key: str | None
    scheduled_for: str | None
    schedule_id: str | None
    deadline: str | None
    receipt_url: str
    token: str
    meta: msgspec.Raw


class JointCallBody(msgspec.Struct, rename="camel"):
    """The JSON body of a call for several jobs of one worker and lane. `deadline` is the latest of theirs."""

    worker: str
    queue: str
    key: str | None
    deadline: str | None
    jobs: list[CallBody]


_encoder = msgspec.json.Encoder()


def call_for(attempt: Attempt, worker: Worker, desk: Desk, trace: Headers = ()) -> Call:
    """The call of an attempt; `trace` tells its function of the trace."""
    return Call(
        url=worker.url,
        headers=worker.headers,
        body=_encoder.encode(_body_of(attempt, desk)),
        message_id=_message_id(attempt),
        idempotency_key=attempt.job_id,
        timeout_s=attempt.spec.timeout_ms / 1000,
        ack=worker.ack,
        secrets=worker.secrets,
        auth=worker.auth,
        trace=trace,
    )


def joint_call(attempts: Sequence[Attempt], worker: Worker, desk: Desk, trace: Headers = ()) -> Call:
    """One call for attempts of one worker and lane.

    It is as unique as its first attempt's own call would be, and may take as long as any call: each attempt has its own
    time.
    """
    spec = attempts[0].spec
    body = JointCallBody(
        worker=spec.worker,
        queue=spec.queue,
        key=spec.key,
        deadline=format_instant(max(attempt.deadline_at for attempt in attempts)),
        jobs=[_body_of(attempt, desk) for attempt in attempts],
    )
    return Call(
        url=worker.url,
        headers=worker.headers,
        body=_encoder.encode(body),
        message_id=_message_id(attempts[0]),
        idempotency_key=None,
        timeout_s=EXTEND_LIMIT_MS / 1000,
        ack=worker.ack,
        secrets=worker.secrets,
        auth=worker.auth,
        trace=trace,
    )


def ping_call(name: str, worker: Worker, timeout_s: float) -> Call:
    """A call that asks the function to tell of itself, and to run nothing."""
    return Call(
        url=worker.url,
        headers=worker.headers,
        body=_encoder.encode({"ping": True, "worker": name}),
        message_id=f"ping_{secrets.token_urlsafe(12)}",
        idempotency_key=None,
        timeout_s=timeout_s,
        ack="response",
        secrets=worker.secrets,
        auth=worker.auth,
    )


def _body_of(attempt: Attempt, desk: Desk) -> CallBody:
    spec = attempt.spec
    return CallBody(
        job_id=attempt.job_id,
        worker=spec.worker,
        args=spec.args,
        attempt=attempt.tally.attempt,
        max_attempts=spec.max_attempts,
        queue=spec.queue,
        key=spec.key,
        scheduled_for=format_instant(spec.scheduled_for),
        schedule_id=spec.schedule_id,
        deadline=format_instant(attempt.deadline_at),
        receipt_url=f"{desk.url}/job/{attempt.job_id}/receipt",
        token=desk.token_of(attempt),
        meta=spec.meta,
    )


def _message_id(attempt: Attempt) -> str:
    """The name of an attempt's call.

    It is new with every call and the same when one call is repeated by a proxy, as the Standard Webhooks specification
    wants it: a receiver may drop what it has seen. It counts calls, not attempts, because an attempt that was throttled
    is called again under its own number; and it has the claim's nonce, because a failover may lose a claim, and then
    its number is given again.
    """
    return f"{attempt.job_id}:{attempt.tally.calls}:{attempt.nonce}"


UNREADABLE_ERROR: JsonBytes = _encoder.encode(
    {"type": "UnreadableJob", "message": "This version of the coordinator cannot read the job; another one may."}
)
"""The error of an attempt whose job was written by another version, in words that this one does not know."""


def sealed_job(key: str) -> JsonBytes:
    """The error of an attempt whose job is sealed with a key that opens it no more."""
    message = (
        f"The job is sealed with the key {key!r}, and this replica cannot open it: "
        "COORDINATOR_KEYS does not list the key, or what Redis holds was changed."
    )
    return _encoder.encode({"type": "SealedJob", "message": message})


def unreadable_worker(worker: Worker) -> JsonBytes:
    """The error of an attempt whose worker cannot be read: it is of another version, or its key is missing."""
    if worker.lost_key is None:
        message = "This version of the coordinator cannot read the worker; register it anew."
        return _encoder.encode({"type": "UnreadableWorker", "message": message})
    message = (
        f"The secrets of the worker are sealed with the key {worker.lost_key!r}, and this replica cannot open them: "
        "list the key in COORDINATOR_KEYS, or register the worker anew."
    )
    return _encoder.encode({"type": "SealedWorker", "message": message})


def unknown_worker(name: str) -> JsonBytes:
    """The error of an attempt whose worker is not registered any more."""
    message = f"No worker is registered as {name!r}, and there is no entry point '*'."
    return _encoder.encode({"type": "UnknownWorker", "message": message})
