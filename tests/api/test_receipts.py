"""`POST /job/:id/receipt`: what counts, what has been said before, and what comes too late."""

import pytest

from coordinator.api.reading import NESTING_LIMIT
from tests.api.harness import ACCEPTED, SUCCESS, Api, Function, Json, refusal

FIXED = {"type": "fixed", "base": "1h", "jitter": 0}
AT_ONCE = {"type": "fixed", "base": 0}


@pytest.fixture
async def running(api: Api, function: Function) -> str:
    """A job whose function has taken it on, and is yet to report. Its retries come an hour later."""
    function.replies(ACCEPTED)
    job_id = await api.enqueue(backoff=FIXED)
    await function.called(1)
    return job_id


async def test_a_success_brings_its_result(api: Api, running: str):
    answer = await api.receipt(running, status="success", result={"rows": [1, 2]})

    assert answer.json() == {"id": running, "state": "succeeded", "accepted": True}
    job = await api.job(running)
    assert (job["state"], job["result"], job["lastError"]) == ("succeeded", {"rows": [1, 2]}, None)
    assert job["finishedAt"] >= job["startedAt"]


@pytest.mark.parametrize(
    ("receipt", "state", "shown"),
    [
        ({"status": "failure", "error": "x"}, "retrying", {"attempt": 1, "snoozes": 0, "throttles": 0}),
        ({"status": "error", "error": "x"}, "retrying", {"attempt": 1, "snoozes": 0, "throttles": 0}),
        ({"status": "failure", "retryAfter": "2h"}, "retrying", {"attempt": 1, "snoozes": 0, "throttles": 0}),
        ({"status": "failure", "retryable": False}, "dead", {"attempt": 1, "reason": "non_retryable"}),
        ({"status": "cancelled"}, "cancelled", {"attempt": 1, "reason": "worker"}),
        ({"status": "snooze", "retryAfter": 60}, "scheduled", {"attempt": 0, "snoozes": 1, "throttles": 0}),
        ({"status": "throttled", "retryAfter": 2.5}, "scheduled", {"attempt": 0, "snoozes": 0, "throttles": 1}),
    ],
)
async def test_every_status_leads_to_its_state(api: Api, running: str, receipt: Json, state: str, shown: Json):
    answer = await api.receipt(running, **receipt)

    assert (answer.status_code, answer.json()) == (200, {"id": running, "state": state, "accepted": True})
    job = await api.job(running)
    assert job["state"] == state
    assert {name: job[name] for name in shown} == shown
    assert (job["nextAttemptAt"] is None) == (state in {"dead", "cancelled"})


async def test_the_same_receipt_again_is_taken_quietly(api: Api, running: str):
    await api.receipt(running, status="success")

    answer = await api.receipt(running, status="success")

    assert answer.status_code == 200
    assert answer.json() == {"id": running, "state": "succeeded", "accepted": False, "reason": "already_recorded"}


async def test_a_failure_said_twice_costs_one_attempt(api: Api, running: str):
    await api.receipt(running, status="failure", error="x")

    answer = await api.receipt(running, status="failure", error="x")

    assert answer.json() == {"id": running, "state": "retrying", "accepted": False, "reason": "already_recorded"}
    assert len((await api.job(running))["attempts"]) == 1


async def test_a_contradiction_is_kept_and_changes_nothing(api: Api, running: str):
    await api.receipt(running, status="success", result=1)

    answer = await api.receipt(running, status="failure", error={"type": "Late"})

    problem = refusal(answer, 409, "stale_receipt")
    assert (problem["state"], problem["attempt"]) == ("succeeded", 1)
    job = await api.job(running)
    assert (job["state"], job["result"], job["lastError"]) == ("succeeded", 1, None)
    assert [(entry["outcome"], entry["error"]) for entry in job["attempts"]] == [("stale", {"type": "Late"})]


async def test_a_late_success_ends_a_job_that_waits_for_its_retry(api: Api, running: str):
    await api.receipt(running, status="failure", attempt=1)

    answer = await api.receipt(running, status="success", attempt=1)

    assert answer.json() == {"id": running, "state": "succeeded", "accepted": True}


