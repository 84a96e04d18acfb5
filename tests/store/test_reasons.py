"""Why a job waits: every reason that is true at the moment, and none that is not."""

import dataclasses

import pytest

from coordinator.domain.job import Reason
from coordinator.domain.queue import Circuit, KeyLimits, Rate


async def reasons(shard, job_id):
    """What holds it up, but for its turn."""
    return [reason for reason in (await shard.jobs.read(job_id)).waiting_for if reason.kind != "turn"]


async def turn(shard, job_id):
    """How many jobs of its key go first."""
    (reason,) = [reason for reason in (await shard.jobs.read(job_id)).waiting_for if reason.kind == "turn"]
    assert (reason.scope, reason.until) == ("key", None)
    return reason.number


async def test_a_job_that_is_not_due_waits_for_its_time(shard, clock):
    job_id = await shard.add_one("shop", delay_ms=5000)
    assert (await shard.jobs.read(job_id)).waiting_for == [Reason("runAt", "job", shard.start + 5000, None)]
    await clock.advance(5000)
    assert await reasons(shard, job_id) == []


async def test_a_retry_waits_for_its_time(shard):
    attempt = await shard.run_one("shop")
    await shard.end(attempt, shard.retry)
    assert await reasons(shard, attempt.job_id) == [Reason("runAt", "job", shard.start + 5000, None)]


async def test_a_job_that_could_start_waits_for_its_turn_alone(shard):
    first, second = await shard.add(2, "shop")
    assert [await turn(shard, job_id) for job_id in (first, second)] == [0, 1]
    assert await reasons(shard, second) == []


async def test_a_turn_counts_those_that_go_first_and_no_others(shard):
    jobs = [await shard.add_one("shop", key="a", priority=priority) for priority in (5, 5, 0, 9)]
    await shard.add(1, "shop", key="a", priority=0, delay_ms=1000)
    await shard.add(3, "shop", key="b", priority=0)
    assert [await turn(shard, job_id) for job_id in jobs] == [1, 2, 0, 3]


async def test_a_running_job_and_one_that_has_ended_wait_for_nothing(shard):
    attempt = await shard.run_one("shop")
    assert (await shard.jobs.read(attempt.job_id)).waiting_for == []
    await shard.end(attempt, shard.succeed)
    assert (await shard.jobs.read(attempt.job_id)).waiting_for == []


async def test_a_blocked_lane_is_waited_for_by_all_of_its_jobs(shard, clock):
    throttled, other = await shard.add(2, "shop", key="a")
    await shard.end(await shard.claim_one(), shard.throttle)
    until = shard.start + 7000
    assert await reasons(shard, other) == [Reason("retryAfter", "key", until, None)]
    assert await reasons(shard, throttled) == [
        Reason("runAt", "job", until, None),
        Reason("retryAfter", "key", until, None),
    ]
    await clock.advance(7000)
    assert await reasons(shard, other) == await reasons(shard, throttled) == []


async def test_a_pause_of_the_queue_and_one_of_the_key_are_both_told(shard):
    job_id = await shard.add_one("shop", key="a")
    await shard.store.queues.change_key("shop", "a", "pause")
    assert await reasons(shard, job_id) == [Reason("paused", "key", None, None)]
    await shard.store.queues.pause("shop", paused=True)
    assert await reasons(shard, job_id) == [Reason("paused", "key", None, None), Reason("paused", "queue", None, None)]
    await shard.store.queues.change_key("shop", "a", "resume")
    assert await reasons(shard, job_id) == [Reason("paused", "queue", None, None)]


async def test_a_full_queue_is_told_with_its_concurrency_until_a_slot_is_free(shard):
    await shard.configure("shop", concurrency=2)
    await shard.add(2, "shop")
    attempts = (await shard.claim()).attempts
    job_id = await shard.add_one("shop", key="a")
    assert await reasons(shard, job_id) == [Reason("concurrency", "queue", None, 2)]
    await shard.end(attempts[0], shard.succeed)
    assert await reasons(shard, job_id) == []


