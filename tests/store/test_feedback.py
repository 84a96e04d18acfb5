"""What a receipt tells of the limits on the other side corrects a key's bucket: the lower of both views counts."""

import dataclasses

import pytest

from coordinator.domain.outcome import Limits
from coordinator.domain.queue import KeyLimits, Rate

HOUR_MS = 3_600_000


def telling(settlement, **told):
    return dataclasses.replace(settlement, limits=Limits(**told))


async def bucket(shard, key="a"):
    """The tokens of a key, how many it can hold, and how many come in a second."""
    view = await shard.store.queues.read_key("shop", key)
    return view.tokens, view.burst, view.refill_per_second


@pytest.fixture
async def shop(shard):
    """A queue that gives each key 40 tokens and 2 a second."""
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(2, 1000, 40)))
    return shard


async def calls(shop, count, **fields):
    """So many calls of one key that are under way."""
    await shop.add(count, "shop", key="a", **fields)
    return (await shop.claim(count)).attempts


async def test_a_lower_remainder_counts_less_a_reserve_of_a_fortieth(shop):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, remaining=10, maximum=40))
    assert await bucket(shop) == (9, 40, 2)


async def test_a_higher_remainder_changes_nothing(shop):
    attempts = await calls(shop, 30)
    await shop.end(attempts[-1], telling(shop.succeed, remaining=39, maximum=40))
    assert await bucket(shop) == (10, 40, 2)


async def test_calls_under_way_that_began_no_earlier_are_taken_off(shop, clock):
    await calls(shop, 3)
    await clock.advance(1000)
    told, *_ = await calls(shop, 3)
    await clock.advance(1000)
    await shop.end(told, telling(shop.succeed, remaining=20, maximum=40))
    assert (await bucket(shop))[0] == 20 - 2 - 1


async def test_calls_under_way_are_taken_off_at_their_own_cost(shop):
    (told,) = await calls(shop, 1, cost=5)
    await calls(shop, 1, cost=2)
    await calls(shop, 1, cost=0.5)
    await shop.end(told, telling(shop.succeed, remaining=20, maximum=40))
    assert (await bucket(shop))[0] == 20 - 2.5 - 1


async def test_no_more_than_a_quarter_is_taken_off_for_calls_under_way(shop):
    told, *_ = await calls(shop, 25)
    await shop.end(told, telling(shop.succeed, remaining=12, maximum=40))
    assert (await bucket(shop))[0] == 12 - 10 - 1


async def test_what_a_later_call_tells_replaces_what_an_earlier_one_told(shop, clock):
    attempts = await calls(shop, 8)
    await shop.end(attempts[0], telling(shop.succeed, remaining=20, maximum=40))
    assert (await bucket(shop))[0] == 20 - 7 - 1
    await clock.advance(500)
    (later,) = await calls(shop, 1)

    await shop.end(later, telling(shop.succeed, remaining=25, maximum=40))

    assert (await bucket(shop))[0] == 25 - 1


async def test_what_an_earlier_call_tells_late_can_only_lower(shop, clock):
    first, second = await calls(shop, 2)
    await clock.advance(1000)
    (later,) = await calls(shop, 1)
    await shop.end(later, telling(shop.succeed, remaining=20, maximum=40))
    assert (await bucket(shop))[0] == 19

    await shop.end(first, telling(shop.succeed, remaining=30, maximum=40))
    assert (await bucket(shop))[0] == 19
    await shop.end(second, telling(shop.succeed, remaining=15, maximum=40))
    assert (await bucket(shop))[0] == 14


async def test_what_was_seen_never_lets_more_start_than_was_set(shop, clock):
    (first,) = await calls(shop, 1)
    await shop.end(first, telling(shop.succeed, remaining=0, maximum=40))
    await clock.advance(5000)
    (later,) = await calls(shop, 1)
    await shop.end(later, telling(shop.succeed, remaining=1000, maximum=1000, restore_rate=50))

    # 39 were left at first, and one was taken since; the five seconds filled it up.
    assert await bucket(shop) == (39, 40, 2)


