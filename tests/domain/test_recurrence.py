"""What an expression and an interval mean, on days on which no clock changes."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.cron import parse_cron
from coordinator.domain.recurrence import Rule, count_ticks, last_tick, next_tick
from coordinator.errors import Invalid
from tests.domain.ticks import DAY_MS, HOUR_MS, at, ticks

# ── What an expression says ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 0 L 2 *", ["2026-02-28", "2027-02-28", "2028-02-29"]),
        ("0 0 * * L5", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 * * fri#2", ["2026-01-09", "2026-02-13", "2026-03-13"]),
        ("0 0 * * 7#1", ["2026-01-04", "2026-02-01", "2026-03-01"]),
        ("0 0 15 * 1#3", ["2026-01-15", "2026-01-19", "2026-02-15"]),
        ("0 0 * 1 sat-mon", ["2026-01-03", "2026-01-04", "2026-01-05"]),
        ("0 0 ? * MON", ["2026-01-05", "2026-01-12", "2026-01-19"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("@yearly", ["2026-01-01", "2027-01-01", "2028-01-01"]),
        ("@annually", ["2026-01-01", "2027-01-01", "2028-01-01"]),
        ("@monthly", ["2026-01-01", "2026-02-01", "2026-03-01"]),
        ("@weekly", ["2026-01-04", "2026-01-11", "2026-01-18"]),
        ("@midnight", ["2026-01-01", "2026-01-02", "2026-01-03"]),
    ],
)
def test_it_finds_the_days(cron, days):
    rule = Rule(cron=parse_cron(cron, None, "cron")[0])
    tick, found = at("2026-01-01") - 1, []
    for _ in days:
        tick = next_tick(rule, tick)
        found.append(datetime.fromtimestamp(tick / 1000, UTC).date().isoformat())
    assert found == days


def test_it_goes_past_midnight_in_a_range_of_hours():
    day = at("2026-01-01")
    found = ticks(Rule(cron="0 22-2 * * *"), day, day + DAY_MS)
    assert [(tick - day) // HOUR_MS for tick in found] == [0, 1, 2, 22, 23]


def test_it_crosses_the_year_2100_that_has_no_leap_day():
    assert next_tick(Rule(cron="0 0 29 2 *"), at("2096-03-01")) == at("2104-02-29")


@pytest.mark.parametrize(
    ("written", "timezone", "meant"),
    [
        ("0 9 * * 1-5", None, ("0 9 * * 1-5", "UTC")),
        ("  0\t9  *  * MON ", "Europe/Berlin", ("0 9 * * MON", "Europe/Berlin")),
        ("@Hourly", None, ("@hourly", "UTC")),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", None, ("0 9 * * *", "Asia/Tokyo")),
        ("TZ=Asia/Tokyo @daily", "Asia/Tokyo", ("@daily", "Asia/Tokyo")),
    ],
)
def test_it_reads_an_expression_and_its_zone(written, timezone, meant):
    assert parse_cron(written, timezone, "cron") == meant


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("0 0 31 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 29 2 */7", "never comes"),  # a Sunday of 2032
        ("R * * * *", "not understood"),
        ("R(0-10) * * * *", "not understood"),
        ("H * * * *", "not understood"),
        ("0 H/2 * * *", "not understood"),
        ("0 0 15W * *", "not understood"),
        ("0 0 * * 5L", "not understood"),
        ("@reboot", "not one of"),
        ("@every 5m", "every"),
        ("*/10 * * * * *", "seconds"),
        ("0 0 1 1 * 0 2030", "7 fields"),
        ("* * * *", "4 fields"),
        ("", "1 fields"),
        ("60 * * * *", "wrong minute"),
        ("0 24 * * *", "wrong hour"),
        ("0 0 0 * *", "wrong day of month"),
        ("0 0 * 13 *", "wrong month"),
        ("0 0 * * 8", "wrong day of week"),
        ("*/0 * * * *", "out of range"),
        ("0 9-9 * * *", "range of one"),
        ("0 09-9/2 * * *", "range of one"),
        ("0 0 * * mon-1", "range of one"),
        ("0 0 * * 1,5#2", "mixed"),
        ("0 9 * * *\u3000", "not understood"),
        ("0 9 * * \u0661", "not understood"),
        ("* " * 200, "256"),
        (None, "256"),
        (5, "256"),
        ("CRON_TZ=UTC", "1 fields"),
    ],
)
def test_it_refuses_an_expression_and_says_why(written, hint):
    with pytest.raises(Invalid) as refusal:
        parse_cron(written, None, "cron")
    assert refusal.value.code == "invalid_cron"
    assert hint in refusal.value.detail
    assert "0 9 * * 1-5" in refusal.value.detail


def test_it_refuses_a_prefix_that_contradicts_the_timezone():
    with pytest.raises(Invalid, match="another timezone") as refusal:
        parse_cron("TZ=Asia/Tokyo 0 9 * * *", "UTC", "cron")
    assert refusal.value.code == "invalid_cron"


@pytest.mark.parametrize(("written", "timezone"), [("TZ=Mars/Base 0 9 * * *", None), ("0 9 * * *", "../UTC")])
def test_it_refuses_an_unknown_zone(written, timezone):
    with pytest.raises(Invalid) as refusal:
        parse_cron(written, timezone, "cron")
    assert refusal.value.code == "invalid_timezone"


@given(st.text(st.sampled_from("0123456789*,-/#?@LlWwRrHh montuejanfebTZ=CRON_\t\n\u00a0"), max_size=40))
def test_it_accepts_or_refuses_any_text(written):
    try:
        cron, timezone = parse_cron(written, None, "cron")
    except Invalid:
        return
    tick = next_tick(Rule(cron=cron, timezone=timezone), at("2026-01-01"))
    assert tick is not None
    assert parse_cron(cron, timezone, "cron") == (cron, timezone)


# ── Intervals without cron, and limits ──────────────────────────────────────────────────────────────────────────


@given(
    every_ms=st.integers(1000, 400 * DAY_MS),
    anchor_at=st.integers(0, at("2030-01-01")),
    instant=st.integers(at("2000-01-01"), at("2040-01-01")),
    later_ms=st.integers(0, 1000 * DAY_MS),
)
def test_it_counts_an_interval_from_its_anchor(every_ms, anchor_at, instant, later_ms):
    rule = Rule(every_ms=every_ms, anchor_at=anchor_at)
    tick = next_tick(rule, instant)
    assert (tick - anchor_at) % every_ms == 0
    assert instant < tick <= instant + every_ms
    assert next_tick(rule, tick) == tick + every_ms
    assert last_tick(rule, tick) == tick
    assert count_ticks(rule, instant, instant + later_ms, 1) == max(0, (instant + later_ms - tick) // every_ms + 1)


@pytest.mark.parametrize("rule", [Rule(cron="0 9 * * *"), Rule(every_ms=DAY_MS, anchor_at=9 * HOUR_MS)])
def test_it_keeps_between_start_and_end_and_takes_both_for_ticks(rule):
    first, last = at("2026-05-01T09:00Z"), at("2026-05-03T09:00Z")
    rule = msgspec.structs.replace(rule, start_at=first, end_at=last)
    assert next_tick(rule, 0) == first
    assert ticks(rule, 0, at("2030-01-01")) == [first, first + DAY_MS, last]
    assert next_tick(rule, last) is None
    assert last_tick(rule, at("2030-01-01")) == last
    assert last_tick(rule, first - 1) is None
    assert count_ticks(rule, 0, at("2030-01-01"), 100) == 3


@pytest.mark.parametrize("rule", [Rule(cron="* * * * *", timezone="Pacific/Kiritimati"), Rule(every_ms=1000)])
def test_it_ends_with_the_years_that_can_be_written(rule):
    assert next_tick(rule, 253_402_300_799_999) is None
    assert next_tick(rule, 10**18) is None
    assert last_tick(rule, 10**18) < at("9999-01-01")
    assert last_tick(rule, -1) is None
    assert next_tick(rule, -(10**18)) == 0


def test_it_refuses_a_rule_with_both_meanings_or_none():
    for fields in (
        b"{}",
        b'{"cron":"@daily","everyMs":5000}',
        b'{"everyMs":999}',
        b'{"cron":"@daily","dstGap":"both"}',
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(fields, type=Rule)


def test_it_is_stored_without_its_defaults():
    rule = Rule(cron="0 9 * * *", timezone="Asia/Tokyo", end_at=5)
    stored = msgspec.json.encode(rule)
    assert stored == b'{"cron":"0 9 * * *","timezone":"Asia/Tokyo","endAt":5}'
    assert msgspec.json.decode(stored, type=Rule) == rule


def test_it_is_stored_with_what_was_chosen_about_the_clocks():
    rule = Rule(cron="0 9 * * *", dst_gap="skip", dst_fold="both")
    stored = msgspec.json.encode(rule)
    assert stored == b'{"cron":"0 9 * * *","dstGap":"skip","dstFold":"both"}'
    assert msgspec.json.decode(stored, type=Rule) == rule
