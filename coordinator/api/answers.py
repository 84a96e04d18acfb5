"""Answers: values of the domain as the JSON of the interface. Instants are ISO 8601 in UTC, nothing is left out."""

from typing import Annotated, Any, Literal, get_args

import msgspec
from litestar import Response

from coordinator.domain.batch import BatchView
from coordinator.domain.instants import format_instant
from coordinator.domain.job import FINAL_STATES, Job, LogEntry, Reason, Spec, State
from coordinator.domain.retry import Backoff
from coordinator.domain.schedule import Misfire, Overlap
from coordinator.errors import Refusal
from coordinator.store.schedules import StoredSchedule

_encoder = msgspec.json.Encoder()
_NULL = msgspec.Raw(b"null")

OUTCOMES = ("success", "failure", "timeout", "lost", "snoozed", "throttled", "cancelled", "stale")
JobState = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(get_args(State))})]

Outcome = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(OUTCOMES)})]


class _Answer(msgspec.Struct, rename="camel"):
    """What all answers have in common."""


class AttemptAnswer(_Answer):
    attempt: int
    started_at: str | None
    finished_at: str | None
    outcome: Outcome
    http_status: int | None
    duration_ms: int | None
    error: msgspec.Raw


class BackoffAnswer(_Answer):
    type: str
    base_ms: int
    factor: float
    max_ms: int
    jitter: float


class CallbackAnswer(_Answer):
    worker: str
    args: msgspec.Raw
    queue: str


class _AskedAnswer(_Answer, kw_only=True):
    """What was asked for, of a job and of the runs of a schedule. `backoff` is null where `retry` tells the waits."""

    timeout_ms: int
    heartbeat_timeout_ms: int | None
    expires_in_ms: int | None
    backoff: BackoffAnswer | None
    retry: list[int] | None
    max_retry_duration_ms: int | None
    on_success: CallbackAnswer | None
    on_failure: CallbackAnswer | None


class JobAnswer(_AskedAnswer):
    id: str
    kind: Literal["job"]
    worker: str
    args: msgspec.Raw
    queue: str
    key: str | None
    priority: int
    cost: float
    state: JobState
    reason: str | None
    attempt: int
    max_attempts: int
    snoozes: int
    throttles: int
    created_at: str | None
    run_at: str | None
    started_at: str | None
    deadline: str | None
    finished_at: str | None
    answered: str | None
    next_attempt_at: str | None
    scheduled_for: str | None
    schedule_id: str | None
    batch_id: str | None
    tags: list[str]
    meta: msgspec.Raw
    unique: str | None
    progress: float | None
    message: str | None
    cancel_requested: bool
    result: msgspec.Raw
    last_error: msgspec.Raw
    attempts: list[AttemptAnswer]
    waiting_for: list[dict[str, Any]]
    duplicate: bool | msgspec.UnsetType = msgspec.UNSET


class ScheduleAnswer(_AskedAnswer):
    id: str
    kind: Literal["schedule"]
    name: str | None
    owner: str | None
    state: Literal["active", "paused", "ended"]
    worker: str
    args: msgspec.Raw
    queue: str
    key: str | None
    priority: int
    cost: float
    tags: list[str]
    meta: msgspec.Raw
    cron: str | None
    every_ms: int | None
    timezone: str
    dst: dict[str, str]
    overlap: Overlap
    misfire: Misfire
    misfire_window_ms: int | None
    start_at: str | None
    end_at: str | None
    max_runs: int | None
    max_attempts: int
    created_at: str | None
    next_run_at: str | None
    last_run_at: str | None
    runs: int
    missed: int
    skipped: int
    held_run: str | None


class ReceiptAnswer(_Answer, omit_defaults=True):
    id: str
    state: JobState
    accepted: bool
    reason: str | None = None


class HeartbeatAnswer(_Answer):
    id: str
    state: JobState
    accepted: bool
    cancel_requested: bool
    deadline: str | None


class DryJobAnswer(_Answer):
    """`POST /job?dryRun=true`. The waits are in ms."""

    job: JobAnswer
    next_runs: list[str | None]
    retry_schedule: list[int]


class DryScheduleAnswer(_Answer):
    """The same of a schedule."""

    job: ScheduleAnswer
    next_runs: list[str | None]
    retry_schedule: list[int]


