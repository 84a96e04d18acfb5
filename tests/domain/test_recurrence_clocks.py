"""What a rule means, most of all around changes of the clocks.

Two oracles that share no code with ours: cronsim, where it means the same, and a search through every minute of
some days for the two sentences of the module's docstring, where it does not.
"""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.instants import offset_at, parse_instant, parse_timezone
from coordinator.domain.recurrence import Rule, count_ticks, last_tick, next_tick
from tests.domain.ticks import ticks

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

# (zone, a day at which its clocks change, and what is special)
CHANGES = [
    ("America/New_York", "2026-03-08", "gap of an hour at two"),
    ("America/New_York", "2026-11-01", "fold of an hour at two"),
    ("Europe/Berlin", "2026-03-29", "gap"),
    ("Europe/Berlin", "2026-10-25", "fold"),
    ("Europe/Dublin", "2026-10-25", "winter is the daylight saving time by law"),
    ("Australia/Lord_Howe", "2026-04-05", "fold of half an hour"),
    ("Australia/Lord_Howe", "2026-10-04", "gap of half an hour"),
    ("America/Havana", "2026-03-08", "gap at midnight"),
    ("America/Havana", "2026-11-01", "fold back to midnight"),
    ("Africa/Cairo", "2026-04-24", "gap at midnight"),
    ("Africa/Cairo", "2026-10-30", "fold across midnight: the day before comes back"),
    ("Asia/Beirut", "2026-03-29", "gap at midnight"),
    ("Asia/Beirut", "2026-10-25", "fold across midnight"),
    ("America/Asuncion", "2024-10-06", "gap at midnight"),
    ("Africa/Casablanca", "2026-02-15", "fold of Ramadan"),
    ("Africa/Casablanca", "2026-03-22", "gap of Ramadan"),
    ("America/St_Johns", "2006-10-29", "fold at one minute past midnight"),
    ("Pacific/Apia", "2011-12-30", "the day that was left out"),
    ("Pacific/Chatham", "2026-04-05", "fold at 03:45, and 45 minutes off"),
    ("Antarctica/Troll", "2026-03-29", "gap of two hours"),
    ("Antarctica/Casey", "2010-03-05", "fold of three hours"),
    ("Asia/Pyongyang", "2015-08-15", "half an hour back for good"),
    ("America/Caracas", "2016-05-01", "half an hour forward for good"),
    ("UTC", "2026-11-01", "never changes"),
]


def zone_of(name):
    # Not ZoneInfo(name), which would prefer the machine's own and perhaps older data.
    return parse_timezone(name, "test")


def at(text, timezone="UTC"):
    return parse_instant(text, "test", timezone)


def local_times(rule, day, days=1):
    """The ticks of a day as its clocks show them, with the offset."""
    zone = zone_of(rule.timezone)
    start = at(day, rule.timezone)
    return [
        datetime.fromtimestamp(tick / 1000, zone).strftime("%H:%M%z")
        for tick in ticks(rule, start, start + days * DAY_MS)
    ]


def new_york(cron):
    return Rule(cron=cron, timezone="America/New_York")


# ── Times of day ────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_runs_a_time_that_autumn_repeats_only_once():
    assert local_times(new_york("30 1 * * *"), "2026-11-01", days=2) == ["01:30-0400", "01:30-0500"]
    # The second is the day after's.
    assert ticks(new_york("30 1 * * *"), at("2026-11-01T00:00Z"), at("2026-11-02T00:00Z")) == [at("2026-11-01T05:30Z")]


def test_it_runs_a_time_that_spring_leaves_out_at_the_first_instant_after_the_gap():
    assert local_times(new_york("30 2 * * *"), "2026-03-08") == ["03:00-0400"]


def test_it_runs_all_the_times_in_one_gap_together_once():
    assert local_times(new_york("*/15 2 * * *"), "2026-03-08") == ["03:00-0400"]


def test_it_does_not_run_twice_when_the_end_of_the_gap_is_a_time_of_its_own():
    assert local_times(new_york("0 1-3 * * *"), "2026-03-08") == ["01:00-0500", "03:00-0400"]
    assert local_times(new_york("15 1-3 * * *"), "2026-03-08") == ["01:15-0500", "03:00-0400", "03:15-0400"]


def test_it_runs_each_hour_of_a_range_once_in_autumn():
    assert local_times(new_york("0 1-3 * * *"), "2026-11-01") == ["01:00-0400", "02:00-0500", "03:00-0500"]


def test_it_takes_the_hours_for_times_of_day_even_when_the_minutes_are_an_interval():
    assert local_times(new_york("*/30 1 * * *"), "2026-11-01") == ["01:00-0400", "01:30-0400"]


def test_it_runs_midnight_at_one_when_the_gap_is_at_midnight():
    for zone, day in (("America/Havana", "2026-03-08"), ("Africa/Cairo", "2026-04-24"), ("Asia/Beirut", "2026-03-29")):
        assert local_times(Rule(cron="@daily", timezone=zone), day)[0][:5] == "01:00"


