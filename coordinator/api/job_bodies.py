"""What is asked for with `POST /job` and `GET /job`: bodies to values of the domain."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from coordinator.api.reading import (
    ARGS_LIMIT_BYTES,
    Body,
    Duration,
    Instant,
    QueueName,
    Tag,
    WorkerName,
    camel,
)
from coordinator.api.rule_bodies import RuleBody
from coordinator.domain.durability import Durability
from coordinator.domain.durations import DURATION_MAX_MS, parse_duration
from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.job import NO_META, PRIORITY_DEFAULT, QUEUE_DEFAULT, TIMEOUT_DEFAULT_MS, Spec, State
from coordinator.domain.queue import QueueDefaults
from coordinator.domain.retry import ATTEMPTS_DEFAULT, ATTEMPTS_LIMIT, Backoff
from coordinator.domain.schedule import Misfire, Overlap
from coordinator.domain.selection import Selection
from coordinator.domain.unique import OnConflict, States, Unique, digest, handle_of
from coordinator.domain.worker import Worker
from coordinator.errors import Invalid, TooLarge, joined

KEY_LIMIT = 256
IDEMPOTENCY_KEY_LIMIT = 255
TIMETABLE_MOST_MS = 30 * 86_400_000
META_LIMIT_BYTES = 8 * 1024

UniqueHandle = Annotated[str, Meta(min_length=1, max_length=256)]

TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS = 1000, 86_400_000


class BackoffBody(Body):
    type: Literal["exponential", "linear", "fixed", "polynomial"] = "exponential"
    base: Duration = 15_000
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max: Duration = 3_600_000
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1


class UniqueBody(Body):
    by: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(min_length=1, max_length=16)]
    states: States = "incomplete"
    period: Duration | None = None
    on_conflict: OnConflict = "keep"


class CallbackBody(Body):
    """What is called when a job, or a batch, has ended."""

    worker: WorkerName
    args: Raw = msgspec.field(default_factory=lambda: Raw(b"{}"))
    queue: QueueName | None = None


class NewJobBody(RuleBody, kw_only=True):
    """`POST /job`; with a rule it is a schedule."""

    worker: WorkerName
    # A factory, because a raw default cannot be told in a JSON Schema.
    args: Raw = msgspec.field(default_factory=lambda: Raw(b"{}"))
    delay: Duration | None = None
    queue: QueueName | None = None
    key: Annotated[str, Meta(min_length=1, max_length=KEY_LIMIT)] | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] = PRIORITY_DEFAULT
    cost: Annotated[float, Meta(gt=0, le=1_000_000)] = 1
    max_attempts: Annotated[int, Meta(ge=1, le=ATTEMPTS_LIMIT)] | None = None
    backoff: BackoffBody | None = None
    retry: Annotated[list[Duration], Meta(min_length=1, max_length=ATTEMPTS_LIMIT - 1)] | None = None
    max_retry_duration: Duration | None = None
    timeout: Duration | None = None
    heartbeat_timeout: Duration | None = None
    expires_in: Duration | None = None
    unique: UniqueHandle | UniqueBody | None = None
    tags: Annotated[list[Tag], Meta(max_length=20)] = msgspec.field(default_factory=list)
    meta: Raw | UnsetType = UNSET
    on_success: CallbackBody | None = None
    on_failure: CallbackBody | None = None
    batch_id: Annotated[str, Meta(max_length=64)] | None = None
    overlap: Overlap | None = None
    misfire: Misfire | None = None
    misfire_window: Duration | None = None
    max_runs: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None


class EditBody(Body):
    """`PATCH /job/:id`. What is left out stays."""

    elsewhere = dict.fromkeys(NewJobBody.__struct_encode_fields__, "cannot be changed; cancel the job and make another")

    args: Raw | UnsetType = UNSET
    run_at: Instant | None = None
    delay: Duration | None = None
    timezone: str | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] | UnsetType = UNSET
    key: Annotated[str, Meta(min_length=1, max_length=KEY_LIMIT)] | UnsetType | None = UNSET
    max_attempts: Annotated[int, Meta(ge=1, le=ATTEMPTS_LIMIT)] | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=20)] | UnsetType = UNSET
    meta: Raw | UnsetType = UNSET


class RetryBody(Body):
    """`POST /job/:id/retry`, which needs none. Without `args` they stay."""

    elsewhere = dict.fromkeys(NewJobBody.__struct_encode_fields__, "cannot be changed here; only args can")

    args: Raw | UnsetType = UNSET


class ForceQuery(Body):
    """`?force=true`."""

    force: bool = False


class DryRunQuery(Body):
    """`?dryRun=true`: nothing is stored."""

    dry_run: bool = False


class DurabilityQuery(Body):
    """`?durability=replicated`: when the change counts as made, if not as `COORDINATOR_DURABILITY` says."""

    durability: Durability | None = None


class EnqueueQuery(DryRunQuery):
    """Of `POST /job`."""

    durability: Durability | None = None


class FilterBody(Body):
    """Which jobs are meant."""

    queue: QueueName | None = None
    state: State | None = None
    worker: WorkerName | None = None
    key: Annotated[str, Meta(min_length=1, max_length=KEY_LIMIT)] | None = None
    tag: Tag | None = None
    schedule_id: Annotated[str, Meta(max_length=128)] | None = None
    batch_id: Annotated[str, Meta(max_length=128)] | None = None
    created_after: Instant | None = None
    finished_before: Instant | None = None
    error: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class ListQuery(FilterBody):
    """`GET /job?…`."""

    unique: UniqueHandle | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=1024)] | None = None


def selection_of(body: FilterBody) -> Selection:
    """The jobs that the filter asks for."""
    return Selection(
        queue=body.queue,
        state=body.state,
        worker=body.worker,
        key=body.key,
        tag=body.tag,
        schedule_id=body.schedule_id,
        batch_id=body.batch_id,
        created_after=_bound(body.created_after, "createdAfter"),
        finished_before=_bound(body.finished_before, "finishedBefore"),
        error=body.error,
    )


def _bound(value: Instant | None, path: str) -> int | None:
    try:
        return None if value is None else parse_instant(value, path)
    except Invalid as wrong:
        # It is no job's time to run.
        raise Invalid(path, wrong.message) from None


def queue_of(body: NewJobBody, worker: Worker) -> str:
    """The queue that the body asks for, or the worker's."""
    return body.queue or worker.queue or QUEUE_DEFAULT


