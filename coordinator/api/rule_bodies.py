"""When something happens again, as it is asked for: the fields that schedules and their previews share."""

from typing import Annotated, Any

from msgspec import Meta

from coordinator.api.reading import Body, Duration, Instant
from coordinator.domain.cron import parse_cron
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.recurrence import EVERY_LEAST_MS, Fold, Gap, Rule
from coordinator.errors import Invalid

SECONDS_FIELDS = 6


class DstBody(Body):
    """What becomes of a time of day that a change of the clocks leaves out, or shows twice."""

    gap: Gap = "next"
    fold: Fold = "first"


class RuleBody(Body, kw_only=True):
    """`cron` or `every`, and what belongs to it."""

    run_at: Instant | None = None
    timezone: str | None = None
    cron: str | None = None
    seconds: bool = False
    every: Duration | None = None
    dst: DstBody | None = None
    start_at: Instant | None = None
    end_at: Instant | None = None

    @property
    def is_rule(self) -> bool:
        """Whether this asks for something that happens again."""
        return self.cron is not None or self.every is not None


class PreviewBody(RuleBody, kw_only=True):
    """`POST /schedule/preview`."""

    after: Instant | None = None
    count: Annotated[int, Meta(ge=1, le=100)] = 5


def rule_of(body: RuleBody) -> Rule:
    """The rule that the body asks for. An interval is not anchored yet."""
    if not body.is_rule:
        raise Invalid("cron", 'is required here, or every; e.g. "0 9 * * 1-5"')
    if body.cron is not None and body.every is not None:
        raise Invalid("every", "cannot stand beside cron; give one of them")
    if body.run_at is not None and body.start_at is not None:
        raise Invalid("startAt", "cannot stand beside runAt, which means the same for a schedule; give one of them")
    for name, given in (("seconds", body.seconds), ("dst", body.dst)):
        if given and body.cron is None:
            raise Invalid(name, "is for cron")
    cron, timezone = None, body.timezone or "UTC"
    if body.cron is not None:
        cron, timezone = parse_cron(body.cron, body.timezone, "cron", seconds=body.seconds)
    else:
        parse_timezone(timezone, "timezone")
    name, start = ("startAt", body.start_at) if body.run_at is None else ("runAt", body.run_at)
    dst = body.dst or DstBody()
    return Rule(
        cron=cron,
        every_ms=None if body.every is None else parse_duration(body.every, "every", least_ms=EVERY_LEAST_MS),
        timezone=timezone,
        dst_gap=dst.gap,
        dst_fold=dst.fold,
        start_at=None if start is None else parse_instant(start, name, timezone),
        end_at=None if body.end_at is None else parse_instant(body.end_at, "endAt", timezone),
    )


def rule_fields(rule: Rule) -> dict[str, Any]:
    """The body that asks for this rule, by our own names."""
    is_cron = rule.cron is not None
    return {
        "cron": rule.cron,
        "seconds": rule.cron is not None and len(rule.cron.split(" ")) == SECONDS_FIELDS,
        "every": rule.every_ms,
        "timezone": rule.timezone,
        "dst": {"gap": rule.dst_gap, "fold": rule.dst_fold} if is_cron else None,
        "start_at": rule.start_at,
        "end_at": rule.end_at,
    }
