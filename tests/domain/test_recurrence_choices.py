"""What a rule can choose about times that a change of the clocks leaves out or repeats."""

import time
from itertools import pairwise

import pytest

from coordinator.domain.recurrence import Rule, count_ticks, last_tick, next_tick
from tests.domain.ticks import CHOICES, DAY_MS, HOUR_MS, at, local_times, ticks, ticks_backwards


def rule_of(cron, zone, choice=("next", "first")):
    return Rule(cron=cron, timezone=zone, dst_gap=choice[0], dst_fold=choice[1])


# (zone, the first of two days, cron, what the clocks show with `next` and with `skip`)
GAPS = [
    ("America/New_York", "2026-03-08", "30 2 * * *", "03:00-0400 02:30-0400", "02:30-0400"),
    ("America/New_York", "2026-03-07", "30 2 * * *", "02:30-0500 03:00-0400", "02:30-0500"),
    ("America/New_York", "2026-03-08", "30 2 8 3 *", "03:00-0400", ""),
    ("America/New_York", "2026-03-08", "*/15 2 8 3 *", "03:00-0400", ""),
    ("America/New_York", "2026-03-08", "0 1-3 8 3 *", "01:00-0500 03:00-0400", "01:00-0500 03:00-0400"),
    ("America/New_York", "2026-03-08", "30 1-3 8 3 *", "01:30-0500 03:00-0400 03:30-0400", "01:30-0500 03:30-0400"),
    ("America/New_York", "2028-02-29", "30 2 29 2 *", "02:30-0500", "02:30-0500"),
    ("Australia/Lord_Howe", "2026-10-04", "10,40 2 4 * *", "02:30+1100 02:40+1100", "02:40+1100"),
    ("Europe/Dublin", "2025-03-30", "30 1 30 * *", "02:00+0100", ""),
    ("Africa/Casablanca", "2025-04-06", "30 2 6 * *", "03:00+0100", ""),
    ("America/Havana", "2025-03-08", "0 0 8,9 * *", "00:00-0500 01:00-0400", "00:00-0500"),
    ("America/Asuncion", "2023-09-30", "0 0 30,1 * *", "00:00-0400 01:00-0300", "00:00-0400"),
    ("Antarctica/Troll", "2025-03-30", "30 1-3 30 * *", "03:00+0200 03:30+0200", "03:30+0200"),
    ("Pacific/Apia", "2011-12-29", "0 12 * * *", "12:00-1000 00:00+1400 12:00+1400", "12:00-1000 12:00+1400"),
    ("Pacific/Apia", "2011-12-29", "0 12 30 * *", "00:00+1400", ""),
]

# (zone, the first of two days, cron, what the clocks show with `first` and with `both`)
FOLDS = [
    ("America/New_York", "2026-11-01", "30 1 1 * *", "01:30-0400", "01:30-0400 01:30-0500"),
    ("America/New_York", "2026-11-01", "0 2 1 * *", "02:00-0500", "02:00-0500"),
    ("America/New_York", "2026-11-01", "0 1-2 1 * *", "01:00-0400 02:00-0500", "01:00-0400 01:00-0500 02:00-0500"),
    (
        "America/New_York",
        "2026-11-01",
        "*/40 1 1 * *",
        "01:00-0400 01:40-0400",
        "01:00-0400 01:40-0400 01:00-0500 01:40-0500",
    ),
    ("Australia/Lord_Howe", "2026-04-05", "15,45 1 5 * *", "01:15+1100 01:45+1100", "01:15+1100 01:45+1100 01:45+1030"),
    ("Europe/Dublin", "2025-10-26", "30 1 26 * *", "01:30+0100", "01:30+0100 01:30+0000"),
    ("Africa/Casablanca", "2025-02-23", "30 2 23 * *", "02:30+0100", "02:30+0100 02:30+0000"),
    ("America/Havana", "2025-11-02", "0 0 2 * *", "00:00-0400", "00:00-0400 00:00-0500"),
    ("America/Asuncion", "2024-03-23", "30 23 23 * *", "23:30-0300", "23:30-0300 23:30-0400"),
    ("America/Asuncion", "2024-03-23", "0 0 24 * *", "00:00-0400", "00:00-0400"),
    ("Antarctica/Casey", "2010-03-04", "30 23 4 * *", "23:30+1100", "23:30+1100 23:30+0800"),
]


@pytest.mark.parametrize(("zone", "day", "cron", "after_the_gap", "not_at_all"), GAPS)
@pytest.mark.parametrize("fold", ["first", "both"])
def test_a_time_that_was_left_out_runs_after_the_gap_or_not_at_all(zone, day, cron, after_the_gap, not_at_all, fold):
    assert local_times(rule_of(cron, zone, ("next", fold)), day, days=2) == after_the_gap.split()
    assert local_times(rule_of(cron, zone, ("skip", fold)), day, days=2) == not_at_all.split()


