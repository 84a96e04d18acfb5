"""What the tests of recurrence share: ways to ask for ticks, and an oracle that looks at the clocks."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise, product

from cronsim import CronSim

from coordinator.domain.instants import parse_instant, parse_timezone
from coordinator.domain.recurrence import last_tick, next_tick

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

CHOICES = [("next", "first"), ("skip", "first"), ("next", "both"), ("skip", "both")]
"""What a rule can say about gaps and folds."""


def at(text, timezone="UTC"):
    return parse_instant(text, "test", timezone)


def zone_of(name):
    # Not ZoneInfo(name), which would prefer the machine's own and perhaps older data.
    return parse_timezone(name, "test")


def ticks(rule, start, end):
    """All ticks from `start` to before `end`."""
    found = []
    tick = next_tick(rule, start - 1)
    while tick is not None and tick < end:
        found.append(tick)
        tick = next_tick(rule, tick)
    return found


def ticks_backwards(rule, start, end):
    """The same, the last first."""
    found = []
    tick = last_tick(rule, end - 1)
    while tick is not None and tick >= start:
        found.append(tick)
        tick = last_tick(rule, tick - 1)
    return found


def local_times(rule, day, days=1):
    """The ticks of some days of 24 hours as its clocks show them, with the offset."""
    zone = zone_of(rule.timezone)
    start = at(day, rule.timezone)
    return [
        datetime.fromtimestamp(tick / 1000, zone).strftime("%H:%M%z")
        for tick in ticks(rule, start, start + days * DAY_MS)
    ]


def searched(rule, start, end):
    """The ticks from `start` to before `end`, by looking at the clocks minute by minute. For rules with five fields."""
    is_interval = rule.cron.split()[1].startswith("*")
    gap, fold = ("skip", "both") if is_interval else (rule.dst_gap, rule.dst_fold)
    # From earlier than `start`: a time just before it might be shown for the second time after it.
    clocks = shown(zone_of(rule.timezone), start - DAY_MS, end)
    wanted = readings(rule.cron, start - 2 * DAY_MS, end + DAY_MS)
    found, seen = [], set()
    for (_, before), (instant, reading) in pairwise(clocks):
        is_due = reading in wanted and (fold == "both" or reading not in seen)
        if gap == "next" and reading > before + MINUTE_MS:
            is_due = is_due or any(left_out in wanted for left_out in range(before + MINUTE_MS, reading, MINUTE_MS))
        if is_due and instant >= start:
            found.append(instant)
        seen.add(reading)
    return found


@lru_cache(maxsize=256)
def shown(zone, start, end):
    """Each minute, and what the clocks then show, as if it were UTC."""
    found = []
    for instant in range(start, end, MINUTE_MS):
        reading = datetime.fromtimestamp(instant // 1000, zone).replace(tzinfo=None)
        found.append((instant, (reading - datetime(1970, 1, 1)) // timedelta(milliseconds=1)))
    return found


@lru_cache(maxsize=256)
def readings(cron, start, end):
    """What the expression, read by cronsim, matches on clocks that never change; whole days."""
    fields = CronSim(cron, datetime(1970, 1, 1))
    found = set()
    for days in range(start // DAY_MS, end // DAY_MS + 1):
        day = date(1970, 1, 1) + timedelta(days=days)
        if day.month in fields.months and fields.match_day(day):
            times = product(fields.hours, fields.minutes)
            found.update(days * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS for hour, minute in times)
    return found
