"""What a schedule does about the ticks that are due, however late it is."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.instants import parse_instant
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule, next_tick
from coordinator.domain.schedule import (
    CATCH_UP_LIMIT,
    MISSED_COUNT_LIMIT,
    SKIP_GRACE_MS,
    Firing,
    Schedule,
    fire,
    tick_id,
)
from tests.domain.ticks import CHOICES, searched

SPEC = Spec("report", msgspec.Raw(b'{"x":1}'))
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON = parse_instant("2026-06-01T12:00:00Z", "test")

HOURLY = Rule(cron="0 * * * *")
EVERY_HOUR = Rule(every_ms=HOUR_MS)
POLICIES = ["one", "skip", "all"]


def schedule(rule=HOURLY, misfire="one", window_ms=None):
    return Schedule(rule=rule, spec=SPEC, misfire=misfire, misfire_window_ms=window_ms)


@pytest.mark.parametrize("misfire", POLICIES)
@pytest.mark.parametrize("rule", [HOURLY, EVERY_HOUR])
def test_it_runs_a_tick_of_just_now(rule, misfire):
    assert fire(schedule(rule, misfire), NOON, NOON + 700) == Firing((NOON,), NOON + HOUR_MS, missed=0)


@pytest.mark.parametrize("misfire", POLICIES)
def test_it_runs_a_tick_at_its_very_instant(misfire):
    assert fire(schedule(misfire=misfire), NOON, NOON) == Firing((NOON,), NOON + HOUR_MS, missed=0)


@pytest.mark.parametrize("misfire", POLICIES)
def test_it_waits_for_a_tick_that_is_not_due(misfire):
    assert fire(schedule(misfire=misfire), NOON, NOON - 1) == Firing((), NOON, missed=0)


@pytest.mark.parametrize("rule", [HOURLY, EVERY_HOUR])
def test_it_runs_an_hourly_schedule_once_after_three_hours(rule):
    now = NOON + 3 * HOUR_MS + 5000
    assert fire(schedule(rule), NOON, now) == Firing((NOON + 3 * HOUR_MS,), NOON + 4 * HOUR_MS, missed=3)


@pytest.mark.parametrize("rule", [HOURLY, EVERY_HOUR])
def test_it_skips_what_is_more_than_a_minute_late(rule):
    last = NOON + 3 * HOUR_MS
    firing = fire(schedule(rule, "skip"), NOON, last + SKIP_GRACE_MS)
    assert firing == Firing((last,), last + HOUR_MS, missed=3)
    firing = fire(schedule(rule, "skip"), NOON, last + SKIP_GRACE_MS + 1)
    assert firing == Firing((), last + HOUR_MS, missed=4)


def test_it_skips_all_but_the_newest_of_the_ticks_of_the_last_minute():
    firing = fire(schedule(Rule(every_ms=10_000), "skip"), NOON - DAY_MS, NOON + 5000)
    assert firing == Firing((NOON,), NOON + 10_000, missed=DAY_MS // 10_000)


@pytest.mark.parametrize("rule", [HOURLY, EVERY_HOUR])
def test_it_runs_all_the_oldest_first(rule):
    now = NOON + 3 * HOUR_MS + 5000
    ticks = tuple(NOON + hour * HOUR_MS for hour in range(4))
    assert fire(schedule(rule, "all"), NOON, now) == Firing(ticks, NOON + 4 * HOUR_MS, missed=0)


@pytest.mark.parametrize("rule", [HOURLY, EVERY_HOUR])
def test_it_drops_the_oldest_of_too_many_and_counts_them(rule):
    last = NOON + 150 * HOUR_MS
    firing = fire(schedule(rule, "all"), NOON, last)
    assert firing.ticks == tuple(range(last - 99 * HOUR_MS, last + 1, HOUR_MS))
    assert firing.missed == 51


@pytest.mark.parametrize("misfire", POLICIES)
def test_it_passes_over_what_is_older_than_the_window(misfire):
    late = schedule(misfire=misfire, window_ms=10_000)
    assert fire(late, NOON, NOON + 10_000) == Firing((NOON,), NOON + HOUR_MS, missed=0)
    assert fire(late, NOON, NOON + 10_001) == Firing((), NOON + HOUR_MS, missed=1)


def test_it_runs_all_within_the_window():
    firing = fire(schedule(misfire="all", window_ms=2 * HOUR_MS), NOON, NOON + 5 * HOUR_MS)
    assert firing.ticks == (NOON + 3 * HOUR_MS, NOON + 4 * HOUR_MS, NOON + 5 * HOUR_MS)
    assert firing.missed == 3


def test_it_does_not_let_a_wide_window_weaken_skip():
    firing = fire(schedule(misfire="skip", window_ms=DAY_MS), NOON, NOON + 2 * SKIP_GRACE_MS)
    assert firing == Firing((), NOON + HOUR_MS, missed=1)


def test_it_ends_after_the_last_tick():
    rule = Rule(cron="0 * * * *", end_at=NOON + HOUR_MS)
    assert fire(schedule(rule), NOON, NOON + DAY_MS) == Firing((NOON + HOUR_MS,), None, missed=1)
    assert fire(schedule(rule), NOON + HOUR_MS, NOON + HOUR_MS) == Firing((NOON + HOUR_MS,), None, missed=0)


@pytest.mark.parametrize("misfire", POLICIES)
def test_it_runs_an_expected_tick_that_the_rule_no_longer_has(misfire):
    # As after a release of tzdata that moved a zone between the plan and the run.
    expected = NOON - 30 * 60_000
    assert fire(schedule(misfire=misfire), expected, expected + 500) == Firing((expected,), NOON, missed=0)


def test_it_fires_the_spring_gap_and_the_autumn_fold_once():
    rule = Rule(cron="30 2 * * *", timezone="America/New_York")
    gap = parse_instant("2026-03-08T07:00:00Z", "test")
    firing = fire(schedule(rule, "all"), gap, gap + 2 * HOUR_MS)
    assert firing == Firing((gap,), parse_instant("2026-03-09T06:30:00Z", "test"), missed=0)
    rule = Rule(cron="30 1 * * *", timezone="America/New_York")
    fold = parse_instant("2026-11-01T05:30:00Z", "test")
    firing = fire(schedule(rule, "all"), fold, fold + 2 * HOUR_MS)
    assert firing == Firing((fold,), parse_instant("2026-11-02T06:30:00Z", "test"), missed=0)


def test_it_fires_a_spring_gap_not_at_all_and_an_autumn_fold_twice_if_so_chosen():
    rule = Rule(cron="30 2 * * *", timezone="America/New_York", dst_gap="skip")
    before = parse_instant("2026-03-07T07:30:00Z", "test")
    after = parse_instant("2026-03-09T06:30:00Z", "test")
    assert fire(schedule(rule, "all"), before, after) == Firing((before, after), after + DAY_MS, missed=0)
    assert fire(schedule(rule), before, after - 1) == Firing((before,), after, missed=0)
    rule = Rule(cron="30 1 * * *", timezone="America/New_York", dst_fold="both")
    fold = parse_instant("2026-11-01T05:30:00Z", "test")
    now = fold + 2 * HOUR_MS
    assert fire(schedule(rule, "all"), fold, now) == Firing((fold, fold + HOUR_MS), fold + HOUR_MS + DAY_MS, missed=0)
    assert fire(schedule(rule), fold, now) == Firing((fold + HOUR_MS,), fold + HOUR_MS + DAY_MS, missed=1)


@pytest.mark.parametrize("misfire", POLICIES)
@pytest.mark.parametrize(
    ("rule", "missed"),
    [
        (Rule(every_ms=1000), 365 * 86_400 + 1),
        (Rule(cron="* * * * *", timezone="Europe/Berlin"), MISSED_COUNT_LIMIT + 1),
    ],
)
def test_it_is_cheap_after_a_year(rule, missed, misfire):
    started = time.perf_counter()
    firing = fire(schedule(rule, misfire), NOON - 365 * DAY_MS, NOON)
    assert time.perf_counter() - started < 1  # some milliseconds; half a million ticks would take seconds
    assert firing.missed + len(firing.ticks) == missed
    assert firing.ticks[-1] == NOON


RULES = st.one_of(
    st.builds(Rule, every_ms=st.integers(1000, DAY_MS), anchor_at=st.integers(0, NOON)),
    st.builds(
        Rule,
        cron=st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *", "0,30 1-3 * * 0", "0 0 1 * *"]),
        timezone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
        dst_gap=st.sampled_from(["next", "skip"]),
        dst_fold=st.sampled_from(["first", "both"]),
    ),
)


@given(
    rule=RULES,
    misfire=st.sampled_from(POLICIES),
    start=st.integers(NOON - 365 * DAY_MS, NOON),
    down_ms=st.integers(0, DAY_MS) | st.integers(0, 20 * DAY_MS),
    window_ms=st.none() | st.integers(0, 2 * DAY_MS),
)
def test_it_loses_and_doubles_nothing(rule, misfire, start, down_ms, window_ms):
    expected = next_tick(rule, start)
    now = expected + down_ms
    due = [expected]
    while len(due) <= MISSED_COUNT_LIMIT and next_tick(rule, due[-1]) <= now:
        due.append(next_tick(rule, due[-1]))
    if len(due) > MISSED_COUNT_LIMIT:
        return
    firing = fire(schedule(rule, misfire, window_ms), expected, now)

    most = CATCH_UP_LIMIT if misfire == "all" else 1
    oldest = now - min(SKIP_GRACE_MS if misfire == "skip" else now, now if window_ms is None else window_ms)
    assert firing.ticks == tuple([tick for tick in due if tick >= oldest][-most:])
    assert firing.missed == len(due) - len(firing.ticks)
    assert firing.next_at == next_tick(rule, due[-1])
    assert firing.next_at > now


@settings(deadline=None)
@given(
    cron=st.sampled_from(["*/30 1-2 * * *", "15 0-3 * * *", "0 0 * * *", "45 1,23 * * *", "0 */2 * * *"]),
    change=st.sampled_from(
        [
            ("America/New_York", "2026-03-08"),
            ("America/New_York", "2026-11-01"),
            ("Australia/Lord_Howe", "2026-04-05"),
            ("Australia/Lord_Howe", "2026-10-04"),
            ("Africa/Cairo", "2026-04-24"),
            ("Africa/Cairo", "2026-10-30"),
            ("Pacific/Apia", "2011-12-30"),
        ]
    ),
    choice=st.sampled_from(CHOICES),
    misfire=st.sampled_from(POLICIES),
    start_ms=st.integers(-DAY_MS, DAY_MS),
    down_ms=st.integers(0, 2 * DAY_MS),
)
def test_it_misses_what_the_clocks_showed_while_nobody_was_there(cron, change, choice, misfire, start_ms, down_ms):
    zone, day = change
    rule = Rule(cron=cron, timezone=zone, dst_gap=choice[0], dst_fold=choice[1])
    middle = parse_instant(day, "test")
    ticks = [tick for tick in searched(rule, middle - DAY_MS, middle + 6 * DAY_MS) if tick >= middle + start_ms]
    now = ticks[0] + down_ms
    due = [tick for tick in ticks if tick <= now]
    firing = fire(schedule(rule, misfire), due[0], now)

    oldest = now - SKIP_GRACE_MS if misfire == "skip" else 0
    assert firing.ticks == tuple([tick for tick in due if tick >= oldest][0 if misfire == "all" else -1 :])
    assert firing.missed == len(due) - len(firing.ticks)
    assert firing.next_at == ticks[len(due)]


def test_it_names_the_job_of_a_tick():
    assert tick_id("sch_1", NOON) == "sch_1:1780315200"
    assert tick_id("sch_1", NOON + 999) == tick_id("sch_1", NOON)


def test_it_is_stored_without_its_defaults():
    stored = msgspec.json.encode(schedule())
    assert stored == b'{"rule":{"cron":"0 * * * *"},"spec":{"worker":"report","args":{"x":1}}}'
    assert msgspec.json.encode(msgspec.json.decode(stored, type=Schedule)) == stored


@pytest.mark.parametrize("field", ['"misfire":"two"', '"misfireWindowMs":-1', '"maxRuns":0'])
def test_it_refuses_a_schedule_that_means_nothing(field):
    stored = f'{{"rule":{{"cron":"@daily"}},"spec":{{"worker":"w","args":1}},{field}}}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(stored, type=Schedule)