class ErasedAnswer(_Answer):
    """`DELETE`. `cancelled` is how many runs of a schedule were."""

    id: str
    erased: Literal[True]
    cancelled: int | msgspec.UnsetType = msgspec.UNSET


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A JSON answer; encoded here, because the framework would walk through it once more."""
    return Response(_encoder.encode(body), status_code=status, media_type="application/json", headers=headers)


def refused_item(refusal: Refusal) -> dict[str, Any]:
    """What is refused of a request that holds many things."""
    return {"status": refusal.status, "error": {"code": refusal.code, "detail": refusal.detail, **refusal.extra}}


def job_answer(job: Job) -> JobAnswer:
    """A job as people see it."""
    attempts = [_attempt_answer(entry) for entry in job.attempts]
    errors = [entry.error for entry in job.attempts if bytes(entry.error) != b"null" and entry.outcome != "stale"]
    is_waiting = job.state in {"queued", "scheduled", "retrying"}
    if not attempts and job.outcome == "success":
        attempts = [_only_attempt(job)]
    return JobAnswer(
        id=job.id,
        kind="job",
        worker=job.spec.worker,
        args=job.spec.args,
        queue=job.spec.queue,
        key=job.spec.key,
        priority=job.spec.priority,
        cost=job.spec.cost,
        state=job.state,
        reason=job.reason,
        attempt=job.tally.attempt,
        max_attempts=job.spec.max_attempts,
        snoozes=job.tally.snoozes,
        throttles=job.tally.throttles,
        created_at=format_instant(job.created_at),
        run_at=format_instant(job.run_at),
        started_at=format_instant(job.started_at),
        deadline=format_instant(job.deadline_at),
        finished_at=format_instant(job.finished_at),
        answered=job.answered,
        next_attempt_at=format_instant(job.run_at) if is_waiting else None,
        scheduled_for=format_instant(job.spec.scheduled_for),
        schedule_id=job.spec.schedule_id,
        batch_id=job.spec.batch_id,
        tags=list(job.spec.tags),
        meta=job.spec.meta,
        unique=job.spec.unique.handle if job.spec.unique else None,
        progress=job.progress,
        message=job.message,
        cancel_requested=job.cancel_requested,
        result=job.result or _NULL,
        last_error=errors[-1] if errors and job.state not in FINAL_STATES - {"dead"} else _NULL,
        attempts=attempts,
        waiting_for=[_reason_answer(reason, job) for reason in job.waiting_for],
        **_asked(job.spec),
    )


def backoff_answer(backoff: Backoff) -> BackoffAnswer:
    """How the waits grow, as people see it."""
    return BackoffAnswer(backoff.type, backoff.base_ms, backoff.factor, backoff.max_ms, backoff.jitter)


def _asked(spec: Spec) -> dict[str, Any]:
    return {
        "timeout_ms": spec.timeout_ms,
        "heartbeat_timeout_ms": spec.heartbeat_ms,
        "expires_in_ms": spec.expires_ms,
        "backoff": backoff_answer(spec.backoff) if spec.retry is None else None,
        "retry": None if spec.retry is None else list(spec.retry),
        "max_retry_duration_ms": spec.max_retry_ms,
        "on_success": _callback_answer(spec.on_success),
        "on_failure": _callback_answer(spec.on_failure),
    }


def _callback_answer(spec: Spec | None) -> CallbackAnswer | None:
    return None if spec is None else CallbackAnswer(spec.worker, spec.args, spec.queue)


def _reason_answer(reason: Reason, job: Job) -> dict[str, object]:
    """Why it waits, with the name of whatever holds it up."""
    named: dict[str, object] = {"type": reason.kind}
    match reason.scope:
        case "queue":
            named["queue"] = job.spec.queue
        case "key":
            named |= {"queue": job.spec.queue, "key": job.spec.key}
        case "worker":
            named["worker"] = job.spec.worker
    if reason.until is not None:
        named["until"] = format_instant(reason.until)
    if reason.number is not None:
        named["ahead" if reason.kind == "turn" else "limit"] = reason.number
    return named


def _attempt_answer(entry: LogEntry) -> AttemptAnswer:
    started = entry.started_at
    return AttemptAnswer(
        attempt=entry.attempt,
        started_at=format_instant(started),
        finished_at=format_instant(entry.finished_at),
        outcome=entry.outcome,
        http_status=entry.http_status,
        duration_ms=None if started is None else entry.finished_at - started,
        error=entry.error,
    )


def _only_attempt(job: Job) -> AttemptAnswer:
    """The one attempt of a job that succeeded at once; it is not logged, the job's own fields tell it."""
    started, finished = job.started_at, job.finished_at
    duration_ms = None if started is None or finished is None else finished - started
    return AttemptAnswer(1, format_instant(started), format_instant(finished), "success", None, duration_ms, _NULL)


def schedule_answer(stored: StoredSchedule) -> ScheduleAnswer:
    """A schedule as people see it."""
    rule, spec = stored.schedule.rule, stored.schedule.spec
    return ScheduleAnswer(
        id=stored.id,
        kind="schedule",
        name=stored.schedule.name,
        owner=stored.schedule.owner,
        state=stored.state,
        worker=spec.worker,
        args=spec.args,
        queue=spec.queue,
        key=spec.key,
        priority=spec.priority,
        cost=spec.cost,
        tags=list(spec.tags),
        meta=spec.meta,
        cron=rule.cron,
        every_ms=rule.every_ms,
        timezone=rule.timezone,
        dst={"gap": rule.dst_gap, "fold": rule.dst_fold},
        overlap=stored.schedule.overlap,
        misfire=stored.schedule.misfire,
        misfire_window_ms=stored.schedule.misfire_window_ms,
        start_at=format_instant(rule.start_at),
        end_at=format_instant(rule.end_at),
        max_runs=stored.schedule.max_runs,
        max_attempts=spec.max_attempts,
        created_at=format_instant(stored.created_at),
        next_run_at=format_instant(stored.next_at),
        last_run_at=format_instant(stored.last_at),
        runs=stored.runs,
        missed=stored.missed,
        skipped=stored.skipped,
        held_run=stored.held,
        **_asked(spec),
    )


def batch_answer(view: BatchView) -> dict[str, object]:
    """A batch as people see it."""
    ended = view.succeeded + view.dead + view.cancelled
    return {
        "id": view.id,
        "kind": "batch",
        "state": "open" if view.completed_at is None else "complete",
        "total": view.pending + ended,
        "pending": view.pending,
        "succeeded": view.succeeded,
        "dead": view.dead,
        "cancelled": view.cancelled,
        "refused": view.refused,
        "createdAt": format_instant(view.created_at),
        "completedAt": format_instant(view.completed_at),
    }
