"""When something happens again: cron expressions and fixed intervals.

croniter reads the fields of an expression and nothing else. It is not asked for times, because around a change of
the clocks it gives some twice and some not at all, and because it reads `15 * 1#3` as `* * 1#3`.

What an expression means
    minute, hour, day of month, month, day of week, as in crontab(5) of Debian. If the day of month or the day of
    week begins with `*`, a day has to match both; else one of them is enough. `L` is the last day of a month,
    `L5` its last Friday, `5#2` its second; `22-2` goes past midnight, `sat-mon` past the end of the week.

What a change of the clocks means
    The hour field decides, as people read it: `0 9` is a time of day, `0 *` and `0 */2` are intervals.

    *Time of day* (the hour does not begin with `*`). Every time of every matching day runs once, at the first
    instant at which the clocks show it or later. A time that is left out in spring thus runs at the first instant
    after the gap, all the times in one gap together once; a time that comes twice in autumn runs the first time.
    A time in a day that a zone left out (Apia, 30 December 2011) runs at the start of the next.

    *Interval* (the hour begins with `*`). It runs at every instant at which the clocks show a matching time: in
    autumn both times, and in spring it makes nothing up. `*/30 * * * *` is every half hour of real time in every
    zone that moves by whole or half hours.

Ticks rise strictly and no two are at one instant. An interval without cron is arithmetic: `anchor_at + k * every_ms`.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import croniter  # type: ignore[import-untyped]  # it ships no types
import msgspec

from coordinator.domain.durations import shown
from coordinator.domain.instants import first_change, instant_of, last_change, local, offset_at, parse_timezone
from coordinator.errors import Invalid

EVERY_LEAST_MS = 1000
CRON_CHARS_MAX = 256

_TRIAL = (date(2024, 1, 1), date(2028, 12, 31))
"""Five years with two leap days. They are fixed, so that an expression is not refused today and accepted tomorrow."""

_HORIZON_DAYS = 40 * 366
"""Further than any two matches lie apart: 29 February falls on a given weekday every 28 years, or 40 around 2100."""

_WALK_END = 253_370_764_800_000
"""The year 9999, where the walk stops: the next day, or the next zone, might be in a year that Python has not."""

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_FIELD_NAMES = ("minute", "hour", "day of month", "month", "day of week")

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_WEEKDAYS = "sun|mon|tue|wed|thu|fri|sat"
_RANGE = r"(?:\*|{0}(?:-{0})?)(?:/\d{{1,2}})?"
# Narrower than what croniter takes: it also knows R (random, so that two replicas disagree), H, W and years.
_ITEMS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        _RANGE.format(r"\d{1,2}"),
        _RANGE.format(r"\d{1,2}"),
        _RANGE.format(r"\d{1,2}") + r"|\?|l",
        _RANGE.format(rf"(?:\d{{1,2}}|{_MONTHS})"),
        _RANGE.format(rf"(?:\d|{_WEEKDAYS})") + rf"|\?|l\d|(?:\d|{_WEEKDAYS})#[1-5]",
    )
)
_NUMBERS = {name: number for number, name in enumerate(_MONTHS.split("|"), start=1)} | {
    name: number for number, name in enumerate(_WEEKDAYS.split("|"))
}
_ZONE_PREFIX = re.compile(r"(?:CRON_TZ|TZ)=(\S*)[ \t]+(.*)", re.ASCII)

_FORMS = 'use five fields (minute, hour, day of month, month, day of week) like "0 9 * * 1-5", or "@daily"'


class Rule(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Either `cron` in `timezone`, or `every_ms` counted from `anchor_at`. `start_at` and `end_at` may be ticks."""

    cron: str | None = None
    every_ms: Annotated[int, msgspec.Meta(ge=EVERY_LEAST_MS)] | None = None
    timezone: str = "UTC"
    anchor_at: int = 0
    start_at: int | None = None
    end_at: int | None = None

    def __post_init__(self) -> None:
        """A rule with both or neither has no meaning."""
        if (self.cron is None) == (self.every_ms is None):
            raise ValueError("a rule has either cron or every")


