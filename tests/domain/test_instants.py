"""Points in time, as people write them and as we answer them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.instants import (
    first_change,
    format_instant,
    instant_of,
    last_change,
    local,
    offset_at,
    parse_instant,
    parse_timezone,
)
from coordinator.errors import Invalid

TEN = "2020-01-01T10:00:00.000Z"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2020-01-01 10:00:00 AM", TEN),  # word for word the first sample of the original idea
        ("2020-01-01 10:00:00 am", TEN),
        ("2020-01-01 10:00:00AM", TEN),
        ("2020-01-01 10:00 AM", TEN),
        ("2020-01-01 10:00:00 PM", "2020-01-01T22:00:00.000Z"),
        ("2020-01-01 12:00:00 AM", "2020-01-01T00:00:00.000Z"),
        ("2020-01-01 12:00:00 PM", "2020-01-01T12:00:00.000Z"),
        ("2020-01-01 1:05:00 PM", "2020-01-01T13:05:00.000Z"),
        ("2020-01-01 10:00:00", TEN),
        ("2020-01-01 10:00", TEN),
        (" 2020-01-01T10:00:00 ", TEN),
        ("2020-01-01t10:00:00z", TEN),
        ("2020-01-01T10:00Z", TEN),
        ("2020-01-01T10:00:00 UTC", TEN),
        ("2020-01-01T12:00:00+02:00", TEN),
        ("2020-01-01T12:00:00+0200", TEN),
        ("2020-01-01T12:00:00 +02", TEN),
        ("2020-01-01T04:30:00-05:30", TEN),
        ("2020-01-01T10:00:00.5Z", "2020-01-01T10:00:00.500Z"),
        ("2020-01-01T10:00:00.123999999Z", "2020-01-01T10:00:00.123Z"),
        ("2020-01-01T10:00:00,007", "2020-01-01T10:00:00.007Z"),
        ("2020-01-01", "2020-01-01T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        (1_577_872_800, TEN),
        (1_577_872_800.007, "2020-01-01T10:00:00.007Z"),
        (1_577_872_800_000, TEN),
        (1_577_872_800_000.0, TEN),
        (99_999_999_999, "5138-11-16T09:46:39.000Z"),
        (100_000_000_000, "1973-03-03T09:46:40.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_it_reads(written, meant):
    assert format_instant(parse_instant(written, "runAt")) == meant


@pytest.mark.parametrize(
    ("written", "timezone", "meant"),
    [
        ("2020-01-01 10:00:00 AM", "America/New_York", "2020-01-01T15:00:00.000Z"),
        ("2020-01-01T10:00:00Z", "America/New_York", TEN),
        (1_577_872_800, "America/New_York", TEN),
        # a gap: the first instant after it
        ("2026-03-08 02:30", "America/New_York", "2026-03-08T07:00:00.000Z"),
        ("2026-03-08 02:00", "America/New_York", "2026-03-08T07:00:00.000Z"),
        ("2026-03-08 03:00", "America/New_York", "2026-03-08T07:00:00.000Z"),
        ("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00.000Z"),
        ("2011-12-30 18:00", "Pacific/Apia", "2011-12-30T10:00:00.000Z"),
        ("2026-03-08", "America/Havana", "2026-03-08T05:00:00.000Z"),
        # a fold: the first of the two
        ("2026-11-01 01:30", "America/New_York", "2026-11-01T05:30:00.000Z"),
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),
        ("2026-10-25 01:30", "Europe/Dublin", "2026-10-25T00:30:00.000Z"),
    ],
)
def test_it_takes_a_text_without_offset_for_a_wall_clock(written, timezone, meant):
    assert format_instant(parse_instant(written, "runAt", timezone)) == meant


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        [],
        {},
        "",
        "now",
        "tomorrow",
        "1577872800",
        "2020-1-1",
        "20200101T100000Z",
        "2020-01-01T10",
        "2020-02-30",
        "2021-02-29",
        "2020-13-01",
        "2020-01-01T24:00:00",
        "2020-01-01T10:60:00",
        "2020-01-01T23:59:60Z",
        "2020-01-01 13:00:00 PM",
        "2020-01-01 00:00:00 AM",
        "2020-01-01T10:00:00+24:00",
        "2020-01-01T10:00:00+02:60",
        "2020-01-01T10:00:00 Europe/Berlin",
        "2020-01-01T10:00:00Z\n",
        "\u0662\u0660\u0662\u0660-01-01",
        "2020-01-01T10:00:00." + "0" * 100,
        float("nan"),
        float("inf"),
    ],
)
def test_it_refuses_what_is_no_instant(written):
    with pytest.raises(Invalid, match="is not an instant") as refusal:
        parse_instant(written, "runAt")
    assert refusal.value.code == "invalid_run_at"
    assert "ISO 8601" in refusal.value.detail


@pytest.mark.parametrize(
    "written",
    [
        0,
        -1,
        -1e300,
        1e300,
        pytest.param(10**5000, id="5000 digits"),
        253_402_300_800_000,
        "1969-12-31T23:59:59Z",
        "0000-01-01",
        "0001-01-01",
    ],
)
def test_it_refuses_other_years(written):
    with pytest.raises(Invalid, match="is outside the years|is not an instant") as refusal:
        parse_instant(written, "runAt")
    assert refusal.value.code == "invalid_run_at"


def test_it_refuses_the_last_evening_of_9999_in_the_west():
    with pytest.raises(Invalid, match="outside the years"):
        parse_instant("9999-12-31T23:59:59", "runAt", "America/New_York")


@given(st.integers(1, 253_402_300_799_999))
def test_it_reads_what_it_answers(instant):
    answered = format_instant(instant)
    assert len(answered) == 24
    assert parse_instant(answered, "runAt", "Asia/Tokyo") == instant
    if instant >= 10**11:
        assert parse_instant(instant, "runAt") == instant


@given(st.integers(1, 10**11 - 1))
def test_it_reads_seconds_and_their_thousandths(instant_s):
    assert parse_instant(instant_s, "runAt") == instant_s * 1000
    assert parse_instant(instant_s + 0.5, "runAt") == instant_s * 1000 + 500


@given(st.text(st.sampled_from("0123456789-:T .Z+APM")) | st.floats() | st.integers() | st.text())
def test_it_accepts_or_refuses_anything(written):
    try:
        instant = parse_instant(written, "runAt", "America/Havana")
    except Invalid:
        return
    assert 0 < instant < 253_402_300_800_000


def test_it_answers_nothing_for_nothing():
    assert format_instant(None) is None
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"


# ── Zones ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("europe/berlin", "did you mean Europe/Berlin"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("utc", "did you mean UTC?"),
        ("../../etc/passwd", "use an IANA name"),
        ("/etc/localtime", "use an IANA name"),
        ("Europe/../UTC", "is not a known timezone"),
        ("UTC\x00", "is not a known timezone"),
        ("+02:00", "use an IANA name"),
        ("", "use an IANA name"),
        ("x" * 10_000, "use an IANA name"),
        (None, "use an IANA name"),
        (2, "use an IANA name"),
        (["UTC"], "use an IANA name"),
    ],
)
def test_it_refuses_an_unknown_zone_and_suggests_another(name, hint):
    with pytest.raises(Invalid) as refusal:
        parse_timezone(name, "timezone")
    assert refusal.value.code == "invalid_timezone"
    assert hint in refusal.value.detail
    assert len(refusal.value.detail) < 200


def test_it_refuses_an_instant_in_an_unknown_zone_by_the_name_of_the_zones_field():
    with pytest.raises(Invalid, match="^timezone: ") as refusal:
        parse_instant("2020-01-01 10:00", "runAt", "Mars/Base")
    assert refusal.value.code == "invalid_timezone"


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_it_knows_the_zones(name):
    assert parse_timezone(name, "timezone").key == name


ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Europe/Dublin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Gaza",
    ]
).map(lambda name: parse_timezone(name, "test"))
INSTANTS = st.integers(0, 4_000_000_000_000)


@given(ZONES, INSTANTS)
def test_it_finds_the_first_instant_of_what_the_clocks_show(zone, instant):
    wall = instant + offset_at(instant, zone)
    found = instant_of(wall, zone)
    assert found + offset_at(found, zone) == wall
    assert found <= instant
    assert (found < instant) == (local(instant, zone).fold == 1)


@given(ZONES, INSTANTS, st.integers(0, 3 * 86_400_000))
def test_it_keeps_the_order_of_wall_clocks(zone, wall, later_ms):
    assert instant_of(wall, zone) <= instant_of(wall + later_ms, zone)


@given(ZONES, INSTANTS, st.integers(0, 500))
def test_it_finds_the_changes_in_between(zone, start, days):
    end = start + days * 86_400_000
    first, last = first_change(start, end, zone), last_change(start, end, zone)
    assert (first is None) == (last is None)
    if first is not None:
        assert start < first <= last <= end
        for change in (first, last):
            assert offset_at(change - 1, zone) != offset_at(change, zone)
        assert first_change(start, first - 1, zone) is None
        assert last_change(last, end, zone) is None


def test_it_shows_the_local_clock_to_the_second():
    zone = parse_timezone("America/New_York", "test")
    instant = parse_instant("2026-11-01T06:30:00Z", "test")
    shown = local(instant, zone)
    assert shown.isoformat() == "2026-11-01T01:30:00-05:00"
    assert shown.fold == 1
    assert shown.astimezone(UTC) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
