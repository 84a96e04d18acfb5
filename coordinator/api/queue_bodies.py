"""What is asked for with `PUT /queue/:name`."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from coordinator.api.job_bodies import BackoffBody, backoff_of, timeout_of
from coordinator.api.reading import Body, Duration
from coordinator.domain.durations import parse_duration
from coordinator.domain.queue import (
    CIRCUIT_DEFAULT,
    MAX_WAITING_DEFAULT,
    PRESETS,
    Circuit,
    FinalState,
    KeyLimits,
    QueueDefaults,
    QueueSettings,
    Rate,
    Retention,
)
from coordinator.domain.retry import ATTEMPTS_LIMIT
from coordinator.errors import Invalid, joined

RATE_PERIOD_MOST_MS = 86_400_000


MAX_WAITING_MOST = 100_000_000
"""More than any Redis holds: a job that waits takes 670 bytes."""


class RateBody(Body):
    limit: Annotated[float, Meta(gt=0, le=1_000_000)]
    period: Duration = 1000
    burst: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None


class KeyLimitsBody(Body):
    concurrency: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    rate: RateBody | None = None


class RetentionBody(Body):
    age: Duration
    count: Annotated[int, Meta(ge=0, le=10_000_000)]


class CircuitBody(Body):
    failures: Annotated[int, Meta(ge=1, le=1_000_000)] = CIRCUIT_DEFAULT.failures
    open: Duration = CIRCUIT_DEFAULT.open_ms


class DefaultsBody(Body):
    """What a job has that names none itself."""

    max_attempts: Annotated[int, Meta(ge=1, le=ATTEMPTS_LIMIT)] | None = None
    timeout: Duration | None = None
    backoff: BackoffBody | None = None


class QueueBody(Body):
    """`PUT /queue/:name`. What is left out has its default, but a pause stays as it is."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    rate: RateBody | None = None
    per_key: KeyLimitsBody | None = None
    preset: str | None = None
    max_waiting: Annotated[int, Meta(ge=1, le=MAX_WAITING_MOST)] = MAX_WAITING_DEFAULT
    paused: bool | None = None
    circuit: CircuitBody | UnsetType | None = UNSET
    defaults: DefaultsBody | None = None
    retention: dict[FinalState, RetentionBody] = msgspec.field(default_factory=dict)


def queue_settings_of(body: QueueBody) -> QueueSettings:
    """The settings that the body asks for."""
    return QueueSettings(
        concurrency=body.concurrency,
        rate=_rate(body.rate, "rate"),
        per_key=_key_limits(body),
        max_waiting=body.max_waiting,
        circuit=_circuit(body.circuit),
        defaults=_defaults(body.defaults or DefaultsBody()),
        paused=body.paused,
        retention={
            state: Retention(parse_duration(keep.age, f"retention.{state}.age"), keep.count)
            for state, keep in body.retention.items()
        },
    )


def _defaults(body: DefaultsBody) -> QueueDefaults:
    return QueueDefaults(
        max_attempts=body.max_attempts,
        timeout_ms=None if body.timeout is None else timeout_of(body.timeout, "defaults.timeout"),
        backoff=None if body.backoff is None else backoff_of(body.backoff, "defaults.backoff"),
    )


def _key_limits(body: QueueBody) -> KeyLimits:
    """What the preset says, overruled by what stands beside it."""
    if body.preset is not None and body.preset not in PRESETS:
        raise Invalid("preset", f"is not known; use {joined(tuple(PRESETS))}")
    preset = PRESETS[body.preset] if body.preset else KeyLimits()
    given = body.per_key or KeyLimitsBody()
    return KeyLimits(
        concurrency=given.concurrency or preset.concurrency, rate=_rate(given.rate, "perKey.rate") or preset.rate
    )


def _rate(body: RateBody | None, path: str) -> Rate | None:
    if body is None:
        return None
    period_ms = parse_duration(body.period, f"{path}.period", least_ms=1, most_ms=RATE_PERIOD_MOST_MS)
    burst = body.limit if body.burst is None else body.burst
    if burst < 1:
        raise Invalid(f"{path}.burst", "is below 1, the cost of a plain job (it is limit if left out); give 1 or more")
    return Rate(body.limit, period_ms, burst)


def _circuit(body: CircuitBody | UnsetType | None) -> Circuit | None:
    if body is UNSET:
        return CIRCUIT_DEFAULT
    if not isinstance(body, CircuitBody):
        return None
    return Circuit(body.failures, parse_duration(body.open, "circuit.open", least_ms=1000, most_ms=RATE_PERIOD_MOST_MS))
