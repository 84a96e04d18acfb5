"""Jobs as the scripts are told of them, and as they tell of them: rows and views.

What a script has to know of a job's spec are its *traits*, fields of the job's hash that most jobs do not have; the
spec itself is JSON that no script looks into.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from coordinator.domain.job import PRIORITY_DEFAULT, UNREADABLE, Job, LogEntry, Reason, Spec, Tally, shown_state
from coordinator.domain.outcome import Limits
from coordinator.domain.settlement import Settlement
from coordinator.domain.unique import digest
from coordinator.store.scripts import or_empty
from coordinator.store.sealing import Sealer

log = logging.getLogger(__name__)

Value = str | bytes | int | float

_TALLY = (b"attempt", b"lost", b"snoozes", b"throttles", b"earlier")

_SEALED_ERROR = b'"~'

_spec_decoder = msgspec.json.Decoder(Spec)
_log_decoder = msgspec.json.Decoder(list[LogEntry])
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted: due at `run_at` (Unix ms), or `delay_ms` after the script's now, whichever is later.

    `idempotency` is the caller's key for the request, and what the request was, both as digests.
    """

    id: str
    spec: Spec
    run_at: int = 0
    delay_ms: int = 0
    idempotency: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt's end, to be applied. Without `attempt` or `nonce` the current attempt is meant.

    `lapsed` says that nobody but the clock ends the attempt: it is left alone if its lease was renewed meanwhile.
    """

    job_id: str
    settlement: Settlement
    attempt: int | None = None
    nonce: str = ""
    lapsed: bool = False


def enqueue_row(job: NewJob, sealer: Sealer) -> tuple[Value, ...]:
    """A job for `enqueue_jobs`."""
    timeout_ms, traits, spec = kept_of(job.spec, job.id, sealer)
    guards = " ".join(f"{name} {value}" for name, value in _guards(job))
    return job.id, lane_of(job.spec), job.run_at, job.delay_ms, timeout_ms, traits, guards, spec


def lane_of(spec: Spec) -> str:
    """The part of the queue that the job waits in."""
    return spec.queue if spec.key is None else f"{spec.queue}#{spec.key}"


def kept_of(spec: Spec, job_id: str, sealer: Sealer) -> tuple[int, str, bytes]:
    """What the scripts need to know of a spec, and the spec as it is kept; the args are the caller's own bytes."""
    traits = " ".join(f"{name} {value}" for name, value in _traits(spec))
    kept = spec if sealer.newest is None else sealer.seal_spec(spec, f"job {job_id}")
    return spec.timeout_ms, traits, _encoder.encode(kept)


def _traits(spec: Spec) -> Iterator[tuple[str, object]]:
    """The fields of a job's hash that most jobs do not have; no value holds a space."""
    if spec.priority != PRIORITY_DEFAULT:
        yield "priority", spec.priority
    if spec.cost != 1:
        yield "cost", f"{spec.cost:.9g}"
    if spec.heartbeat_ms is not None:
        yield "heartbeat_ms", spec.heartbeat_ms
    if spec.expires_ms is not None:
        yield "expires_ms", spec.expires_ms
    if spec.max_retry_ms is not None:
        yield "retry_ms", spec.max_retry_ms
    if spec.tags:
        yield "tags", ",".join(spec.tags)
    if spec.schedule_id is not None:
        yield "schedule", spec.schedule_id
    if spec.batch_id is not None:
        yield "batch", spec.batch_id
    if spec.batch_id is not None or spec.on_success is not None or spec.on_failure is not None:
        yield "notify", 1
    if spec.unique is not None:
        yield "unique", digest(spec.unique.handle)
        if spec.unique.states == "all" and spec.unique.period_ms is not None:
            yield "unique_ms", spec.unique.period_ms


def _guards(job: NewJob) -> Iterator[tuple[str, object]]:
    """What may speak against accepting a job."""
    if job.idempotency is not None:
        yield "idempotency", job.idempotency[0]
        yield "fingerprint", job.idempotency[1]
    unique = job.spec.unique
    if unique is not None:
        yield "unique_states", unique.states
        yield "on_conflict", unique.on_conflict
        if unique.period_ms is not None:
            yield "unique_ms", unique.period_ms


