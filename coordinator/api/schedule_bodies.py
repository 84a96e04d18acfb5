"""What is asked for with `cron` or `every`: a body to a schedule."""

from coordinator.api.job_bodies import NewJobBody
from coordinator.domain.cron import parse_cron
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import EVERY_LEAST_MS, Rule
from coordinator.domain.schedule import Schedule
from coordinator.errors import Invalid


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