async def test_a_full_key_is_told_of_its_own_jobs_only(shard):
    await shard.configure("shop", per_key=KeyLimits(concurrency=1))
    await shard.add(1, "shop", key="a")
    await shard.claim_one()
    same, other = await shard.add_one("shop", key="a"), await shard.add_one("shop", key="b")
    assert await reasons(shard, same) == [Reason("concurrency", "key", None, 1)]
    assert await reasons(shard, other) == []


async def test_an_empty_bucket_is_told_with_the_instant_at_which_it_can_pay(shard, clock):
    await shard.configure("shop", rate=Rate(1, 1000, 4), per_key=KeyLimits(rate=Rate(1, 2000, 4)))
    await shard.add(1, "shop", key="a", cost=4)
    await shard.claim_one()
    cheap = await shard.add_one("shop", key="a")
    dear = await shard.add_one("shop", key="a", cost=3)

    def until(key_ms, queue_ms):
        return [
            Reason("limit", "key", shard.start + key_ms, None),
            Reason("limit", "queue", shard.start + queue_ms, None),
        ]

    assert await reasons(shard, cheap) == until(2000, 1000)
    assert await reasons(shard, dear) == until(6000, 3000)
    await clock.advance(1000)
    assert await reasons(shard, cheap) == until(2000, 1000)[:1]
    await clock.advance(1000)
    assert await reasons(shard, cheap) == []


async def test_what_the_other_side_told_is_a_limit_as_well(shard):
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 40)))
    attempt = await shard.run_one("shop", key="a")
    job_id = await shard.add_one("shop", key="a")
    told = dataclasses.replace(shard.throttle, delay_ms=1000)
    await shard.end(attempt, told)
    assert Reason("limit", "key", shard.start + 1000, None) in await reasons(shard, job_id)


@pytest.fixture
async def broken(shard):
    """A queue whose worker has failed twice, and is left alone for twenty seconds."""
    await shard.configure("shop", circuit=Circuit(2, 20_000))
    for _ in range(2):
        await shard.end(await shard.run_one("shop"), shard.die)
    return shard


async def test_an_open_circuit_is_told_before_and_after_its_job_was_put_off(broken):
    job_id = await broken.add_one("shop")
    opens = Reason("circuit", "worker", broken.start + 20_000, None)
    assert await reasons(broken, job_id) == [opens]
    await broken.claim()
    assert await reasons(broken, job_id) == [opens]


async def test_a_job_whose_own_time_comes_later_waits_for_that_too(broken, clock):
    job_id = await broken.add_one("shop", delay_ms=60_000)
    own = Reason("runAt", "job", broken.start + 60_000, None)
    assert await reasons(broken, job_id) == [Reason("circuit", "worker", broken.start + 20_000, None), own]
    await clock.advance(20_000)
    assert await reasons(broken, job_id) == [own]


async def test_a_circuit_whose_time_has_come_holds_up_nobody(broken, clock):
    job_id = await broken.add_one("shop")
    await clock.advance(20_000)
    assert await reasons(broken, job_id) == []
    assert (await broken.claim_one()).job_id == job_id


async def test_all_reasons_are_told_at_once(shard):
    await shard.configure("shop", concurrency=1, rate=Rate(1, 1000, 1), per_key=KeyLimits(concurrency=1))
    await shard.add(1, "shop", key="a")
    await shard.claim_one()
    await shard.store.queues.pause("shop", paused=True)
    job_id = await shard.add_one("shop", key="a", delay_ms=9000)
    assert [(reason.kind, reason.scope) for reason in (await shard.jobs.read(job_id)).waiting_for] == [
        ("runAt", "job"),
        ("concurrency", "key"),
        ("paused", "queue"),
        ("concurrency", "queue"),
        ("limit", "queue"),
    ]
