"""When something happens again: cron expressions and fixed intervals.

What a change of the clocks means
    The hour field decides, as people read it: `0 9` is a time of day, `0 *` and `0 */2` are intervals.

    *Time of day* (the hour does not begin with `*`). Every time of every matching day runs once; the rule chooses
    what becomes of a time that the clocks leave out in spring, and of one that they show twice in autumn:

    ```
    dst_gap    next    at the first instant after the gap, all the times in one gap together once
               skip    not at all
    dst_fold   first   the first time
               both    both times
    ```

    A time in a day that a zone left out (Apia, 30 December 2011) is in a gap, too: it runs at the start of the next
    day, or not at all.

    *Interval* (the hour begins with `*`). It runs at every instant at which the clocks show a matching time, which
    is `skip` and `both` whatever the rule chooses. `*/30 * * * *` is every half hour of real time in every zone that
    moves by whole or half hours.

How ticks are found
    Between two changes the clocks go evenly, and a reading is an instant. At a change the choices say where the
    readings of the new stretch begin: with `next` and `first` they go on where those of the old one ended, so that
    the first instant answers for a gap, and what was shown before is not looked for again; with `skip` and `both`
    they begin with what the clocks show.

    ```
                        gap                                fold
     shown   ──01:59 │ 03:00──────────▶        ──01:59 │ 01:00──────02:00──▶
     next      02:00 ├──────────────▶ first                      02:00 ├───▶
     skip            │ 03:00 ├──────▶ both             │ 01:00 ├───────────▶
    ```

Ticks rise strictly and no two are at one instant. An interval without cron is arithmetic: `anchor_at + k * every_ms`.
"""

from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from coordinator.domain.cron import Calendar, read_cron, wall_from, wall_until
from coordinator.domain.instants import first_change, last_change, offset_at, parse_timezone

EVERY_LEAST_MS = 1000
_WALK_END = 253_370_764_800_000
"""The year 9999, where the walk stops: the next day, or the next zone, might be in a year that Python has not."""

_DAY_MS = 86_400_000
_GIVE_UP_MS = 80 * 366 * _DAY_MS
"""Where a search for a tick ends: with `skip`, 02:30 on each second Sunday of March never comes in New York. Two
matching days lie half of this apart at the most."""

_NEAR_MS = 2 * _DAY_MS
"""No zone moves its clocks by more than a day, so a change further away does not bring a reading here."""

Gap = Literal["next", "skip"]
Fold = Literal["first", "both"]


class Rule(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Either `cron` in `timezone`, or `every_ms` counted from `anchor_at`. `start_at` and `end_at` may be ticks.

    `dst_gap` and `dst_fold` are for times of day.
    """

    cron: str | None = None
    every_ms: Annotated[int, msgspec.Meta(ge=EVERY_LEAST_MS)] | None = None
    timezone: str = "UTC"
    dst_gap: Gap = "next"
    dst_fold: Fold = "first"
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


def ticks_after(rule: Rule, after: int, count: int) -> list[int]:
    """The next ticks, at most `count`."""
    ticks: list[int] = []
    while len(ticks) < count and (tick := next_tick(rule, ticks[-1] if ticks else after)) is not None:
        ticks.append(tick)
    return ticks


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
    calendar, clocks = _read(rule)
    start, horizon = after + 1, min(after + _GIVE_UP_MS, _WALK_END)
    while start < horizon:
        stretch = clocks.stretch(start)
        # What a gap left out is all due at `start` if that is where it ends.
        reading = stretch.opens if stretch.start == start else max(stretch.opens, start + stretch.offset)
        wall = wall_from(calendar, reading)
        if wall is None:
            return None
        tick = max(wall - stretch.offset, start)
        change = first_change(start, min(tick, start + _NEAR_MS), clocks.zone)
        if change is not None:
            start = change
        elif tick - start <= _NEAR_MS:
            return tick
        else:
            start = tick - _NEAR_MS
    return None


def _last_by_cron(rule: Rule, until: int) -> int | None:
    calendar, clocks = _read(rule)
    floor = max(until - _GIVE_UP_MS, 0)
    while until >= floor:
        stretch = clocks.stretch(until)
        wall = wall_until(calendar, until + stretch.offset)
        if wall is None:
            return None
        tick = wall - stretch.offset
        if wall >= stretch.opens:
            return max(tick, stretch.start)
        until = stretch.start - 1 if stretch.is_whole else tick + _NEAR_MS
    return None


class _Stretch(NamedTuple):
    """While the clocks of a zone go evenly, `offset` ahead of UTC. `opens` is the first reading that is its own."""

    offset: int
    start: int
    opens: int
    is_whole: bool
    """Whether the clocks changed at `start`; else it began earlier, and the change does not matter here any more."""


class _Clocks(NamedTuple):
    """The clocks of a zone, and what was chosen about their changes."""

    zone: ZoneInfo
    gap: Gap
    fold: Fold

    def stretch(self, instant: int) -> _Stretch:
        """The one that `instant` is in."""
        offset = offset_at(instant, self.zone)
        # A day more than is used, so that none of what is used is shown for the second time.
        change = last_change(instant - _NEAR_MS - _DAY_MS, instant, self.zone)
        if change is None:
            return _Stretch(offset, instant - _NEAR_MS, instant - _NEAR_MS + offset, is_whole=False)
        before = offset_at(change - 1, self.zone)
        goes_on = self.gap == "next" if before < offset else self.fold == "first"
        return _Stretch(offset, change, change + (before if goes_on else offset), is_whole=True)


def _read(rule: Rule) -> tuple[Calendar, _Clocks]:
    assert rule.cron is not None
    calendar, zone = read_cron(rule.cron), parse_timezone(rule.timezone, "timezone")
    clocks = _Clocks(zone, "skip", "both") if calendar.is_interval else _Clocks(zone, rule.dst_gap, rule.dst_fold)
    return calendar, clocks
