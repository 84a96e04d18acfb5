"""What an attempt costs is taken from the bucket of its queue and from that of its key."""

import msgspec
import pytest

from coordinator.domain.queue import KeyLimits, Rate
from coordinator.store.replies import Accepted


async def tokens(shard):
    """Those of the key, and those of the queue."""
    dump = await shard.dump()
    return float(dump["lane:shop#a"]["tokens"]), float(dump["queue:shop"]["tokens"])


@pytest.fixture
async def shop(shard):
    """A queue with a bucket of 10, and of 6 for each key; a token comes each second."""
    await shard.configure("shop", rate=Rate(1, 1000, 10), per_key=KeyLimits(rate=Rate(1, 1000, 6)))
    return shard


async def test_it_is_taken_from_both_buckets(shop):
    await shop.add(1, "shop", key="a", cost=2.5)
    await shop.claim_one()
    assert await tokens(shop) == (3.5, 7.5)


async def test_a_job_that_says_nothing_costs_one(shop):
    await shop.add(1, "shop", key="a")
    await shop.claim_one()
    assert await tokens(shop) == (5, 9)


async def test_a_release_gives_it_back_to_both(shop):
    await shop.add(1, "shop", key="a", cost=4)
    await shop.jobs.release(0, [await shop.claim_one()])
    assert await tokens(shop) == (6, 10)


async def test_a_dear_job_is_waited_for_and_not_overtaken_in_its_lane(shop, clock):
    dear = await shop.add(2, "shop", key="a", cost=4)
    cheap = await shop.add_one("shop", key="a", cost=1)

    claim = await shop.claim()
    assert ([attempt.job_id for attempt in claim.attempts], claim.due_in_ms) == (dear[:1], 2000)
    await clock.advance(2000)
    assert [attempt.job_id for attempt in (await shop.claim()).attempts] == dear[1:]
    await clock.advance(1000)
    assert [attempt.job_id for attempt in (await shop.claim()).attempts] == [cheap]


async def test_a_dear_job_holds_up_no_other_key(shop):
    await shop.add(2, "shop", key="a", cost=6)
    other = await shop.add(2, "shop", key="b", cost=1)
    claimed = [attempt.job_id for attempt in (await shop.claim()).attempts]
    assert set(other) <= set(claimed)


async def test_a_job_that_the_queue_cannot_pay_is_waited_for_by_its_other_keys(shop, clock):
    first = await shop.add_one("shop", key="a", cost=6)
    await clock.advance(1)
    dear = await shop.add_one("shop", key="b", cost=6)
    await clock.advance(1)
    cheap = await shop.add_one("shop", key="c", cost=1)

    claim = await shop.claim()
    assert ([attempt.job_id for attempt in claim.attempts], claim.due_in_ms) == ([first], 2000)
    await clock.advance(2000)
    assert [attempt.job_id for attempt in (await shop.claim()).attempts] == [dear]
    await clock.advance(1000)
    assert [attempt.job_id for attempt in (await shop.claim()).attempts] == [cheap]


@pytest.mark.parametrize(("key", "cost", "burst"), [("a", 6.5, b"6"), ("a", 11, b"6"), (None, 11, b"10")])
async def test_a_job_that_costs_more_than_a_bucket_holds_is_refused(shop, key, cost, burst):
    enqueued = await shop.jobs.enqueue(0, [shop.new_job("shop", key=key, cost=cost)])
    assert enqueued.accepted == [Accepted("cost_exceeds_burst", (burst,))]
    assert not [name for name in await shop.dump() if name.startswith("job:")]


@pytest.mark.parametrize(("key", "cost"), [("a", 6), (None, 10)])
async def test_a_job_that_costs_all_that_a_bucket_holds_is_accepted_and_runs(shop, key, cost):
    await shop.add(1, "shop", key=key, cost=cost)
    assert len((await shop.claim()).attempts) == 1


async def test_without_rates_any_cost_is_accepted(shard):
    await shard.add(1, "shop", key="a", cost=1e6)
    assert len((await shard.claim()).attempts) == 1


async def test_one_job_that_is_too_dear_refuses_all_or_only_itself(shop):
    jobs = [shop.new_job("shop", key="a", cost=cost) for cost in (1, 7)]
    refused = await shop.jobs.enqueue(0, jobs, all_or_none=True)
    assert [accepted.reply for accepted in refused.accepted] == ["not_created", "cost_exceeds_burst"]
    partly = await shop.jobs.enqueue(0, jobs)
    assert [accepted.reply for accepted in partly.accepted] == ["created", "cost_exceeds_burst"]


async def test_a_job_that_became_too_dear_starts_at_a_full_bucket_and_leaves_a_debt(shop, clock):
    await shop.add(1, "shop", key="a", cost=5)
    await shop.add(1, "shop", key="a", cost=1)
    await shop.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 2)))
    assert len((await shop.claim()).attempts) == 1
    assert float((await shop.dump())["lane:shop#a"]["tokens"]) == -3

    claim = await shop.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 4000)
    await clock.advance(4000)
    assert len((await shop.claim()).attempts) == 1


async def test_each_attempt_is_paid_for_anew(shop, clock):
    await shop.add(1, "shop", key="a", cost=3)
    await shop.end(await shop.claim_one(), shop.retry)
    assert await tokens(shop) == (3, 7)
    await clock.advance(5000)
    await shop.claim_one()
    assert await tokens(shop) == (3, 7)


async def test_a_job_is_not_moved_to_a_key_that_never_holds_its_cost(shard):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 3)))
    job = await shard.jobs.read(await shard.add_one("shop", cost=4, delay_ms=1000))
    before = await shard.dump()

    moved = msgspec.structs.replace(job.spec, key="a")
    edited, _ = await shard.jobs.edit(job, moved, run_at=None, delay_ms=None)

    assert (edited.reply, edited.state) == ("cost_exceeds_burst", "3")
    assert await shard.dump() == before
