"""How long a job waits after a failure."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.retry import Backoff, backoff_ms

HOUR_MS = 3_600_000

POLICIES = st.builds(
    Backoff,
    type=st.sampled_from(["exponential", "linear", "fixed", "polynomial"]),
    base_ms=st.integers(0, 10 * HOUR_MS),
    factor=st.floats(1, 100),
    max_ms=st.integers(0, 24 * HOUR_MS),
    jitter=st.floats(0, 1),
)
ATTEMPTS = st.integers(1, 100)
CHANCES = st.floats(-1, 1)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (Backoff(), [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (Backoff(base_ms=1000, factor=3), [1, 3, 9, 27, 81, 243, 729, 2187, 3600, 3600]),
        (Backoff(base_ms=1000, factor=1), [1] * 10),
        (Backoff(type="linear", max_ms=60_000), [15, 30, 45, 60, 60]),
        (Backoff(type="fixed"), [15, 15, 15]),
        (Backoff(type="fixed", max_ms=10_000), [10, 10]),
        (Backoff(type="polynomial"), [16, 31, 96, 271, 640, 1311, 2416, 3600]),
        (Backoff(base_ms=0), [0, 0, 0]),
    ],
)
def test_it_waits_by_the_curve_up_to_the_most(policy, seconds):
    waits = [backoff_ms(policy, attempt, chance=0) for attempt in range(1, len(seconds) + 1)]
    assert waits == [second * 1000 for second in seconds]


def test_it_spreads_ten_attempts_over_about_two_hours():
    assert sum(backoff_ms(Backoff(), attempt, chance=0) for attempt in range(1, 10)) == pytest.approx(
        2 * HOUR_MS, rel=0.05
    )


@pytest.mark.parametrize(("chance", "wait"), [(-1, 13_500), (0, 15_000), (0.5, 15_750), (1, 16_500)])
def test_it_moves_a_wait_by_a_tenth_at_most(chance, wait):
    assert backoff_ms(Backoff(), 1, chance) == wait


@pytest.mark.parametrize("kind", ["exponential", "linear", "fixed", "polynomial"])
def test_it_survives_an_attempt_that_no_policy_allows(kind):
    assert backoff_ms(Backoff(type=kind, factor=100, max_ms=5000), 10_000, chance=0) == 5000


@given(POLICIES, ATTEMPTS, CHANCES)
def test_it_waits_a_whole_number_within_the_jitter_of_the_most(policy, attempt, chance):
    wait = backoff_ms(policy, attempt, chance)
    assert isinstance(wait, int)
    assert 0 <= wait <= policy.max_ms * (1 + policy.jitter) + 1


@given(POLICIES, ATTEMPTS)
def test_it_never_waits_less_after_one_more_failure(policy, attempt):
    assert backoff_ms(policy, attempt, chance=0) <= backoff_ms(policy, attempt + 1, chance=0)


@given(POLICIES, ATTEMPTS, CHANCES, CHANCES)
def test_it_waits_longer_by_a_higher_chance(policy, attempt, one, other):
    low, high = sorted((one, other))
    assert backoff_ms(policy, attempt, low) <= backoff_ms(policy, attempt, high)


@given(POLICIES)
def test_it_is_the_same_after_being_stored(policy):
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Backoff) == policy


@pytest.mark.parametrize(
    "stored",
    [b'{"type":"random"}', b'{"baseMs":-1}', b'{"factor":0.5}', b'{"factor":101}', b'{"maxMs":-1}', b'{"jitter":1.1}'],
)
def test_it_refuses_a_policy_that_means_nothing(stored):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(stored, type=Backoff)