def parse_cron(expression: object, timezone: str | None, path: str) -> tuple[str, str]:
    """The expression with single spaces and without a prefix, and its timezone.

    `CRON_TZ=Zone ` and `TZ=Zone ` before the fields set the zone; `timezone` is None if the caller named none.
    An expression is refused if no day of 2024 to 2028 matches.
    """
    if not isinstance(expression, str) or len(expression) > CRON_CHARS_MAX:
        raise _invalid(path, expression, f"is not a text of at most {CRON_CHARS_MAX} characters")
    text, zone_name = expression.strip(" \t"), timezone
    if prefix := _ZONE_PREFIX.fullmatch(text):
        zone_name, text = prefix.groups()
        if timezone not in {None, zone_name}:
            raise _invalid(path, expression, f"names another timezone than the field timezone, {shown(timezone)}")
    zone = parse_timezone("UTC" if zone_name is None else zone_name, path if prefix else "timezone")
    fields = re.split(r"[ \t]+", text)
    if text.lower() not in _ALIASES:
        _check_fields(fields, expression, path)
    cron = text.lower() if text.startswith("@") else " ".join(fields)
    found = _day_from(_calendar(cron), _TRIAL[0])
    if found is None or found > _TRIAL[1]:
        raise _invalid(path, expression, "never comes: no day of five years matches")
    return cron, zone.key


