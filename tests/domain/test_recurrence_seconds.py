"""Six fields, where they are asked for."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.cron import parse_cron
from coordinator.domain.recurrence import Rule, last_tick, next_tick
from coordinator.errors import Invalid

START = int(datetime(2026, 11, 1, 4, 59, 30, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
EXPRESSIONS = ["*/15 * * * * *", "5,50 */7 * * * *", "30 0 1 * * *", "59 59 * * * *", "0 * * * * *"]


def _ticks(rule: Rule, after: int, until: int) -> list[int]:
    found = []
    while (tick := next_tick(rule, after)) is not None and tick <= until:
        found.append(tick)
        after = tick
    return found


def test_it_takes_six_fields_only_when_asked() -> None:
    assert parse_cron("*/5 * * * * *", None, "cron", seconds=True) == ("*/5 * * * * *", "UTC")
    assert parse_cron("*/5 * * * *", None, "cron", seconds=True) == ("*/5 * * * *", "UTC")
    with pytest.raises(Invalid, match='"seconds": true'):
        parse_cron("*/5 * * * * *", None, "cron")


@pytest.mark.parametrize("expression", ["60 * * * * *", "x * * * * *", "5-5 * * * * *", "* * * * * * *"])
def test_it_refuses_a_wrong_second(expression: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_cron(expression, None, "cron", seconds=True)
    assert refused.value.code == "invalid_cron"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_agrees_with_a_search_second_by_second(expression: str) -> None:
    rule = Rule(cron=expression)
    until = START + 3 * 3_600_000
    second, minute, hour, *_ = expression.split(" ")

    def matches(field: str, value: int) -> bool:
        if field.startswith("*"):
            return value % int(field[2:] or 1) == 0
        return str(value) in field.split(",")

    expected = []
    at = datetime.fromtimestamp(START // 1000 + 1, ZoneInfo("UTC"))
    while at.timestamp() * 1000 <= until:
        if matches(second, at.second) and matches(minute, at.minute) and matches(hour, at.hour):
            expected.append(int(at.timestamp() * 1000))
        at += timedelta(seconds=1)
    assert _ticks(rule, START, until) == expected


@given(
    st.sampled_from(EXPRESSIONS),
    st.integers(START - 10**10, START + 10**10),
    st.sampled_from(["UTC", "America/New_York"]),
)
def test_the_last_tick_before_the_next_is_the_one_before(expression: str, after: int, zone: str) -> None:
    rule = Rule(cron=expression, timezone=zone)
    tick = next_tick(rule, after)
    assert tick is not None
    assert last_tick(rule, tick) == tick
    before = last_tick(rule, tick - 1)
    assert before is not None
    assert before <= after
