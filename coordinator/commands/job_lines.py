"""Jobs as lines of a file: what `export` writes of a job is what `import` sends to have it made again."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

_NOTHING = (b"null", b"{}", b"[]")


class ToldJob(msgspec.Struct, rename="camel"):
    """Of a job as the API tells it, what can be asked for."""

    worker: str
    args: Raw
    queue: str
    key: str | None
    priority: int
    cost: float
    state: str
    max_attempts: int
    next_attempt_at: str | None
    tags: list[str]
    meta: Raw
    unique: str | None
    timeout_ms: int
    heartbeat_timeout_ms: int | None
    expires_in_ms: int | None
    backoff: dict[str, Any] | None
    retry: list[int] | None
    max_retry_duration_ms: int | None
    on_success: Raw
    on_failure: Raw


class Line(msgspec.Struct, rename="camel", omit_defaults=True):
    """A body of `POST /job`."""

    worker: str
    args: Raw
    queue: str
    key: str | None = None
    priority: int = 5
    cost: float = 1.0
    run_at: str | None = None
    max_attempts: int | None = None
    backoff: dict[str, Any] | None = None
    retry: list[int] | None = None
    max_retry_duration: int | None = None
    timeout: int | None = None
    heartbeat_timeout: int | None = None
    expires_in: int | None = None
    unique: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    meta: Raw | UnsetType = UNSET
    on_success: Raw | UnsetType = UNSET
    on_failure: Raw | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode


def line_of(job: ToldJob) -> bytes:
    """The line that has it made again; one that waits for its time still will, one that is final runs anew."""
    backoff = job.backoff and {
        "type": job.backoff["type"],
        "base": job.backoff["baseMs"],
        "factor": job.backoff["factor"],
        "max": job.backoff["maxMs"],
        "jitter": job.backoff["jitter"],
    }
    return _encode(
        Line(
            worker=job.worker,
            args=job.args,
            queue=job.queue,
            key=job.key,
            priority=job.priority,
            cost=job.cost,
            run_at=job.next_attempt_at,
            max_attempts=job.max_attempts,
            backoff=backoff,
            retry=job.retry,
            max_retry_duration=job.max_retry_duration_ms,
            timeout=job.timeout_ms,
            heartbeat_timeout=job.heartbeat_timeout_ms,
            expires_in=job.expires_in_ms,
            unique=job.unique,
            tags=job.tags,
            meta=_given(job.meta),
            on_success=_given(job.on_success),
            on_failure=_given(job.on_failure),
        )
    )


def _given(value: Raw) -> Raw | UnsetType:
    return UNSET if bytes(value) in _NOTHING else value
