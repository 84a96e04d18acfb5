"""The token bucket: in every window of t ms at most burst + rate * t attempts start, and no fewer than it allows."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.queue import Rate

RATES = st.builds(
    Rate,
    limit=st.integers(1, 50),
    period_ms=st.sampled_from([7, 100, 1000, 60_000, 86_400_000]),
    burst=st.integers(1, 20),
)
PAUSES = st.lists(st.integers(0, 50) | st.integers(0, 5000) | st.sampled_from([86_400_000]), min_size=1, max_size=12)
ALMOST = Fraction(2, 1_000_000)
"""By how much the script's floating point may be off: it takes what is short by a millionth for a token."""


async def grants(shard, clock, *, advance=0, limit=100):
    await clock.advance(advance)
    claim = await shard.claim(limit)
    return len(claim.attempts), claim.due_in_ms


async def test_the_bucket_is_full_at_first_and_tokens_flow_in(shard, clock):
    await shard.configure(rate=shard.rate(2, 1000, 3))
    await shard.add(50)

    assert await grants(shard, clock) == (3, 500)
    assert await grants(shard, clock, advance=499) == (0, 1)
    assert await grants(shard, clock, advance=1) == (1, 500)
    assert await grants(shard, clock, advance=1000) == (2, 500)
    assert await grants(shard, clock, advance=60_000) == (3, 500)


async def test_what_was_not_taken_is_kept_up_to_the_burst(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 2))
    await shard.add(1)
    assert await grants(shard, clock) == (1, None)
    await clock.advance(100_000)
    await shard.add(5)

    assert await grants(shard, clock) == (2, 1000)


async def test_a_rate_that_divides_unevenly_loses_nothing(shard, clock):
    await shard.configure(rate=shard.rate(3, 1000, 2))
    await shard.add(95)
    _, due_in_ms = await grants(shard, clock)

    total = 0
    for _ in range(90):
        granted, due_in_ms = await grants(shard, clock, advance=due_in_ms)
        total += granted

    # A token comes every 333⅓ ms and is taken at the next whole millisecond: none is lost over 30 s.
    assert total == 90
    assert clock.now - shard.start <= 90 * 1000 / 3 + 1


async def test_a_wait_is_not_rounded_up_for_an_error_of_the_arithmetic(shard, clock):
    """1 - 0.699 is a little more than 0.301 to a computer."""
    await shard.configure(rate=shard.rate(1, 1000, 1))
    await shard.add(3)
    await grants(shard, clock)
    assert await grants(shard, clock, advance=699) == (0, 301)
    assert await shard.configure(rate=shard.rate(1, 1000, 1)) == 301


async def test_a_clock_that_steps_back_does_not_drain_the_bucket(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 3))
    await shard.add(50, run_at=shard.start - 10_000)
    await clock.advance(20_000)
    assert await grants(shard, clock, limit=1) == (1, 0)
    tokens = (await shard.dump())["queue:default"]["tokens"]

    await clock.advance(-5000)
    await shard.configure(rate=shard.rate(1, 1000, 3))

    assert (await shard.dump())["queue:default"]["tokens"] == tokens
    assert await grants(shard, clock, advance=5000) == (2, 1000)


async def test_a_clock_that_steps_back_and_forth_does_not_fill_the_bucket_twice(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 3))
    await shard.add(50)
    assert await grants(shard, clock) == (3, 1000)

    for step in (-5000, 5000, -5000, 5000):
        await clock.advance(step)
        assert (await shard.claim()).attempts == []

    assert await grants(shard, clock, advance=1000) == (1, 1000)


async def test_after_a_step_back_it_goes_on_when_the_time_has_come_again(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 1))
    await shard.add(5)
    await grants(shard, clock)
    await clock.advance(-3000)

    _, due_in_ms = await grants(shard, clock)

    assert due_in_ms <= 4000
    assert await grants(shard, clock, advance=4000) == (1, 1000)


