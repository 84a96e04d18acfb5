"""`POST /tick`: a coordinator that runs only while it is asked does all that is due before it answers."""

import asyncio

import pytest

from coordinator.domain.instants import parse_instant
from tests.api.harness import refusal

NOTHING = {"called": 0, "ended": 0, "ticked": 0, "expired": 0, "purged": 0, "inFlight": 0, "nextDueAt": None}


@pytest.fixture
def asleep(start):
    """Its own loops look once a minute: what is done, the pass does."""
    return lambda **settings: start(poll_interval_ms=60_000, **settings)


async def test_what_is_due_is_called_before_the_answer(asleep, function):
    async with asleep() as api:
        ids = await asyncio.gather(*(api.enqueue(queue=f"q{number}") for number in range(20)))

        answer = (await api.post("/tick")).json()

        assert len(function.calls) == 20
        assert answer["inFlight"] == 0
        assert {(await api.job(job_id))["state"] for job_id in ids} == {"succeeded"}


async def test_it_tells_when_something_is_due_again(asleep):
    async with asleep() as api:
        assert (await api.post("/tick")).json() == NOTHING
        job_id = await api.enqueue(delay="1h")

        answer = (await api.post("/tick")).json()

        assert answer["called"] == 0
        due = parse_instant((await api.job(job_id))["runAt"], "runAt")
        told = parse_instant(answer["nextDueAt"], "nextDueAt")
        assert abs(due - told) <= 100


async def test_it_answers_in_time_and_tells_what_goes_on(asleep, function):
    function.hold()
    async with asleep() as api:
        await api.enqueue()
        await function.called(1)

        answer = (await api.post("/tick?wait=100ms")).json()

        assert answer["inFlight"] == 1
        function.release()
        assert (await api.post("/tick")).json()["inFlight"] == 0


async def test_a_wait_that_is_too_long_is_refused(idle):
    refusal(await idle.post("/tick?wait=1h"), 422, "validation_error", "wait")
