"""What a receipt may tell of limits, in the forms of both kinds of APIs."""

import pytest

from coordinator import errors
from coordinator.domain.limits import parse_limits
from coordinator.domain.outcome import Limits


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"used": 32, "max": 40}, Limits(remaining=8, maximum=40)),
        ({"used": 0, "max": 40}, Limits(remaining=40, maximum=40)),
        ({"used": 40, "max": 40}, Limits(remaining=0, maximum=40)),
        ({"used": 1.5, "max": 40.5, "cost": 2}, Limits(remaining=39, maximum=40.5, cost=2)),
        ({"used": 2, "max": 40, "restoreRate": 2}, Limits(remaining=38, maximum=40, restore_rate=2)),
        ({"remaining": 988, "max": 1000, "restoreRate": 50, "cost": 12}, Limits(988, 1000, 50, 12)),
        ({"remaining": 0}, Limits(remaining=0)),
        ({"max": 40}, Limits(maximum=40)),
        ({"restoreRate": 0.5}, Limits(restore_rate=0.5)),
        ({"cost": 0}, Limits(cost=0)),
        ({"remaining": 999_999_999_999}, Limits(remaining=999_999_999_999)),
    ],
)
def test_both_forms_and_parts_of_them_are_read(told, read):
    assert parse_limits(told) == read


def test_a_meter_that_has_run_over_leaves_nothing():
    assert parse_limits({"used": 41, "max": 40}) == Limits(remaining=0, maximum=40)


def test_more_may_be_left_than_the_whole():
    """Some APIs lend: it is the other side's affair, and no more than the whole counts."""
    assert parse_limits({"remaining": 50, "max": 40}) == Limits(remaining=50, maximum=40)


@pytest.mark.parametrize("told", [None, {}, [], [1], "32/40", 40, True])
def test_what_tells_nothing_is_refused_with_the_forms(told):
    with pytest.raises(errors.Invalid, match="limits: tells no limits") as refused:
        parse_limits(told)
    assert '{"used": 32, "max": 40}' in str(refused.value)


@pytest.mark.parametrize("name", ["used", "remaining", "max", "restoreRate", "cost"])
@pytest.mark.parametrize("number", [-1, -0.001, "8", None, True, [], float("nan"), float("inf"), 1e12, 10**400])
def test_each_field_is_a_number_of_0_or_more(name, number):
    with pytest.raises(errors.Invalid, match=rf"limits\.{name}: is not a number of 0 or more"):
        parse_limits({"max": 40} | {name: number})


@pytest.mark.parametrize("name", ["max", "restoreRate"])
def test_a_limit_of_nothing_is_refused(name):
    with pytest.raises(errors.Invalid, match=rf"limits\.{name}: a limit of 0"):
        parse_limits({"remaining": 1, name: 0})


@pytest.mark.parametrize("told", [{"used": 8}, {"used": 8, "cost": 1}, {"used": 8, "remaining": 32, "max": 40}])
def test_used_stands_beside_max_and_without_remaining(told):
    with pytest.raises(errors.Invalid, match=r"limits\.used: needs max beside it, and no remaining"):
        parse_limits(told)


@pytest.mark.parametrize("name", ["left", "Used", "restore_rate", "x" * 1000])
def test_an_unknown_field_is_refused_by_its_name(name):
    with pytest.raises(errors.Invalid, match=rf"limits\.{name[:64]}: unknown field"):
        parse_limits({"remaining": 1, name: 1})


def test_the_path_names_where_it_stood():
    with pytest.raises(errors.Invalid, match=r"attempt\.limits\.max: "):
        parse_limits({"max": 0}, "attempt.limits")
