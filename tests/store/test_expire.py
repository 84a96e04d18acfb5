"""`expired_jobs`: whose lease or deadline has passed, found and left for `settle_jobs` to end."""

from dataclasses import astuple

import pytest

from coordinator.domain.job import Tally
from coordinator.domain.outcome import Beat


async def expired(shard, limit=100):
    _, rows, due_in_ms = await shard.run("expired_jobs", limit=limit)
    return [(row[0].decode(), row[3].decode()) for row in rows], due_in_ms


async def test_nothing_runs_nothing_expires(shard):
    assert await expired(shard) == ([], -1)
    assert await shard.dump() == {}


async def test_a_lease_that_was_not_renewed_is_lost(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms - 1)
    assert await expired(shard) == ([], 1)
    await clock.advance(1)

    assert await expired(shard) == ([(attempt.job_id, "lost")], 0)


async def test_a_held_attempt_past_its_deadline_timed_out(shard, clock):
    attempt = await shard.run_one(timeout_ms=3000)
    await clock.advance(3000)

    assert await expired(shard) == ([(attempt.job_id, "timeout")], 0)


async def test_a_detached_attempt_past_its_deadline_timed_out(shard, clock):
    attempt = await shard.run_one()
    await shard.jobs.detach(0, [attempt])
    await clock.advance(shard.lease_ms)
    assert await expired(shard) == ([], shard.timeout_ms - shard.lease_ms)
    await clock.advance(shard.timeout_ms - shard.lease_ms)

    assert await expired(shard) == ([(attempt.job_id, "timeout")], 0)


async def test_it_tells_the_attempt_and_changes_nothing_of_it(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.snooze)
    await clock.advance(7000)
    attempt = await shard.claim_one()
    before = await shard.dump()
    await clock.advance(shard.lease_ms)

    (found,) = await shard.jobs.expired(0)

    assert (found.kind, found.attempt.job_id, found.attempt.nonce) == ("lost", attempt.job_id, attempt.nonce)
    assert (found.attempt.tally, found.attempt.spec) == (Tally(1, snoozes=1), attempt.spec)
    before["deadlines"] = {"default": shard.start + 7000 + shard.lease_ms}
    assert await shard.dump() == before


async def test_what_was_found_is_found_again_until_it_is_ended(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms)

    found = await shard.jobs.expired(0)
    assert [astuple(one) for one in await shard.jobs.expired(0)] == [astuple(one) for one in found]

    await shard.end(found[0].attempt, shard.lost, lapsed=True)
    assert await expired(shard) == ([], -1)
    assert "deadlines" not in await shard.dump()
    assert (await shard.claim_one()).tally == Tally(2, lost=1)
    assert attempt.tally == Tally(1)


async def test_a_renewed_lease_is_waited_for(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(6000)
    await shard.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms)
    await clock.advance(4000)

    assert await expired(shard) == ([], 6000)
    assert (await shard.dump())["deadlines"] == {"default": clock.now + 6000}


@pytest.mark.parametrize("kind", ["lost", "timeout"])
async def test_one_that_goes_on_after_all_is_not_ended(shard, clock, kind):
    attempt = await shard.run_one()
    await clock.advance({"lost": shard.lease_ms, "timeout": shard.timeout_ms}[kind])
    (found,) = await shard.jobs.expired(0)
    assert found.kind == kind

    # Between the two steps of its end its function tells that it needs longer.
    assert (await shard.jobs.beat(attempt.job_id, 1, attempt.nonce, Beat(extend_ms=30_000))).reply == "ok"

    assert await shard.end(found.attempt, shard.lost, lapsed=True) == ("stale_receipt", "running")
    assert await shard.jobs.expired(0) == []
    await clock.advance(30_000)
    (found,) = await shard.jobs.expired(0)
    assert found.kind == "timeout"
    assert await shard.end(found.attempt, shard.retry, lapsed=True) == ("ok", "waiting")


async def test_no_more_than_the_limit_and_every_queue_in_turn(shard, clock):
    for queue in ("busy", "default", "shop"):
        await shard.add(4, queue)
    ran = {attempt.job_id: attempt for attempt in (await shard.claim()).attempts}
    await clock.advance(shard.lease_ms)

    ended = []
    while True:
        found, due_in_ms = await expired(shard, 5)
        if not found:
            break
        assert (len(found) <= 5, due_in_ms) == (True, 0)
        for job_id, _ in found:
            await shard.end(ran[job_id], shard.die, lapsed=True)
            ended.append(job_id)

    assert sorted(ended) == sorted(ran)
    assert due_in_ms == -1


async def test_the_next_instant_is_of_the_earliest_queue(shard, clock):
    await shard.run_one("shop", timeout_ms=9000)
    await clock.advance(1000)
    await shard.run_one("busy", timeout_ms=3000)

    assert await expired(shard) == ([], 3000)
    assert (await shard.jobs.poll(0))[1] == 3000


async def test_an_entry_without_a_job_is_dropped(shard, clock):
    attempt = await shard.run_one()
    await shard.call("DEL", f"{shard.root}:job:{attempt.job_id}")
    await clock.advance(shard.lease_ms)

    assert await expired(shard) == ([], -1)
    assert "running:default" not in await shard.dump()


async def test_an_entry_without_a_job_gives_its_slot_back(shard, clock):
    await shard.configure(concurrency=1)
    attempt = await shard.run_one()
    waiting = await shard.add_one()
    await shard.claim()
    await shard.call("DEL", f"{shard.root}:job:{attempt.job_id}")
    await clock.advance(shard.lease_ms)

    await expired(shard)

    assert (await shard.jobs.poll(0))[0] == 0
    assert (await shard.claim_one()).job_id == waiting


async def test_a_clock_that_steps_back_ends_nothing_early(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms)
    await clock.advance(-1)

    assert await expired(shard) == ([], 1)
    assert await shard.end(attempt, shard.lost, lapsed=True) == ("stale_receipt", "running")


async def test_what_the_call_was_answered_is_known_until_the_attempt_ends(shard, clock):
    attempt = await shard.run_one()
    await shard.jobs.detach(0, [attempt], ["504"])
    assert (await shard.jobs.read(attempt.job_id)).answered == "504"
    await clock.advance(shard.timeout_ms)
    (found,) = await shard.jobs.expired(0)
    assert (found.kind, found.answered) == ("timeout", "504")
    await shard.end(attempt, shard.retry)
    assert (await shard.jobs.read(attempt.job_id)).answered is None