async def test_the_first_attempt_cannot_fail_the_second(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue(backoff=AT_ONCE)
    first = (await function.called(1))[0].body
    await api.receipt(job_id, status="failure", token=first["token"])
    second = (await function.called(2))[1].body

    by_token = await api.receipt(job_id, status="cancelled", token=first["token"])
    by_number = await api.receipt(job_id, status="cancelled", attempt=1)
    repeated = await api.receipt(job_id, status="failure", token=first["token"])

    refusal(by_token, 409, "stale_receipt")
    refusal(by_number, 409, "stale_receipt")
    assert repeated.json() == {"id": job_id, "state": "running", "accepted": False, "reason": "already_recorded"}
    assert (await api.job(job_id))["state"] == "running"
    assert (second["attempt"], second["token"] == first["token"]) == (2, False)
    answer = await api.receipt(job_id, status="failure", retryable=False, token=second["token"], attempt=2)
    assert answer.json()["state"] == "dead"


async def test_the_plain_form_means_the_current_attempt(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue(backoff=AT_ONCE, maxAttempts=2)
    await function.called(1)
    await api.receipt(job_id, status="failure")
    await function.called(2)

    answer = await api.receipt(job_id, status="failure", error="again")

    assert answer.json()["state"] == "dead"
    job = await api.job(job_id)
    assert (job["reason"], [entry["attempt"] for entry in job["attempts"]]) == ("attempts_exhausted", [1, 2])


async def test_a_receipt_beats_the_answer_of_its_call(api: Api, function: Function):
    function.hold()
    function.replies(SUCCESS)
    job_id = await api.enqueue(maxAttempts=1)
    await function.called(1)

    answer = await api.receipt(job_id, status="failure", error="told by hand")
    function.release()

    assert answer.json()["state"] == "dead"
    assert (await api.job(job_id))["lastError"] == {"message": "told by hand"}


async def test_a_job_that_has_not_begun_takes_no_receipt(api: Api):
    job_id = await api.enqueue(delay="1h")

    answer = await api.receipt(job_id, status="success")

    problem = refusal(answer, 409, "stale_receipt")
    assert (problem["state"], problem["attempt"]) == ("scheduled", 0)


@pytest.mark.parametrize("receipt", [{"status": "success"}, {"status": "failure"}, {"status": "cancelled"}])
async def test_a_schedule_takes_no_receipt(api: Api, receipt: Json):
    schedule_id = await api.enqueue(cron="@yearly")

    refusal(await api.receipt(schedule_id, **receipt), 409, "not_a_run", says="belong to the jobs")


@pytest.mark.parametrize("status", ["success", "failure"])
@pytest.mark.parametrize(
    "job_id", ["nothing", "01M85P9P7E00DDH5YFHM896VEH", "01M85P9P7EZZDDH5YFHM896VEH", "%F0%9F%A6%86"]
)
async def test_an_unknown_job_is_not_found(api: Api, job_id: str, status: str):
    refusal(await api.receipt(job_id, status=status), 404, "job_not_found")


@pytest.mark.parametrize("kind", ["in-process"])
@pytest.mark.parametrize(
    ("receipt", "path", "says"),
    [
        ({}, "status", "success, failure, cancelled, snooze, throttled or running"),
        ({"status": "done"}, "status", "unknown status"),
        ({"status": 1}, "status", "unknown status"),
        ({"status": "success", "reslut": 1}, "reslut", "did you mean result?"),
        ({"status": "success", "error": "x"}, "error", "send status failure"),
        ({"status": "failure", "result": 1}, "result", "only a success has a result"),
        ({"status": "failure", "retryable": "no"}, "retryable", "use true or false"),
        ({"status": "failure", "retryAfter": "soon"}, "retryAfter", "seconds such as 2.0"),
        ({"status": "snooze"}, "retryAfter", "is missing"),
        ({"status": "success", "attempt": 0}, "attempt", "1 or more"),
        ({"status": "success", "attempt": "1"}, "attempt", "1 or more"),
        ({"status": "success", "token": ""}, "token", "at most 512"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(api: Api, running: str, receipt: Json, path: str, says: str):
    refusal(await api.receipt(running, **receipt), 422, "validation_error", path, says)

    assert (await api.job(running))["state"] == "running"


async def test_a_large_result_is_refused_and_a_large_error_is_cut(api: Api, running: str):
    answer = await api.receipt(running, status="success", result="x" * 65536)

    assert refusal(answer, 413, "payload_too_large", says="result")["limitBytes"] == 65536
    await api.receipt(running, status="failure", error={"type": "Big", "message": "m", "stack": "x" * 9000})
    error = (await api.job(running))["lastError"]
    assert (error["type"], error["message"], error["truncated"]) == ("Big", "m", True)
    assert 7000 < len(error["stack"]) < 8192


async def test_what_is_nested_too_deep_is_refused(api: Api, running: str):
    """It would be kept, and then nobody could read the page of jobs that it is on."""
    deep = b"[" * NESTING_LIMIT + b"]" * NESTING_LIMIT

    answer = await api.post(f"/job/{running}/receipt", content=b'{"status":"success","result":%s}' % deep)

    refusal(answer, 400, "invalid_json", says=f"deeper than {NESTING_LIMIT}")
    assert (await api.job(running))["state"] == "running"