@pytest.mark.parametrize(("zone", "day", "cron", "once", "twice"), FOLDS)
@pytest.mark.parametrize("gap", ["next", "skip"])
def test_a_time_that_comes_twice_runs_the_first_time_or_both(zone, day, cron, once, twice, gap):
    assert local_times(rule_of(cron, zone, (gap, "first")), day, days=2) == once.split()
    assert local_times(rule_of(cron, zone, (gap, "both")), day, days=2) == twice.split()


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_an_interval_runs_every_real_half_hour_whatever_was_chosen(day, choice):
    found = ticks(rule_of("*/30 * * * *", "America/New_York", choice), at(day), at(day) + 2 * DAY_MS)
    assert {later - earlier for earlier, later in pairwise(found)} == {HOUR_MS // 2}
    assert len(found) == 96


@pytest.mark.parametrize("choice", CHOICES)
def test_an_interval_has_no_choice_in_a_gap_or_a_fold(choice):
    interval = rule_of("0 */2 * * *", "America/New_York", choice)
    assert local_times(interval, "2026-03-08")[:3] == ["00:00-0500", "04:00-0400", "06:00-0400"]
    hourly = rule_of("0 * * * *", "America/New_York", choice)
    assert local_times(hourly, "2026-11-01")[:4] == ["00:00-0400", "01:00-0400", "01:00-0500", "02:00-0500"]


# ── From any instant ────────────────────────────────────────────────────────────────────────────────────────────


def test_it_finds_the_end_of_a_gap_from_a_millisecond_before():
    gap_ends = at("2026-03-08T07:00Z")
    rule = rule_of("30 2 * * *", "America/New_York")
    assert next_tick(rule, gap_ends - 1) == gap_ends
    assert last_tick(rule, gap_ends) == gap_ends
    assert last_tick(rule, gap_ends - 1) == at("2026-03-07T07:30Z")
    rule = rule_of("30 2 * * *", "America/New_York", ("skip", "first"))
    assert next_tick(rule, gap_ends - 1) == at("2026-03-09T06:30Z")
    assert last_tick(rule, gap_ends) == at("2026-03-07T07:30Z")


def test_it_finds_the_second_time_from_between_the_two():
    first, second = at("2026-11-01T05:30Z"), at("2026-11-01T06:30Z")
    rule = rule_of("30 1 * * *", "America/New_York", ("next", "both"))
    for instant in range(first, second, 60_000):
        assert next_tick(rule, instant) == second
        assert last_tick(rule, instant) == first
    assert last_tick(rule, second) == second
    assert count_ticks(rule, first - 1, second, 10) == 2


def test_it_does_not_take_the_second_time_for_one_of_its_own_days_later():
    first = at("2026-11-01T05:30Z")
    rule = rule_of("30 1 1 * *", "America/New_York")
    for instant in range(first, first + 5 * DAY_MS, 10 * 60_000):
        assert last_tick(rule, instant) == first
        assert next_tick(rule, instant) == at("2026-12-01T06:30Z")


# Days on which the clocks change in some years; in the others they change some days before or after.
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("day", ["1 11", "2 11", "3 11", "4 11", "5 11", "7 3", "9 3", "11 3"])
def test_it_finds_what_is_far_away_across_changes(day, choice):
    rule = rule_of(f"30 1 {day} *", "America/New_York", choice)
    found = ticks(rule, at("2008-01-01"), at("2036-01-01"))
    assert found[::-1] == ticks_backwards(rule, at("2008-01-01"), at("2036-01-01"))
    # In each month four of these 28 years have their first Sunday, on which the clocks go back, on that day.
    is_repeated = day.endswith("11") and choice[1] == "both"
    assert len(found) == (32 if is_repeated else 28)


# ── A time that never comes ─────────────────────────────────────────────────────────────────────────────────────


def test_it_waits_for_a_year_without_the_gap():
    rule = rule_of("30 2 8 3 *", "America/New_York", ("skip", "first"))
    assert next_tick(rule, at("2026-01-01")) == at("2027-03-08T07:30Z")
    assert last_tick(rule, at("2026-12-31")) == at("2025-03-08T07:30Z")
    # Years in which the eighth is the second Sunday.
    years = {2009, 2015, 2020, 2026, 2037}
    expected = [at(f"{year}-03-08T07:30Z") for year in range(2007, 2040) if year not in years]
    assert ticks(rule, at("2007-01-01"), at("2040-01-01")) == expected


@pytest.mark.parametrize(
    ("cron", "zone", "last"),
    [
        ("30 2 * 3 sun#2", "America/New_York", "2006-03-12T07:30Z"),
        ("30 2 * 3 L0", "Europe/Berlin", "1980-03-30T01:30Z"),
    ],
)
def test_it_gives_up_a_time_that_every_year_leaves_out(cron, zone, last):
    rule = rule_of(cron, zone, ("skip", "first"))
    started = time.perf_counter()
    assert next_tick(rule, at("2026-01-01")) is None
    assert next_tick(rule, at("9000-01-01")) is None
    assert last_tick(rule, at("2026-01-01")) == at(last)
    assert last_tick(rule, at("9990-01-01")) is None
    assert count_ticks(rule, at("2007-01-01"), at("2060-01-01"), 1000) == 0
    assert time.perf_counter() - started < 1  # some ten milliseconds; a search to the year 9999 would take seconds
    assert next_tick(rule_of(cron, zone), at("2026-01-01")) is not None


def test_it_runs_nothing_for_a_day_that_was_left_out():
    rule = rule_of("0 0 30 12 *", "Pacific/Apia", ("skip", "first"))
    assert next_tick(rule, at("2011-01-01")) == at("2012-12-30T00:00", "Pacific/Apia")
    assert last_tick(rule, at("2012-06-01")) == at("2010-12-30T00:00", "Pacific/Apia")
