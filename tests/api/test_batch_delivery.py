"""A worker with `batch` is called once for many jobs, and each job is still its own."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.api.conftest import Start
from tests.api.harness import ACCEPTED, SILENCE, Api, Call, Function, Json, Reply

FIXED = {"type": "fixed", "base": "1h", "jitter": 0}


def answering(receipt_of: Callable[[Json], Json]) -> Callable[[Call], Reply]:
    """A function that says for each job of a call what `receipt_of` says of it."""

    def answer(call: Call) -> Reply:
        receipts = [{"jobId": job["jobId"]} | receipt_of(job) for job in call.body["jobs"]]
        return Reply(body=json.dumps({"receipts": receipts}).encode())

    return answer


ECHO = answering(lambda job: {"status": "success", "result": job["args"]})


async def register(api: Api, function: Function, size: int = 10, window: str = "100ms", **more: object) -> None:
    body = {"url": function.url, "batch": {"size": size, "window": window}} | more
    answer = await api.client.put("/worker/bulk", json=body)
    assert answer.status_code in (200, 201), answer.text


async def enqueue_many(api: Api, *fields: Json) -> list[str]:
    jobs = [{"worker": "bulk", "backoff": FIXED} | each for each in fields]
    answer = await api.post("/job/batch", {"jobs": jobs})
    assert answer.status_code == 201, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


async def test_many_jobs_are_called_at_once_and_end_one_by_one(api: Api, function: Function):
    await register(api, function)
    function.replies(
        answering(lambda job: {"status": "success"} if job["args"] % 2 else {"status": "failure", "error": "even"})
    )

    ids = await enqueue_many(api, *({"args": n, "key": "shop", "meta": {"n": n}} for n in range(6)))
    jobs = [await api.until(job_id, "succeeded", "retrying") for job_id in ids]

    (call,) = function.calls
    body = call.body
    assert [job["state"] for job in jobs] == ["retrying", "succeeded"] * 3
    assert [job["attempt"] for job in jobs] == [1] * 6
    assert jobs[0]["lastError"] == {"message": "even"}
    assert (body["worker"], body["queue"], body["key"]) == ("bulk", "default", "shop")
    assert {job["jobId"]: (job["args"], job["meta"]) for job in body["jobs"]} == {
        job_id: (n, {"n": n}) for n, job_id in enumerate(ids)
    }
    assert body["deadline"] == max(job["deadline"] for job in body["jobs"])
    assert "idempotency-key" not in call.headers
    assert call.headers["webhook-id"].startswith(body["jobs"][0]["jobId"])


async def test_a_call_has_no_more_jobs_than_its_size(api: Api, function: Function):
    await register(api, function, size=4)
    function.replies(ECHO)

    ids = await enqueue_many(api, *({"args": n} for n in range(10)))
    for job_id in ids:
        await api.until(job_id, "succeeded")

    sizes = [len(call.body["jobs"]) for call in function.calls]
    assert (sum(sizes), max(sizes)) == (10, 4)


async def test_jobs_that_come_within_the_window_go_together(api: Api, function: Function):
    await register(api, function, size=3, window="10s")
    function.replies(ECHO)

    ids = [await api.enqueue("bulk", args=n) for n in range(3)]
    for job_id in ids:
        await api.until(job_id, "succeeded")

    assert [[job["jobId"] for job in call.body["jobs"]] for call in function.calls] == [ids]


async def test_one_job_is_called_when_the_window_has_passed(api: Api, function: Function):
    await register(api, function, window="10ms")
    function.replies(ECHO)

    await api.until(await api.enqueue("bulk", args={"to": "x"}), "succeeded")

    assert [len(call.body["jobs"]) for call in function.calls] == [1]


async def test_the_window_takes_but_a_part_of_a_short_time_out(api: Api, function: Function):
    await register(api, function, window="10s")
    function.replies(ECHO)

    job = await api.until(await api.enqueue("bulk", timeout="1s"), "succeeded")

    assert job["attempt"] == 1


async def test_lanes_are_not_mixed(api: Api, function: Function):
    await register(api, function)
    function.replies(ECHO)

    ids = await enqueue_many(api, {"key": "a"}, {"key": "b"}, {"queue": "other"}, {"key": "a"})
    for job_id in ids:
        await api.until(job_id, "succeeded")

    called = sorted((call.body["queue"], call.body["key"] or "", len(call.body["jobs"])) for call in function.calls)
    assert called == [("default", "a", 2), ("default", "b", 1), ("other", "", 1)]


@pytest.mark.parametrize(
    ("reply", "state", "shown"),
    [
        (Reply(500, b"down"), "retrying", {"attempt": 1}),
        (Reply(429, b"", {"retry-after": "3600"}), "scheduled", {"attempt": 0, "throttles": 1}),
        (Reply(200, b'{"status":"snooze","retryAfter":3600}'), "scheduled", {"attempt": 0, "snoozes": 1}),
        (Reply(410, b""), "dead", {"reason": "non_retryable"}),
    ],
)
async def test_what_is_said_of_the_whole_call_holds_for_each_job(
    api: Api, function: Function, reply: Reply, state: str, shown: Json
):
    await register(api, function)
    function.replies(reply)

    ids = await enqueue_many(api, *({"args": n} for n in range(3)))
    for job_id in ids:
        job = await api.until(job_id, state)
        assert {name: job[name] for name in shown} == shown

    assert len(function.calls) == 1


async def test_receipts_may_be_posted_together(api: Api, function: Function):
    await register(api, function)
    function.replies(ACCEPTED)
    first, second, third = await enqueue_many(api, *({"args": n} for n in range(3)))
    (call,) = await function.called(1)
    for job_id in (first, second, third):
        await api.until(job_id, "running")
    tokens = {job["jobId"]: job["token"] for job in call.body["jobs"]}

    receipts = [
        {"jobId": first, "token": tokens[first], "status": "success", "result": [1, {"a": 1}]},
        {"jobId": second, "token": tokens[second], "status": "failure", "error": "no"},
        {"jobId": third, "token": tokens[third], "status": "running", "progress": 50},
        {"jobId": third, "token": tokens[first], "status": "failure"},
        {"jobId": third, "status": "well"},
        {"jobId": "nobody", "status": "success"},
    ]
    answer = await api.post("/receipt", {"receipts": receipts})

    assert answer.status_code == 200
    *taken, foreign, unknown, missing = answer.json()["items"]
    assert [(item["id"], item["state"], item["accepted"]) for item in taken] == [
        (first, "succeeded", True),
        (second, "retrying", True),
        (third, "running", True),
    ]
    assert (foreign["id"], foreign["status"], foreign["error"]["code"]) == (third, 401, "unauthenticated")
    assert (unknown["status"], unknown["error"]["code"]) == (422, "validation_error")
    assert (missing["status"], missing["error"]["code"]) == (404, "job_not_found")
    assert (await api.job(first))["result"] == [1, {"a": 1}]
    again = await api.post("/receipt", {"receipts": receipts[:1]})
    assert again.json()["items"] == [
        {"id": first, "state": "succeeded", "accepted": False, "reason": "already_recorded"}
    ]


async def test_a_posted_receipt_goes_before_the_answer(api: Api, function: Function):
    await register(api, function)
    function.hold()
    function.replies(answering(lambda _job: {"status": "failure"}))
    first, second = await enqueue_many(api, {}, {})
    await function.called(1)

    await api.receipt(first, status="success")
    function.release()

    await api.until(second, "retrying")
    assert (await api.job(first))["state"] == "succeeded"


async def test_a_job_whose_time_is_over_leaves_the_others_alone(api: Api, function: Function):
    await register(api, function)
    function.hold()
    function.replies(ECHO)
    short, long = await enqueue_many(api, {"timeout": "1s"}, {"timeout": "1m"})
    await function.called(1)

    timed_out = await api.until(short, "retrying")
    function.release()
    await api.until(long, "succeeded")

    assert [entry["outcome"] for entry in timed_out["attempts"]] == ["timeout"]
    assert len(function.calls) == 1


async def test_the_call_is_broken_off_when_nobody_waits_for_it(api: Api, function: Function):
    await register(api, function)
    function.replies(SILENCE)
    ids = await enqueue_many(api, *({"timeout": "1s"} for _ in range(2)))
    await function.called(1)
    assert function.running == 1

    for job_id in ids:
        await api.until(job_id, "retrying")

    async with asyncio.timeout(5):
        while function.running:
            await asyncio.sleep(0.01)


async def test_limits_count_each_job(api: Api, function: Function):
    await api.client.put("/queue/default", json={"concurrency": 3})
    await register(api, function)
    function.hold()
    function.replies(ECHO)
    ids = await enqueue_many(api, *({"args": n} for n in range(7)))
    await function.called(1)
    assert (await api.client.get("/queue/default")).json()["running"] == 3
    function.release()

    for job_id in ids:
        await api.until(job_id, "succeeded")

    assert max(len(call.body["jobs"]) for call in function.calls) == 3


async def test_what_waits_for_company_is_called_before_a_replica_stops(start: Start, function: Function):
    function.replies(ECHO)
    async with start(shutdown_grace_ms=5000) as api:
        await register(api, function, window="10s")
        job_id = await api.enqueue("bulk")
        await api.until(job_id, "running")
        assert function.calls == []

    assert [job["jobId"] for call in function.calls for job in call.body["jobs"]] == [job_id]
