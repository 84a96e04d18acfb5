"""Jobs whose end is waited for together, and what is called when a job or a batch has ended.

A callback is a job like any other, so it is retried, limited and seen like one. What it is told stands in its `meta`:

    {"callbackOf": {"jobId": "…", "worker": "…", "state": "dead", "reason": "…", "result": …, "error": …}}
    {"callbackOf": {"batchId": "…", "succeeded": 8, "dead": 2, "cancelled": 0, "refused": 0}}
"""

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from coordinator.domain.job import Job, Spec
from coordinator.domain.trace import Trace

RESULT_LIMIT_BYTES = 4096
"""A longer result is left out of what a callback is told: it can be read with the job's id."""

_ENTROPY_BITS = 70


class Batch(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is called when all its jobs are final: in any case, if all succeeded, if one did not.

    A job that was refused has not succeeded. `queues` are those of the jobs that it began with.
    """

    on_complete: Spec | None = None
    on_success: Spec | None = None
    on_failure: Spec | None = None
    queues: tuple[str, ...] = ()
    trace: Trace | None = None


class BatchView(msgspec.Struct, frozen=True):
    """A batch as it is now. `pending` are the jobs that are not final, `refused` those that were never stored."""

    id: str
    batch: Batch
    created_at: int
    completed_at: int | None
    pending: int
    succeeded: int
    dead: int
    cancelled: int
    refused: int


def callback_of(job: Job) -> Spec | None:
    """What is to be called at the end of this job. One that was stopped by people has neither succeeded nor failed."""
    if job.state == "succeeded":
        callback = job.spec.on_success
    elif job.state == "dead" or job.reason == "expired":
        callback = job.spec.on_failure
    else:
        callback = None
    if callback is None:
        return None
    told: dict[str, object] = {"jobId": job.id, "worker": job.spec.worker, "state": job.state, "reason": job.reason}
    if job.result is not None and len(bytes(job.result)) <= RESULT_LIMIT_BYTES:
        told["result"] = job.result
    if job.attempts and len(bytes(job.attempts[-1].error)) <= RESULT_LIMIT_BYTES:
        told["error"] = job.attempts[-1].error
    return _told(callback, told, job.spec.trace)


def callbacks_of(view: BatchView) -> Iterator[Spec]:
    """What is to be called at the end of this batch."""
    not_succeeded = {"dead": view.dead, "cancelled": view.cancelled, "refused": view.refused}
    at_end = view.batch.on_failure if any(not_succeeded.values()) else view.batch.on_success
    for callback in (view.batch.on_complete, at_end):
        if callback is not None:
            told = {"batchId": view.id, "succeeded": view.succeeded, **not_succeeded}
            yield _told(callback, told, view.batch.trace)


def entropy_of(*parts: object) -> int:
    """The random part of the id of what is made once, however often it is made."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest) >> (8 * len(digest) - _ENTROPY_BITS)


def _told(callback: Spec, about: Mapping[str, object], trace: Trace | None) -> Spec:
    meta = msgspec.Raw(msgspec.json.encode({"callbackOf": about}))
    return msgspec.structs.replace(callback, meta=meta, trace=trace)
