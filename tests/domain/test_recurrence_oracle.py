"""A year of every zone whose clocks change in it, against two oracles that share no code with ours.

cronsim follows Debian's cron. By default we mean the same, but for one thing, in `meant`; and some ticks it does not
find, in `lost`. A search through every minute around each change covers the choices, which Debian has not.

Zones that change at the same instants by the same amounts have the same ticks: of each such group one is compared.
Expressions that run many times a day are compared in the days around each change, and for the whole year if
ORACLE_WHOLE_YEAR is set.
"""

import os
from datetime import datetime
from functools import cache

import pytest
from cronsim import CronSim

from coordinator.domain.instants import _zone_names, first_change, offset_at
from coordinator.domain.recurrence import Rule
from tests.domain.ticks import (
    CHOICES,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    at,
    local_times,
    searched,
    ticks,
    ticks_backwards,
    zone_of,
)

YEAR = at("2026-01-01"), at("2027-01-01")

NEAR_CHANGES = [
    "30 2 * * *",
    "0 2 * * *",
    "30 1 * * *",
    "15 0 * * *",
    "0 0 * * *",
    "45 23 * * *",
    "30 2 * * sun",
    "*/20 1-3 * * sun",
]
OTHER_TIMES = [
    "0 9 * * *",
    "0 9 * * 1-5",
    "0 0 1 * *",
    "59 23 L * *",
    "0 3 29 2 *",
    "15 2 1,15 * *",
    "0 0 * * 7",
    "0 0 13 * 5",  # the 13th or a Friday
    "0 0 */2 * 1",  # an odd day that is a Monday
    "0 9 * * 1#1",
    "0 12 1-7 * MON",
    "0 0 1 jan,jul *",
]
MANY_A_DAY = [
    "*/30 * * * *",
    "0 * * * *",
    "0 */2 * * *",
    "0 */6 * * *",
    "30 */3 * * *",
    "*/20 */3 * * *",
    "0,30 0-3 * * *",
    "*/15 0-23 * * *",
]


@cache
def changes(zone):
    """When the clocks change in the year, and how far ahead of UTC they then are."""
    found, start = [], YEAR[0]
    while (change := first_change(start, YEAR[1], zone)) is not None:
        found.append((change, offset_at(change, zone)))
        start = change
    return tuple(found)


def representatives():
    """The first zone of each group, by name."""
    groups = {}
    for name in sorted(_zone_names()):
        zone = zone_of(name)
        if changes(zone):
            groups.setdefault((offset_at(YEAR[0], zone), changes(zone)), name)
    return sorted(groups.values())


ZONES = representatives()


def cronsim_ticks(cron, zone, start, end):
    found = []
    for moment in CronSim(cron, datetime.fromtimestamp(start // 1000 - 1, zone)):
        tick = int(moment.timestamp()) * 1000
        if tick >= end:
            break
        found.append(tick)
    return found


def meant(cron, zone_name):
    """Our rule for what cronsim means: Debian takes minutes that begin with a star for an interval, too."""
    minute, hour, *_ = cron.split()
    if minute.startswith("*") and not hour.startswith("*"):
        return Rule(cron=cron, timezone=zone_name, dst_gap="skip", dst_fold="both")
    return Rule(cron=cron, timezone=zone_name)


def lost(cron, zone):
    """The ticks of what it takes for an interval that cronsim does not find, as it looks for hours one by one."""
    found = set()
    for change, offset in changes(zone):
        moved = offset - offset_at(change - 1, zone)
        reading = change + offset
        # It begins a day at 00:00; if clocks do not show that, the hour after is 02:00.
        if cron == "*/20 1-3 * * sun" and moved == HOUR_MS and reading % DAY_MS == HOUR_MS and is_sunday(reading):
            found |= {change, change + 20 * MINUTE_MS, change + 40 * MINUTE_MS}
        # After a change by half an hour it looks at half past each hour: in the first that it wants, the half is over.
        step = {"0 */2 * * *": 2, "0 */6 * * *": 6, "*/20 */3 * * *": 3}.get(cron)
        if step and moved % HOUR_MS:
            hour = -(-(reading // HOUR_MS) // step) * step * HOUR_MS
            minutes = [0, 20] if cron.startswith("*") else [0]
            found |= {hour + minute * MINUTE_MS - offset for minute in minutes if hour >= reading}
    return found


def is_sunday(reading):
    return reading // DAY_MS % 7 == 3  # 1 January 1970 was a Thursday


def days_around_changes(zone):
    return [(change - DAY_MS, change + 2 * DAY_MS) for change, _ in changes(zone)]


def test_the_clocks_change_in_many_zones_and_in_many_ways():
    assert len(ZONES) >= 20
    assert {"Africa/Cairo", "America/St_Johns", "Antarctica/Troll", "Australia/LHI", "NZ-CHAT"} <= set(ZONES)


@pytest.mark.parametrize("zone_name", [*ZONES, "UTC", "Asia/Kathmandu"])
def test_it_agrees_with_cronsim_over_a_year(zone_name):
    zone = zone_of(zone_name)
    for cron in [*NEAR_CHANGES, *OTHER_TIMES, *MANY_A_DAY]:
        is_whole = cron not in MANY_A_DAY or "ORACLE_WHOLE_YEAR" in os.environ
        for start, end in [YEAR] if is_whole else days_around_changes(zone):
            missing = {tick for tick in lost(cron, zone) if start <= tick < end}
            theirs = cronsim_ticks(cron, zone, start, end)
            assert missing.isdisjoint(theirs), cron
            assert ticks(meant(cron, zone_name), start, end) == sorted([*theirs, *missing]), cron


@pytest.mark.parametrize(("gap", "fold"), CHOICES)
@pytest.mark.parametrize("zone_name", ZONES)
def test_it_finds_what_a_search_around_every_change_finds(zone_name, gap, fold):
    for start, end in days_around_changes(zone_of(zone_name)):
        for cron in [*NEAR_CHANGES, "0 */2 * * *"]:
            rule = Rule(cron=cron, timezone=zone_name, dst_gap=gap, dst_fold=fold)
            expected = searched(rule, start, end)
            assert ticks(rule, start, end) == expected, cron
            assert ticks_backwards(rule, start, end) == expected[::-1], cron


@pytest.mark.parametrize(
    ("cron", "day", "ours", "theirs"),
    [
        ("*/30 1 * * *", "2026-11-01", 2, 4),
        ("*/30 2 * * *", "2026-03-08", 1, 0),
    ],
)
def test_it_differs_from_cronsim_where_only_the_minutes_begin_with_a_star(cron, day, ours, theirs):
    new_york, start = "America/New_York", at(day, "America/New_York")
    assert len(local_times(Rule(cron=cron, timezone=new_york), day)) == ours
    assert len(cronsim_ticks(cron, zone_of(new_york), start, start + DAY_MS)) == theirs
