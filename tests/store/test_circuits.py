"""The circuit of a worker: after so many failures in a row its jobs wait, one is tried, and the others follow."""

import dataclasses

import msgspec
import pytest

from coordinator.domain.outcome import Failure
from coordinator.domain.queue import Circuit, CircuitView
from coordinator.store.records import NewJob

OPEN_MS = 20_000
TIMEOUT = "timeout"


@pytest.fixture
async def shop(shard):
    """A queue whose circuits open at three failures, for twenty seconds."""
    await shard.configure("shop", circuit=Circuit(3, OPEN_MS))
    return shard


async def add(shard, count=1, worker="bad", **fields):
    jobs = [
        NewJob(shard.new_id(), msgspec.structs.replace(shard.spec("shop", **fields), worker=worker))
        for _ in range(count)
    ]
    await shard.jobs.enqueue(0, jobs)
    return [job.id for job in jobs]


def failed(shard, **changed):
    """A failure that is tried again an hour later, out of the way."""
    return dataclasses.replace(shard.retry, delay_ms=3_600_000, **changed)


async def fail(shard, times, worker="bad", **changed):
    await add(shard, times, worker)
    for attempt in (await shard.claim(times)).attempts:
        assert attempt.spec.worker == worker
        await shard.end(attempt, failed(shard, **changed))


async def circuits(shard):
    return (await shard.store.queues.read("shop")).circuits


async def taken(shard):
    return [attempt.spec.worker for attempt in (await shard.claim()).attempts]


async def test_it_stays_closed_below_the_threshold(shop):
    await fail(shop, 2)
    await add(shop)
    assert await circuits(shop) == [CircuitView("bad", 2, None)]
    assert await taken(shop) == ["bad"]


async def test_it_opens_at_the_threshold_and_no_attempt_is_spent(shop):
    await fail(shop, 3)
    (job_id,) = await add(shop)
    assert await circuits(shop) == [CircuitView("bad", 3, shop.start + OPEN_MS)]

    claim = await shop.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 1000)
    assert (await shop.job(job_id))["attempt"] == "0"


async def test_an_orderly_answer_between_them_begins_the_count_anew(shop):
    await fail(shop, 2)
    await add(shop)
    await shop.end(await shop.claim_one(), shop.succeed)
    await fail(shop, 2)
    assert await circuits(shop) == [CircuitView("bad", 2, None)]


async def test_after_its_time_one_job_is_tried(shop, clock):
    await fail(shop, 3)
    await add(shop, 5)
    await clock.advance(OPEN_MS)
    assert await taken(shop) == ["bad"]
    assert await taken(shop) == []


async def test_a_probe_that_succeeds_closes_it_and_the_others_follow_soon(shop, clock):
    await fail(shop, 3)
    await add(shop, 5)
    assert await taken(shop) == []
    await clock.advance(OPEN_MS)
    (probe,) = (await shop.claim()).attempts
    await clock.advance(300)
    await shop.end(probe, shop.succeed)
    assert await circuits(shop) == []

    await clock.advance(1000)

    assert await taken(shop) == ["bad"] * 4


async def test_a_probe_that_is_taken_on_closes_it_without_forgetting_the_failures(shop, clock):
    await fail(shop, 3)
    await add(shop, 2)
    await clock.advance(OPEN_MS)
    (probe,) = (await shop.claim()).attempts

    await shop.jobs.detach(0, [probe], ["202"])

    assert await circuits(shop) == [CircuitView("bad", 3, None)]
    await clock.advance(1000)
    assert await taken(shop) == ["bad"]


async def test_a_probe_that_fails_opens_it_as_long_again(shop, clock):
    await fail(shop, 3)
    await add(shop, 2)
    await clock.advance(OPEN_MS)
    (probe,) = (await shop.claim()).attempts
    await shop.end(probe, failed(shop))
    assert await circuits(shop) == [CircuitView("bad", 4, clock.now + OPEN_MS)]
    assert await taken(shop) == []
    await clock.advance(OPEN_MS)
    assert await taken(shop) == ["bad"]


