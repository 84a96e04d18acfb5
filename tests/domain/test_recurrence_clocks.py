"""What a rule means when clocks change, and that it means the same forwards, backwards and counted."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.instants import first_change
from coordinator.domain.recurrence import Rule, count_ticks, last_tick, next_tick
from tests.domain.ticks import (
    CHOICES,
    DAY_MS,
    HOUR_MS,
    at,
    local_times,
    searched,
    ticks,
    ticks_backwards,
    zone_of,
)

# (zone, a day at which its clocks change, and what is special)
CHANGES = [
    ("America/New_York", "2026-03-08", "gap of an hour at two"),
    ("America/New_York", "2026-11-01", "fold of an hour at two"),
    ("Europe/Berlin", "2026-03-29", "gap"),
    ("Europe/Berlin", "2026-10-25", "fold"),
    ("Europe/Dublin", "2026-10-25", "winter is the daylight saving time by law"),
    ("Australia/Lord_Howe", "2026-04-05", "fold of half an hour"),
    ("Australia/Lord_Howe", "2026-10-04", "gap of half an hour"),
    ("America/Havana", "2025-03-09", "gap at midnight"),
    ("America/Havana", "2025-11-02", "fold back to midnight"),
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


def new_york(cron):
    return Rule(cron=cron, timezone="America/New_York")


@pytest.mark.parametrize(("zone_name", "day", "what"), CHANGES[:-1])
def test_the_days_above_are_days_of_a_change(zone_name, day, what):
    # A newer tzdata may know that a government changed its mind, and what follows would test nothing.
    assert first_change(at(day) - DAY_MS, at(day) + DAY_MS, zone_of(zone_name)), what


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
    assert ticks(rule, at("2025-11-02T00:00Z"), at("2025-11-03T00:00Z")) == [at("2025-11-02T04:00Z")]


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


@st.composite
def rules(draw):
    """Any expression where clocks change, any choices, and the change."""
    gap, fold = draw(st.sampled_from(CHOICES))
    change = draw(st.sampled_from(CHANGES))
    return Rule(cron=draw(EXPRESSIONS), timezone=change[0], dst_gap=gap, dst_fold=fold), change


@settings(max_examples=150, deadline=None)
@given(rules())
def test_it_finds_what_a_search_through_every_minute_finds(rule_and_change):
    rule, change = rule_and_change
    start, end = at(change[1]) - DAY_MS, at(change[1]) + 2 * DAY_MS
    expected = searched(rule, start, end)
    assert ticks(rule, start, end) == expected
    assert ticks_backwards(rule, start, end) == expected[::-1]
    assert count_ticks(rule, start - 1, end - 1, 10_000) == len(expected)


def instant_near(change):
    """Three days around a change, and now and then any instant of a hundred years."""
    middle = at(change[1])
    return st.integers(middle - DAY_MS, middle + 2 * DAY_MS) | st.integers(at("1975-01-01"), at("2090-01-01"))


@settings(max_examples=500, deadline=None)
@given(rules().flatmap(lambda drawn: st.tuples(st.just(drawn[0]), instant_near(drawn[1]))))
def test_it_goes_strictly_forwards_and_backwards_again(drawn):
    rule, instant = drawn
    tick, earlier = next_tick(rule, instant), last_tick(rule, instant)
    assert earlier <= instant < tick
    assert next_tick(rule, earlier) == tick
    assert next_tick(rule, tick - 1) == tick
    assert last_tick(rule, tick - 1) == earlier
    assert last_tick(rule, tick) == tick
    assert count_ticks(rule, earlier, tick, 10) == 1
    assert count_ticks(rule, earlier - 1, tick - 1, 10) == 1


@settings(max_examples=200, deadline=None)
@given(
    rules().flatmap(lambda drawn: st.tuples(st.just(drawn[0]), instant_near(drawn[1]))), *[st.integers(0, DAY_MS)] * 2
)
def test_it_counts_every_tick_once(drawn, first_ms, second_ms):
    rule, start = drawn
    middle, end = start + first_ms, start + first_ms + second_ms
    counts = [count_ticks(rule, *span, 10_000) for span in ((start, middle), (middle, end), (start, end))]
    assert counts[0] + counts[1] == counts[2]


@pytest.mark.parametrize("cron", ["30 1 * * *", "*/5 0-23 * * *", "0,59 1-2 * * *"])
def test_it_runs_no_time_of_day_in_the_second_pass_of_a_fold(cron):
    first, second = at("2026-11-01T05:59Z"), at("2026-11-01T06:00Z")
    rule = new_york(cron)
    for instant in range(second, second + HOUR_MS, 60_000):
        assert first - HOUR_MS < last_tick(rule, instant) <= first
        assert next_tick(rule, instant) >= second + HOUR_MS
