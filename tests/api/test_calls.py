"""What a function is sent, and what comes of each of its answers: the states that people see and the attempt log."""

import asyncio
from datetime import UTC, datetime

import pytest

from coordinator.domain.receipt_token import is_receipt_token
from tests.api.conftest import Start
from tests.api.harness import ACCEPTED, JSON, SILENCE, SUCCESS, Api, Function, Json, Reply, eventually

FIXED = {"type": "fixed", "base": "1h", "jitter": 0}


def instant(text: str) -> datetime:
    """The instant of an answer's text."""
    return datetime.fromisoformat(text)


async def test_the_body_tells_all_about_the_attempt(api: Api, function: Function):
    job_id = await api.enqueue("image.resize", args={"n": 1}, queue="media", maxAttempts=3, timeout="20s")

    call = (await function.called(1))[0]

    job = await api.until(job_id, "succeeded")
    token = call.body["token"]
    assert call.body == {
        "jobId": job_id,
        "worker": "image.resize",
        "args": {"n": 1},
        "attempt": 1,
        "maxAttempts": 3,
        "key": None,
        "meta": {},
        "queue": "media",
        "scheduledFor": None,
        "scheduleId": None,
        "deadline": call.body["deadline"],
        "receiptUrl": f"http://127.0.0.1:8000/job/{job_id}/receipt",
        "token": token,
    }
    assert is_receipt_token(token)
    assert (instant(call.body["deadline"]) - instant(job["startedAt"])).total_seconds() == 20


async def test_the_receipt_url_is_the_public_one(start: Start, function: Function):
    async with start(public_url="https://jobs.example.com/base/") as api:
        job_id = await api.enqueue()

        call = (await function.called(1))[0]

    assert call.body["receiptUrl"] == f"https://jobs.example.com/base/job/{job_id}/receipt"


@pytest.mark.parametrize(
    "args",
    [
        '{"a":[],"n":12345678901234567890,"s":"ü"}',
        '{"big":123456789012345678901234567890,"small":1e-999,"e":1E+2,"f":1.0,"z":-0}',
        '{ "b" : {} ,\t"a":\n[ ] }',
        r'"\u00fc\/ \ud83e\udd86"',
        "[]",
        "null",
        "0",
    ],
)
async def test_args_arrive_byte_by_byte(api: Api, function: Function, args: str):
    body = b'{"worker":"a","args":%s}' % args.encode()

    made = await api.client.post("/job", content=body, headers=JSON)

    call = (await function.called(1))[0]
    assert b'"args":%s,' % args.encode() in call.raw
    assert b'"args":%s,' % args.encode() in made.content