def spec_of(body: NewJobBody, worker: Worker, defaults: QueueDefaults) -> Spec:
    """What is to be run. The worker's own defaults stand in for what the body leaves out, then the queue's."""
    timeout_ms = worker.timeout_ms or defaults.timeout_ms or TIMEOUT_DEFAULT_MS
    if body.timeout is not None:
        timeout_ms = timeout_of(body.timeout, "timeout")
    return Spec(
        worker=body.worker,
        args=args_of(body.args),
        queue=queue_of(body, worker),
        key=None if body.key is None else check_key(body.key),
        priority=body.priority,
        cost=body.cost,
        max_attempts=_attempts(body, defaults),
        backoff=backoff_of(body.backoff, "backoff") if body.backoff else defaults.backoff or Backoff(),
        retry=_timetable(body.retry),
        max_retry_ms=_optional(body.max_retry_duration, "maxRetryDuration", least_ms=1000),
        timeout_ms=timeout_ms,
        heartbeat_ms=_optional(body.heartbeat_timeout, "heartbeatTimeout", least_ms=1000, most_ms=TIMEOUT_MOST_MS),
        expires_ms=_optional(body.expires_in, "expiresIn", least_ms=1),
        unique=_unique(body),
        tags=tuple(dict.fromkeys(body.tags)),
        meta=_meta(body.meta),
    )


def args_of(raw: Raw) -> Raw:
    """Args as they are kept. Raises `TooLarge` if they are too many bytes."""
    size = len(bytes(raw))
    if size > ARGS_LIMIT_BYTES:
        detail = f"args: {size} bytes are more than {ARGS_LIMIT_BYTES}; store them elsewhere and send the place."
        raise TooLarge("payload_too_large", detail, limitBytes=ARGS_LIMIT_BYTES)
    return Raw(bytes(raw))


def _optional(value: Duration | None, path: str, *, least_ms: int = 0, most_ms: int = DURATION_MAX_MS) -> int | None:
    return None if value is None else parse_duration(value, path, least_ms=least_ms, most_ms=most_ms)


def timeout_of(value: Duration, path: str) -> int:
    """How long an attempt may take, in ms. Raises `Invalid`."""
    return parse_duration(value, path, least_ms=TIMEOUT_LEAST_MS, most_ms=TIMEOUT_MOST_MS)


def _attempts(body: NewJobBody, defaults: QueueDefaults) -> int:
    if body.retry is None:
        return body.max_attempts or defaults.max_attempts or ATTEMPTS_DEFAULT
    if body.backoff is not None:
        raise Invalid("retry", "cannot stand beside backoff: it is the timetable itself; give one of them")
    if body.max_attempts not in (None, len(body.retry) + 1):
        raise Invalid("maxAttempts", f"is {len(body.retry) + 1} with this retry: one call, and one after each wait")
    return len(body.retry) + 1


