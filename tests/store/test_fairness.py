"""The two wheels: every queue and every lane whose instant has come is served before one is served twice."""

import math
from collections import Counter

import pytest

from coordinator.domain.queue import KeyLimits, Rate


async def served(shard, clock, *, rounds, limit):
    """The jobs of each claim. Time passes between claims: two scripts never share an instant."""
    taken = []
    for _ in range(rounds):
        await clock.advance(1)
        taken.append([attempt.job_id for attempt in (await shard.claim(limit)).attempts])
    return taken


async def test_a_backlog_of_one_queue_does_not_starve_another(shard, clock):
    backlog = await fill(shard, "busy", 300)
    await clock.advance(5)
    others = await shard.add(3, "shop") + await shard.add(3, "default")

    first, *_ = await served(shard, clock, rounds=1, limit=9)

    assert set(others) <= set(first)
    assert len(set(first) & set(backlog)) == 3


async def fill(shard, lane, count):
    added = []
    for start in range(0, count, 100):
        added += await shard.add_to_lane(lane, min(100, count - start))
    return added


@pytest.mark.parametrize("names", [["b", "busy", "default", "shop"], ["shop", "default", "busy", "b"]])
async def test_queues_take_turns_when_a_claim_is_smaller_than_their_number(shard, clock, names):
    of = {}
    for queue in names:
        of |= dict.fromkeys(await shard.add(8, queue), queue)
        await clock.advance(1)

    taken = await served(shard, clock, rounds=8, limit=3)

    turns = Counter()
    for claimed in taken:
        assert len(claimed) == 3
        turns.update(of[job_id] for job_id in claimed)
        assert max(turns.values()) - min(turns[queue] for queue in names) <= 1


@pytest.mark.parametrize("limit", [1, 3, 5, 7])
async def test_lanes_take_turns(shard, clock, limit):
    lanes = [f"shop#{key}" for key in "abcde"]
    of = {}
    for lane in lanes:
        of |= dict.fromkeys(await shard.add_to_lane(lane, 40), lane)

    taken = await served(shard, clock, rounds=12, limit=limit)

    share = math.ceil(limit / len(lanes))
    turns = Counter()
    for claimed in taken:
        assert len(claimed) == limit
        turns.update(of[job_id] for job_id in claimed)
        assert max(turns.values()) - min(turns[lane] for lane in lanes) <= share + 1


async def test_a_backlog_of_one_key_does_not_starve_another(shard, clock):
    await fill(shard, "shop#busy", 500)
    await served(shard, clock, rounds=1, limit=10)
    await clock.advance(1)
    late = await shard.add_to_lane("shop#calm", 2)

    taken = await served(shard, clock, rounds=2, limit=4)

    assert set(late) <= {job_id for claimed in taken for job_id in claimed}


async def test_within_a_lane_the_order_stays(shard, clock):
    lanes = {lane: await shard.add_to_lane(lane, 10) for lane in ("shop#a", "shop#b", "shop")}

    taken = [job_id for claimed in await served(shard, clock, rounds=10, limit=4) for job_id in claimed]

    assert sorted(taken) == sorted(job_id for ids in lanes.values() for job_id in ids)
    for ids in lanes.values():
        assert [job_id for job_id in taken if job_id in ids] == ids


async def test_a_queue_that_is_offered_again_keeps_its_place(shard, clock):
    waits = await shard.add(1, "shop")
    await clock.advance(1)
    await shard.add(1, "busy")
    await clock.advance(1)
    assert await shard.enqueue([shard.new_job("shop")]) == (clock.now, None)

    assert (await shard.claim_one()).job_id == waits[0]


async def test_a_throttled_queue_stands_in_front_of_nobody(shard, clock):
    await shard.configure("busy", rate=shard.rate(1, 60_000, 1))
    await fill(shard, "busy", 200)
    await shard.claim()
    await clock.advance(10)
    others = await shard.add(5, "shop")

    claim = await shard.claim(5)

    assert [attempt.job_id for attempt in claim.attempts] == others
    assert claim.due_in_ms == 60_000 - 10


async def test_concurrency_is_of_the_whole_queue_and_its_lanes_share_it(shard, clock):
    await shard.configure("shop", concurrency=3)
    for key in "abcd":
        await shard.add_to_lane(f"shop#{key}", 5)

    claim = await shard.claim()

    lanes = [(await shard.job(attempt.job_id))["lane"] for attempt in claim.attempts]
    assert sorted(lanes) == ["shop#a", "shop#b", "shop#c"]
    (attempt, *_) = claim.attempts
    await shard.end(attempt, shard.succeed)
    await clock.advance(1)
    assert (await shard.job((await shard.claim_one()).job_id))["lane"] == "shop#d"


async def test_a_retry_goes_back_to_its_lane(shard, clock):
    (job_id,) = await shard.add_to_lane("shop#a")
    attempt = await shard.claim_one()

    await shard.end(attempt, shard.retry)

    dump = await shard.dump()
    assert dump["waiting:shop#a"] == dump["retrying:shop"] == {job_id: clock.now + 5000}
    assert dump["lanes:shop"] == {"shop#a": clock.now + 5000}
    assert dump["queues"] == {"shop": clock.now + 5000}


async def test_more_is_due_at_once_on_the_servers_own_clock(ticking_shard):
    await ticking_shard.add(40)

    hints = [(await ticking_shard.claim(1)).due_in_ms for _ in range(40)]

    assert hints == [0] * 39 + [None]


async def test_a_freed_slot_is_offered_at_once_on_the_servers_own_clock(ticking_shard):
    await ticking_shard.configure(concurrency=1)
    await ticking_shard.add(41)

    for _ in range(40):
        attempt = await ticking_shard.claim_one()
        _, due_in_ms = await ticking_shard.settle([ticking_shard.ended(attempt, ticking_shard.succeed)])
        assert due_in_ms == 0


async def test_claims_take_turns_on_the_servers_own_clock(ticking_shard):
    of = {}
    for queue in ("busy", "default", "shop"):
        of |= dict.fromkeys(await ticking_shard.add(10, queue), queue)
    served_queues = [of[(await ticking_shard.claim_one()).job_id] for _ in range(30)]

    for start in range(0, 30, 3):
        assert sorted(served_queues[start : start + 3]) == ["busy", "default", "shop"]


@pytest.mark.parametrize("per_key", [KeyLimits(), KeyLimits(concurrency=2), KeyLimits(rate=Rate(1000, 1000, 5))])
async def test_one_job_waits_for_no_more_than_a_turn_of_each_active_key(real_shard, clock, per_key):
    await real_shard.configure("shop", per_key=per_key)
    await fill(real_shard, "shop#giant", 10_000)
    for number in range(50):
        await fill(real_shard, f"shop#k{number}", 40)
    await served(real_shard, clock, rounds=20, limit=10)
    late = await real_shard.add_to_lane("shop#late")

    waited = 0
    while not set(late) & set(claimed := (await served(real_shard, clock, rounds=1, limit=10))[0]):
        waited += len(claimed)

    assert waited <= 51


async def test_a_key_with_many_jobs_gets_no_more_turns_than_the_others(real_shard, clock):
    await fill(real_shard, "shop#giant", 10_000)
    of = dict.fromkeys(await fill(real_shard, "shop#a", 100), "a") | dict.fromkeys(
        await fill(real_shard, "shop#b", 100), "b"
    )

    taken = [job_id for claimed in await served(real_shard, clock, rounds=20, limit=9) for job_id in claimed]

    assert Counter(of.get(job_id, "giant") for job_id in taken) == {"giant": 60, "a": 60, "b": 60}