async def test_the_headers_name_the_message_and_the_job(api: Api, function: Function):
    await api.client.put("/worker/a", json={"url": function.url, "headers": {"X-Key": "s3cret", "User-Agent": "mine"}})
    function.replies(Reply(500), SUCCESS)
    job_id = await api.enqueue("a", backoff={"type": "fixed", "base": 0})

    calls = await function.called(2)
    first, second = (call.headers for call in calls)

    assert [call["webhook-id"] for call in (first, second)] == [
        "{}:{}:{}".format(job_id, *call.body["token"].split(".")[2:4]) for call in calls
    ]
    assert [call["idempotency-key"] for call in (first, second)] == [job_id, job_id]
    assert abs(int(first["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 10
    assert (first["content-type"], first["x-key"], first["user-agent"]) == ("application/json", "s3cret", "mine")


async def test_an_answer_of_500_is_a_failed_attempt(api: Api, function: Function):
    function.replies(Reply(500, b"<h1>Oops</h1>"))
    job_id = await api.enqueue(backoff=FIXED)

    job = await api.until(job_id, "retrying")

    (entry,) = job["attempts"]
    error = {"type": "HTTPError", "message": "500 Internal Server Error", "body": "<h1>Oops</h1>"}
    assert (entry["attempt"], entry["outcome"], entry["httpStatus"], entry["error"]) == (1, "failure", 500, error)
    assert entry["durationMs"] == round(
        (instant(entry["finishedAt"]) - instant(entry["startedAt"])).total_seconds() * 1000
    )
    assert job["lastError"] == error
    assert (instant(job["nextAttemptAt"]) - instant(entry["finishedAt"])).total_seconds() == 3600
    assert (job["attempt"], job["deadline"], job["finishedAt"]) == (1, None, None)


async def test_the_last_failed_attempt_is_the_end(api: Api, function: Function):
    function.replies(Reply(500), Reply(503), Reply(404))
    job_id = await api.enqueue(maxAttempts=3, backoff={"type": "fixed", "base": 0})

    job = await api.until(job_id, "dead")

    assert [(entry["attempt"], entry["httpStatus"]) for entry in job["attempts"]] == [(1, 500), (2, 503), (3, 404)]
    assert (job["reason"], job["attempt"], job["nextAttemptAt"]) == ("attempts_exhausted", 3, None)
    assert job["finishedAt"] == job["attempts"][-1]["finishedAt"]
    assert job["lastError"]["message"] == "404 Not Found"


async def test_an_answered_failure_is_one_although_the_status_is_200(api: Api, function: Function):
    function.replies(Reply(200, b'{"status":"failure","error":{"type":"NoStock"},"retryAfter":7200}'))
    job_id = await api.enqueue(backoff={"type": "fixed", "base": "1s"})

    job = await api.until(job_id, "retrying")

    (entry,) = job["attempts"]
    assert (entry["outcome"], entry["httpStatus"], entry["error"]) == ("failure", 200, {"type": "NoStock"})
    assert (instant(job["nextAttemptAt"]) - instant(entry["finishedAt"])).total_seconds() == 7200


async def test_an_answered_success_brings_its_result(api: Api, function: Function):
    function.replies(Reply(201, b'{"status":"success","result":{"id":7}}'))
    job_id = await api.enqueue()

    job = await api.until(job_id, "succeeded")

    assert (job["result"], job["lastError"]) == ({"id": 7}, None)
    (entry,) = job["attempts"]
    assert (entry["attempt"], entry["outcome"], entry["error"]) == (1, "success", None)
    assert (entry["startedAt"], entry["finishedAt"]) == (job["startedAt"], job["finishedAt"])


async def test_an_answered_success_counts_although_its_result_is_too_large(api: Api, function: Function):
    function.replies(Reply(200, b'{"status":"success","result":"' + b"x" * 70_000 + b'"}'))

    job = await api.until(await api.enqueue(), "succeeded")

    assert job["result"] == {"tooLarge": 70_002, "limit": 65_536}


async def test_an_answer_that_it_goes_on_is_a_heartbeat(api: Api, function: Function):
    function.replies(Reply(200, b'{"status":"running","progress":40,"message":"page 4","extend":"2h"}'))
    job_id = await api.enqueue(timeout="1m")

    async def left() -> Json | None:
        job = await api.job(job_id)
        return job if job["answered"] else None

    job = await eventually(left)

    assert (job["state"], job["progress"], job["message"], job["answered"]) == ("running", 40, "page 4", "200")
    assert 7199 <= (instant(job["deadline"]) - instant(job["startedAt"])).total_seconds() <= 7215
    assert (await api.receipt(job_id, status="success")).json()["state"] == "succeeded"


async def test_a_status_that_is_none_of_ours_is_told(api: Api, function: Function):
    function.replies(Reply(200, b'{"status":"succes"}'))
    job_id = await api.enqueue(timeout="1s", backoff=FIXED)

    job = await api.until(job_id, "retrying")

    assert job["lastError"] == {
        "type": "Timeout",
        "message": 'No receipt came before the deadline; the call was answered: 200, with the status "succes".',
    }


async def test_a_worker_that_takes_jobs_with_a_word_of_its_own_is_not_held_for_down(api: Api, function: Function):
    await api.client.put("/queue/default", json={"circuit": {"failures": 1, "open": "1s"}})
    function.replies(Reply(500), Reply(200, b'{"status":"accepted"}'))
    await api.enqueue(backoff={"type": "fixed", "base": 0})
    await function.called(2)

    async def closed() -> Json | None:
        queue: Json = (await api.client.get("/queue/default")).json()
        return queue if not any(circuit["openUntil"] for circuit in queue["circuits"]) else None

    assert (await eventually(closed))["running"] == 1


async def test_after_202_the_receipt_is_waited_for(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue(timeout="1h")
    call = (await function.called(1))[0]

    job = await api.until(job_id, "running")
    assert (job["attempt"], job["attempts"], job["deadline"]) == (1, [], call.body["deadline"])
    answer = await api.receipt(job_id, status="success", result="late", token=call.body["token"])

    assert answer.json()["state"] == "succeeded"
    job = await api.job(job_id)
    assert (job["result"], job["deadline"], len(function.calls)) == ("late", None, 1)


@pytest.mark.parametrize(("reply", "status"), [(SILENCE, None), (ACCEPTED, 202)], ids=["silence", "202"])
async def test_who_says_nothing_until_the_deadline_has_failed(
    api: Api, function: Function, reply: Reply, status: int | None
):
    function.replies(reply)
    job_id = await api.enqueue(timeout="1s", backoff=FIXED)

    job = await api.until(job_id, "retrying")

    (entry,) = job["attempts"]
    assert (entry["outcome"], entry["httpStatus"], entry["error"]["type"]) == ("timeout", status, "Timeout")
    assert 1000 <= entry["durationMs"] < 3000
    late = await api.receipt(job_id, status="success", token=function.calls[0].body["token"])
    assert late.json() == {"id": job_id, "state": "succeeded", "accepted": True}


async def test_a_refused_connection_is_a_failed_attempt(api: Api):
    # Port 9 is `discard`, which nobody serves, and no test takes.
    await api.client.put("/worker/gone", json={"url": "http://127.0.0.1:9/"})
    job_id = await api.enqueue("gone", backoff=FIXED)

    job = await api.until(job_id, "retrying")

    (entry,) = job["attempts"]
    assert (entry["outcome"], entry["httpStatus"], entry["error"]["type"]) == ("failure", None, "ConnectError")


@pytest.mark.parametrize(("status", "retry_after"), [(429, "2.0"), (503, "1")])
async def test_a_function_at_its_limit_costs_no_attempt(api: Api, function: Function, status: int, retry_after: str):
    function.replies(Reply(status, b"", {"retry-after": retry_after}), SUCCESS)
    job_id = await api.enqueue(maxAttempts=1)

    job = await api.until(job_id, "scheduled")
    assert (job["attempt"], job["throttles"], job["snoozes"]) == (0, 1, 0)
    (entry,) = job["attempts"]
    assert (entry["attempt"], entry["outcome"], entry["httpStatus"]) == (1, "throttled", status)
    wait = instant(job["nextAttemptAt"]) - instant(entry["finishedAt"])
    assert wait.total_seconds() == float(retry_after)

    job = await api.until(job_id, "succeeded")
    assert (job["attempt"], job["throttles"]) == (1, 1)
    first, second = function.calls
    assert (first.body["attempt"], second.body["attempt"]) == (1, 1)
    # A receiver that drops what it has seen must not drop the second call.
    ids = [call.headers["webhook-id"].rpartition(":")[0] for call in (first, second)]
    assert ids == [f"{job_id}:1", f"{job_id}:2"]
    assert instant(job["startedAt"]) - instant(entry["finishedAt"]) >= wait
    assert [(entry["attempt"], entry["outcome"]) for entry in job["attempts"]] == [(1, "throttled"), (1, "success")]


async def test_410_is_final(api: Api, function: Function):
    function.replies(Reply(410))
    job_id = await api.enqueue()

    job = await api.until(job_id, "dead")

    assert (job["reason"], job["attempt"], len(function.calls)) == ("non_retryable", 1, 1)
    assert [(entry["outcome"], entry["httpStatus"]) for entry in job["attempts"]] == [("failure", 410)]


async def test_a_worker_that_answers_for_itself_needs_no_receipt(api: Api, function: Function):
    function.replies(Reply(200, b"thanks"))
    await api.client.put("/worker/plain", json={"url": function.url, "ack": "response"})

    job = await api.until(await api.enqueue("plain"), "succeeded")

    assert [(entry["outcome"], entry["error"]) for entry in job["attempts"]] == [("success", None)]


async def test_a_worker_that_is_gone_fails_its_attempts(start: Start, function: Function):
    async with start(worker_url="") as api:
        await api.client.put("/worker/a", json={"url": function.url})
        job_id = await api.enqueue("a", delay="300ms", backoff=FIXED)
        assert (await api.client.delete("/worker/a")).status_code == 204

        job = await api.until(job_id, "retrying")

    assert (job["lastError"]["type"], function.calls) == ("UnknownWorker", [])


async def test_a_job_is_seen_in_each_of_its_states(api: Api, function: Function):
    """Its whole life, on one page: scheduled, running, retrying, running, succeeded."""
    seen: list[str] = []
    function.replies(Reply(500), ACCEPTED)
    job_id = await api.enqueue(delay="200ms", backoff={"type": "fixed", "base": "300ms"})

    async def watch() -> dict[str, str] | None:
        state = (await api.job(job_id))["state"]
        if state != "queued" and state not in seen[-1:]:
            seen.append(state)
        return {"state": state} if state == "succeeded" else None

    async def report() -> None:
        token = (await function.called(2))[1].body["token"]
        await eventually(is_running)
        await api.receipt(job_id, status="success", token=token)

    async def is_running() -> dict[str, str] | None:
        return {} if seen[-1:] == ["running"] and "retrying" in seen else None

    await asyncio.gather(eventually(watch), report())

    assert [state for state in seen if state != "running"] == ["scheduled", "retrying", "succeeded"]
    assert seen[-2] == "running"


async def test_a_function_that_asks_for_time_at_the_last_moment_has_it(api: Api, function: Function):
    """Also when no lease was renewed between its heartbeat and its deadline, which is how a replica hears of it."""
    function.hold()
    job_id = await api.enqueue(timeout="1s")
    await function.called(1)

    beat = await api.post(f"/job/{job_id}/heartbeat", {"extend": "10s"})
    await asyncio.sleep(1.2)
    function.release()

    assert beat.status_code == 200
    job = await api.until(job_id, "succeeded")
    assert (job["attempt"], [entry["outcome"] for entry in job["attempts"]]) == (1, ["success"])
    assert len(function.calls) == 1