def _timetable(retry: list[Duration] | None) -> tuple[int, ...] | None:
    if retry is None:
        return None
    return tuple(parse_duration(wait, f"retry[{at}]", most_ms=TIMETABLE_MOST_MS) for at, wait in enumerate(retry))


def _unique(body: NewJobBody) -> Unique | None:
    asked = body.unique
    if not isinstance(asked, UniqueBody):
        return None if asked is None else Unique(asked)
    for path in asked.by:
        if path.partition(".")[0] not in {"worker", "queue", "key", "args", "meta"}:
            choices = "worker, queue, key, or a path into args or meta such as args.orderId"
            raise Invalid("unique.by", f"{path!r} is none of these: {choices}")
    job = {"worker": body.worker, "queue": body.queue, "key": body.key, "args": msgspec.json.decode(body.args)}
    handle = handle_of(job | {"meta": msgspec.json.decode(_meta(body.meta))}, asked.by)
    if handle is None:
        raise Invalid("unique.by", f"names a field that this job has not: {joined(asked.by)}")
    period_ms = _optional(asked.period, "unique.period", least_ms=1000)
    return Unique(handle, asked.states, period_ms, asked.on_conflict)


def _meta(raw: Raw | UnsetType) -> Raw:
    if isinstance(raw, UnsetType) or bytes(raw) == b"null":
        return NO_META
    if len(bytes(raw)) > META_LIMIT_BYTES:
        detail = f"meta: {len(bytes(raw))} bytes are more than {META_LIMIT_BYTES}; put what the work needs into args."
        raise TooLarge("payload_too_large", detail, limitBytes=META_LIMIT_BYTES)
    if not bytes(raw).lstrip().startswith(b"{"):
        raise Invalid("meta", "is not an object")
    return Raw(bytes(raw))


def check_key(key: str) -> str:
    """A key as it came. Raises `Invalid`."""
    if not 0 < len(key) <= KEY_LIMIT or not key.isprintable():
        raise Invalid("key", f"is not printable text of 1 to {KEY_LIMIT} characters, such as a shop's domain")
    return key


def backoff_of(body: BackoffBody, path: str) -> Backoff:
    """How the waits grow. Raises `Invalid`."""
    return Backoff(
        type=body.type,
        base_ms=parse_duration(body.base, f"{path}.base", most_ms=86_400_000),
        factor=body.factor,
        max_ms=parse_duration(body.max, f"{path}.max", most_ms=86_400_000),
        jitter=body.jitter,
    )


def edited_spec(spec: Spec, body: EditBody) -> Spec:
    """The spec with what the body changes."""
    changes: dict[str, Any] = {}
    if not isinstance(body.args, UnsetType):
        changes["args"] = args_of(body.args)
    if not isinstance(body.key, UnsetType):
        changes["key"] = None if body.key is None else check_key(body.key)
    if not isinstance(body.tags, UnsetType):
        changes["tags"] = tuple(dict.fromkeys(body.tags))
    if not isinstance(body.meta, UnsetType):
        changes["meta"] = _meta(body.meta)
    for name in ("priority", "max_attempts"):
        if getattr(body, name) is not UNSET:
            changes[name] = getattr(body, name)
    return msgspec.structs.replace(spec, **changes)


def new_start_of(body: EditBody) -> tuple[int | None, int | None]:
    """The new instant or the new delay, None for what is not asked for."""
    if body.run_at is not None and body.delay is not None:
        raise Invalid("delay", "cannot stand beside runAt; give one of them")
    if body.run_at is not None:
        return parse_instant(body.run_at, "runAt", body.timezone), None
    return None, _optional(body.delay, "delay")


def request_of(idempotency_key: str | None, body: bytes) -> tuple[str, str] | None:
    """The caller's name for this request and the request itself, as digests; the order of its fields makes no other.

    Raises `Invalid`.
    """
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_LIMIT:
        raise Invalid("Idempotency-Key", f"has {len(idempotency_key)} characters; use 1 to {IDEMPOTENCY_KEY_LIMIT}")
    return digest(idempotency_key), digest(msgspec.json.encode(msgspec.json.decode(body), order="sorted").decode())


def start_of(body: NewJobBody) -> tuple[int, int]:
    """When a job is to run: an instant in Unix ms, and a delay in ms; 0 and 0 is now."""
    for name in ("overlap", "misfire", "misfire_window", "dst", "start_at", "end_at", "max_runs"):
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
