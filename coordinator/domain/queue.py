"""A queue: a named line of jobs with limits of its own."""

from typing import Literal

import msgspec

FinalState = Literal["succeeded", "dead", "cancelled"]

DAY_MS = 86_400_000


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: in every window of t ms at most `burst + t * limit / period_ms` attempts start."""

    limit: int
    period_ms: int
    burst: int


class Retention(msgspec.Struct, frozen=True):
    """Finished jobs are kept up to this age and this number, whichever is reached first."""

    age_ms: int
    count: int


RETENTION_DEFAULTS: dict[FinalState, Retention] = {
    "succeeded": Retention(DAY_MS, 10_000),
    "dead": Retention(30 * DAY_MS, 10_000),
    "cancelled": Retention(DAY_MS, 1_000),
}


class QueueSettings(msgspec.Struct, frozen=True):
    """None means no limit; a state without retention of its own has the default.

    `paused` as None leaves a queue as it is, paused or not.
    """

    concurrency: int | None = None
    rate: Rate | None = None
    paused: bool | None = None
    retention: dict[FinalState, Retention] = {}


class QueueView(msgspec.Struct, frozen=True):
    """A queue as it was at the instant `now`. `oldest_due_at` is the run-at of its oldest due job."""

    name: str
    settings: QueueSettings
    counts: dict[str, int]
    oldest_due_at: int | None
    now: int
