"""What is asked for with `POST /job` and `GET /job`: bodies to values of the domain."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from coordinator.api.reading import (
    ARGS_LIMIT_BYTES,
    Body,
    Duration,
    Instant,
    QueueName,
    WorkerName,
    camel,
)
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.job import PRIORITY_DEFAULT, QUEUE_DEFAULT, TIMEOUT_DEFAULT_MS, Spec, State
from coordinator.domain.retry import ATTEMPTS_DEFAULT, ATTEMPTS_LIMIT, Backoff
from coordinator.domain.schedule import Misfire
from coordinator.domain.worker import Worker
from coordinator.errors import Invalid, TooLarge

KEY_LIMIT = 256
TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS = 1000, 86_400_000


class BackoffBody(Body):
    type: Literal["exponential", "linear", "fixed", "polynomial"] = "exponential"
    base: Duration = 15_000
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max: Duration = 3_600_000
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1


class NewJobBody(Body):
    """`POST /job`."""

    worker: WorkerName
    # A factory, because a raw default cannot be told in a JSON Schema.
    args: Raw = msgspec.field(default_factory=lambda: Raw(b"{}"))
    run_at: Instant | None = None
    delay: Duration | None = None
    timezone: str | None = None
    cron: str | None = None
    seconds: bool = False
    every: Duration | None = None
    queue: QueueName | None = None
    key: Annotated[str, Meta(min_length=1, max_length=KEY_LIMIT)] | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] = PRIORITY_DEFAULT
    cost: Annotated[float, Meta(gt=0, le=1_000_000)] = 1
    max_attempts: Annotated[int, Meta(ge=1, le=ATTEMPTS_LIMIT)] = ATTEMPTS_DEFAULT
    backoff: BackoffBody | None = None
    timeout: Duration | None = None
    misfire: Misfire | None = None
    misfire_window: Duration | None = None
    start_at: Instant | None = None
    end_at: Instant | None = None
    max_runs: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None

    @property
    def is_schedule(self) -> bool:
        """Whether this asks for a schedule rather than a job."""
        return self.cron is not None or self.every is not None


class ListQuery(Body):
    """`GET /job?…`."""

    queue: QueueName | None = None
    state: State | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=1024)] | None = None


def spec_of(body: NewJobBody, worker: Worker) -> Spec:
    """What is to be run. The worker's own defaults stand in for what the body leaves out."""
    args = bytes(body.args)
    if len(args) > ARGS_LIMIT_BYTES:
        detail = f"args: {len(args)} bytes are more than {ARGS_LIMIT_BYTES}; store them elsewhere and send the place."
        raise TooLarge("payload_too_large", detail, limitBytes=ARGS_LIMIT_BYTES)
    timeout_ms = worker.timeout_ms or TIMEOUT_DEFAULT_MS
    if body.timeout is not None:
        timeout_ms = parse_duration(body.timeout, "timeout", least_ms=TIMEOUT_LEAST_MS, most_ms=TIMEOUT_MOST_MS)
    return Spec(
        worker=body.worker,
        args=Raw(args),
        queue=body.queue or worker.queue or QUEUE_DEFAULT,
        key=None if body.key is None else check_key(body.key),
        priority=body.priority,
        cost=body.cost,
        max_attempts=body.max_attempts,
        backoff=_backoff(body.backoff) if body.backoff else Backoff(),
        timeout_ms=timeout_ms,
    )


def check_key(key: str) -> str:
    """A key as it came. Raises `Invalid`."""
    if not 0 < len(key) <= KEY_LIMIT or not key.isprintable():
        raise Invalid("key", f"is not printable text of 1 to {KEY_LIMIT} characters, such as a shop's domain")
    return key


def _backoff(body: BackoffBody) -> Backoff:
    return Backoff(
        type=body.type,
        base_ms=parse_duration(body.base, "backoff.base", most_ms=86_400_000),
        factor=body.factor,
        max_ms=parse_duration(body.max, "backoff.max", most_ms=86_400_000),
        jitter=body.jitter,
    )


def start_of(body: NewJobBody) -> tuple[int, int]:
    """When a job is to run: an instant in Unix ms, and a delay in ms; 0 and 0 is now."""
    for name in ("misfire", "misfire_window", "start_at", "end_at", "max_runs"):
        if getattr(body, name) is not None:
            raise Invalid(camel(name), "is for schedules; give it with cron or every")
    if body.seconds:
        raise Invalid("seconds", "is for cron")
    if body.run_at is not None and body.delay is not None:
        raise Invalid("delay", "cannot stand beside runAt; give one of them")
    if body.timezone is not None:
        parse_timezone(body.timezone, "timezone")
    if body.run_at is not None:
        return parse_instant(body.run_at, "runAt", body.timezone), 0
    return 0, 0 if body.delay is None else parse_duration(body.delay, "delay")
