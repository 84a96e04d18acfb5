"""`settle_jobs`: which ending of which attempt is taken, in every state of the job."""

import pytest

from coordinator.domain.job import Tally
from tests.store.model import purge_at

# What each ending (columns) of an attempt (second column) answers for a job in each state (first column).
#
# The job has failed once, as attempt 1 with nonce `old`; its current attempt is 2 with nonce `now`, which was given
# back unsent or has come to the state that is named. `fresh` was never called. ok > state is taken; same =
# already_recorded; stale = stale_receipt; none = job_not_found. What was said of an attempt once, as the log tells, is
# no news when it is said again, however many attempts followed.
TABLE = """
state      attempt       succeed         retry         snooze        die       cancel
running    current       ok>succeeded    ok>waiting    ok>waiting    ok>dead   ok>cancelled
running    by number     ok>succeeded    ok>waiting    ok>waiting    ok>dead   ok>cancelled
running    unnamed       ok>succeeded    ok>waiting    ok>waiting    ok>dead   ok>cancelled
running    older         ok>succeeded    same          stale         same      stale
running    older number  ok>succeeded    same          stale         same      stale
running    wrong nonce   stale           stale         stale         stale     stale
running    to come       stale           stale         stale         stale     stale
waiting    current       ok>succeeded    same          stale         same      stale
waiting    by number     ok>succeeded    same          stale         same      stale
waiting    unnamed       ok>succeeded    same          stale         same      stale
waiting    older         ok>succeeded    same          stale         same      stale
waiting    older number  ok>succeeded    same          stale         same      stale
waiting    wrong nonce   stale           same          stale         same      stale
waiting    to come       stale           stale         stale         stale     stale
snoozed    current       ok>succeeded    stale         same          stale     stale
snoozed    by number     ok>succeeded    stale         same          stale     stale
snoozed    unnamed       ok>succeeded    stale         same          stale     stale
snoozed    older number  ok>succeeded    same          stale         same      stale
snoozed    older         ok>succeeded    same          stale         same      stale
given back older         ok>succeeded    same          stale         same      stale
given back older number  ok>succeeded    same          stale         same      stale
given back unnamed       ok>succeeded    stale         stale         stale     stale
given back current       stale           stale         stale         stale     stale
fresh      unnamed       stale           stale         stale         stale     stale
fresh      by number     stale           stale         stale         stale     stale
released   current       stale           stale         stale         stale     stale
released   unnamed       stale           stale         stale         stale     stale
succeeded  current       same            stale         stale         stale     stale
succeeded  older         same            same          stale         same      stale
succeeded  unnamed       same            stale         stale         stale     stale
dead       current       stale           same          stale         same      stale
dead       older number  stale           same          stale         same      stale
dead       unnamed       stale           same          stale         same      stale
dead       wrong nonce   stale           same          stale         same      stale
dead       to come       stale           stale         stale         stale     stale
cancelled  current       stale           stale         stale         stale     same
cancelled  older         stale           same          stale         same      stale
cancelled  older number  stale           same          stale         same      stale
cancelled  unnamed       stale           stale         stale         stale     same
missing    current       none            none          none          none      none
missing    unnamed       none            none          none          none      none
"""

REPLIES = {"stale": "stale_receipt", "same": "already_recorded", "none": "job_not_found"}
GUARDS = {
    "current": (2, "now"),
    "by number": (2, ""),
    "unnamed": (None, ""),
    "older": (1, "old"),
    "older number": (1, ""),
    "wrong nonce": (2, "forged"),
    "to come": (3, ""),
}
ENDINGS = ("succeed", "retry", "snooze", "die", "cancel")


def cells():
    for line in TABLE.strip().splitlines()[1:]:
        state, rest = line[:11].strip(), line[11:]
        guard, answers = rest[:14].strip(), rest[14:].split()
        for ending, answer in zip(ENDINGS, answers, strict=True):
            yield pytest.param(state, guard, ending, answer, id=f"{state}-{guard.replace(' ', '_')}-{ending}")


async def bring(shard, clock, state):
    """A job in a state of the table."""
    job_id = await shard.add_one()
    if state == "missing":
        assert [await shard.delete(job_id) for _ in range(2)] == [("cancelled", ""), ("erased", "")]
    elif state == "released":
        await shard.jobs.release(0, [await shard.claim_one(request="now")])
    elif state != "fresh":
        await shard.end(await shard.claim_one(request="old"), shard.retry)
        await clock.advance(5000)
        attempt = await shard.claim_one(request="now")
        assert attempt.tally == Tally(2)
        ending = {
            "waiting": shard.retry,
            "snoozed": shard.snooze,
            "succeeded": shard.succeed,
            "dead": shard.die,
            "cancelled": shard.cancel,
        }.get(state)
        if ending:
            await shard.end(attempt, ending)
        elif state == "given back":
            await shard.jobs.release(0, [attempt])
    await clock.advance(200)
    return job_id


@pytest.mark.parametrize(("state", "guard", "ending", "answer"), list(cells()))
async def test_each_ending_of_each_attempt_in_each_state(shard, clock, state, guard, ending, answer):
    job_id = await bring(shard, clock, state)
    before = await shard.dump()

    reply, state_now = await shard.end_as(job_id, getattr(shard, ending), *GUARDS[guard])

    after = await shard.dump()
    if answer.startswith("ok"):
        assert (reply, state_now) == ("ok", answer.removeprefix("ok>"))
        assert after[f"job:{job_id}"]["state"] == state_now
        return
    assert reply == REPLIES[answer]
    assert state_now == before.get(f"job:{job_id}", {}).get("state", "")
    # Nothing has changed, except that what came too late is in the log.
    log = after.pop(f"attempts:{job_id}", [])
    earlier = before.pop(f"attempts:{job_id}", [])
    assert after == before
    assert log[: len(earlier)] == earlier
    assert len(log) - len(earlier) == (answer == "stale")


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
