"""What can be said about a job beside when and where it runs."""

import asyncio

import pytest

from tests.api.harness import ACCEPTED, Api, Function, Json, Reply, refusal


async def test_a_handle_is_of_one_job_at_a_time(api: Api, function: Function):
    function.hold()
    first = await api.post("/job", {"worker": "a", "unique": "order-7", "delay": "1h"})
    again = await api.post("/job", {"worker": "a", "unique": "order-7"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"duplicate": True}
    refused = await api.post(
        "/job", {"worker": "a", "args": {"id": 1}, "unique": {"by": ["args.id"], "onConflict": "reject"}}
    )
    assert refused.status_code == 201
    same = {"worker": "b", "args": {"id": 1}, "unique": {"by": ["args.id"], "onConflict": "reject"}}
    problem = refusal(await api.post("/job", same), 409, "unique_conflict")
    assert problem["existingId"] == refused.json()["id"]


async def test_a_waiting_job_is_replaced(api: Api):
    unique = {"by": ["worker"], "onConflict": "replace"}
    first = await api.enqueue(worker="a", delay="1h", unique=unique)
    second = await api.enqueue(worker="a", delay="2h", unique=unique)

    assert (await api.job(first))["state"] == "cancelled"
    assert (await api.job(first))["reason"] == "superseded"
    assert (await api.job(second))["state"] == "scheduled"


async def test_a_handle_is_free_again_when_its_job_is_final(api: Api):
    first = await api.enqueue(unique="h")
    await api.until(first, "succeeded")

    assert (await api.post("/job", {"worker": "a", "unique": "h"})).status_code == 201
    kept = await api.enqueue(unique={"by": ["worker"], "states": "all"}, worker="c")
    await api.until(kept, "succeeded")
    again = await api.post("/job", {"worker": "c", "unique": {"by": ["worker"], "states": "all"}})
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, kept, True)


async def test_a_repeated_request_is_answered_as_the_first(api: Api, function: Function):
    headers = {"Idempotency-Key": "k1"}
    first = await api.client.post("/job", json={"worker": "a", "args": {"x": 1, "y": 2}}, headers=headers)
    await function.called(1)
    again = await api.client.post("/job", json={"args": {"y": 2, "x": 1}, "worker": "a"}, headers=headers)

    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json()["id"] == first.json()["id"]
    assert again.json() | {"args": None} == first.json() | {"args": None}
    other = await api.client.post("/job", json={"worker": "a", "args": {"x": 2}}, headers=headers)
    refusal(other, 422, "idempotency_mismatch", "Idempotency-Key", "use a new key")
    assert len(function.calls) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(idle: Api, key: str):
    answer = await idle.client.post("/job", json={"worker": "a"}, headers={"Idempotency-Key": key})

    refusal(answer, 422, "validation_error", "Idempotency-Key", "1 to 255")


async def test_what_has_not_started_in_time_is_given_up(api: Api):
    await api.client.put("/queue/slow", json={"paused": True})
    job_id = await api.enqueue(queue="slow", expiresIn="300ms")

    job = await api.until(job_id, "cancelled")

    assert (job["reason"], job["attempt"]) == ("expired", 0)


async def test_retries_follow_the_timetable(api: Api, function: Function):
    function.replies(Reply(500), Reply(500), Reply(500))
    job_id = await api.enqueue(retry=["10ms", "20ms"])

    job = await api.until(job_id, "dead")

    assert (job["reason"], job["attempt"], job["maxAttempts"]) == ("attempts_exhausted", 3, 3)


async def test_it_is_not_retried_for_longer_than_wanted(api: Api, function: Function):
    function.replies(Reply(500))
    job_id = await api.enqueue(maxRetryDuration="1s", backoff={"type": "fixed", "base": "5s"})

    assert (await api.until(job_id, "dead"))["reason"] == "retry_duration_exhausted"