async def test_what_was_withheld_flows_in_again_at_the_rate(shop, clock):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, remaining=1, maximum=40))
    for waited, tokens in ((0, 0), (500, 1), (10_000, 21), (10_000, 40), (60_000, 40)):
        await clock.advance(waited)
        assert (await bucket(shop))[0] == tokens
    await calls(shop, 1)
    await clock.advance(100)
    assert (await bucket(shop))[0] == 39.2


async def test_a_key_waits_until_what_it_was_told_lets_it_start(shop, clock):
    (attempt,) = await calls(shop, 1)
    await shop.add(1, "shop", key="a")
    await shop.end(attempt, telling(shop.succeed, remaining=0.5, maximum=40))

    claim = await shop.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 750)
    await clock.advance(750)
    assert len((await shop.claim()).attempts) == 1


async def test_a_smaller_whole_flows_in_slower_in_proportion(shop, clock):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, remaining=19, maximum=20))
    assert await bucket(shop) == (19 - 0.5, 20, 1)
    await clock.advance(1000)
    assert await bucket(shop) == (19.5, 20, 1)
    await clock.advance(60_000)
    assert await bucket(shop) == (20, 20, 1)


async def test_a_rate_that_is_told_counts_if_it_is_lower(shop):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, remaining=19, maximum=20, restore_rate=1.5))
    assert (await bucket(shop))[1:] == (20, 1.5)
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, maximum=20, restore_rate=50))
    assert (await bucket(shop))[1:] == (20, 2)


async def test_the_limits_that_were_told_last_count(shop):
    for told, shown in ((20, 20), (10, 10), (30, 30), (1000, 40)):
        (attempt,) = await calls(shop, 1)
        await shop.end(attempt, telling(shop.succeed, maximum=told))
        assert (await bucket(shop))[1] == shown


async def test_what_was_not_used_comes_back_to_the_key_and_to_the_queue(shard):
    per_key = KeyLimits(rate=Rate(1, 60_000, 100))
    await shard.configure("shop", rate=Rate(1, 60_000, 200), per_key=per_key)
    (attempt,) = await calls(shard, 1, cost=50)

    await shard.end(attempt, telling(shard.succeed, cost=12))

    assert (await bucket(shard))[0] == 88
    assert float((await shard.dump())["queue:shop"]["tokens"]) == 188


async def test_what_was_not_used_lets_the_next_call_of_the_key_start_at_once(shop):
    (attempt,) = await calls(shop, 1, cost=40)
    await shop.add(1, "shop", key="a", cost=30)
    assert (await shop.claim()).due_in_ms == 15_000

    _, due_in_ms = await shop.settle([shop.ended(attempt, telling(shop.succeed, cost=5))])

    assert due_in_ms == 0
    assert len((await shop.claim()).attempts) == 1


async def test_what_was_used_beyond_the_estimate_is_a_debt(shop):
    (attempt,) = await calls(shop, 1, cost=10)
    await shop.end(attempt, telling(shop.succeed, cost=70))
    assert (await bucket(shop))[0] == -30


async def test_however_wrong_a_cost_is_the_debt_is_no_more_than_the_burst(shop, clock):
    (attempt,) = await calls(shop, 1, cost=10)
    await shop.end(attempt, telling(shop.succeed, cost=1e11))
    assert (await bucket(shop))[0] == -40
    await clock.advance(40_000)
    assert (await bucket(shop))[0] == 40


@pytest.mark.parametrize("key", [None, "a"])
async def test_however_wrong_a_rate_is_it_holds_for_an_hour(shard, clock, key):
    rate = Rate(2, 1000, 40)
    await shard.configure("shop", **({"rate": rate} if key is None else {"per_key": KeyLimits(rate=rate)}))
    await shard.add(3, "shop", key=key)
    attempt = await shard.claim_one()
    await shard.end(attempt, telling(shard.succeed, remaining=0, maximum=40, restore_rate=1e-9))
    await clock.advance(HOUR_MS - 1)

    claim = await shard.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 1)
    await clock.advance(1)
    assert len((await shard.claim()).attempts) == 2