def test_it_runs_midnight_once_when_the_clocks_go_back_to_it():
    rule = Rule(cron="0 0 * * *", timezone="America/Havana")
    assert ticks(rule, at("2026-11-01T00:00Z"), at("2026-11-02T00:00Z")) == [at("2026-11-01T04:00Z")]


def test_it_runs_once_at_the_change_when_a_whole_day_is_left_out():
    rule = Rule(cron="0 12 * * *", timezone="Pacific/Apia")
    start, end = at("2011-12-29T00:00", "Pacific/Apia"), at("2012-01-01T00:00", "Pacific/Apia")
    assert ticks(rule, start, end) == [
        at("2011-12-29T12:00-10:00"),
        at("2011-12-31T00:00+14:00"),
        at("2011-12-31T12:00+14:00"),
    ]


def test_it_runs_midnight_once_for_the_day_left_out_and_the_day_after():
    rule = Rule(cron="0 0 * * *", timezone="Pacific/Apia")
    start, end = at("2011-12-29T00:00", "Pacific/Apia"), at("2012-01-01T00:00", "Pacific/Apia")
    assert ticks(rule, start, end) == [at("2011-12-29T00:00-10:00"), at("2011-12-31T00:00+14:00")]


def test_it_finds_the_half_hour_gap_of_lord_howe():
    assert local_times(Rule(cron="10,40 2 * * *", timezone="Australia/Lord_Howe"), "2026-10-04") == [
        "02:30+1100",
        "02:40+1100",
    ]


# ── Intervals ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_it_runs_an_interval_every_real_half_hour(day):
    found = ticks(new_york("*/30 * * * *"), at(day), at(day) + 2 * DAY_MS)
    assert {later - earlier for earlier, later in pairwise(found)} == {HOUR_MS // 2}
    assert len(found) == 96


def test_it_runs_every_hour_in_both_passes_of_a_fold():
    assert local_times(new_york("0 * * * *"), "2026-11-01")[:4] == [
        "00:00-0400",
        "01:00-0400",
        "01:00-0500",
        "02:00-0500",
    ]


def test_it_makes_up_no_run_of_an_interval_in_a_gap():
    assert local_times(new_york("0 */2 * * *"), "2026-03-08")[:3] == ["00:00-0500", "04:00-0400", "06:00-0400"]


def test_it_skips_an_interval_of_a_day_that_was_left_out():
    rule = Rule(cron="0 * 30 12 *", timezone="Pacific/Apia")
    assert next_tick(rule, at("2011-12-29T00:00Z")) == at("2012-12-30T00:00", "Pacific/Apia")


# ── Any expression in any zone ──────────────────────────────────────────────────────────────────────────────────

NUMBERS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}


def field(name, star=True):
    low, high = NUMBERS[name]
    value = st.integers(low, high).map(str)
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).filter(lambda ends: ends[0] < ends[1])
    spans = pair.map(lambda ends: f"{ends[0]}-{ends[1]}")
    steps = st.integers(1, high - low).map(lambda step: f"*/{step}")
    forms = [value, spans, st.lists(value, min_size=2, max_size=4).map(",".join), steps]
    return st.one_of(st.just("*"), *forms) if star else st.one_of(*forms)


EXPRESSIONS = st.builds(
    " ".join,
    st.tuples(field("minute"), field("hour"), st.just("*"), st.just("*"), st.one_of(st.just("*"), field("weekday"))),
)