async def test_a_new_rate_keeps_what_is_in_the_bucket(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 5))
    await shard.add(20)
    await grants(shard, clock, limit=2)

    assert await shard.configure(rate=shard.rate(10, 1000, 2)) == 0

    assert await grants(shard, clock) == (2, 100)


async def test_without_a_rate_nothing_is_counted(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 1))
    await shard.add(20)
    await grants(shard, clock)

    assert await shard.configure() == 0

    assert "queue:default" not in await shard.dump()
    assert await grants(shard, clock) == (19, None)


@pytest.mark.parametrize("concurrency", [2, 5])
async def test_concurrency_and_rate_both_hold(shard, clock, concurrency):
    await shard.configure(rate=shard.rate(4, 1000, 4), concurrency=concurrency)
    await shard.add(20)

    granted, due_in_ms = await grants(shard, clock)

    assert (granted, due_in_ms) == ((2, None) if concurrency == 2 else (4, 250))


@settings(max_examples=60, deadline=None)
@given(rate=RATES, pauses=PAUSES)
def test_a_backlog_gets_what_the_rate_allows_no_more_and_no_less(new_shard, runner, rate, pauses):
    runner.run(_compare_with_exact_bucket(new_shard(), rate, pauses))


async def _compare_with_exact_bucket(shard, rate, pauses):
    per_ms = Fraction(rate.limit, rate.period_ms)
    now = shard.start
    await shard.set_clock(now)
    await shard.configure(rate=rate)
    await shard.add(100)
    await shard.add(100)
    tokens = Fraction(rate.burst)
    starts = []
    for pause in pauses:
        now += pause
        await shard.set_clock(now)
        tokens = min(Fraction(rate.burst), tokens + pause * per_ms)

        claim = await shard.claim()

        granted = len(claim.attempts)
        starts += [now] * granted
        assert granted <= tokens + ALMOST
        if len(starts) == 200:
            break  # The backlog is at its end.
        assert granted > tokens - 1 - ALMOST
        tokens -= granted
        # The hint is the very millisecond in which the next token will be whole.
        assert tokens + claim.due_in_ms * per_ms >= 1 - ALMOST
        assert tokens + (claim.due_in_ms - 1) * per_ms < 1 + ALMOST
    for first, since in enumerate(starts):
        for last in range(first, len(starts)):
            assert last - first + 1 <= rate.burst + per_ms * (starts[last] - since) + ALMOST


@settings(max_examples=40, deadline=None)
@given(
    rate=RATES,
    steps=st.lists(st.tuples(st.integers(-3000, 5000), st.integers(1, 4), st.booleans()), min_size=1, max_size=15),
)
def test_no_step_of_the_clock_and_no_release_lets_more_through(new_shard, runner, rate, steps):
    runner.run(_walk(new_shard(), rate, steps))


async def _walk(shard, rate, steps):
    """Of what really started (released is not started), the bound holds over the time that has gone by in sum."""
    now = latest = shard.start
    await shard.set_clock(now)
    await shard.configure(rate=rate)
    await shard.add(100)
    started = 0
    for step, limit, is_released in steps:
        now += step
        latest = max(latest, now)
        await shard.set_clock(now)
        attempts = (await shard.claim(limit)).attempts
        if is_released:
            await shard.jobs.release(0, attempts)
        else:
            started += len(attempts)
        assert started <= rate.burst + Fraction(rate.limit, rate.period_ms) * (latest - shard.start) + ALMOST


async def test_a_release_gives_back_no_more_than_there_would_be_without_the_claim(shard, clock):
    """The bucket is full again by the time the call is given back: its token would have flowed over."""
    await shard.configure(rate=shard.rate(1, 1000, 1))
    await shard.add(4)
    never_sent = await shard.claim_one()
    await clock.advance(1000)
    assert await grants(shard, clock) == (1, 1000)

    await shard.jobs.release(0, [never_sent])

    assert await grants(shard, clock) == (0, 1000)


async def test_a_release_at_once_gives_back_all(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 3))
    await shard.add(4)
    claim = await shard.claim()

    await shard.jobs.release(0, claim.attempts)

    assert await grants(shard, clock) == (3, 1000)
