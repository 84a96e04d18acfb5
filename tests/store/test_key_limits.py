"""The limits of each key: a rate and a concurrency of its own, beside those of its queue."""

import pytest

from coordinator.domain.queue import KeyLimits, Rate

ENDINGS = ["succeed", "retry", "snooze", "die", "cancel", "lost"]


async def taken(shard, limit=100):
    """The keys of the jobs of one claim."""
    return [attempt.spec.key for attempt in (await shard.claim(limit)).attempts]


async def key_of(shard, key="a"):
    return await shard.store.queues.read_key("shop", key)


@pytest.fixture
async def single(shard):
    """A queue that runs one job of each key at once."""
    await shard.configure("shop", per_key=KeyLimits(concurrency=1))
    return shard


async def test_each_key_has_slots_of_its_own(shard):
    await shard.configure("shop", per_key=KeyLimits(concurrency=2))
    for key in ("a", "b"):
        await shard.add(5, "shop", key=key)

    assert sorted(await taken(shard)) == ["a", "a", "b", "b"]
    assert await taken(shard) == []
    assert ((await key_of(shard)).running, (await key_of(shard)).waiting) == (2, 3)


async def test_a_full_key_is_waited_for_by_nobody(single, clock):
    await single.add(2, "shop", key="a")
    assert await taken(single) == ["a"]

    claim = await single.claim()
    assert (claim.attempts, claim.due_in_ms) == ([], None)
    await clock.advance(1)
    await single.add(1, "shop", key="b")
    assert await taken(single) == ["b"]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_every_end_of_an_attempt_frees_its_slot(single, ending):
    await single.add(2, "shop", key="a")
    attempt = await single.claim_one()

    _, due_in_ms = await single.settle([single.ended(attempt, getattr(single, ending))])

    assert due_in_ms == 0
    assert await taken(single) == ["a"]
    assert await taken(single) == []


async def test_a_throttle_frees_the_slot_when_its_wait_is_over(single, clock):
    await single.add(2, "shop", key="a")
    await single.end(await single.claim_one(), single.throttle)
    assert await taken(single) == []
    await clock.advance(7000)
    assert await taken(single) == ["a"]


async def test_a_release_frees_its_slot(single):
    await single.add(2, "shop", key="a")
    attempt = await single.claim_one()
    await single.jobs.release(0, [attempt])
    assert await taken(single) == ["a"]
    assert await taken(single) == []


async def test_a_release_gives_the_token_of_its_key_back(shard):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 60_000, 1)))
    await shard.add(1, "shop", key="a")
    attempt = await shard.claim_one()
    assert (await key_of(shard)).tokens == 0

    await shard.jobs.release(0, [attempt])

    assert (await key_of(shard)).tokens == 1
    assert await taken(shard) == ["a"]


async def test_a_lapsed_lease_frees_its_slot_when_the_leader_ends_it(single, clock):
    await single.add(2, "shop", key="a")
    await single.claim_one()
    await clock.advance(single.lease_ms)
    assert await taken(single) == []

    (expired,) = await single.jobs.expired(0)
    await single.end(expired.attempt, single.lost, lapsed=True)

    assert await taken(single) == ["a"]


async def test_a_call_that_was_taken_on_keeps_its_slot(single, clock):
    await single.add(2, "shop", key="a")
    attempt = await single.claim_one()
    await single.jobs.detach(0, [attempt], ["202"])
    await clock.advance(single.lease_ms)
    assert await single.jobs.expired(0) == []
    assert await taken(single) == []


async def test_a_stale_receipt_frees_no_slot(single):
    await single.add(3, "shop", key="a")
    first = await single.claim_one()
    await single.end(first, single.snooze)
    await single.claim_one()

    await single.end_as(first.job_id, single.retry, 1, "forged")

    assert await taken(single) == []


async def test_each_key_has_a_bucket_of_its_own(shard, clock):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 2)))
    for key in ("a", "b"):
        await shard.add(5, "shop", key=key)

    assert sorted(await taken(shard)) == ["a", "a", "b", "b"]
    claim = await shard.claim()
    assert (claim.attempts, claim.due_in_ms) == ([], 1000)
    await clock.advance(1000)
    assert sorted(await taken(shard)) == ["a", "b"]


async def test_the_limits_of_the_queue_and_of_the_key_both_hold(shard, clock):
    await shard.configure("shop", rate=Rate(1, 1000, 3), per_key=KeyLimits(rate=Rate(1, 500, 2)))
    for key in ("a", "b"):
        await shard.add(5, "shop", key=key)
    assert sorted(await taken(shard)) in (["a", "a", "b"], ["a", "b", "b"])

    # Each key has a token again by now, and the queue has one for both.
    await clock.advance(1000)

    assert len(await taken(shard)) == 1


async def test_a_key_that_may_not_start_takes_no_token_of_the_queue(shard):
    await shard.configure("shop", rate=Rate(1, 60_000, 10), per_key=KeyLimits(rate=Rate(1, 60_000, 1)))
    await shard.add(5, "shop", key="a")
    assert await taken(shard) == ["a"]
    assert float((await shard.dump())["queue:shop"]["tokens"]) == 9


async def test_jobs_without_a_key_have_the_limits_of_the_queue_alone(shard):
    await shard.configure("shop", concurrency=4, per_key=KeyLimits(concurrency=1, rate=Rate(1, 60_000, 1)))
    await shard.add(5, "shop")
    assert await taken(shard) == [None] * 4


async def test_a_key_of_a_queue_without_limits_for_keys_is_not_limited(shard):
    await shard.configure("shop")
    await shard.add(20, "shop", key="a")
    assert await taken(shard) == ["a"] * 20
    view = await key_of(shard)
    assert (view.tokens, view.burst, view.refill_per_second, view.running) == (None, None, None, 20)


async def test_the_keys_of_two_queues_have_nothing_in_common(shard):
    for queue in ("shop", "b"):
        await shard.configure(queue, per_key=KeyLimits(concurrency=1))
        await shard.add(2, queue, key="a")
    assert await taken(shard) == ["a", "a"]


async def test_new_limits_hold_for_jobs_that_wait(single):
    await single.add(6, "shop", key="a")
    await single.claim_one()

    assert await single.configure("shop", per_key=KeyLimits(concurrency=3)) == 0
    assert await taken(single) == ["a", "a"]

    assert await single.configure("shop") == 0
    assert len(await taken(single)) == 3


async def test_a_lowered_concurrency_waits_until_enough_have_ended(shard):
    await shard.configure("shop", per_key=KeyLimits(concurrency=3))
    await shard.add(6, "shop", key="a")
    attempts = (await shard.claim()).attempts
    await shard.configure("shop", per_key=KeyLimits(concurrency=1))

    for attempt in attempts[:2]:
        await shard.end(attempt, shard.succeed)
        assert await taken(shard) == []
    await shard.end(attempts[2], shard.succeed)

    assert await taken(shard) == ["a"]


@pytest.mark.parametrize("key", ["a", "a#b", "shop-1.myshopify.com", "ä/ö 漢", "*[]?\\"])
async def test_a_key_may_hold_any_character(single, key):
    await single.add(2, "shop", key=key)
    await single.add(1, "shop", key="other")
    assert sorted(await taken(single)) == sorted([key, "other"])
    view = await key_of(single, key)
    assert (view.key, view.running, view.waiting) == (key, 1, 1)
