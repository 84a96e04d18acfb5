"""`delete_job`: what waits is cancelled, what is final is erased, what runs is left alone."""

import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.queue import Retention
from coordinator.errors import NotFound
from tests.store.model import purge_at


async def test_a_job_that_waits_is_cancelled(shard, clock):
    job_id = await shard.add_one(delay_ms=9000)
    await clock.advance(10)

    assert await shard.delete(job_id) == ("cancelled", "")

    dump = await shard.dump()
    job = dump.pop(f"job:{job_id}")
    assert (job["state"], job["reason"], job["outcome"], job["finished_at"]) == (
        "cancelled",
        "user",
        "cancelled",
        str(clock.now),
    )
    assert dump.pop("cancelled:default") == {job_id: clock.now}
    assert dump.pop("purges") == {"cancelled:default": purge_at(clock.now, 86_400_000)}
    # The wheels may point to where nothing waits any more; it costs one look.
    at = shard.start + 9000
    assert dump == {"known_queues": ["default"], "queues": {"default": at}}
    await clock.advance(9000)
    assert (await shard.claim()).due_in_ms is None
    assert {"lanes:default", "queues"}.isdisjoint(await shard.dump())


async def test_a_retry_is_cancelled_and_keeps_its_log(shard):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)

    assert await shard.delete(attempt.job_id) == ("cancelled", "")

    dump = await shard.dump()
    assert {"waiting:default", "retrying:default"}.isdisjoint(dump)
    assert len(dump[f"attempts:{attempt.job_id}"]) == 1


async def test_a_running_job_is_left_alone(shard):
    attempt = await shard.run_one()
    before = await shard.dump()

    assert await shard.delete(attempt.job_id) == ("invalid_state", "running")

    assert await shard.dump() == before


@pytest.mark.parametrize("ending", ["succeed", "die", "cancel"])
async def test_a_final_job_is_erased(shard, ending):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    await shard.end(await again(shard), getattr(shard, ending))

    assert await shard.delete(attempt.job_id) == ("erased", "")

    assert not [key for key in await shard.dump() if attempt.job_id in key]
    assert {"succeeded:default", "dead:default", "cancelled:default"}.isdisjoint(await shard.dump())


async def again(shard):
    await shard.set_clock(shard.start + 5000)
    return await shard.claim_one()


async def test_a_job_that_was_cancelled_can_be_erased(shard):
    job_id = await shard.add_one()

    assert [await shard.delete(job_id) for _ in range(3)] == [
        ("cancelled", ""),
        ("erased", ""),
        ("job_not_found", ""),
    ]


async def test_the_same_request_does_not_erase_what_it_cancelled(shard):
    job_id = await shard.add_one()
    said = {"retention": shard.retention, "verb": "delete", "request": "d1"}
    assert (await shard.run("change_jobs", [(job_id,)], **said))[1] == [[b"cancelled", b"waiting"]]
    before = await shard.dump()

    assert (await shard.run("change_jobs", [(job_id,)], **said))[1] == [[b"cancelled", b"cancelled"]]

    assert await shard.dump() == before


async def test_only_as_many_cancelled_jobs_are_kept_as_are_wanted(shard, clock):
    await shard.configure(retention={"cancelled": Retention(86_400_000, 2)})
    added = await shard.add(5)
    for job_id in added:
        await clock.advance(1)
        await shard.delete(job_id)

    assert list((await shard.dump())["cancelled:default"]) == added[3:]


@pytest.mark.parametrize("job_id", ["", "nonsense", new_id(0, 1, 1) + ":", "*", "0" * 26 + ":1:2"])
async def test_an_id_that_is_none_of_ours_names_no_job(shard, job_id):
    with pytest.raises(NotFound) as refused:
        await shard.delete(job_id)

    assert refused.value.code == "job_not_found"


async def test_an_id_of_a_shard_that_is_not_there_names_no_job(shard):
    with pytest.raises(NotFound):
        await shard.delete(new_id(2, shard.start, 1))


async def test_an_id_that_was_never_given_names_no_job(shard):
    assert await shard.delete(new_id(1, shard.start, 1)) == ("job_not_found", "")
    assert await shard.dump() == {}