async def test_a_probe_of_which_nothing_is_heard_is_followed_by_another(shop, clock):
    await fail(shop, 3)
    await add(shop, 2)
    await clock.advance(OPEN_MS)
    assert await taken(shop) == ["bad"]
    await clock.advance(OPEN_MS)
    assert await taken(shop) == ["bad"]


async def test_jobs_that_are_put_off_hold_up_nobody(shop):
    await fail(shop, 3)
    await add(shop, 200, "bad")
    await add(shop, 3, "good")

    found = []
    for _ in range(60):
        claim = await shop.claim(4)
        found += [attempt.spec.worker for attempt in claim.attempts]
        if claim.due_in_ms != 0:
            break

    assert found == ["good"] * 3
    assert claim.due_in_ms == 1000


async def test_jobs_that_are_put_off_take_no_tokens_and_no_slots(shard):
    await shard.configure("shop", circuit=Circuit(3, OPEN_MS), concurrency=1, rate=shard.rate(1, 60_000, 5))
    for _ in range(3):
        await fail(shard, 1)
    await add(shard, 150)
    await add(shard, 2, "good")
    for _ in range(2):
        attempt = await shard.claim_one()
        assert attempt.spec.worker == "good"
        await shard.end(attempt, shard.succeed)


async def test_each_worker_and_each_queue_has_its_own(shop):
    await fail(shop, 3)
    await add(shop, 1, "good")
    assert await taken(shop) == ["good"]
    await shop.configure("b", circuit=Circuit(3, OPEN_MS))
    await shop.add(1, "b")
    assert await taken(shop) == ["resize"]


@pytest.mark.parametrize(
    "changed",
    [{"outcome": "lost"}, {"verb": "die", "reason": "non_retryable"}, {"outcome": "snoozed", "verb": "spare"}],
)
async def test_what_is_not_the_workers_fault_does_not_count(shop, changed):
    await fail(shop, 5, **changed)
    assert await circuits(shop) == []


@pytest.mark.parametrize(
    "changed", [{"outcome": TIMEOUT}, {"verb": "die", "reason": "attempts_exhausted"}, {"http_status": None}]
)
async def test_time_outs_and_last_failures_count(shop, changed):
    await fail(shop, 3, **changed)
    assert (await circuits(shop))[0].open_until == shop.start + OPEN_MS


async def test_a_lost_call_neither_counts_nor_begins_the_count_anew(shop):
    await fail(shop, 2)
    await fail(shop, 1, outcome="lost")
    await fail(shop, 1)
    assert (await circuits(shop))[0].failures == 3


async def test_a_queue_may_have_none(shard):
    await shard.configure("shop", circuit=None)
    await fail(shard, 50)
    assert await circuits(shard) == []
    await add(shard)
    assert await taken(shard) == ["bad"]


async def test_without_a_setting_twenty_failures_open_it_for_half_a_minute(shard):
    await fail(shard, 19)
    assert (await circuits(shard))[0].open_until is None
    await fail(shard, 1)
    assert (await circuits(shard))[0].open_until == shard.start + 30_000


async def test_one_that_is_open_lets_all_through_when_it_is_switched_off(shop):
    await fail(shop, 3)
    await add(shop, 3)
    await shop.configure("shop", circuit=None)
    assert await taken(shop) == ["bad"] * 3


async def test_jobs_that_wait_long_are_looked_at_a_few_times_only(shop, clock):
    """Each time for as long as it has been open, at least a second."""
    await fail(shop, 3)
    await add(shop)
    looks = []
    while clock.now < shop.start + OPEN_MS:
        claim = await shop.claim()
        looks.append(clock.now - shop.start)
        await clock.advance(claim.due_in_ms)
    assert looks == [0, 1000, 2000, 4000, 8000, 16_000]
    assert await taken(shop) == ["bad"]


async def test_the_names_of_failures_are_the_ones_that_are_decided_elsewhere():
    assert {"failure", TIMEOUT, "lost"} == set(Failure.__annotations__["kind"].__args__)
