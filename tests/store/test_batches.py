"""Batches: what they count, how long they are kept, and the outboxes that tell them of ends."""

import pytest

from coordinator.domain.batch import Batch
from coordinator.domain.ids import new_id

BATCH = new_id(0, 1, 8)
WEEK, DAY = 7 * 86_400_000, 86_400_000


@pytest.fixture
async def batches(shard):
    """The batches of the shard; there is one."""
    await shard.store.batches.create(BATCH, Batch(), None)
    return shard.store.batches


async def kept_for(shard, name):
    """In how many ms a key of the batch goes: -1 is never, -2 that there is none."""
    return await shard.call("PTTL", f"{shard.root}:{name}:{BATCH}")


async def counts(batches):
    view = await batches.read(BATCH)
    return {"pending": view.pending, "succeeded": view.succeeded, "dead": view.dead, "refused": view.refused}


async def test_what_nobody_seals_goes_with_all_that_was_told_of_it(shard, batches):
    await batches.add(BATCH, ["a"])
    await batches.end(BATCH, [("b", "dead")])

    assert 0 < await kept_for(shard, "done") <= WEEK
    assert 0 < await kept_for(shard, "left") <= WEEK
    assert 0 < await kept_for(shard, "batch") <= WEEK


async def test_to_join_prolongs_nothing(shard, batches):
    await shard.call("PEXPIRE", f"{shard.root}:batch:{BATCH}", 60_000)

    await batches.add(BATCH, ["a"])
    await batches.end(BATCH, [("b", "dead")])

    for name in ("batch", "left", "done"):
        assert 0 < await kept_for(shard, name) <= 60_000


async def test_a_sealed_batch_stays_until_a_day_after_it_is_complete(shard, batches):
    await batches.end(BATCH, [("b", "dead")])
    await batches.seal(BATCH, ["a", "b"], 0)
    assert [await kept_for(shard, name) for name in ("batch", "left", "done")] == [-1, -1, -1]

    await batches.end(BATCH, [("a", "succeeded")])

    assert await kept_for(shard, "left") == -2
    assert 0 < await kept_for(shard, "batch") <= DAY
    assert 0 < await kept_for(shard, "done") <= DAY


async def test_what_ends_after_all_were_counted_leaves_nothing_behind(shard, batches):
    await batches.seal(BATCH, [], 0)
    before = await shard.dump()

    await batches.end(BATCH, [("a", "dead")])

    assert await shard.dump() == before


@pytest.mark.parametrize("state", ["queued", "running", "retrying", "sealed", "created_at"])
async def test_only_an_end_is_counted(shard, batches, state):
    await batches.seal(BATCH, ["a"], 0)
    before = await shard.dump()

    await batches.end(BATCH, [("a", state)])

    assert await shard.dump() == before


async def test_a_job_is_counted_as_it_first_ended(batches):
    await batches.seal(BATCH, ["a", "b"], 0)

    for state in ("dead", "succeeded"):
        await batches.end(BATCH, [("a", state)])

    assert await counts(batches) == {"pending": 1, "succeeded": 0, "dead": 1, "refused": 0}


async def test_what_was_refused_is_told_as_the_last_request_saw_it(batches):
    await batches.seal(BATCH, ["a"], 2)
    assert (await counts(batches))["refused"] == 2

    await batches.seal(BATCH, ["a", "b"], 1)

    assert await counts(batches) == {"pending": 2, "succeeded": 0, "dead": 0, "refused": 1}


async def test_a_batch_of_which_all_was_refused_is_complete(shard, batches):
    assert await batches.seal(BATCH, [], 3) == []

    view = await batches.read(BATCH)
    assert (view.completed_at, view.refused, view.pending) == (shard.start, 3, 0)


async def test_who_comes_too_late_is_told_and_who_was_counted_is_not(batches):
    await batches.seal(BATCH, ["a"], 1)
    await batches.end(BATCH, [("a", "succeeded")])

    assert await batches.seal(BATCH, ["a", "b"], 0) == ["b"]
    assert await batches.add(BATCH, ["a"]) == []
    assert await batches.add(BATCH, ["c"]) == ["c"]
    assert await counts(batches) == {"pending": 0, "succeeded": 1, "dead": 0, "refused": 1}


async def test_only_another_call_finds_the_batch_of_its_request_made_before(shard):
    batches, other = shard.store.batches, new_id(0, 1, 9)

    made = [await batches.create(batch_id, Batch(), ("k", "f")) for batch_id in (BATCH, BATCH, other)]

    assert made == [(BATCH, False), (BATCH, False), (BATCH, True)]


async def ended_job(shard, clock, ending):
    """A job with a callback that has just ended."""
    attempt = await shard.run_one(on_failure=shard.spec())
    await clock.advance(1)
    await shard.end(attempt, ending)
    return attempt.job_id


async def ended_twice(shard, clock, batches):
    """A job that has ended again, and what a slow one read of its first end."""
    job_id = await ended_job(shard, clock, shard.die)
    first = await batches.outgoing(0)
    await batches.clear(0, first)  # Another one was faster.
    assert (await shard.change("retry", job_id))[0] == "retried"
    await clock.advance(1)
    await shard.end(await shard.claim_one(), shard.die)
    return job_id, first


async def test_an_outbox_tells_of_ends_and_since_when(shard, clock, batches):
    job_id = await ended_job(shard, clock, shard.die)
    await clock.advance(1)
    await batches.seal(BATCH, [], 0)

    job, batch = await batches.outgoing(0)

    assert (job.entry, job.written_at, job.job.id, job.batch_id) == (job_id, shard.start + 1, job_id, None)
    assert (batch.entry, batch.written_at, batch.job, batch.batch_id) == (f"batch:{BATCH}", clock.now, None, BATCH)
    assert await batches.clear(0, [job])
    assert not await batches.clear(0, [batch])
    assert await batches.outgoing(0) == []


async def test_who_is_slow_does_not_clear_the_second_end_of_a_job(shard, clock, batches):
    job_id, first = await ended_twice(shard, clock, batches)

    assert await batches.clear(0, first)

    (second,) = await batches.outgoing(0)
    assert (second.entry, second.written_at, second.job.finished_at) == (job_id, clock.now, clock.now)


async def test_a_job_that_is_kept_for_its_second_end_is_erased_when_that_was_told(shard, clock, batches):
    job_id, first = await ended_twice(shard, clock, batches)
    await shard.delete(job_id)

    await batches.clear(0, first)
    assert f"job:{job_id}" in await shard.dump()
    await batches.clear(0, await batches.outgoing(0))

    assert f"job:{job_id}" not in await shard.dump()


async def test_an_end_of_which_nothing_is_left_is_there_to_be_cleared(shard, clock, batches):
    job_id = await ended_job(shard, clock, shard.die)
    await shard.call("DEL", f"{shard.root}:job:{job_id}")
    shard.is_broken = True

    (gone,) = await batches.outgoing(0)

    assert (gone.entry, gone.job, gone.batch_id) == (job_id, None, None)
    assert not await batches.clear(0, [gone])
