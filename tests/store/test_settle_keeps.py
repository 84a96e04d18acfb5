"""What `settle_jobs` leaves behind: the attempt log, the result, and no more finished jobs than are wanted."""

import msgspec
import pytest

from coordinator.domain.queue import Retention
from coordinator.domain.settlement import Settlement


async def fail_often(shard, clock, attempt, times):
    await shard.run("configure_queue", [("circuit_failures", 0)], name="default")
    for number in range(times):
        await shard.end(attempt, Settlement("retry", "failure", error=b'{"call":%d}' % number))
        await clock.advance(1)
        attempt = await shard.claim_one()
    return attempt


async def test_an_entry_tells_the_attempt_word_for_word(shard, clock):
    attempt = await shard.run_one()
    await clock.advance(300)

    await shard.end(attempt, shard.retry)

    started, finished = clock.now - 300, clock.now
    (entry,) = (await shard.dump())[f"attempts:{attempt.job_id}"]
    assert entry == (
        f'{{"attempt":1,"startedAt":{started},"finishedAt":{finished},"outcome":"failure","httpStatus":500,'
        f'"error":{shard.error.decode()}}}'
    )


@pytest.mark.parametrize(
    "error",
    [
        b"{}",
        b"[]",
        b'{"a":[],"n":12345678901234567890}',
        b"1e999",
        b'"\xc3\xa9 \\u0000 \\" % %s \\\\"',
        b'{"deep":' + b"[" * 500 + b"]" * 500 + b"}",
        b'"' + b"x" * 4096 + b'"',
    ],
)
async def test_an_error_and_a_result_are_kept_byte_for_byte(shard, clock, error):
    attempt = await shard.run_one()

    await shard.end(attempt, Settlement("retry", "failure", error=error))
    await shard.end(attempt, Settlement("succeed", "success", result=error))

    assert bytes((await shard.jobs.read(attempt.job_id)).attempts[0].error) == error
    assert (await shard.dump())[f"job:{attempt.job_id}"]["result"].encode() == error


@pytest.mark.parametrize(
    ("settlement", "entry"),
    [
        (Settlement("spare", "snoozed", delay_ms=1), ("snoozed", None, None)),
        (Settlement("spare", "throttled", delay_ms=1, http_status=429), ("throttled", 429, None)),
        (Settlement("retry", "timeout", error=b'{"type":"Timeout"}'), ("timeout", None, {"type": "Timeout"})),
        (Settlement("retry", "lost", error=b"null"), ("lost", None, None)),
        (Settlement("die", "failure", reason="non_retryable", error=b"1", http_status=404), ("failure", 404, 1)),
        (Settlement("cancel", "cancelled", reason="worker"), ("cancelled", None, None)),
    ],
)
async def test_every_ending_but_a_first_success_is_logged(shard, clock, settlement, entry):
    attempt = await shard.run_one()
    await clock.advance(10)

    await shard.end(attempt, settlement)

    outcome, http_status, error = entry
    assert await shard.log(attempt.job_id) == [
        {
            "attempt": 1,
            "startedAt": clock.now - 10,
            "finishedAt": clock.now,
            "outcome": outcome,
            "httpStatus": http_status,
            "error": error,
        }
    ]


async def test_a_first_success_needs_no_log(shard):
    attempt = await shard.run_one()

    await shard.end(attempt, shard.succeed)

    assert await shard.log(attempt.job_id) == []


async def test_a_success_that_comes_after_its_call_was_snoozed_is_logged(shard):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.snooze)

    await shard.end(attempt, shard.succeed)

    assert [(entry["attempt"], entry["outcome"]) for entry in await shard.log(attempt.job_id)] == [
        (1, "snoozed"),
        (1, "success"),
    ]


async def test_a_first_success_is_logged_behind_what_was_stale(shard):
    attempt = await shard.run_one()
    await shard.end_as(attempt.job_id, shard.retry, 7, "forged")

    await shard.end(attempt, shard.succeed)

    assert [entry["outcome"] for entry in await shard.log(attempt.job_id)] == ["stale", "success"]


async def test_a_later_success_is_logged_too(shard, clock):
    attempt = await fail_often(shard, clock, await shard.run_one(), 1)

    await shard.end(attempt, shard.succeed)

    assert [(entry["attempt"], entry["outcome"]) for entry in await shard.log(attempt.job_id)] == [
        (1, "failure"),
        (2, "success"),
    ]


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_success_after_a_snooze_is_logged_as_the_attempt_that_snoozed(shard, clock, is_named):
    await shard.end(await shard.run_one(), shard.snooze)
    await clock.advance(7000)
    attempt = await shard.claim_one()
    await shard.end(attempt, shard.snooze)

    await shard.end_as(attempt.job_id, shard.succeed, *((1, attempt.nonce) if is_named else (None, "")))

    *_, entry = await shard.log(attempt.job_id)
    assert (entry["attempt"], entry["startedAt"], entry["outcome"]) == (1, clock.now, "success")