async def test_a_heartbeat_tells_the_progress_and_hears_of_a_cancellation(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue(timeout="1m")
    await api.until(job_id, "running")
    url = f"/job/{job_id}/heartbeat"

    beat = (await api.post(url, {"progress": 40, "message": "half way", "extend": "10m"})).json()

    job = await api.job(job_id)
    assert (job["progress"], job["message"], job["deadline"]) == (40, "half way", beat["deadline"])
    assert (beat["state"], beat["accepted"], beat["cancelRequested"]) == ("running", True, False)
    assert (await api.client.post(f"/job/{job_id}/cancel")).json()["cancelRequested"] is True
    assert (await api.post(url, {})).json()["cancelRequested"] is True
    await api.post(f"/job/{job_id}/receipt", {"status": "failure"})
    job = await api.job(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "user")
    refusal(await api.post(url, {}), 409, "stale_receipt", says="this heartbeat changes nothing")
    late = await api.post(f"/job/{job_id}/receipt", {"status": "running"})
    refusal(late, 409, "stale_receipt", says="this heartbeat changes nothing")
    refusal(await api.post("/job/none/heartbeat", {}), 404, "job_not_found")


async def test_a_function_that_says_nothing_for_too_long_is_given_up(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue(timeout="1m", heartbeatTimeout="1s", maxAttempts=1)
    await api.until(job_id, "running")
    for _ in range(3):
        await asyncio.sleep(0.5)  # The very thing that is told: time passes, and the function lives.
        await api.post(f"/job/{job_id}/heartbeat", {})
    assert (await api.job(job_id))["state"] == "running"

    job = await api.until(job_id, "dead")

    assert job["attempts"][-1]["outcome"] == "timeout"
    assert "at the latest 1 s after the last heartbeat" in job["lastError"]["message"]


async def test_a_job_that_waits_can_be_changed(api: Api, function: Function):
    job_id = await api.enqueue(delay="1h", tags=["old"])
    changes = {"args": {"n": 1}, "priority": 2, "key": "k", "tags": ["new"], "meta": {"a": 1}, "maxAttempts": 3}

    job = (await api.client.patch(f"/job/{job_id}", json=changes)).json()

    assert {name: job[name] for name in changes} == changes
    assert (await api.client.get("/job?tag=old")).json()["items"] == []
    await api.client.patch(f"/job/{job_id}", json={"delay": 0})
    (call,) = await function.called(1)
    assert (call.body["args"], call.body["key"], call.body["meta"]) == ({"n": 1}, "k", {"a": 1})
    await api.until(job_id, "succeeded")
    refusal(await api.client.patch(f"/job/{job_id}", json={"delay": 0}), 409, "invalid_state")


async def test_a_dead_job_can_be_tried_anew(api: Api, function: Function):
    function.replies(Reply(410), Reply())
    job_id = await api.enqueue()
    await api.until(job_id, "dead")

    assert (await api.client.post(f"/job/{job_id}/retry")).json()["attempt"] == 0

    job = await api.until(job_id, "succeeded")
    first, second = function.calls
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert job["attempt"] == 1
    refusal(await api.client.post(f"/job/{job_id}/retry"), 409, "invalid_state")


async def test_a_dead_job_can_be_tried_anew_with_other_args(api: Api, function: Function):
    function.replies(Reply(410), Reply())
    unique = {"by": ["args.to"]}
    job_id = await api.enqueue(args={"to": "a@b"}, meta={"of": 1}, tags=["t"], unique=unique)
    dead = await api.until(job_id, "dead")

    answer = await api.post(f"/job/{job_id}/retry", {"args": {"to": "a@b.c"}})

    job = answer.json()
    assert (answer.status_code, job["id"], job["attempt"], job["args"]) == (200, job_id, 0, {"to": "a@b.c"})
    done = await api.until(job_id, "succeeded")
    assert [call.body["args"] for call in function.calls] == [{"to": "a@b"}, {"to": "a@b.c"}]
    assert done["attempts"][0] == dead["attempts"][0]
    kept = ("meta", "tags", "unique", "createdAt")
    assert {name: done[name] for name in kept} == {name: dead[name] for name in kept}
    refusal(await api.post(f"/job/{job_id}/retry", {"args": 1}), 409, "invalid_state", says="is succeeded;")
    refusal(await api.post("/job/none/retry", {"args": 1}), 404, "job_not_found")


async def test_args_that_a_job_is_tried_anew_with_are_held_to_what_new_ones_are(api: Api, function: Function):
    function.replies(Reply(410), Reply())
    job_id = await api.enqueue(args=1)
    dead = await api.until(job_id, "dead")
    url = f"/job/{job_id}/retry"

    refusal(await api.post(url, {"args": "x" * 262_144}), 413, "payload_too_large")
    refusal(await api.post(url, {"priority": 1}), 422, "validation_error", "priority", "only args can")
    refusal(await api.post(url, {"arg": 1}), 422, "validation_error", "arg", "did you mean args?")
    refusal(await api.post(url, [1]), 422, "validation_error")
    refusal(await api.client.post(url, content=b"{", headers={"content-type": "application/json"}), 400, "invalid_json")
    assert await api.job(job_id) == dead
    assert (await api.post(url, {})).json()["args"] == 1
    await api.until(job_id, "succeeded")


async def test_of_two_that_have_a_job_tried_anew_with_other_args_one_does(idle: Api):
    job_id = await idle.enqueue(delay="1h")
    await idle.client.delete(f"/job/{job_id}")

    answers = await asyncio.gather(*(idle.post(f"/job/{job_id}/retry", {"args": number}) for number in range(2)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await idle.job(job_id))["args"] == won["args"]


async def test_a_job_that_waits_is_not_tried_anew_and_told_how_it_waits(api: Api, function: Function):
    function.replies(Reply(500))
    retrying = await api.enqueue(backoff={"type": "fixed", "base": "1h"})
    await api.until(retrying, "retrying")
    await api.client.post("/queue/still/pause")
    waiting = {
        await api.enqueue(delay="1h"): "scheduled",
        await api.enqueue(queue="still"): "queued",
        retrying: "retrying",
    }

    for job_id, state in waiting.items():
        problem = refusal(await api.client.post(f"/job/{job_id}/retry"), 409, "invalid_state", says=f"is {state};")
        assert problem["state"] == state


FIXED_FIELDS = ["worker", "queue", "timeout", "backoff", "retry", "cost", "unique", "onFailure", "batchId"]


@pytest.mark.parametrize("field", FIXED_FIELDS)
async def test_what_cannot_be_changed_is_not_said_to_be_unknown(idle: Api, field: str):
    job_id = await idle.enqueue(delay="1h")

    says = "cannot be changed; cancel the job and make another"
    refusal(await idle.client.patch(f"/job/{job_id}", json={field: 1}), 422, "validation_error", field, says)
    edit = {"action": "edit", "all": True, "set": {field: 1}}
    refusal(await idle.post("/job/bulk", edit), 422, "validation_error", f"set.{field}", says)
    answer = await idle.client.patch(f"/job/{job_id}", json={"prioritty": 1})
    refusal(answer, 422, "validation_error", "prioritty", "did you mean priority?")


async def test_a_job_that_waits_for_its_time_can_be_run_now(api: Api, function: Function):
    job_id = await api.enqueue(delay="1h")

    await api.client.post(f"/job/{job_id}/run")

    await api.until(job_id, "succeeded")


async def test_a_running_job_is_asked_to_stop_when_it_is_deleted_by_force(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue()
    await api.until(job_id, "running")

    job: Json = (await api.client.delete(f"/job/{job_id}?force=true")).json()

    assert (job["state"], job["cancelRequested"]) == ("running", True)


async def test_who_waits_for_a_job_is_answered_when_it_is_final(api: Api, function: Function):
    function.hold()
    job_id = await api.enqueue()
    waiting = asyncio.create_task(api.client.get(f"/job/{job_id}?wait=10s"))
    await function.called(1)
    function.release()

    assert (await waiting).json()["state"] == "succeeded"
    other = await api.enqueue(delay="1h")
    assert (await api.client.get(f"/job/{other}?wait=50ms")).json()["state"] == "scheduled"
    refusal(await api.client.get(f"/job/{other}?wait=2m"), 422, "validation_error", "wait", "the most is 1m")


async def test_a_key_has_its_own_limits(api: Api, function: Function):
    await api.client.put("/queue/shop", json={"perKey": {"concurrency": 1}})
    function.hold()
    running = await api.enqueue(queue="shop", key="a/b")
    await function.called(1)
    waiting = await api.enqueue(queue="shop", key="a/b")
    other = await api.enqueue(queue="shop", key="c")
    await function.called(2)

    assert (await api.job(waiting))["waitingFor"][0] == {
        "type": "concurrency",
        "queue": "shop",
        "key": "a/b",
        "limit": 1,
    }
    key = (await api.client.get("/queue/shop/key/a/b")).json()
    assert (key["key"], key["running"], key["waiting"]) == ("a/b", 1, 1)
    assert [item["key"] for item in (await api.client.get("/queue/shop/key")).json()["items"]] == ["a/b"]
    await api.client.post("/queue/shop/key/a/b/pause")
    function.release()
    for job_id in (running, other):
        await api.until(job_id, "succeeded")
    assert (await api.job(waiting))["waitingFor"][0]["type"] == "paused"
    await api.client.post("/queue/shop/key/a/b/resume")
    await api.until(waiting, "succeeded")


async def test_what_costs_more_than_its_queue_holds_is_refused(api: Api):
    await api.client.put("/queue/shop", json={"preset": "shopify-rest"})

    refusal(
        await api.post("/job", {"worker": "a", "queue": "shop", "key": "k", "cost": 41}),
        422,
        "cost_exceeds_burst",
        "cost",
    )