async def test_what_is_left_of_a_key_is_not_told_of_its_queue(shard):
    await shard.configure("shop", rate=Rate(1, 60_000, 200), per_key=KeyLimits(rate=Rate(1, 60_000, 100)))
    (attempt,) = await calls(shard, 1)
    await shard.end(attempt, telling(shard.succeed, remaining=3, maximum=10))

    queue = (await shard.dump())["queue:shop"]

    assert float(queue["tokens"]) == 199
    assert not {"withheld", "seen_burst", "heard_at"} & set(queue)
    assert (await bucket(shard, "other"))[0] == 100


@pytest.mark.parametrize("key", [None, "a"])
async def test_without_a_rate_for_keys_it_is_told_of_the_queue(shard, clock, key):
    await shard.configure("shop", rate=Rate(2, 1000, 40))
    await shard.add(41, "shop", key=key)
    (attempt,) = (await shard.claim(1)).attempts

    await shard.end(attempt, telling(shard.succeed, remaining=6, maximum=20))

    claim = await shard.claim()
    assert (len(claim.attempts), claim.due_in_ms) == (5, 500)
    await clock.advance(120_000)
    assert len((await shard.claim()).attempts) == 20


async def test_another_rate_of_a_queue_forgets_what_was_seen_and_the_same_does_not(shard, clock):
    await shard.configure("shop", rate=Rate(2, 1000, 40))
    attempt = await shard.run_one("shop")
    await shard.end(attempt, telling(shard.succeed, remaining=6, maximum=20))
    await shard.configure("shop", rate=Rate(2, 1000, 40))
    await clock.advance(120_000)
    await shard.add(80, "shop")
    assert len((await shard.claim()).attempts) == 20

    await shard.configure("shop", rate=Rate(3, 1000, 40))

    await clock.advance(120_000)
    assert len((await shard.claim()).attempts) == 40


@pytest.mark.parametrize("ending", ["succeed", "retry", "snooze", "throttle", "die"])
async def test_every_end_of_an_attempt_may_tell_it(shop, ending):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(getattr(shop, ending), remaining=10, maximum=40))
    assert (await bucket(shop))[0] == 9


async def test_a_receipt_that_came_too_late_tells_nothing(shop):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, shop.succeed)
    assert (await shop.end(attempt, telling(shop.retry, remaining=1, maximum=40)))[0] == "stale_receipt"
    assert (await bucket(shop))[0] == 39


async def test_without_any_rate_nothing_is_kept_of_it(shard):
    await shard.configure("shop")
    (attempt,) = await calls(shard, 1)
    await shard.end(attempt, telling(shard.succeed, remaining=1, maximum=40, restore_rate=2, cost=3))
    assert not {"lane:shop#a", "queue:shop"} & set(await shard.dump())


async def test_what_was_seen_is_forgotten_an_hour_after_it_was_told_last(shop, clock):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.succeed, maximum=20))
    left_ms = await shop.call("PTTL", f"{shop.root}:lane:shop#a")
    assert HOUR_MS < left_ms <= HOUR_MS + 60_000
    await clock.advance(HOUR_MS - 1)
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, shop.succeed)
    assert (await bucket(shop))[1] == 20

    await clock.advance(1)

    assert (await bucket(shop))[1] == 40


async def test_a_reset_forgets_what_was_seen(shop):
    (attempt,) = await calls(shop, 1)
    await shop.end(attempt, telling(shop.throttle, remaining=0, maximum=20, restore_rate=1))
    assert await bucket(shop) == (-0.5, 20, 1)

    await shop.store.queues.change_key("shop", "a", "reset")

    assert await bucket(shop) == (40, 40, 2)