async def test_the_success_of_an_older_attempt_is_not_said_to_have_started_with_the_newer(shard, clock):
    older = await shard.run_one()
    await shard.end(older, shard.retry)
    await clock.advance(5000)
    await shard.claim_one()

    await shard.end(older, shard.succeed)

    *_, entry = await shard.log(older.job_id)
    assert (entry["attempt"], entry["startedAt"]) == (1, None)


async def test_the_last_twenty_are_kept(shard, clock):
    attempt = await fail_often(shard, clock, await shard.run_one(), 25)

    log = await shard.log(attempt.job_id)

    assert [entry["attempt"] for entry in log] == list(range(6, 26))
    assert [entry["error"] for entry in log] == [{"call": number} for number in range(5, 25)]


async def test_what_is_stale_is_kept_but_displaces_nothing(shard, clock):
    attempt = await fail_often(shard, clock, await shard.run_one(), 18)
    stale = Settlement("retry", "timeout", error=b'"late"', http_status=500)
    for _ in range(5):
        assert await shard.end_as(attempt.job_id, stale, 1, "n1") == ("stale_receipt", "running")

    log = await shard.log(attempt.job_id)

    assert [entry["attempt"] for entry in log] == [*range(1, 19), 1, 1]
    assert log[-1] == {
        "attempt": 1,
        "startedAt": None,
        "finishedAt": clock.now,
        "outcome": "stale",
        "httpStatus": 500,
        "error": "late",
    }
    # What happens goes on to be logged, and the oldest makes room for it, stale or not.
    await fail_often(shard, clock, attempt, 3)
    assert [entry["outcome"] for entry in await shard.log(attempt.job_id)] == ["failure"] * 15 + ["stale"] * 2 + [
        "failure"
    ] * 3


async def test_what_the_log_knows_already_is_not_logged_again(shard, clock):
    first = await shard.run_one()
    await fail_often(shard, clock, first, 2)
    before = await shard.dump()

    assert await shard.end(first, shard.retry) == ("already_recorded", "running")

    assert await shard.dump() == before


async def test_the_log_is_one_that_readers_can_decode(shard, clock):
    attempt = await fail_often(shard, clock, await shard.run_one(), 2)
    await shard.end(attempt, shard.die)
    await shard.end_as(attempt.job_id, shard.succeed, 1, "n1")

    job = await shard.jobs.read(attempt.job_id)

    assert [(entry.attempt, entry.outcome) for entry in job.attempts] == [
        (1, "failure"),
        (2, "failure"),
        (3, "failure"),
        (1, "stale"),
    ]
    assert job.attempts[2].error == msgspec.Raw(shard.error)


async def finish(shard, clock, count, *, ending="succeed"):
    """Jobs that finish one after another."""
    finished = []
    for _ in range(count):
        attempt = await shard.run_one()
        await clock.advance(1)
        await shard.end(attempt, getattr(shard, ending))
        finished.append(attempt.job_id)
    return finished


def jobs_in(dump):
    return sorted(key.removeprefix("job:") for key in dump if key.startswith("job:"))


@pytest.mark.parametrize(("ending", "state"), [("succeed", "succeeded"), ("die", "dead"), ("cancel", "cancelled")])
async def test_beyond_the_number_the_oldest_goes_at_once(shard, clock, ending, state):
    await shard.configure(retention={state: Retention(86_400_000, 3)})

    finished = await finish(shard, clock, 6, ending=ending)

    dump = await shard.dump()
    assert list(dump[f"{state}:default"]) == finished[3:]
    assert jobs_in(dump) == finished[3:]
    assert {key for key in dump if key.startswith("attempts:")} <= {f"attempts:{job_id}" for job_id in finished[3:]}


async def test_a_lowered_number_is_reached_as_jobs_finish(shard, clock):
    finished = await finish(shard, clock, 5)
    await shard.configure(retention={"succeeded": Retention(86_400_000, 2)})

    finished += await finish(shard, clock, 3)

    assert jobs_in(await shard.dump()) == finished[-2:]


async def test_with_a_number_of_0_nothing_of_a_finished_job_is_left(shard, clock):
    await shard.configure(retention={"dead": Retention(86_400_000, 0)})
    attempt = await fail_often(shard, clock, await shard.run_one(), 2)

    assert await shard.end(attempt, shard.die) == ("ok", "dead")

    left = await shard.dump()
    assert {key.partition(":")[0] for key in left} == {
        "claim",
        "deadlines",
        "known_queues",
        "purges",
        "queue",
    }
    assert await shard.end(attempt, shard.die) == ("job_not_found", "")
    assert await shard.dump() == left


async def test_the_number_is_of_each_queue_and_state(shard, clock):
    await shard.configure(retention={"succeeded": Retention(86_400_000, 1)})
    kept = await finish(shard, clock, 2, ending="die")
    for _ in range(2):
        attempt = await shard.run_one("shop")
        await shard.end(attempt, shard.succeed)
        kept.append(attempt.job_id)

    finished = await finish(shard, clock, 2)

    assert jobs_in(await shard.dump()) == sorted([*kept, finished[-1]])
