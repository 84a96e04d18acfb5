"""Request bodies: JSON to values of the domain, every wrong field named.

A field that we do not know is refused, with the nearest one we do: a misspelt option that is silently ignored shows
itself much later, and elsewhere.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from coordinator.calling.caller import RESERVED_HEADERS
from coordinator.domain.cron import parse_cron
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.job import QUEUE_DEFAULT, TIMEOUT_DEFAULT_MS, Spec, State
from coordinator.domain.queue import FinalState, QueueSettings, Rate, Retention
from coordinator.domain.recurrence import EVERY_LEAST_MS, Rule
from coordinator.domain.retry import ATTEMPTS_DEFAULT, ATTEMPTS_LIMIT, Backoff
from coordinator.domain.schedule import Misfire, Schedule
from coordinator.domain.worker import Ack, Worker, url_problem
from coordinator.errors import BadRequest, Invalid, TooLarge

ARGS_LIMIT_BYTES = 256 * 1024
BODY_LIMIT_BYTES = ARGS_LIMIT_BYTES + 64 * 1024
"""The args and all that may stand beside them."""

NESTING_LIMIT = 256
"""Lists and objects inside one another. A JSON reader's own limit depends on the stack that it is called on: what one
place had just accepted, another could not read, nor any job on the same page."""

TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS = 1000, 86_400_000
RATE_PERIOD_MOST_MS = 86_400_000

# In Python `$` also matches before a last line feed; in JSON Schema it does not.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$(?!\n)"
QUEUE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$(?!\n)"
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,8192}", re.ASCII)
HIDDEN = "[hidden]"
"""Stands in an answer for a header's value, which may be a secret."""

WorkerName = Annotated[str, Meta(pattern=NAME)]
QueueName = Annotated[str, Meta(pattern=QUEUE_NAME)]
Duration = int | float | str
Instant = int | float | str

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|([\[{]|[\]}])', re.DOTALL)
_AT = re.compile(r"^(?P<message>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)

Body = TypeVar("Body", bound=Struct)


class _Body(Struct, forbid_unknown_fields=True, rename="camel"):
    """What all bodies have in common."""


class BackoffBody(_Body):
    type: Literal["exponential", "linear", "fixed", "polynomial"] = "exponential"
    base: Duration = 15_000
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max: Duration = 3_600_000
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1


class NewJobBody(_Body):
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


class ListQuery(_Body):
    """`GET /job?…`."""

    queue: QueueName | None = None
    state: State | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=1024)] | None = None


class RateBody(_Body):
    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    period: Duration = 1000
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class RetentionBody(_Body):
    age: Duration
    count: Annotated[int, Meta(ge=0, le=10_000_000)]


