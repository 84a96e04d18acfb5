"""Durations, as people write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.durations import DURATION_MAX_MS, parse_duration, shown
from coordinator.errors import Invalid

UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, 0),
        (1500, 1500),
        (1500.0, 1500),
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("0s", 0),
        ("1.5h", 5_400_000),
        ("1.1s", 1100),
        ("0.001s", 1),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        (" 10 m ", 600_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("90m", 5_400_000),
        ("PT5M", 300_000),
        ("P1DT2H", 93_600_000),
        ("PT1H30M", 5_400_000),
        ("P2W", 1_209_600_000),
        ("PT0.5S", 500),
        ("P1D", 86_400_000),
    ],
)
def test_it_reads(written, meant):
    assert parse_duration(written, "delay") == meant


@pytest.mark.parametrize(
    "written",
    [
        True,
        False,
        None,
        1.5,
        float("nan"),
        float("inf"),
        [],
        {},
        "",
        " ",
        "5",
        "5M",
        "5 minutes",
        "5mm",
        "s",
        ".5s",
        "5.s",
        "1,5h",
        "-5s",
        "+5s",
        "1e3s",
        "1m30h",
        "1h1h",
        "1.0001s",
        "0.5ms",
        "P",
        "PT",
        "P1DT",
        "P1M",
        "P1Y",
        "PT5",
        "pt5m",
        "P1D2H",
        "\u0663s",
        "5s\n",
        "5s\x00",
        "1" * 60 + "h1",
        "0" * 100 + "1s",
    ],
)
def test_it_refuses_what_is_no_duration(written):
    with pytest.raises(Invalid, match="is not a duration; use milliseconds") as refusal:
        parse_duration(written, "delay")
    assert refusal.value.code == "validation_error"
    assert refusal.value.extra["errors"] == [{"path": "delay", "message": refusal.value.detail.removeprefix("delay: ")}]


@pytest.mark.parametrize(
    ("written", "bounds", "message"),
    [
        (-1, {}, "-1 is too short; the least is 0"),
        ("500ms", {"least_ms": 1000}, '"500ms" is too short; the least is 1s'),
        ("25h", {"most_ms": 86_400_000}, '"25h" is too long; the most is 1d'),
        (90_001, {"most_ms": 90_000}, "90001 is too long; the most is 90s"),
        ("9" * 60 + "d", {}, "is too long; the most is 366d"),
        # Python does not print a number of so many digits.
        pytest.param(10**5000, {}, "a number beyond 64 bits is too long", id="5000 digits"),
        (1e300, {}, "1e+300 is too long"),
    ],
)
def test_it_refuses_what_is_out_of_bounds_and_names_the_bound(written, bounds, message):
    with pytest.raises(Invalid) as refusal:
        parse_duration(written, "timeout", **bounds)
    assert message in refusal.value.detail


def test_it_takes_both_bounds():
    assert parse_duration("1s", "timeout", least_ms=1000, most_ms=1000) == 1000
    assert parse_duration(DURATION_MAX_MS, "timeout") == DURATION_MAX_MS


@given(st.dictionaries(st.sampled_from(list(UNITS)), st.integers(0, 50), min_size=1))
def test_it_adds_up_the_units(amounts):
    written = "".join(f"{amounts[unit]}{unit}" for unit in UNITS if unit in amounts)
    meant = sum(amount * UNITS[unit] for unit, amount in amounts.items())
    assert parse_duration(written, "delay", most_ms=10**12) == meant


@given(st.integers(0, DURATION_MAX_MS // 1000), st.integers(0, 999))
def test_it_reads_decimals_exactly(seconds, thousandths):
    assert parse_duration(f"{seconds}.{thousandths:03d}s", "delay", most_ms=10**12) == seconds * 1000 + thousandths


@given(
    st.text(st.sampled_from("0123456789.wdhmsPTDHMSW -"))
    | st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists)
)
def test_it_accepts_or_refuses_anything(written):
    try:
        length_ms = parse_duration(written, "delay")
    except Invalid as refusal:
        assert len(refusal.detail) < 300
        json.dumps(refusal.detail).encode()
    else:
        assert 0 <= length_ms <= DURATION_MAX_MS


def test_it_shows_a_value_as_in_the_callers_json_but_short():
    assert shown("a\ud800\n") == '"a\\ud800\\n"'
    assert shown(None) == "null"
    assert shown("x" * 1_000_000) == '"' + "x" * 56 + "..."
