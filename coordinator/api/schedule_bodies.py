"""What is asked for with `cron` or `every`: a body to a schedule, and a schedule back to the body that asks for it."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from coordinator.api.job_bodies import NewJobBody
from coordinator.api.reading import Body, camels, check_name, decode
from coordinator.api.rule_bodies import rule_fields, rule_of
from coordinator.domain.durations import parse_duration
from coordinator.domain.job import Spec
from coordinator.domain.retry import Backoff
from coordinator.domain.schedule import Schedule
from coordinator.errors import Invalid


class DeleteQuery(Body):
    """`DELETE /schedule/:id?runs=cancel`."""

    runs: Literal["keep", "cancel"] = "keep"


PatchBody = msgspec.defstruct(
    "PatchBody",
    [(field.name, Raw | UnsetType, UNSET) for field in msgspec.structs.fields(NewJobBody)],
    bases=(Body,),
    module=__name__,
)
"""`PATCH /schedule/:id`: any of the fields of `POST /job`. They are read when they stand among the others."""

_NULL = b"null"

_INSTEAD = {
    "cron": {"every"},
    "every": {"cron", "seconds", "dst"},
    "run_at": {"start_at"},
    "retry": {"backoff", "max_attempts"},
    "backoff": {"retry"},
}
"""What a new field stands instead of."""


def checked_name(name: str) -> str:
    """The name as it came. Raises `Invalid`."""
    return check_name(name, "the name of a schedule")


def schedule_of(body: NewJobBody, spec: Spec) -> Schedule:
    """The schedule that the body asks for."""
    for name, given, instead in (
        ("delay", body.delay, "startAt or runAt is the first instant of a schedule"),
        ("unique", body.unique, "overlap says what runs that still live mean for the next"),
        ("batchId", body.batch_id, "its runs have no end to be waited for"),
    ):
        if given is not None:
            raise Invalid(name, f"is for single jobs; {instead}")
    window = body.misfire_window
    return Schedule(
        rule=rule_of(body),
        spec=spec,
        overlap=body.overlap or "skip",
        misfire=body.misfire or "one",
        misfire_window_ms=None if window is None else parse_duration(window, "misfireWindow", least_ms=1000),
        max_runs=body.max_runs,
    )


def patched_body(schedule: Schedule, patch: bytes) -> NewJobBody:
    """The body of a schedule, changed by another: what that leaves out stays, what is null there gets its default.

    Raises `BadRequest`, `Invalid`.
    """
    asked = decode(patch, PatchBody)
    given = msgspec.structs.asdict(asked)
    changes = {name: bytes(value) for name, value in given.items() if value is not UNSET}
    fields = _body_of(schedule)
    for name, replaced in _INSTEAD.items():
        if changes.get(name, _NULL) != _NULL:
            fields = {other: value for other, value in fields.items() if other not in replaced}
    fields |= {name: None if value == _NULL and name != "args" else Raw(value) for name, value in changes.items()}
    kept = {name: value for name, value in fields.items() if value is not None}
    return decode(msgspec.json.encode(camels(kept)), NewJobBody)


def _body_of(schedule: Schedule) -> dict[str, Any]:
    """The body that asks for this schedule, by our own names."""
    spec = schedule.spec
    fields: dict[str, Any] = rule_fields(schedule.rule) | {
        "worker": spec.worker,
        "args": spec.args,
        "queue": spec.queue,
        "key": spec.key,
        "priority": spec.priority,
        "cost": spec.cost,
        "max_attempts": spec.max_attempts,
        "backoff": _backoff_body(spec.backoff),
        "max_retry_duration": spec.max_retry_ms,
        "timeout": spec.timeout_ms,
        "heartbeat_timeout": spec.heartbeat_ms,
        "expires_in": spec.expires_ms,
        "tags": spec.tags,
        "meta": spec.meta,
        "on_success": _callback_body(spec.on_success),
        "on_failure": _callback_body(spec.on_failure),
        "overlap": schedule.overlap,
        "misfire": schedule.misfire,
        "misfire_window": schedule.misfire_window_ms,
        "max_runs": schedule.max_runs,
    }
    if spec.retry is not None:
        fields |= {"retry": spec.retry, "backoff": None}
    return fields


def _backoff_body(backoff: Backoff) -> dict[str, Any]:
    return {
        "type": backoff.type,
        "base": backoff.base_ms,
        "factor": backoff.factor,
        "max": backoff.max_ms,
        "jitter": backoff.jitter,
    }


def _callback_body(spec: Spec | None) -> dict[str, Any] | None:
    return None if spec is None else {"worker": spec.worker, "args": spec.args, "queue": spec.queue}