def next_tick(rule: Rule, after: int) -> int | None:
    """The first tick strictly after `after`; None if there is none up to `end_at`."""
    after = max(after, -1 if rule.start_at is None else rule.start_at - 1)
    if rule.every_ms is not None:
        tick: int | None = rule.anchor_at + ((after - rule.anchor_at) // rule.every_ms + 1) * rule.every_ms
    else:
        tick = _next_by_cron(rule, after)
    if tick is None or tick >= _WALK_END or (rule.end_at is not None and tick > rule.end_at):
        return None
    return tick


def last_tick(rule: Rule, until: int) -> int | None:
    """The last tick not after `until`; None if there is none from `start_at` on."""
    until = min(until, _WALK_END - 1, _WALK_END if rule.end_at is None else rule.end_at)
    if rule.every_ms is not None:
        tick: int | None = rule.anchor_at + (until - rule.anchor_at) // rule.every_ms * rule.every_ms
    else:
        tick = _last_by_cron(rule, until)
    return None if tick is None or tick < max(rule.start_at or 0, 0) else tick


def count_ticks(rule: Rule, after: int, until: int, limit: int) -> int:
    """How many ticks are after `after` and not after `until`. A cron's are counted one by one, up to `limit`."""
    newest = last_tick(rule, until)
    if newest is None or newest <= after:
        return 0
    if rule.every_ms is not None:
        oldest = next_tick(rule, after)
        return 0 if oldest is None else (newest - oldest) // rule.every_ms + 1
    count = 0
    while newest is not None and newest > after and count < limit:
        count += 1
        newest = last_tick(rule, newest - 1)
    return count


def _invalid(path: str, expression: object, why: str) -> Invalid:
    return Invalid(path, f"{shown(expression)} {why}; {_FORMS}", code="invalid_cron")


def _check_fields(fields: list[str], expression: object, path: str) -> None:
    """Five fields that croniter reads the way everyone does."""
    if fields[0].startswith("@"):
        names = ", ".join(_ALIASES)
        raise _invalid(path, expression, f'is not one of {names} (an interval goes into "every")')
    if len(fields) != len(_FIELD_NAMES):
        hint = ' (seconds are not a field; a short interval goes into "every")' if len(fields) > 5 else ""
        raise _invalid(path, expression, f"has {len(fields)} fields{hint}")
    for index, field in enumerate(fields):
        why = _fault(index, field.lower())
        if why:
            raise _invalid(path, expression, f"has a wrong {_FIELD_NAMES[index]}, {shown(field)}: {why}")


def _fault(index: int, field: str) -> str | None:
    for item in field.split(","):
        if not _ITEMS[index].fullmatch(item):
            return f"{shown(item)} is not understood (numbers, names, * - / and, for days, L and # are)"
        # croniter takes 9-9 for the whole day, everyone else for 9 o'clock.
        first, _, last = item.partition("/")[0].partition("-")
        if last and _number(first) == _number(last):
            return f"{shown(item)} is a range of one; write the value alone"
    alone = " ".join(field if at == index else "*" for at in range(len(_FIELD_NAMES)))
    try:
        croniter.croniter.expand(alone)
    except croniter.CroniterUnsupportedSyntaxError:
        return "plain weekdays cannot be mixed with # or L"
    except croniter.CroniterError:
        return "a value is out of range"
    return None


def _number(value: str) -> int:
    return _NUMBERS[value] if value in _NUMBERS else int(value)


@dataclass(frozen=True, slots=True)
class _Calendar:
    """An expression, read. `minutes` are the matching minutes of a day, counted from midnight, in order."""

    minutes: "array[int]"
    months: frozenset[int]
    days: frozenset[int | str]
    weekdays: frozenset[int | str]
    nth_weekdays: frozenset[tuple[int, int | str]]
    both_days: bool
    is_interval: bool

    def has(self, day: date) -> bool:
        """Whether the day and its weekday match; the month is the caller's business."""
        in_month = self._has_day(day)
        if in_month != self.both_days:
            return in_month
        return self._has_weekday(day)

    def _has_day(self, day: date) -> bool:
        if "*" in self.days or day.day in self.days:
            return True
        return "l" in self.days and (day + timedelta(days=1)).day == 1

    def _has_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if not self.nth_weekdays:
            return "*" in self.weekdays or weekday in self.weekdays
        if (weekday, (day.day + 6) // 7) in self.nth_weekdays:
            return True
        return (weekday, "l") in self.nth_weekdays and (day + timedelta(days=7)).month != day.month


@lru_cache(maxsize=1024)
def _calendar(cron: str) -> _Calendar:
    fields = _ALIASES.get(cron, cron).lower().split(" ")
    expanded, nth_weekdays = croniter.croniter.expand(" ".join(fields))
    minutes, hours, days, months, weekdays = expanded
    return _Calendar(
        minutes=array("H", [hour * 60 + minute for hour in _all(hours, 24) for minute in _all(minutes, 60)]),
        months=frozenset(range(1, 13) if months == ["*"] else months),
        days=frozenset(days),
        weekdays=frozenset(weekdays),
        nth_weekdays=frozenset((weekday, nth) for weekday, nths in nth_weekdays.items() for nth in nths),
        both_days=fields[2][0] in "*?" or fields[4][0] in "*?",
        is_interval=fields[1].startswith("*"),
    )


def _all(values: list[int | Literal["*", "l"]], size: int) -> list[int]:
    return list(range(size)) if values == ["*"] else sorted(value for value in values if isinstance(value, int))


def _next_by_cron(rule: Rule, after: int) -> int | None:
    if rule.cron is None or after >= _WALK_END:
        return None
    calendar, zone = _calendar(rule.cron), parse_timezone(rule.timezone, "timezone")
    return _next_interval(calendar, zone, after) if calendar.is_interval else _next_time_of_day(calendar, zone, after)


def _last_by_cron(rule: Rule, until: int) -> int | None:
    if rule.cron is None or until < 0:
        return None
    calendar, zone = _calendar(rule.cron), parse_timezone(rule.timezone, "timezone")
    return _last_interval(calendar, zone, until) if calendar.is_interval else _last_time_of_day(calendar, zone, until)


def _next_time_of_day(calendar: _Calendar, zone: ZoneInfo, after: int) -> int | None:
    wall = after + offset_at(after, zone)
    # The second time that a fold shows them, times still to come on the wall have run already: go past those.
    while (later := _wall_from(calendar, wall + 1)) is not None:
        tick = instant_of(later, zone)
        if tick > after:
            return tick
        wall = later
    return None


def _last_time_of_day(calendar: _Calendar, zone: ZoneInfo, until: int) -> int | None:
    shown_then = local(until, zone)
    wall = until + offset_at(until, zone)
    if shown_then.fold:
        # The clocks have been ahead of this already, by as much as they were then put back.
        first_offset = shown_then.replace(fold=0).utcoffset() or timedelta()
        second_offset = shown_then.utcoffset() or timedelta()
        wall += (first_offset - second_offset) // timedelta(milliseconds=1)
    while (earlier := _wall_until(calendar, wall)) is not None:
        tick = instant_of(earlier, zone)
        if tick <= until:
            return tick
        wall = earlier - 1
    return None


def _next_interval(calendar: _Calendar, zone: ZoneInfo, after: int) -> int | None:
    start = after + 1
    # One stretch of equal offset after the other; the first match that its own stretch contains is the tick.
    while start < _WALK_END:
        offset = offset_at(start, zone)
        wall = _wall_from(calendar, start + offset)
        if wall is None:
            return None
        change = first_change(start, wall - offset, zone)
        if change is None:
            return wall - offset
        start = change
    return None


def _last_interval(calendar: _Calendar, zone: ZoneInfo, until: int) -> int | None:
    while until >= 0:
        offset = offset_at(until, zone)
        wall = _wall_until(calendar, until + offset)
        if wall is None:
            return None
        change = last_change(wall - offset, until, zone)
        if change is None:
            return wall - offset
        until = change - 1
    return None


def _wall_from(calendar: _Calendar, wall: int) -> int | None:
    """The first matching reading of the clocks not before `wall`."""
    days, since_midnight = divmod(wall, _DAY_MS)
    today = date.fromordinal(_EPOCH_DAY + days)
    if today.month in calendar.months and calendar.has(today):
        at = bisect_left(calendar.minutes, -(-since_midnight // _MINUTE_MS))
        if at < len(calendar.minutes):
            return days * _DAY_MS + calendar.minutes[at] * _MINUTE_MS
    later = _day_from(calendar, today + timedelta(days=1))
    if later is None:
        return None
    return (later.toordinal() - _EPOCH_DAY) * _DAY_MS + calendar.minutes[0] * _MINUTE_MS


def _wall_until(calendar: _Calendar, wall: int) -> int | None:
    """The last matching reading of the clocks not after `wall`."""
    days, since_midnight = divmod(wall, _DAY_MS)
    today = date.fromordinal(_EPOCH_DAY + days)
    if today.month in calendar.months and calendar.has(today):
        at = bisect_right(calendar.minutes, since_midnight // _MINUTE_MS)
        if at > 0:
            return days * _DAY_MS + calendar.minutes[at - 1] * _MINUTE_MS
    earlier = _day_until(calendar, today - timedelta(days=1))
    if earlier is None:
        return None
    return (earlier.toordinal() - _EPOCH_DAY) * _DAY_MS + calendar.minutes[-1] * _MINUTE_MS


def _day_from(calendar: _Calendar, day: date) -> date | None:
    horizon = day.toordinal() + _HORIZON_DAYS
    while day.toordinal() <= horizon and day.year < 9999:
        if day.month not in calendar.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        elif calendar.has(day):
            return day
        else:
            day += timedelta(days=1)
    return None


def _day_until(calendar: _Calendar, day: date) -> date | None:
    while day.year >= 1969:
        if day.month not in calendar.months:
            day = day.replace(day=1) - timedelta(days=1)
        elif calendar.has(day):
            return day
        else:
            day -= timedelta(days=1)
    return None
