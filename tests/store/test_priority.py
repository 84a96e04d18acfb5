"""Priorities: in a lane the lower number goes first; between lanes they count for nothing."""

import pytest

from coordinator.domain.queue import KeyLimits, Rate
from coordinator.domain.selection import Selection


async def add(shard, *priorities, **fields):
    return [await shard.add_one("shop", priority=priority, **fields) for priority in priorities]


async def order(shard, limit=100):
    return [attempt.job_id for attempt in (await shard.claim(limit)).attempts]


async def test_the_lower_number_goes_first_and_equals_as_they_came(shard):
    added = await add(shard, 5, 9, 0, 5, 3, 0, 9)
    assert await order(shard) == [added[at] for at in (2, 5, 4, 0, 3, 1, 6)]


async def test_it_holds_over_several_claims_and_later_arrivals(shard):
    low, usual = await add(shard, 9, 5)
    assert await order(shard, 1) == [usual]
    (high,) = await add(shard, 0)
    assert await order(shard) == [high, low]


async def test_one_that_is_not_due_is_overtaken(shard, clock):
    (later,) = await add(shard, 0, delay_ms=1000)
    (now,) = await add(shard, 9)
    assert await order(shard) == [now]
    await clock.advance(1000)
    assert await order(shard) == [later]


async def test_one_that_is_given_up_makes_way_for_its_own_line(shard, clock):
    await add(shard, 5, expires_ms=1000)
    usual, low = await add(shard, 5, 9)
    await clock.advance(1000)

    assert [await order(shard, 1) for _ in range(3)] == [[], [usual], [low]]


async def test_keys_take_turns_whatever_the_priorities_of_their_jobs(shard):
    await add(shard, *[0] * 6, key="a")
    (low,) = await add(shard, 9, key="b")
    assert low in await order(shard, 4)


async def test_each_key_has_an_order_of_its_own(shard):
    a = await add(shard, 7, 2, key="a")
    b = await add(shard, 9, 0, key="b")
    taken = await order(shard)
    assert [job_id for job_id in taken if job_id in a] == a[::-1]
    assert [job_id for job_id in taken if job_id in b] == b[::-1]


async def test_the_first_one_is_waited_for_when_it_is_too_dear_for_the_moment(shard, clock):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 3)))
    (dear,) = await add(shard, 0, key="a", cost=3)
    (cheap,) = await add(shard, 5, key="a", cost=1)
    assert await order(shard) == [dear]
    assert (await shard.claim()).due_in_ms == 1000
    (dear,) = await add(shard, 0, key="a", cost=3)

    await clock.advance(1000)

    assert await order(shard) == []
    await clock.advance(2000)
    assert await order(shard) == [dear]
    await clock.advance(1000)
    assert await order(shard) == [cheap]


async def test_a_retry_keeps_its_priority(shard, clock):
    (first,) = await add(shard, 2)
    await shard.end(await shard.claim_one(), shard.retry)
    others = await add(shard, 5, 1)
    await clock.advance(5000)
    assert await order(shard) == [others[1], first, others[0]]


async def test_a_release_keeps_its_priority(shard):
    first, second = await add(shard, 2, 3)
    attempt = await shard.claim_one()
    await shard.jobs.release(0, [attempt])
    assert attempt.job_id == first
    assert await order(shard) == [first, second]


async def test_all_lines_but_the_plain_one_are_listed_together_by_their_time(shard):
    plain, first = await add(shard, 5, 1)
    (keyed,) = await add(shard, 5, key="a")
    dump = await shard.dump()
    assert dump["waiting:shop"] == {plain: shard.start}
    assert dump["waiting1:shop"] == {first: shard.start}
    assert dump["waiting:shop#a"] == {keyed: shard.start}
    assert dump["spread:shop"] == {first: shard.start, keyed: shard.start}
    assert dump["queue:shop"]["priorities"] == "15"


async def test_a_list_of_a_queue_shows_all_lines_in_one_order(shard, clock):
    added = []
    for priority, key in ((5, None), (0, None), (5, "a"), (9, "b"), (5, None)):
        added += await add(shard, priority, key=key)
        await clock.advance(1)

    page = await shard.jobs.page(0, Selection("shop", "queued"), after=None, limit=10)

    assert [job.id for job in page.jobs] == added
    assert (await shard.store.queues.read("shop")).counts["queued"] == 5


@pytest.mark.parametrize("ending", ["succeed", "die", "cancel"])
async def test_a_line_that_is_empty_leaves_no_key(shard, ending):
    await add(shard, 0, 9)
    await add(shard, 3, key="a")
    for attempt in (await shard.claim()).attempts:
        await shard.end(attempt, getattr(shard, ending))
    assert not [
        name for name in await shard.dump() if name.startswith(("waiting", "spread", "lanes", "busy", "queues"))
    ]


async def test_a_cancelled_job_leaves_its_line_and_the_list(shard):
    kept, gone = await add(shard, 1, 1)
    await shard.change("cancel", gone)
    dump = await shard.dump()
    assert dump["waiting1:shop"] == dump["spread:shop"] == {kept: shard.start}
