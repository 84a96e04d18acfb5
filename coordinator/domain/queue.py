"""A queue: a named line of jobs with limits of its own."""

from typing import Literal

import msgspec

from coordinator.domain.retry import Backoff

FinalState = Literal["succeeded", "dead", "cancelled"]

DAY_MS = 86_400_000


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: in every window of t ms at most `burst + t * limit / period_ms` attempts of cost 1 start."""

    limit: float
    period_ms: int
    burst: float


class KeyLimits(msgspec.Struct, frozen=True):
    """The limits of each key of a queue. None is no limit."""

    concurrency: int | None = None
    rate: Rate | None = None


class Circuit(msgspec.Struct, frozen=True):
    """After so many failures of a worker in a row its jobs wait; after `open_ms` one of them is tried."""

    failures: int = 20
    open_ms: int = 30_000


CIRCUIT_DEFAULT = Circuit()

PRESETS = {
    # https://shopify.dev/docs/api/usage/limits: a leaky bucket of 40 calls per shop, which leaks 2 a second.
    "shopify-rest": KeyLimits(rate=Rate(2, 1000, 40)),
    # Points per shop. A shop that has less says so with its first answer (`limits` of a receipt), and that counts.
    "shopify-graphql": KeyLimits(rate=Rate(100, 1000, 2000)),
}


class Retention(msgspec.Struct, frozen=True):
    """Finished jobs are kept up to this age and this number, whichever is reached first."""

    age_ms: int
    count: int


RETENTION_DEFAULTS: dict[FinalState, Retention] = {
    "succeeded": Retention(DAY_MS, 10_000),
    "dead": Retention(30 * DAY_MS, 10_000),
    "cancelled": Retention(DAY_MS, 1_000),
}


MAX_WAITING_DEFAULT = 1_000_000
"""Jobs that wait in a queue at the most: who adds more without end fills Redis, and then all queues stand still."""


class QueueDefaults(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a job of the queue has that names none itself, nor does its worker; None is the default of all queues."""

    max_attempts: int | None = None
    timeout_ms: int | None = None
    backoff: Backoff | None = None


NO_DEFAULTS = QueueDefaults()


class QueueSettings(msgspec.Struct, frozen=True):
    """None means no limit, and no queue is without `max_waiting`; a state without retention of its own has the default.

    `paused` as None leaves a queue as it is, paused or not; so does `owner`, which says with which declaration it came.
    """

    concurrency: int | None = None
    rate: Rate | None = None
    per_key: KeyLimits = KeyLimits()
    max_waiting: int = MAX_WAITING_DEFAULT
    circuit: Circuit | None = CIRCUIT_DEFAULT
    defaults: QueueDefaults = NO_DEFAULTS
    paused: bool | None = None
    owner: str | None = None
    retention: dict[FinalState, Retention] = {}


class KeyView(msgspec.Struct, frozen=True):
    """A key of a queue as it is now. `tokens`, `burst` and `refill_per_second` are None where it has no rate."""

    key: str
    tokens: float | None
    burst: float | None
    refill_per_second: float | None
    running: int
    waiting: int
    paused: bool
    blocked_until: int | None


class CircuitView(msgspec.Struct, frozen=True):
    """A worker of a queue that fails: how often in a row, and when it is tried again if its jobs wait."""

    worker: str
    failures: int
    open_until: int | None


class QueueTally(msgspec.Struct, frozen=True):
    """How many jobs of a queue are in which state. `oldest_due_at` is the run-at of its oldest due job."""

    name: str
    counts: dict[str, int]
    paused: bool
    oldest_due_at: int | None


class QueueView(msgspec.Struct, frozen=True):
    """A queue as it was at the instant `now`. `oldest_due_at` is the run-at of its oldest due job.

    `blocked_until` is when jobs without a key go on that one of them was refused for.
    """

    name: str
    settings: QueueSettings
    counts: dict[str, int]
    oldest_due_at: int | None
    circuits: list[CircuitView]
    blocked_until: int | None
    now: int
