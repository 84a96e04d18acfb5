"""What a replica says of the attempts it holds: renewed, detached, given back. Who may say so is in test_guards.py."""

from dataclasses import astuple, replace

import pytest

from coordinator.domain.job import Tally
from coordinator.domain.outcome import Beat

SCRIPTS = ("renew", "detach", "release")


async def say(shard, script, rows, *, holder="r1"):
    """The answer for each row, in words."""
    if script == "renew":
        _, gone, _ = await shard.run("renew_leases", rows, holder=holder, lease_ms=shard.lease_ms)
        return ["gone" if row[0].encode() in gone else "renewed" for row in rows]
    told = [(*row, "") for row in rows] if script == "detach" else rows
    kept = {"retention": shard.retention} if script == "release" else {}
    _, replies, *_ = await shard.run(f"{script}_jobs", told, **kept)
    return [reply.decode() for reply in replies]


async def test_a_lease_is_renewed_from_now_on(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(4000)
    before = await shard.dump()

    assert await shard.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms) == set()

    before["running:default"][attempt.job_id] = clock.now + shard.lease_ms
    assert await shard.dump() == before


async def test_no_lease_goes_beyond_the_deadline(shard, clock):
    attempt = await shard.run_one(timeout_ms=12_000)
    await clock.advance(4000)

    await shard.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms)

    assert (await shard.dump())["running:default"] == {attempt.job_id: shard.start + 12_000}


async def test_a_lapsed_lease_can_be_renewed_until_someone_ends_it(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms + 1)

    assert await shard.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms) == set()

    assert await shard.jobs.expired(0) == []


async def test_an_attempt_that_was_left_to_its_function_tells_how_long_it_goes_on(shard, clock):
    """Its old deadline was found before the replica that calls it heard of the new one; the call is still its own."""
    attempt = await shard.run_one(timeout_ms=1000)
    await shard.jobs.beat(attempt.job_id, None, "", Beat(extend_ms=5000))
    await clock.advance(1000)
    assert await shard.jobs.expired(0) == []
    before = await shard.dump()

    told = await shard.jobs.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms)

    assert told == (set(), {attempt.job_id: 4000})
    assert await shard.dump() == before


