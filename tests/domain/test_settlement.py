"""What follows from the end of an attempt: the whole table."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.job import Spec, Tally
from coordinator.domain.outcome import Cancel, Failure, Snooze, Success, Throttle
from coordinator.domain.retry import Backoff
from coordinator.domain.settlement import LOST_LIMIT, SPARED_LIMIT, Settlement, decide

SPEC = Spec("resize", msgspec.Raw(b"{}"), max_attempts=3, backoff=Backoff(type="fixed", base_ms=10_000))
ERROR = b'{"message":"no"}'

FAILURES = st.builds(
    Failure,
    error=st.just(ERROR),
    kind=st.sampled_from(["failure", "timeout", "lost"]),
    retryable=st.booleans(),
    retry_after_ms=st.none() | st.integers(0, 86_400_000),
    http_status=st.none() | st.integers(100, 599),
)
ENDINGS = st.one_of(
    st.builds(Success, result=st.none() | st.just(b"1"), http_status=st.none() | st.just(200)),
    st.builds(Cancel),
    st.builds(Snooze, delay_ms=st.integers(0, 86_400_000)),
    st.builds(Throttle, delay_ms=st.integers(0, 86_400_000), http_status=st.none() | st.just(429)),
    FAILURES,
)
TALLIES = st.builds(
    Tally,
    attempt=st.integers(1, 100),
    lost=st.integers(0, 10),
    snoozes=st.integers(0, 1100),
    throttles=st.integers(0, 1100),
)
SPECS = st.builds(Spec, worker=st.just("w"), args=st.just(msgspec.Raw(b"1")), max_attempts=st.integers(1, 100))
CHANCES = st.floats(-1, 1)


def failed(verb, reason="", delay_ms=0, kind="failure", http_status=None):
    return Settlement(verb, kind, delay_ms=delay_ms, reason=reason, error=ERROR, http_status=http_status)


@pytest.mark.parametrize(
    ("ending", "tally", "settled"),
    [
        # Success and cancel end a job whatever came before.
        (Success(), Tally(1), Settlement("succeed", "success")),
        (Success(b'{"n":1}', 201), Tally(3), Settlement("succeed", "success", result=b'{"n":1}', http_status=201)),
        (Success(b"null"), Tally(3, lost=9, snoozes=2000), Settlement("succeed", "success", result=b"null")),
        (Cancel(), Tally(1), Settlement("cancel", "cancelled", reason="worker")),
        (Cancel("operator"), Tally(3, lost=9), Settlement("cancel", "cancelled", reason="operator")),
        # Snooze and throttle give the attempt back, even the last one, until there were too many.
        (Snooze(5000), Tally(1), Settlement("spare", "snoozed", delay_ms=5000)),
        (Snooze(5000), Tally(3), Settlement("spare", "snoozed", delay_ms=5000)),
        (Throttle(2000, 429), Tally(3), Settlement("spare", "throttled", delay_ms=2000, http_status=429)),
        (Snooze(0), Tally(1, snoozes=SPARED_LIMIT - 1), Settlement("spare", "snoozed", delay_ms=1000)),
        (Snooze(0), Tally(1, snoozes=SPARED_LIMIT), Settlement("die", "snoozed", 1000, reason="snoozed_out")),
        (
            Throttle(0, 503),
            Tally(1, snoozes=1, throttles=SPARED_LIMIT - 1),
            Settlement("die", "throttled", 1000, reason="throttled_out", http_status=503),
        ),
        # A failure waits for its backoff, or for what it asked if that is longer.
        (Failure(ERROR, http_status=500), Tally(1), failed("retry", delay_ms=10_000, http_status=500)),
        (Failure(ERROR, retry_after_ms=9999), Tally(1), failed("retry", delay_ms=10_000)),
        (Failure(ERROR, retry_after_ms=60_000), Tally(2), failed("retry", delay_ms=60_000)),
        (Failure(ERROR, kind="timeout"), Tally(2), failed("retry", delay_ms=10_000, kind="timeout")),
        # Attempts are counted from one, so the third of three is the last.
        (Failure(ERROR), Tally(3), failed("die", "attempts_exhausted")),
        (Failure(ERROR), Tally(4), failed("die", "attempts_exhausted")),
        (Failure(ERROR, kind="timeout"), Tally(3), failed("die", "attempts_exhausted", kind="timeout")),
        (Failure(ERROR, retry_after_ms=5000), Tally(3), failed("die", "attempts_exhausted")),
        # A final failure is final at once, and that is the reason people see.
        (Failure(ERROR, retryable=False, http_status=400), Tally(1), failed("die", "non_retryable", http_status=400)),
        (Failure(ERROR, retryable=False), Tally(3), failed("die", "non_retryable")),
        # A replica that died costs no wait.
        (Failure(ERROR, kind="lost"), Tally(1), failed("retry", kind="lost")),
        (Failure(ERROR, kind="lost", retry_after_ms=60_000), Tally(1), failed("retry", kind="lost")),
        (Failure(ERROR, kind="lost"), Tally(1, lost=LOST_LIMIT - 2), failed("retry", kind="lost")),
        (Failure(ERROR, kind="lost"), Tally(1, lost=LOST_LIMIT - 1), failed("die", "lost_too_often", kind="lost")),
        # Nor is it the last attempt's end: the function may never have been called. Lost attempts are not counted.
        (Failure(ERROR, kind="lost"), Tally(3), failed("retry", kind="lost")),
        (Failure(ERROR), Tally(3, lost=1), failed("retry", delay_ms=10_000)),
        (Failure(ERROR), Tally(4, lost=1), failed("die", "attempts_exhausted")),
        (Failure(ERROR), Tally(1, lost=LOST_LIMIT + 1), failed("retry", delay_ms=10_000)),
    ],
)
def test_it_decides(ending, tally, settled):
    assert decide(ending, tally, SPEC, chance=-0.0) == settled


def test_it_spreads_retries_by_chance():
    assert decide(Failure(ERROR), Tally(1), SPEC, chance=1).delay_ms == 11_000
    assert decide(Failure(ERROR), Tally(1), SPEC, chance=-1).delay_ms == 9000


@given(ENDINGS, TALLIES, SPECS, CHANCES)
def test_it_waits_only_when_there_is_another_call_and_gives_a_reason_only_when_there_is_none(
    ending, tally, spec, chance
):
    settled = decide(ending, tally, spec, chance)
    assert settled.delay_ms >= 0
    if settled.verb in {"retry", "spare"}:
        assert settled.reason == ""
    else:
        assert settled.delay_ms == 0 or settled.outcome in {"snoozed", "throttled"}
        assert bool(settled.reason) == (settled.verb != "succeed")


@given(FAILURES, TALLIES, SPECS, CHANCES)
def test_it_never_calls_again_past_the_last_attempt_that_was_not_lost(failure, tally, spec, chance):
    settled = decide(failure, tally, spec, chance)
    assert settled.verb in {"retry", "die"}
    if settled.verb == "retry" and failure.kind == "lost":
        assert tally.lost + 1 < LOST_LIMIT
    elif settled.verb == "retry":
        assert tally.attempt - tally.lost < spec.max_attempts
    assert settled.error == ERROR
    assert settled.outcome == failure.kind


@given(FAILURES, TALLIES, SPECS, CHANCES)
def test_it_never_comes_back_before_it_was_asked_to(failure, tally, spec, chance):
    settled = decide(failure, tally, spec, chance)
    if settled.verb == "retry" and failure.kind != "lost":
        assert settled.delay_ms >= (failure.retry_after_ms or 0)


@given(st.builds(Success) | st.builds(Cancel), TALLIES, TALLIES, SPECS, CHANCES)
def test_it_takes_a_success_or_cancel_whatever_came_before(ending, one, other, spec, chance):
    assert decide(ending, one, spec, chance) == decide(ending, other, spec, -chance)
