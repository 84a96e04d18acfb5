"""Cron expressions: how they are read, and which days and minutes match.

croniter reads the fields of an expression and nothing else. It is not asked for times, because around a change of
the clocks it gives some twice and some not at all, and because it reads `15 * 1#3` as `* * 1#3`.

    minute, hour, day of month, month, day of week, as in crontab(5) of Debian. If the day of month or the day of
    week begins with `*`, a day has to match both; else one of them is enough. `L` is the last day of a month,
    `L5` its last Friday, `5#2` its second; `22-2` goes past midnight, `sat-mon` past the end of the week.
    With `seconds` asked for, six fields: the second comes first, as in Quartz and Spring.

Readings of the clocks on the wall are milliseconds since 1970 as if they were UTC; what instant shows which reading is
recurrence's business.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

import croniter  # type: ignore[import-untyped]  # it ships no types

from coordinator.domain.durations import shown
from coordinator.domain.instants import parse_timezone
from coordinator.errors import Invalid

CRON_CHARS_MAX = 256

_TRIAL = (date(2024, 1, 1), date(2028, 12, 31))
"""Five years with two leap days. They are fixed, so that an expression is not refused today and accepted tomorrow."""

_HORIZON_DAYS = 40 * 366
"""Further than any two matches lie apart: 29 February falls on a given weekday every 28 years, or 40 around 2100."""

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


def parse_cron(expression: object, timezone: str | None, path: str, *, seconds: bool = False) -> tuple[str, str]:
    """The expression with single spaces and without a prefix, and its timezone. `seconds` says that it has six fields.

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
        _check_fields(fields, expression, path, seconds=seconds)
    cron = text.lower() if text.startswith("@") else " ".join(fields)
    found = _day_from(read_cron(cron), _TRIAL[0])
    if found is None or found > _TRIAL[1]:
        raise _invalid(path, expression, "never comes: no day of five years matches")
    return cron, zone.key


def _invalid(path: str, expression: object, why: str) -> Invalid:
    return Invalid(path, f"{shown(expression)} {why}; {_FORMS}", code="invalid_cron")


def _check_fields(fields: list[str], expression: object, path: str, *, seconds: bool) -> None:
    """Five fields, or with seconds six, that croniter reads the way everyone does."""
    if fields[0].startswith("@"):
        names = ", ".join(_ALIASES)
        raise _invalid(path, expression, f'is not one of {names} (an interval goes into "every")')
    if seconds and len(fields) == len(_FIELD_NAMES) + 1:
        first, *fields = fields
        if why := _fault(0, first.lower()):
            raise _invalid(path, expression, f"has a wrong second, {shown(first)}: {why}")
    elif len(fields) != len(_FIELD_NAMES):
        hint = ' (give "seconds": true if the first is the second)' if len(fields) == len(_FIELD_NAMES) + 1 else ""
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
class Calendar:
    """An expression, read. `minutes` are the matching minutes of a day from midnight, `seconds` those of a minute."""

    minutes: "array[int]"
    seconds: tuple[int, ...]
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
def read_cron(cron: str) -> Calendar:
    """The calendar of an expression that `parse_cron` has let through."""
    *second, minute, hour, day, month, weekday = _ALIASES.get(cron, cron).lower().split(" ")
    fields = [minute, hour, day, month, weekday]
    # A second is written like a minute, and counted like one.
    seconds = croniter.croniter.expand(f"{second[0]} * * * *")[0][0] if second else [0]
    expanded, nth_weekdays = croniter.croniter.expand(" ".join(fields))
    minutes, hours, days, months, weekdays = expanded
    return Calendar(
        minutes=array("H", [at * 60 + past for at in _all(hours, 24) for past in _all(minutes, 60)]),
        seconds=tuple(_all(seconds, 60)),
        months=frozenset(range(1, 13) if months == ["*"] else months),
        days=frozenset(days),
        weekdays=frozenset(weekdays),
        nth_weekdays=frozenset((on, nth) for on, nths in nth_weekdays.items() for nth in nths),
        both_days=day[0] in "*?" or weekday[0] in "*?",
        is_interval=hour.startswith("*"),
    )


def _all(values: list[int | Literal["*", "l"]], size: int) -> list[int]:
    return list(range(size)) if values == ["*"] else sorted(value for value in values if isinstance(value, int))


def wall_from(calendar: Calendar, wall: int) -> int | None:
    """The first matching reading of the clocks not before `wall`."""
    days, since_midnight = divmod(wall, _DAY_MS)
    today = date.fromordinal(_EPOCH_DAY + days)
    if today.month in calendar.months and calendar.has(today):
        minute, second = divmod(-(-since_midnight // 1000), 60)
        if second > calendar.seconds[-1]:
            minute, second = minute + 1, 0
        at = bisect_left(calendar.minutes, minute)
        if at < len(calendar.minutes):
            first = second if calendar.minutes[at] == minute else 0
            chosen = calendar.seconds[bisect_left(calendar.seconds, first)]
            return days * _DAY_MS + calendar.minutes[at] * _MINUTE_MS + chosen * 1000
    later = _day_from(calendar, today + timedelta(days=1))
    if later is None:
        return None
    since_midnight = calendar.minutes[0] * _MINUTE_MS + calendar.seconds[0] * 1000
    return (later.toordinal() - _EPOCH_DAY) * _DAY_MS + since_midnight


def wall_until(calendar: Calendar, wall: int) -> int | None:
    """The last matching reading of the clocks not after `wall`."""
    days, since_midnight = divmod(wall, _DAY_MS)
    today = date.fromordinal(_EPOCH_DAY + days)
    if today.month in calendar.months and calendar.has(today):
        minute, second = divmod(since_midnight // 1000, 60)
        if second < calendar.seconds[0]:
            minute, second = minute - 1, 59
        at = bisect_right(calendar.minutes, minute)
        if at > 0:
            last = second if calendar.minutes[at - 1] == minute else 59
            chosen = calendar.seconds[bisect_right(calendar.seconds, last) - 1]
            return days * _DAY_MS + calendar.minutes[at - 1] * _MINUTE_MS + chosen * 1000
    earlier = _day_until(calendar, today - timedelta(days=1))
    if earlier is None:
        return None
    since_midnight = calendar.minutes[-1] * _MINUTE_MS + calendar.seconds[-1] * 1000
    return (earlier.toordinal() - _EPOCH_DAY) * _DAY_MS + since_midnight


def _day_from(calendar: Calendar, day: date) -> date | None:
    horizon = day.toordinal() + _HORIZON_DAYS
    while day.toordinal() <= horizon and day.year < 9999:
        if day.month not in calendar.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        elif calendar.has(day):
            return day
        else:
            day += timedelta(days=1)
    return None


def _day_until(calendar: Calendar, day: date) -> date | None:
    while day.year >= 1969:
        if day.month not in calendar.months:
            day = day.replace(day=1) - timedelta(days=1)
        elif calendar.has(day):
            return day
        else:
            day -= timedelta(days=1)
    return None
