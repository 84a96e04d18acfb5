"""No wheel is ever too late: whatever comes first by then, at whatever cost, is claimed when it can be."""

import msgspec
import pytest

from coordinator.domain.job import Spec
from coordinator.domain.queue import Circuit, KeyLimits, Rate

SLOW = Rate(1, 1000, 60)


async def claimed(shard):
    return [attempt.job_id for attempt in (await shard.claim()).attempts]


@pytest.mark.parametrize("key", [None, "a"])
async def test_an_urgent_job_does_not_wait_until_a_dear_one_before_it_could_be_paid(shard, clock, key):
    await shard.configure(**({"rate": SLOW} if key is None else {"per_key": KeyLimits(rate=SLOW)}))
    await shard.add(59, key=key)
    await shard.claim()
    dear = await shard.add_one(key=key, delay_ms=5000, cost=50)
    urgent = await shard.add_one(key=key, delay_ms=6000, priority=0)
    await clock.advance(6000)

    assert await claimed(shard) == [urgent]

    due_in_ms = (await shard.claim()).due_in_ms
    assert due_in_ms == 44_000
    await clock.advance(due_in_ms)
    assert await claimed(shard) == [dear]


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_dear_job_that_is_due_is_waited_for_by_those_behind_it(shard, clock, key):
    await shard.configure(**({"rate": SLOW} if key is None else {"per_key": KeyLimits(rate=SLOW)}))
    await shard.add(60, key=key)
    await shard.claim()
    dear = await shard.add_one(key=key, cost=30, priority=0)
    await shard.add_one(key=key)

    claim = await shard.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 30_000)
    await clock.advance(30_000)
    assert await claimed(shard) == [dear]


async def test_a_job_of_tomorrow_does_not_hold_up_another_key_when_limits_have_changed(shard):
    await shard.configure(rate=SLOW)
    await shard.add(50, key="z")
    await shard.claim()
    await shard.add(1, key="a", delay_ms=86_400_000, cost=50)
    await shard.configure(paused=True, rate=SLOW)
    wanted = await shard.add_one(key="b")

    assert await shard.configure(rate=SLOW, per_key=KeyLimits(concurrency=5)) == 0

    found = []
    while not found:
        claim = await shard.claim()
        found = [attempt.job_id for attempt in claim.attempts]
        assert found or claim.due_in_ms == 0
    assert found == [wanted]


@pytest.mark.parametrize("delay_ms", [0, 1000])
async def test_what_a_circuit_holds_back_need_not_be_paid_before_others_run(shard, clock, delay_ms):
    await shard.configure(rate=SLOW, circuit=Circuit(1, 3_600_000))
    await shard.add(50)
    (attempt, *_) = (await shard.claim()).attempts
    await shard.end(attempt, shard.retry)  # The circuit of its worker opens.
    await shard.add(1, cost=50, delay_ms=delay_ms)
    other = shard.new_job(delay_ms=delay_ms and delay_ms + 1)
    other = type(other)(other.id, Spec("other", msgspec.Raw(b"{}"), timeout_ms=60_000), other.run_at, other.delay_ms)
    await shard.enqueue([other])
    await clock.advance(delay_ms + 1)

    assert await claimed(shard) == [other.id]


async def test_a_debt_is_not_forgotten_when_the_rate_becomes_lower(shard, clock):
    await shard.configure(per_key=KeyLimits(rate=Rate(100, 1000, 100)))
    await shard.add(100, key="a")
    assert len((await shard.claim()).attempts) == 100
    await shard.configure(per_key=KeyLimits(rate=Rate(1, 3_600_000, 100)))
    await shard.add(1, key="a")

    assert (await shard.claim()).attempts == []

    assert await shard.call("PTTL", f"{shard.root}:lane:default#a") > 99 * 3_600_000
