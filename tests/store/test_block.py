"""A call that was refused on the other side blocks its lane for as long as it was told, and nobody else's."""

import dataclasses

import pytest

from coordinator.domain.outcome import Limits
from coordinator.domain.queue import KeyLimits, Rate

BLOCK_LIMIT_MS = 300_000


async def taken(shard):
    return [attempt.spec.key for attempt in (await shard.claim()).attempts]


def throttled(shard, delay_ms, **told):
    return dataclasses.replace(shard.throttle, delay_ms=delay_ms, limits=Limits(**told) if told else None)


async def blocked_until(shard, key="a"):
    return (await shard.store.queues.read_key("shop", key)).blocked_until


async def test_the_whole_lane_waits_and_the_other_lanes_go_on(shard, clock):
    await shard.add(3, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 7000))
    await shard.add(1, "shop", key="b")
    await shard.add(1, "shop")

    claim = await shard.claim()

    assert {attempt.spec.key for attempt in claim.attempts} == {"b", None}
    assert claim.due_in_ms == 7000
    await clock.advance(6999)
    assert await taken(shard) == []
    await clock.advance(1)
    assert await taken(shard) == ["a"] * 3


async def test_the_lane_of_jobs_without_a_key_is_blocked_just_so(shard, clock):
    await shard.add(2, "shop")
    await shard.end(await shard.claim_one(), throttled(shard, 7000))
    await shard.add(1, "shop", key="a")
    assert await taken(shard) == ["a"]
    await clock.advance(7000)
    assert await taken(shard) == [None, None]


async def test_a_new_job_of_a_blocked_lane_wakes_nobody(shard):
    await shard.add(1, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 7000))
    assert await shard.enqueue([shard.new_job("shop", key="a")]) == (shard.start, None)


async def test_a_lane_is_blocked_for_five_minutes_at_the_most_and_the_job_as_long_as_it_was_told(shard, clock):
    refused, other = await shard.add(2, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 3_600_000))
    assert await blocked_until(shard) == shard.start + BLOCK_LIMIT_MS

    claim = await shard.claim()
    assert (claim.attempts, claim.due_in_ms) == ([], BLOCK_LIMIT_MS)
    await clock.advance(BLOCK_LIMIT_MS)
    assert [attempt.job_id for attempt in (await shard.claim()).attempts] == [other]
    await clock.advance(3_600_000 - BLOCK_LIMIT_MS)
    assert [attempt.job_id for attempt in (await shard.claim()).attempts] == [refused]


async def test_a_shorter_block_does_not_lift_a_longer_one(shard, clock):
    await shard.add(2, "shop", key="a")
    first, second = (await shard.claim()).attempts
    await shard.end(first, throttled(shard, 9000))
    await clock.advance(1000)
    await shard.end(second, throttled(shard, 2000))
    assert await blocked_until(shard) == shard.start + 9000


async def test_what_already_runs_may_end_and_lifts_nothing(shard):
    await shard.add(3, "shop", key="a")
    first, second, third = (await shard.claim()).attempts
    await shard.end(first, throttled(shard, 9000))
    assert await shard.end(second, shard.succeed) == ("ok", "succeeded")
    assert (await shard.end(third, shard.retry))[0] == "ok"
    assert await blocked_until(shard) == shard.start + 9000


async def test_a_change_of_the_limits_lifts_no_block(shard):
    await shard.add(2, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 9000))
    await shard.configure("shop", per_key=KeyLimits(concurrency=5))
    assert await taken(shard) == []
    assert await blocked_until(shard) == shard.start + 9000


async def test_a_refusal_that_came_too_late_blocks_nothing(shard):
    await shard.add(1, "shop", key="a")
    attempt = await shard.claim_one()
    await shard.end(attempt, shard.succeed)
    assert await shard.end(attempt, throttled(shard, 9000)) == ("stale_receipt", "succeeded")
    assert await blocked_until(shard) is None


async def test_a_throttle_gives_the_attempt_back(shard, clock):
    job_id = await shard.add_one("shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 1000))
    job = await shard.job(job_id)
    assert (job["attempt"], job["throttles"], job["state"]) == ("0", "1", "waiting")


async def test_after_a_block_the_bucket_begins_with_what_flowed_in_during_it(shard, clock):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 40)))
    await shard.add(20, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 3000))
    await clock.advance(3000)
    assert await taken(shard) == ["a"] * 3


async def test_what_is_known_to_be_left_is_not_void(shard, clock):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 40)))
    await shard.add(20, "shop", key="a")
    await shard.end(await shard.claim_one(), throttled(shard, 3000, remaining=6, maximum=40))
    await clock.advance(3000)
    assert await taken(shard) == ["a"] * 8


async def test_what_was_withheld_is_not_taken_off_twice(shard, clock):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 40)))
    await shard.add(20, "shop", key="a")
    first, second = (await shard.claim(2)).attempts
    await shard.end(first, dataclasses.replace(shard.succeed, limits=Limits(remaining=10, maximum=40)))
    await shard.end(second, throttled(shard, 3000))
    assert (await shard.store.queues.read_key("shop", "a")).tokens == 0
    await clock.advance(3000)
    assert await taken(shard) == ["a"] * 3


@pytest.mark.parametrize("ending", ["snooze", "retry", "die", "succeed"])
async def test_no_other_end_blocks_a_lane(shard, ending):
    await shard.add(2, "shop", key="a")
    await shard.end(await shard.claim_one(), getattr(shard, ending))
    assert await blocked_until(shard) is None
    assert await taken(shard) == ["a"]
