"""`purge_jobs`: finished jobs go by age and by number, a batch at a time."""

import pytest

from coordinator.domain.queue import Retention

DAY = 86_400_000
STATES = {"succeeded": "succeed", "dead": "die", "cancelled": "cancel"}


async def finish(shard, clock, count, *, state="succeeded", queue="default", apart=1):
    finished = []
    for _ in range(count):
        attempt = await shard.run_one(queue)
        await shard.end(attempt, getattr(shard, STATES[state]))
        finished.append(attempt.job_id)
        await clock.advance(apart)
    return finished


async def purge(shard, limit=100):
    _, purged, due_in_ms = await shard.run("purge_jobs", retention=shard.retention, limit=limit)
    return purged, due_in_ms


async def left(shard):
    return sorted(key.removeprefix("job:") for key in await shard.dump() if key.startswith("job:"))


async def test_nothing_finished_nothing_purged(shard):
    await shard.add()
    before = await shard.dump()

    assert await purge(shard) == (0, -1)

    assert await shard.dump() == before


@pytest.mark.parametrize(("state", "age"), [("succeeded", DAY), ("dead", 30 * DAY), ("cancelled", DAY)])
async def test_each_state_has_its_age(shard, clock, state, age):
    (job_id,) = await finish(shard, clock, 1, state=state, apart=0)
    await clock.advance(age - 1)
    assert await purge(shard) == (0, 1)
    assert await left(shard) == [job_id]
    await clock.advance(1)

    assert await purge(shard) == (1, -1)

    assert {key.partition(":")[0] for key in await shard.dump()} <= {"claim", "deadlines", "failures", "known_queues"}


async def test_the_younger_stay_until_their_own_time(shard, clock):
    finished = await finish(shard, clock, 3, apart=1000)
    await clock.set(shard.start + DAY + 1000)

    assert await purge(shard) == (2, 1000)

    assert await left(shard) == finished[2:]
    assert (await shard.dump())["purges"] == {"succeeded:default": shard.start + 2000 + DAY}


async def test_a_queue_may_have_an_age_of_its_own(shard, clock):
    await shard.configure(retention={"succeeded": Retention(5000, 100)})
    short = await finish(shard, clock, 1, apart=0)
    long = await finish(shard, clock, 1, queue="shop", apart=0)
    await clock.advance(5000)

    assert await purge(shard) == (1, DAY - 5000)

    assert await left(shard) == long != short


async def test_a_shortened_age_counts_for_what_has_finished_already(shard, clock):
    await finish(shard, clock, 2, apart=0)
    await clock.advance(6000)
    await shard.configure(retention={"succeeded": Retention(5000, 100)})

    assert (await shard.jobs.poll(0))[3] == 0
    assert await purge(shard) == (2, -1)


async def test_a_prolonged_age_counts_for_what_has_finished_already(shard, clock):
    (job_id,) = await finish(shard, clock, 1, apart=0)
    await shard.configure(retention={"succeeded": Retention(2 * DAY, 100)})
    await clock.advance(DAY)

    assert await purge(shard) == (0, DAY)

    assert await left(shard) == [job_id]


async def test_beyond_the_number_the_oldest_go(shard, clock):
    finished = await finish(shard, clock, 5)
    await shard.configure(retention={"succeeded": Retention(DAY, 2)})

    assert await purge(shard) == (3, DAY + 1000 - 5)

    assert await left(shard) == finished[3:]


async def test_a_number_of_0_clears_all(shard, clock):
    await finish(shard, clock, 3)
    await shard.configure(retention={"succeeded": Retention(DAY, 0)})

    assert await purge(shard) == (3, -1)

    assert await left(shard) == []


async def test_a_batch_is_bounded_and_there_is_more(shard, clock):
    finished = await finish(shard, clock, 5, apart=0)
    finished += await finish(shard, clock, 2, queue="shop", apart=0)
    await clock.advance(DAY)

    assert await purge(shard, 4) == (4, 0)
    assert await purge(shard, 2) == (2, 0)
    assert await purge(shard, 4) == (1, -1)
    assert (await left(shard), len(finished)) == ([], 7)


async def test_an_excess_beyond_the_batch_is_purged_next(shard, clock):
    finished = await finish(shard, clock, 7)
    await shard.configure(retention={"succeeded": Retention(DAY, 1)})

    assert await purge(shard, 4) == (4, 0)
    assert await purge(shard, 4) == (2, DAY + 1000 - 7)

    assert await left(shard) == finished[6:]


async def test_the_log_goes_with_the_job(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.die)
    assert f"attempts:{attempt.job_id}" in await shard.dump()
    await clock.advance(30 * DAY)

    await purge(shard)

    assert f"attempts:{attempt.job_id}" not in await shard.dump()


async def test_what_is_not_final_is_never_purged(shard, clock):
    await shard.add()
    await shard.run_one()
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    await clock.advance(400 * DAY)
    before = await shard.dump()

    assert await purge(shard) == (0, -1)

    assert await shard.dump() == before


async def test_an_entry_whose_jobs_were_all_deleted_is_dropped(shard, clock):
    (job_id,) = await finish(shard, clock, 1, apart=0)
    await shard.delete(job_id)
    assert (await shard.jobs.poll(0))[3] == DAY
    await clock.advance(DAY)

    assert await purge(shard) == (0, -1)

    assert "purges" not in await shard.dump()


async def test_jobs_finished_before_and_after_a_step_back_both_go(shard, clock):
    await finish(shard, clock, 1, apart=0)
    await clock.advance(-5000)
    await finish(shard, clock, 1, apart=0)
    await clock.set(shard.start + DAY)

    assert await purge(shard) == (2, -1)


async def test_an_age_that_was_shortened_while_nothing_was_there_counts_for_what_comes(shard, clock):
    (job_id,) = await finish(shard, clock, 1, state="dead", apart=0)
    await shard.delete(job_id)
    await shard.configure(retention={"dead": Retention(5000, 100)})
    await finish(shard, clock, 1, state="dead", apart=0)
    await clock.advance(5000)

    assert (await shard.jobs.poll(0))[3] == 0
    assert await purge(shard) == (1, -1)
