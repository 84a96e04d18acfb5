"""What is asked for with `PUT /queue/:name`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from coordinator.api.reading import Body, Duration
from coordinator.domain.durations import parse_duration
from coordinator.domain.queue import FinalState, QueueSettings, Rate, Retention

RATE_PERIOD_MOST_MS = 86_400_000


class RateBody(Body):
    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    period: Duration = 1000
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class RetentionBody(Body):
    age: Duration
    count: Annotated[int, Meta(ge=0, le=10_000_000)]


class QueueBody(Body):
    """`PUT /queue/:name`. What is left out has its default, but a pause stays as it is."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    rate: RateBody | None = None
    paused: bool | None = None
    retention: dict[FinalState, RetentionBody] = msgspec.field(default_factory=dict)


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