def searched(cron, zone, start, end):
    """The docstring's two sentences, by looking at the clocks minute by minute from `start` to `end`."""
    naive = datetime(1970, 1, 1)
    walls = []
    sim = CronSim(cron, naive + timedelta(milliseconds=start - 2 * DAY_MS) - timedelta(seconds=1))
    for wall in sim:
        walls.append((wall - naive) // timedelta(milliseconds=1))
        if walls[-1] > end + 2 * DAY_MS:
            break
    # From earlier than `start`: a time just before it might be shown for the second time after it.
    instants = range(start - 2 * DAY_MS, end, 60_000)
    shows = [instant + offset_at(instant, zone) for instant in instants]
    found = set()
    if cron.split()[1].startswith("*"):
        wanted = set(walls)
        found = {instant for instant, wall in zip(instants, shows, strict=True) if wall in wanted}
    else:
        pending = iter(walls)
        reading = next(pending)
        while reading < shows[0]:
            reading = next(pending)
        for instant, shown in zip(instants, shows, strict=True):
            while shown >= reading:
                found.add(instant)
                reading = next(pending)
    return sorted(instant for instant in found if start <= instant)


@settings(max_examples=150, deadline=None)
@given(cron=EXPRESSIONS, change=st.sampled_from(CHANGES))
def test_it_finds_what_a_search_through_every_minute_finds(cron, change):
    zone_name, day, _ = change
    rule = Rule(cron=cron, timezone=zone_name)
    start, end = at(day) - DAY_MS, at(day) + 2 * DAY_MS
    expected = searched(cron, zone_of(zone_name), start, end)
    assert ticks(rule, start, end) == expected

    backwards = []
    tick = last_tick(rule, end - 1)
    while tick is not None and tick >= start:
        backwards.append(tick)
        tick = last_tick(rule, tick - 1)
    assert backwards == expected[::-1]
    assert count_ticks(rule, start - 1, end - 1, 10_000) == len(expected)


def instant_near(change):
    """Three days around a change, and now and then any instant of a hundred years."""
    middle = at(change[1])
    return st.integers(middle - DAY_MS, middle + 2 * DAY_MS) | st.integers(at("1975-01-01"), at("2090-01-01"))


@settings(max_examples=500, deadline=None)
@given(
    EXPRESSIONS, st.sampled_from(CHANGES).flatmap(lambda change: st.tuples(st.just(change[0]), instant_near(change)))
)
def test_it_goes_strictly_forwards_and_backwards_again(cron, moment):
    zone_name, instant = moment
    rule = Rule(cron=cron, timezone=zone_name)
    tick, earlier = next_tick(rule, instant), last_tick(rule, instant)
    assert earlier <= instant < tick
    assert next_tick(rule, earlier) == tick
    assert next_tick(rule, tick - 1) == tick
    assert last_tick(rule, tick - 1) == earlier
    assert last_tick(rule, tick) == tick


@pytest.mark.parametrize("cron", ["30 1 * * *", "*/5 0-23 * * *", "0,59 1-2 * * *"])
def test_it_runs_no_time_of_day_in_the_second_pass_of_a_fold(cron):
    first, second = at("2026-11-01T05:59Z"), at("2026-11-01T06:00Z")
    rule = new_york(cron)
    for instant in range(second, second + HOUR_MS, 60_000):
        assert first - HOUR_MS < last_tick(rule, instant) <= first
        assert next_tick(rule, instant) >= second + HOUR_MS


# ── The oracle: cronsim, which follows Debian ───────────────────────────────────────────────────────────────────

ORACLE_ZONES = [
    "UTC",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "America/St_Johns",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Berlin",
    "Europe/Chisinau",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Jerusalem",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Pacific/Chatham",
]

ORACLE_EXPRESSIONS = [
    "0 0 * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0,30 0-3 * * *",
    "0 22 * * 1-5",
    "15 2 1,15 * *",
    "0 3 29 2 *",
    "0 0 * * 0",
    "0 0 * * 7",
    "0 0 13 * 5",  # the 13th or a Friday
    "0 0 */2 * 1",  # an odd day that is a Monday
    "0 9 * * 1#1",
    "0 9 L * *",
    "0 12 1-7 * MON",
    "5 4 * * sun",
    "0 0 1 jan,jul *",
    "0 */6 * * *",
]


@pytest.mark.parametrize("zone_name", ORACLE_ZONES)
def test_it_agrees_with_cronsim_over_a_year(zone_name):
    zone = zone_of(zone_name)
    start, end = at("2026-01-01"), at("2027-01-01")
    for cron in ORACLE_EXPRESSIONS:
        sim = CronSim(cron, datetime.fromtimestamp(start / 1000 - 1, zone))
        expected = []
        for moment in sim:
            expected.append(int(moment.timestamp()) * 1000)
            if expected[-1] >= end:
                break
        assert ticks(Rule(cron=cron, timezone=zone_name), start, expected[-1] + 1) == expected, cron


# cronsim steps by whole hours. Where the clocks move by half of one it loses ticks, and in St Johns it never ends;
# the search through every minute covers those.
WHOLE_HOUR_CHANGES = [
    change
    for change in CHANGES
    if change[0] not in {"Australia/Lord_Howe", "America/St_Johns", "Asia/Pyongyang", "America/Caracas"}
]


@pytest.mark.parametrize(("zone_name", "day", "what"), WHOLE_HOUR_CHANGES)
@pytest.mark.parametrize("cron", ["*/30 * * * *", "0 * * * *", "0 */2 * * *", "*/20 */3 * * *"])
def test_it_agrees_with_cronsim_about_intervals_around_a_change(cron, zone_name, day, what):
    start = at(day) - DAY_MS
    expected = [start]
    for moment in CronSim(cron, datetime.fromtimestamp(start / 1000 - 1, zone_of(zone_name))):
        expected.append(int(moment.timestamp()) * 1000)
        if expected[-1] > start + 3 * DAY_MS:
            break
    assert ticks(Rule(cron=cron, timezone=zone_name), start, expected[-1] + 1) == expected[1:], what


@pytest.mark.parametrize(
    ("cron", "ours", "theirs"),
    [
        # Debian takes minutes that begin with a star for an interval too: it repeats these, and loses those in a gap.
        ("*/30 1 * * *", {"2026-11-01": 2}, {"2026-11-01": 4}),
        ("*/30 2 * * *", {"2026-03-08": 1}, {"2026-03-08": 0}),
    ],
)
def test_it_differs_from_cronsim_where_only_the_minutes_begin_with_a_star(cron, ours, theirs):
    zone = zone_of("America/New_York")
    for day, count in ours.items():
        assert len(local_times(new_york(cron), day)) == count
    for day, count in theirs.items():
        sim = CronSim(cron, datetime.fromisoformat(day).replace(tzinfo=zone) - timedelta(seconds=1))
        assert sum(next(sim).date().isoformat() == day for _ in range(4)) == count
