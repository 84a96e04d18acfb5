"""What people do to jobs, where it meets what else is known of them."""

import msgspec
import pytest
from msgspec.structs import replace

from coordinator.domain.queue import Retention
from coordinator.domain.unique import Unique

HOUR = 3_600_000


@pytest.fixture
async def told_of(shard):
    """A dead job of whose end others are still to be told."""
    attempt = await shard.run_one(on_failure=shard.spec())
    await shard.end(attempt, shard.die)
    return attempt.job_id


async def test_what_others_are_still_to_be_told_of_is_not_tried_anew(shard, told_of):
    assert (await shard.change("retry", told_of))[0] == "untold"

    await shard.store.batches.clear(0, await shard.store.batches.outgoing(0))

    assert (await shard.change("retry", told_of))[0] == "retried"


async def test_what_was_erased_is_gone_although_others_are_still_to_be_told_of_it(shard, told_of):
    assert (await shard.delete(told_of))[0] == "erased"

    assert (await shard.delete(told_of))[0] == "job_not_found"
    assert (await shard.change("retry", told_of))[0] == "job_not_found"
    assert (await shard.run("read_job", id=told_of))[0] == b"job_not_found"
    assert [one.job.id for one in await shard.store.batches.outgoing(0)] == [told_of]


async def test_what_the_retention_pushed_out_is_gone_too(shard):
    await shard.configure(retention={"dead": Retention(60_000, 0)})
    attempt = await shard.run_one(on_failure=shard.spec())
    await shard.end(attempt, shard.die)

    assert (await shard.change("retry", attempt.job_id))[0] == "job_not_found"


async def test_a_handle_that_another_job_has_by_now_is_not_taken_back(shard):
    attempt = await shard.run_one(unique=Unique("h"))
    await shard.end(attempt, shard.die)
    other = await shard.add_one(unique=Unique("h"))

    assert (await shard.change("retry", attempt.job_id))[0] == "unique_conflict"

    await shard.change("cancel", other)
    assert (await shard.change("retry", attempt.job_id))[0] == "retried"
    assert await shard.jobs.find("default", "h") == attempt.job_id


async def dead_job(shard, **fields):
    attempt = await shard.run_one(**fields)
    await shard.end(attempt, shard.die)
    return await shard.jobs.read(attempt.job_id)


async def test_a_job_is_tried_anew_with_other_args(shard):
    job = await dead_job(shard, key="k", tags=("t",), unique=Unique("h"))
    wanted = replace(job.spec, args=msgspec.Raw(b'{"to":"x"}'))

    told, due_in_ms = await shard.jobs.replay(job, wanted)

    assert (told.reply, due_in_ms) == ("ok", 0)
    anew = await shard.jobs.read(job.id)
    assert (anew.state, anew.spec, anew.tally.calls, len(anew.attempts)) == ("queued", wanted, 1, 1)
    assert (await shard.claim_one()).spec == wanted
    assert await shard.jobs.find("default", "h") == job.id


async def test_what_was_edited_meanwhile_is_not_tried_anew_with_other_args(shard):
    job = await dead_job(shard)
    other = replace(job.spec, args=msgspec.Raw(b"2"))
    await shard.jobs.replay(job, other)
    await shard.end(await shard.claim_one(), shard.die)

    told, _ = await shard.jobs.replay(job, replace(job.spec, args=msgspec.Raw(b"3")))

    assert told.reply == "changed"
    assert (await shard.jobs.read(job.id)).spec == other


async def test_what_cannot_be_tried_anew_keeps_its_args(shard):
    job = await dead_job(shard, unique=Unique("h"))
    await shard.add_one(unique=Unique("h"))
    before = await shard.dump()

    told, _ = await shard.jobs.replay(job, replace(job.spec, args=msgspec.Raw(b"2")))

    assert (told.reply, told.state) == ("unique_conflict", "dead")
    assert await shard.dump() == before


async def test_who_postpones_a_job_postpones_when_it_is_given_up(shard, clock):
    job_id = await shard.add_one(expires_ms=600_000)
    job = await shard.jobs.read(job_id)
    await shard.jobs.edit(job, job.spec, run_at=None, delay_ms=HOUR)
    await clock.advance(HOUR + 599_999)
    assert await shard.jobs.expire(0) == 0
    await clock.advance(1)

    assert await shard.jobs.expire(0) == 1


async def test_who_brings_a_job_forward_brings_forward_when_it_is_given_up(shard, clock):
    job_id = await shard.add_one(expires_ms=600_000, delay_ms=HOUR)
    await shard.change("run", job_id)
    await clock.advance(600_000)

    assert await shard.jobs.expire(0) == 1


async def test_a_call_that_was_given_back_may_still_come_too_late(shard, clock):
    attempt = await shard.run_one(expires_ms=1000)
    await shard.jobs.release(0, [attempt])
    await clock.advance(1000)

    assert await shard.jobs.expire(0) == 1


async def test_a_call_that_is_given_back_is_not_made_when_somebody_wanted_it_to_stop(shard):
    attempt = await shard.run_one()
    await shard.change("cancel", attempt.job_id)

    await shard.jobs.release(0, [attempt])

    job = await shard.job(attempt.job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "user")
    assert (await shard.claim()).attempts == []


async def test_of_two_rows_that_want_one_handle_in_two_keys_neither_is_made_when_it_is_all_or_none(shard):
    handle = Unique("h", on_conflict="reject")
    jobs = [shard.new_job(key=key, unique=handle) for key in "ab"]

    enqueued = await shard.jobs.enqueue(0, jobs, all_or_none=True)

    assert [one.reply for one in enqueued.accepted] == ["not_created", "unique_conflict"]
    assert await shard.dump() == {}
