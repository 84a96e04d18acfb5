"""`settle_jobs`: what an ending leaves. Which is taken is in test_guards.py."""

import pytest

from coordinator.domain.job import Tally
from tests.store.model import purge_at


async def test_a_success_of_the_first_call_leaves_the_job_and_one_entry(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(300)

    assert await shard.end(attempt, shard.succeed) == ("ok", "succeeded")

    dump = await shard.dump()
    dump[f"job:{attempt.job_id}"].pop("spec")
    assert dump == {
        "claim:r1": f"n1 {attempt.job_id}",
        "deadlines": {"default": shard.start + shard.lease_ms},
        f"job:{attempt.job_id}": {
            "state": "succeeded",
            "outcome": "success",
            "lane": "default",
            "worker": "resize",
            "attempt": "1",
            "nonce": "n1",
            "run_at": str(shard.start),
            "created_at": str(shard.start),
            "started_at": str(shard.start),
            "finished_at": str(clock.now),
            "timeout_ms": "60000",
            "result": '{"n":1}',
        },
        "known_queues": ["default"],
        "purges": {"succeeded:default": purge_at(clock.now, 86_400_000)},
        "succeeded:default": {attempt.job_id: clock.now},
    }


async def test_a_success_counts_after_the_attempt_behind_it_was_given_back(shard, clock):
    first = await shard.run_one()
    await shard.end(first, shard.retry)
    await clock.advance(shard.retry.delay_ms)
    await shard.jobs.release(0, (await shard.claim()).attempts)

    assert await shard.end(first, shard.succeed) == ("ok", "succeeded")


async def test_a_retry_waits_again_with_the_attempt_spent(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(300)

    (settled,), due_in_ms = await shard.settle([shard.ended(attempt, shard.retry)])

    assert (settled.reply, settled.state, due_in_ms) == ("ok", "waiting", 5000)
    dump = await shard.dump()
    job = dump.pop(f"job:{attempt.job_id}")
    assert (job["state"], job["attempt"], job["run_at"], job["outcome"]) == (
        "waiting",
        "1",
        str(clock.now + 5000),
        "failure",
    )
    assert {"holder", "deadline_at", "finished_at"}.isdisjoint(job)
    assert len(dump.pop(f"attempts:{attempt.job_id}")) == 1
    at = clock.now + 5000
    assert dump == {
        "claim:r1": f"n1 {attempt.job_id}",
        "deadlines": {"default": shard.start + shard.lease_ms},
        "failures:default": {"resize": "1"},
        "known_queues": ["default"],
        "lanes:default": {"default": at},
        "queues": {"default": at},
        "retrying:default": {attempt.job_id: at},
        "waiting:default": {attempt.job_id: at},
    }


@pytest.mark.parametrize(("ending", "counter"), [("snooze", "snoozes"), ("throttle", "throttles")])
async def test_to_spare_gives_the_attempt_back_and_counts(shard, clock, ending, counter):
    attempt = await shard.run_one()

    for count in (1, 2, 3):
        assert await shard.end(attempt, getattr(shard, ending)) == ("ok", "waiting")
        job = await shard.job(attempt.job_id)
        assert (job["attempt"], job[counter]) == ("0", str(count))
        assert "retrying:default" not in await shard.dump()
        await clock.advance(7000)
        attempt = await shard.claim_one()
        assert attempt.tally == Tally(1, **{counter: count})


async def test_only_what_was_lost_is_counted_as_lost(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.lost)
    attempt = await shard.claim_one()
    await shard.end(attempt, shard.retry)

    job = await shard.job(attempt.job_id)

    assert (job["lost"], job["attempt"]) == ("1", "2")


async def test_a_success_takes_a_job_that_waits_out_of_the_line(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)

    assert await shard.end(attempt, shard.succeed) == ("ok", "succeeded")

    dump = await shard.dump()
    assert {"waiting:default", "retrying:default"}.isdisjoint(dump)
    assert dump["succeeded:default"] == {attempt.job_id: clock.now}
    await clock.advance(5000)
    claim = await shard.claim()
    assert (claim.attempts, claim.due_in_ms) == ([], None)


async def test_a_success_of_an_older_attempt_ends_the_one_that_runs(shard, clock):
    older = await shard.run_one()
    await shard.end(older, shard.retry)
    await clock.advance(5000)
    newer = await shard.claim_one(holder="r2")

    assert await shard.end(older, shard.succeed) == ("ok", "succeeded")

    dump = await shard.dump()
    assert "running:default" not in dump
    assert {"holder", "deadline_at"}.isdisjoint(dump[f"job:{newer.job_id}"])
    assert await shard.renew(0, [newer], holder="r2", lease_ms=1000) == {newer.job_id}
    assert await shard.end(newer, shard.retry) == ("stale_receipt", "succeeded")


async def test_a_lapsed_attempt_is_ended_only_while_its_lease_has_lapsed(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms)
    await shard.renew(0, [attempt], holder="r1", lease_ms=1)
    before = await shard.dump()

    assert await shard.end(attempt, shard.lost, lapsed=True) == ("stale_receipt", "running")
    assert await shard.dump() == before

    await clock.advance(1)
    assert await shard.end(attempt, shard.lost, lapsed=True) == ("ok", "waiting")


async def test_an_attempt_that_was_detached_meanwhile_has_not_lapsed(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(shard.lease_ms)
    await shard.jobs.detach(0, [attempt])

    assert await shard.end(attempt, shard.lost, lapsed=True) == ("stale_receipt", "running")

    await clock.advance(shard.timeout_ms - shard.lease_ms)
    assert await shard.end(attempt, shard.lost, lapsed=True) == ("ok", "waiting")


@pytest.mark.parametrize("ending", ["succeed", "die", "cancel", "retry", "snooze"])
async def test_whatever_ends_an_attempt_frees_its_slot(shard, clock, ending):
    await shard.configure(concurrency=1)
    attempt = await shard.run_one()
    await shard.add()

    _, due_in_ms = await shard.settle([shard.ended(attempt, getattr(shard, ending))])

    assert due_in_ms == 0
    assert (await shard.dump())["queues"] == {"default": clock.now}


async def test_a_batch_is_answered_row_by_row(shard):
    await shard.add(3)
    first, second, third = (await shard.claim()).attempts

    replies, due_in_ms = await shard.settle(
        [
            shard.ended(first, shard.succeed),
            shard.ended(second, shard.retry),
            shard.ended(first, shard.die),
            shard.ended(first, shard.succeed),
            shard.ended(third, shard.cancel),
        ],
    )

    assert [(settled.reply, settled.state) for settled in replies] == [
        ("ok", "succeeded"),
        ("ok", "waiting"),
        ("stale_receipt", "succeeded"),
        ("already_recorded", "succeeded"),
        ("ok", "cancelled"),
    ]
    assert due_in_ms == 5000


async def test_a_user_that_cancelled_first_has_the_word(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    await shard.delete(attempt.job_id)

    assert await shard.end(attempt, shard.succeed) == ("stale_receipt", "cancelled")
    assert (await shard.job(attempt.job_id))["reason"] == "user"