class QueueBody(_Body):
    """`PUT /queue/:name`. What is left out has its default, but a pause stays as it is."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    rate: RateBody | None = None
    paused: bool | None = None
    retention: dict[FinalState, RetentionBody] = {}


class WorkerBody(_Body):
    """`PUT /worker/:name`."""

    url: Annotated[str, Meta(max_length=2048)]
    ack: Ack = "receipt"
    headers: Annotated[dict[str, str], Meta(max_length=32)] = {}
    timeout: Duration | None = None
    queue: QueueName | None = None


def decode(raw: bytes, shape: type[Body]) -> Body:
    """The body as `shape`. Raises `BadRequest` if it is no JSON, `Invalid` if a field is wrong."""
    try:
        # Raw fields are skipped over, not read: bad UTF-8 would be found by the function that is sent it.
        raw.decode()
        body = msgspec.json.decode(raw, type=shape)
        check_nesting(raw)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), shape) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("invalid_json", f"The body is not JSON that can be read: {error}.") from None
    return body


def check_nesting(raw: bytes) -> None:
    """Refuse a body that is nested too deep. Only for what is known to be JSON. Raises `BadRequest`."""
    if raw.count(b"[") + raw.count(b"{") <= NESTING_LIMIT:
        return
    depth = 0
    for bracket in _NESTING.findall(raw):
        if bracket:
            depth += 1 if bracket in b"[{" else -1
        if depth > NESTING_LIMIT:
            raise BadRequest("invalid_json", f"The body is nested deeper than {NESTING_LIMIT} lists and objects.")


def decode_query(given: Mapping[str, str], shape: type[Body]) -> Body:
    """The query parameters as `shape`. Raises `Invalid`."""
    try:
        return msgspec.convert(dict(given), shape, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), shape) from None


def _invalid(message: str, shape: type[Struct]) -> Invalid:
    found = _AT.match(message)
    text, path = (found["message"], found["path"] or "") if found else (message, "")
    if unknown := _UNKNOWN.match(text):
        near = difflib.get_close_matches(unknown["field"], _fields_at(shape, path), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return Invalid(_joined(path, unknown["field"]), f"is not a field{hint}")
    if missing := _MISSING.match(text):
        return Invalid(_joined(path, missing["field"]), "is required")
    if "matching regex" in text:
        names = "up to 128 letters, digits and _ . : - (and / in a worker's), a letter or digit first"
        return Invalid(path, f"is not a name: {names}")
    return Invalid(path or "body", text[:1].lower() + text[1:])


def _fields_at(shape: type[Struct], path: str) -> tuple[str, ...]:
    """The fields that the object at this path may have, by the names that callers use."""
    for name in filter(None, path.split(".")):
        hints = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
        inner = [hint for hint in get_args(hints.get(name.partition("[")[0])) if isinstance(hint, type)]
        shape = next((hint for hint in inner if issubclass(hint, Struct)), _Body)
    return shape.__struct_encode_fields__


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


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
        max_attempts=body.max_attempts,
        backoff=_backoff(body.backoff) if body.backoff else Backoff(),
        timeout_ms=timeout_ms,
    )


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
            raise Invalid(_camel(name), "is for schedules; give it with cron or every")
    if body.seconds:
        raise Invalid("seconds", "is for cron")
    if body.run_at is not None and body.delay is not None:
        raise Invalid("delay", "cannot stand beside runAt; give one of them")
    if body.timezone is not None:
        parse_timezone(body.timezone, "timezone")
    if body.run_at is not None:
        return parse_instant(body.run_at, "runAt", body.timezone), 0
    return 0, 0 if body.delay is None else parse_duration(body.delay, "delay")


def schedule_of(body: NewJobBody, spec: Spec) -> Schedule:
    """The schedule that the body asks for."""
    if body.cron is not None and body.every is not None:
        raise Invalid("every", "cannot stand beside cron; give one of them")
    if body.delay is not None:
        raise Invalid("delay", "is for single jobs; give startAt or runAt as the first instant of a schedule")
    if body.run_at is not None and body.start_at is not None:
        raise Invalid("startAt", "cannot stand beside runAt, which means the same for a schedule; give one of them")
    if body.seconds and body.cron is None:
        raise Invalid("seconds", "is for cron")
    cron, timezone = None, body.timezone or "UTC"
    if body.cron is not None:
        cron, timezone = parse_cron(body.cron, body.timezone, "cron", seconds=body.seconds)
    else:
        parse_timezone(timezone, "timezone")
    name, start = ("startAt", body.start_at) if body.run_at is None else ("runAt", body.run_at)
    rule = Rule(
        cron=cron,
        every_ms=None if body.every is None else parse_duration(body.every, "every", least_ms=EVERY_LEAST_MS),
        timezone=timezone,
        start_at=None if start is None else parse_instant(start, name, timezone),
        end_at=None if body.end_at is None else parse_instant(body.end_at, "endAt", timezone),
    )
    window = body.misfire_window
    return Schedule(
        rule=rule,
        spec=spec,
        misfire=body.misfire or "one",
        misfire_window_ms=None if window is None else parse_duration(window, "misfireWindow", least_ms=1000),
        max_runs=body.max_runs,
    )


def queue_settings_of(body: QueueBody) -> QueueSettings:
    """The settings that the body asks for."""
    rate = None
    if body.rate:
        period_ms = parse_duration(body.rate.period, "rate.period", least_ms=1, most_ms=RATE_PERIOD_MOST_MS)
        rate = Rate(body.rate.limit, period_ms, body.rate.burst or body.rate.limit)
    return QueueSettings(
        concurrency=body.concurrency,
        rate=rate,
        paused=body.paused,
        retention={
            state: Retention(parse_duration(keep.age, f"retention.{state}.age"), keep.count)
            for state, keep in body.retention.items()
        },
    )


def worker_of(body: WorkerBody) -> Worker:
    """The worker that the body asks for."""
    if problem := url_problem(body.url):
        raise Invalid("url", problem)
    for name, value in body.headers.items():
        _check_header(name, value)
    timeout = body.timeout
    return Worker(
        url=body.url,
        ack=body.ack,
        headers=body.headers,
        timeout_ms=None
        if timeout is None
        else parse_duration(timeout, "timeout", least_ms=TIMEOUT_LEAST_MS, most_ms=TIMEOUT_MOST_MS),
        queue=body.queue,
    )


def _check_header(name: str, value: str) -> None:
    """The caller checks these too, but there the error would be every job's."""
    path = f"headers.{name[:64]}"
    if not HEADER_NAME.fullmatch(name):
        raise Invalid(path, "cannot be the name of a header: letters, digits and - _ . ! # $ % & ' * + ^ ` | ~")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
        raise Invalid(path, "is set by the coordinator or by the connection; leave it out")
    if value == HIDDEN:
        raise Invalid(path, f"is {HIDDEN}, which stands for a value that is not shown; give the value")
    if not HEADER_VALUE.fullmatch(value):
        raise Invalid(path, "has a value that cannot be sent: one line of printable ASCII, at most 8192 characters")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
