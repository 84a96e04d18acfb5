"""When something happens again: cron expressions and fixed intervals.

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

from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from coordinator.domain.cron import Calendar, read_cron, wall_from, wall_until
from coordinator.domain.instants import first_change, instant_of, last_change, local, offset_at, parse_timezone

EVERY_LEAST_MS = 1000
_WALK_END = 253_370_764_800_000
"""The year 9999, where the walk stops: the next day, or the next zone, might be in a year that Python has not."""


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


def _next_by_cron(rule: Rule, after: int) -> int | None:
    if rule.cron is None or after >= _WALK_END:
        return None
    calendar, zone = read_cron(rule.cron), parse_timezone(rule.timezone, "timezone")
    return _next_interval(calendar, zone, after) if calendar.is_interval else _next_time_of_day(calendar, zone, after)


def _last_by_cron(rule: Rule, until: int) -> int | None:
    if rule.cron is None or until < 0:
        return None
    calendar, zone = read_cron(rule.cron), parse_timezone(rule.timezone, "timezone")
    return _last_interval(calendar, zone, until) if calendar.is_interval else _last_time_of_day(calendar, zone, until)


def _next_time_of_day(calendar: Calendar, zone: ZoneInfo, after: int) -> int | None:
    wall = after + offset_at(after, zone)
    # The second time that a fold shows them, times still to come on the wall have run already: go past those.
    while (later := wall_from(calendar, wall + 1)) is not None:
        tick = instant_of(later, zone)
        if tick > after:
            return tick
        wall = later
    return None


def _last_time_of_day(calendar: Calendar, zone: ZoneInfo, until: int) -> int | None:
    shown_then = local(until, zone)
    wall = until + offset_at(until, zone)
    if shown_then.fold:
        # The clocks have been ahead of this already, by as much as they were then put back.
        first_offset = shown_then.replace(fold=0).utcoffset() or timedelta()
        second_offset = shown_then.utcoffset() or timedelta()
        wall += (first_offset - second_offset) // timedelta(milliseconds=1)
    while (earlier := wall_until(calendar, wall)) is not None:
        tick = instant_of(earlier, zone)
        if tick <= until:
            return tick
        wall = earlier - 1
    return None


def _next_interval(calendar: Calendar, zone: ZoneInfo, after: int) -> int | None:
    start = after + 1
    # One stretch of equal offset after the other; the first match that its own stretch contains is the tick.
    while start < _WALK_END:
        offset = offset_at(start, zone)
        wall = wall_from(calendar, start + offset)
        if wall is None:
            return None
        change = first_change(start, wall - offset, zone)
        if change is None:
            return wall - offset
        start = change
    return None


def _last_interval(calendar: Calendar, zone: ZoneInfo, until: int) -> int | None:
    while until >= 0:
        offset = offset_at(until, zone)
        wall = wall_until(calendar, until + offset)
        if wall is None:
            return None
        change = last_change(wall - offset, until, zone)
        if change is None:
            return wall - offset
        until = change - 1
    return None