def read_spec(job_id: bytes, spec: bytes, sealer: Sealer) -> Spec:
    """A spec as it was asked for, `UNREADABLE` if this version cannot read it; its key may be missing."""
    try:
        found = _spec_decoder.decode(spec)
        return found if found.sealed is None else sealer.open_spec(found, f"job {job_id.decode()}")
    except msgspec.DecodeError as error:
        # One job that another version wrote must not keep the others of its batch from being read.
        told = {"job": job_id.decode(), "error": str(error)}
        log.warning("a job cannot be read", extra={"event": "job.unreadable", **told})
        return UNREADABLE


def settle_row(end: Ended, sealer: Sealer) -> tuple[Value, ...]:
    """An ending for `settle_jobs`. Errors of ours are objects in JSON, so one that is a text is sealed."""
    settlement, error = end.settlement, end.settlement.error
    if sealer.newest is not None and error:
        error = f'"{sealer.seal(error, f"job {end.job_id} error")}"'.encode()
    return (
        end.job_id,
        or_empty(end.attempt),
        end.nonce,
        "1" if end.lapsed else "",
        settlement.verb,
        settlement.outcome,
        settlement.delay_ms,
        settlement.reason,
        error,
        sealer.seal_json(settlement.result, f"job {end.job_id} result"),
        or_empty(settlement.http_status),
        "" if settlement.limits is None else _limits(settlement.limits),
    )


def _limits(limits: Limits) -> str:
    named = {
        "remaining": limits.remaining,
        "max": limits.maximum,
        "rate": limits.restore_rate,
        "cost": limits.cost,
    }
    return " ".join(f"{name} {value:.9g}" for name, value in named.items() if value is not None)


def read_view(view: list[Any], now: int, sealer: Sealer) -> Job:
    """A job as `job_view` of the scripts tells of it."""
    job_id, pairs, attempts, reasons = view
    owner = f"job {job_id.decode()}"
    field = dict(zip(pairs[::2], pairs[1::2], strict=True))
    tally = Tally(*(int(field.get(name, 0)) for name in _TALLY))
    run_at = int(field[b"run_at"])
    return Job(
        id=job_id.decode(),
        state=shown_state(field[b"state"].decode(), run_at, tally.attempt, now),
        spec=read_spec(job_id, field[b"spec"], sealer),
        tally=tally,
        nonce=_text(field.get(b"nonce")) or "",
        created_at=int(field[b"created_at"]),
        run_at=run_at,
        started_at=_instant(field.get(b"started_at")),
        deadline_at=_instant(field.get(b"deadline_at")),
        finished_at=_instant(field.get(b"finished_at")),
        reason=_text(field.get(b"reason")),
        outcome=_text(field.get(b"outcome")),
        answered=sealer.show_text(_text(field.get(b"answered")), f"{owner} answered"),
        result=msgspec.Raw(sealer.open_json(field[b"result"], f"{owner} result")) if b"result" in field else None,
        attempts=[_opened(entry, owner, sealer) for entry in _log_decoder.decode(attempts)],
        progress=float(field[b"progress"]) if b"progress" in field else None,
        message=sealer.show_text(_text(field.get(b"message")), f"{owner} message"),
        cancel_requested=b"cancel_requested" in field,
        edits=int(field.get(b"edits", 0)),
        waiting_for=[_reason(reason) for reason in reasons],
    )


def answered_text(job_id: str, answered: str, sealer: Sealer) -> str:
    """What came of a call, as it is kept: a note may quote the answer, a bare status is read by the scripts."""
    return answered if answered.isdigit() else sealer.seal_text(answered, f"job {job_id} answered")


def has_error(job: Job, text: str) -> bool:
    """Whether the last line of a job's log has this text in it, as the scripts would look for it."""
    return bool(job.attempts) and text.encode() in _encoder.encode(job.attempts[-1])


def _opened(entry: LogEntry, owner: str, sealer: Sealer) -> LogEntry:
    error = bytes(entry.error)
    if not error.startswith(_SEALED_ERROR):
        return entry
    return replace(entry, error=msgspec.Raw(sealer.open_json(error.strip(b'"'), f"{owner} error")))


def _reason(reply: list[Any]) -> Reason:
    kind, scope, until, number = reply
    return Reason(kind.decode(), scope.decode(), None if until < 0 else until, None if number < 0 else number)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _instant(value: bytes | None) -> int | None:
    return None if value is None else int(value)