async def test_a_lease_renewed_after_the_clock_stepped_back_is_found_when_it_lapses(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(-8000)

    await shard.renew(0, [attempt], holder="r1", lease_ms=shard.lease_ms)

    await clock.advance(shard.lease_ms)
    assert (await shard.jobs.poll(0))[1] == 0
    assert [found.attempt.job_id for found in await shard.jobs.expired(0)] == [attempt.job_id]


async def test_of_many_only_the_lost_are_named(shard):
    await shard.add(5)
    attempts = (await shard.claim()).attempts
    await shard.end(attempts[1], shard.succeed)
    await shard.end(attempts[3], shard.retry)

    assert await shard.renew(0, attempts, holder="r1", lease_ms=1000) == {attempts[1].job_id, attempts[3].job_id}


async def test_more_than_a_batch_is_renewed_detached_and_released(shard, clock):
    attempts = []
    for _ in range(3):
        await shard.add(100)
        attempts += (await shard.claim(100)).attempts
    await clock.advance(1000)

    assert await shard.renew(0, attempts[:250], holder="r1", lease_ms=shard.lease_ms) == set()
    await shard.jobs.detach(0, attempts[:210])
    scores = (await shard.dump())["running:default"]
    wanted = [shard.timeout_ms] * 210 + [1000 + shard.lease_ms] * 40 + [shard.lease_ms] * 50
    assert [scores[attempt.job_id] - shard.start for attempt in attempts] == wanted

    await shard.jobs.release(0, attempts)
    assert "running:default" not in await shard.dump()


async def test_a_detached_attempt_runs_to_its_deadline(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(300)
    before = await shard.dump()

    await shard.jobs.detach(0, [attempt])

    del before[f"job:{attempt.job_id}"]["holder"]
    before["running:default"][attempt.job_id] = attempt.deadline_at
    assert await shard.dump() == before


async def test_what_is_released_is_as_if_never_taken(shard, clock):
    job_id = await shard.add_one()
    before = await shard.dump()
    attempt = await shard.claim_one()
    await clock.advance(300)

    _, replies, due_in_ms = await shard.run("release_jobs", [(job_id, 1, attempt.nonce)], retention=shard.retention)

    assert (replies, due_in_ms) == ([b"released"], 0)
    after = await shard.dump()
    # It is due from now on, behind those that have been waiting.
    before[f"job:{job_id}"]["run_at"] = str(clock.now)
    before["waiting:default"][job_id] = before["lanes:default"]["default"] = before["queues"]["default"] = clock.now
    del after["claim:r1"]
    del after["deadlines"]
    assert after == before
    assert (await shard.claim_one()).tally == Tally(1)


@pytest.mark.parametrize("lost", ["run_at", "started_at"])
async def test_a_job_that_lost_a_field_is_given_back_with_the_others(shard, lost):
    await shard.configure(rate=shard.rate(5, 1000, 5))
    await shard.add(2)
    attempts = (await shard.claim(2)).attempts
    await shard.call("HDEL", f"{shard.root}:job:{attempts[0].job_id}", lost)

    await shard.jobs.release(0, attempts)

    assert [(await shard.jobs.read(attempt.job_id)).state for attempt in attempts] == ["queued", "queued"]
    assert "running:default" not in await shard.dump()


async def test_what_was_told_of_a_released_attempt_is_not_taken_for_the_next_ones(shard, clock):
    """Else the next one would wait for its deadline when its replica dies, as if its function had been heard of."""
    attempt = await shard.run_one()
    await shard.jobs.beat(attempt.job_id, None, "", Beat())
    await shard.jobs.detach(0, [attempt], ["202"])
    await shard.jobs.release(0, [attempt])
    await shard.claim()
    await clock.advance(shard.lease_ms)

    (found,) = await shard.jobs.expired(0)

    assert (found.kind, found.answered) == ("lost", "")


async def test_a_released_retry_is_a_retry_again(shard, clock):
    await shard.end(await shard.run_one(), shard.retry)
    await clock.advance(5000)
    attempt = await shard.claim_one()

    await shard.jobs.release(0, [attempt])

    dump = await shard.dump()
    assert dump["retrying:default"] == dump["waiting:default"] == {attempt.job_id: clock.now}
    assert (await shard.claim_one()).tally == Tally(2)


async def test_a_release_gives_its_token_and_its_slot_back(shard, clock):
    await shard.configure(rate=shard.rate(1, 60_000, 2), concurrency=2)
    await shard.add(3)
    first, second = (await shard.claim()).attempts
    assert (await shard.claim()).attempts == []

    _, _, due_in_ms = await shard.run("release_jobs", [(first.job_id, 1, first.nonce)], retention=shard.retention)

    assert due_in_ms == 0
    assert (await shard.dump())["queue:default"]["tokens"] == "1.000000000"
    await shard.end(second, shard.succeed)
    claim = await shard.claim()
    assert (len(claim.attempts), claim.due_in_ms) == (1, 60_000)


async def test_a_release_does_not_fill_the_bucket_beyond_its_burst(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 1))
    attempt = await shard.run_one()
    await clock.advance(5000)

    await shard.jobs.release(0, [attempt])

    assert (await shard.dump())["queue:default"]["tokens"] == "1.000000000"


async def test_a_released_attempt_is_over(shard):
    attempt = await shard.run_one()
    await shard.jobs.release(0, [attempt])
    before = await shard.dump()

    assert await say(shard, "release", [(attempt.job_id, 1, attempt.nonce)]) == ["stale"]
    assert await say(shard, "detach", [(attempt.job_id, 1, attempt.nonce)]) == ["stale"]
    assert await shard.renew(0, [attempt], holder="r1", lease_ms=1) == {attempt.job_id}

    assert await shard.dump() == before


async def test_after_a_failover_the_same_number_with_another_nonce_is_another_attempt(shard):
    """The number may be given out twice when Redis falls back to an earlier state; the nonce may not."""
    lost = await shard.run_one()
    await shard.jobs.release(0, [lost])
    current = await shard.claim_one()
    assert astuple(current) == astuple(replace(lost, nonce=current.nonce))
    before = await shard.dump()

    for script in SCRIPTS:
        assert await say(shard, script, [(lost.job_id, 1, lost.nonce)]) == ["gone" if script == "renew" else "stale"]

    assert await shard.dump() == before
