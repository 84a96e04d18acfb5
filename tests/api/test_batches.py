"""Many jobs at once: batches, what is called afterwards, and acts on all that a filter finds."""

import pytest

from coordinator.engine.intake import Intake
from coordinator.errors import StoreUnavailable
from coordinator.store.batches import BatchStore
from tests.api.conftest import Start
from tests.api.harness import Api, Function, Json, Reply, eventually, refusal

FAILED = Reply(410)


async def complete(api: Api, batch_id: str) -> Json:
    """The batch when all its jobs are final."""

    async def look() -> Json | None:
        batch: Json = (await api.client.get(f"/batch/{batch_id}")).json()
        return batch if batch["state"] == "complete" else None

    return await eventually(look)


async def callback(function: Function, worker: str) -> Json:
    """What a callback was told, when it was called."""

    async def look() -> Json | None:
        told = [call.body for call in function.calls if call.body["worker"] == worker]
        return told[0] if told else None

    return await eventually(look)


async def test_what_follows_a_success_is_told_of_it(api: Api, function: Function):
    function.replies(Reply(body=b'{"status":"success","result":{"n":1}}'), Reply())
    callbacks: Json = {
        "onSuccess": {"worker": "then", "args": {"a": 1}, "queue": "other"},
        "onFailure": {"worker": "else"},
    }
    job_id = await api.enqueue(**callbacks)

    told = await callback(function, "then")

    assert (told["args"], told["queue"]) == ({"a": 1}, "other")
    about = {"jobId": job_id, "worker": "send-email", "state": "succeeded", "reason": None, "result": {"n": 1}}
    assert told["meta"]["callbackOf"] | {"worker": "send-email"} == about


async def test_what_follows_a_failure_is_told_of_it(api: Api, function: Function):
    function.replies(FAILED, Reply())
    job_id = await api.enqueue(onSuccess={"worker": "then"}, onFailure={"worker": "else"})

    about = (await callback(function, "else"))["meta"]["callbackOf"]

    assert (about["jobId"], about["state"], about["reason"]) == (job_id, "dead", "non_retryable")
    assert about["error"]["type"] == "HTTPError"


async def test_a_callback_is_made_although_nothing_of_its_job_is_kept(api: Api, function: Function):
    await api.client.put("/queue/default", json={"retention": {"succeeded": {"age": "1h", "count": 0}}})
    job_id = await api.enqueue(onSuccess={"worker": "then", "queue": "other"})

    assert (await callback(function, "then"))["meta"]["callbackOf"]["jobId"] == job_id

    async def gone() -> Json | None:
        answer = await api.client.get(f"/job/{job_id}")
        problem: Json = answer.json()
        return problem if answer.status_code == 404 else None

    await eventually(gone)


async def test_a_callback_needs_a_worker(idle: Api):
    await idle.client.delete("/worker/*")
    answer = await idle.post("/job", {"worker": "a", "onSuccess": {"worker": "b c"}})

    refusal(answer, 422, "validation_error", "onSuccess.worker", "is not a name")


async def test_a_batch_counts_its_jobs_and_calls_when_all_are_final(api: Api, function: Function):
    jobs = [{"worker": f"w{number}", "queue": f"q{number % 3}"} for number in range(7)]
    answer = await api.post(
        "/job/batch", {"jobs": jobs, "onComplete": {"worker": "done"}, "onSuccess": {"worker": "fine"}}
    )

    made = answer.json()
    assert (answer.status_code, made["total"], [job["status"] for job in made["jobs"]]) == (201, 7, [201] * 7)
    batch = await complete(api, made["id"])
    assert (batch["total"], batch["pending"], batch["succeeded"]) == (7, 0, 7)
    about = (await callback(function, "done"))["meta"]["callbackOf"]
    assert about == {"batchId": made["id"], "succeeded": 7, "dead": 0, "cancelled": 0, "refused": 0}
    assert (await callback(function, "fine"))["meta"]["callbackOf"] == about
    listed = (await api.client.get("/job", params={"batchId": made["id"]})).json()["items"]
    assert sorted(job["id"] for job in listed) == sorted(job["id"] for job in made["jobs"])


async def test_what_is_wrong_in_a_batch_is_told_and_the_rest_runs(api: Api):
    jobs: list[Json] = [{"worker": "a"}, {"worker": "a", "priority": 77}, {"worker": "a", "cron": "@daily"}]
    answer = await api.post("/job/batch", {"jobs": jobs})

    first, second, third = answer.json()["jobs"]
    assert (answer.status_code, first["status"], second["status"], third["status"]) == (207, 201, 422, 422)
    assert (second["index"], second["error"]["errors"][0]["path"]) == (1, "priority")
    assert third["error"]["errors"][0]["path"] == "cron"
    assert (await complete(api, answer.json()["id"]))["succeeded"] == 1


async def test_a_batch_is_not_tried_only(api: Api):
    answer = await api.post("/job/batch?dryRun=true", {"jobs": [{"worker": "a"}]})

    refusal(answer, 422, "validation_error", "dryRun", "is not a parameter here")
    assert (await api.client.get("/job")).json()["items"] == []


async def test_an_atomic_batch_is_stored_whole_or_not_at_all(api: Api):
    await api.client.put("/queue/shop", json={"rate": {"limit": 2, "burst": 5}})
    cheap, dear = {"worker": "a", "queue": "shop"}, {"worker": "a", "queue": "shop", "cost": 6}

    refusal(await api.post("/job/batch", {"jobs": [cheap, {"worker": "-"}], "atomic": True}), 422, "validation_error")
    refusal(await api.post("/job/batch", {"jobs": [cheap, dear], "atomic": True}), 422, "cost_exceeds_burst", "jobs[1]")
    assert (await api.client.get("/job?queue=shop")).json()["items"] == []
    answer = await api.post("/job/batch", {"jobs": [cheap] * 5, "atomic": True})
    assert (await complete(api, answer.json()["id"]))["succeeded"] == 5


async def test_a_repeated_batch_is_the_same(api: Api, function: Function):
    jobs = {"jobs": [{"worker": "a", "queue": f"q{number}"} for number in range(5)]}
    headers = {"Idempotency-Key": "b1"}
    first_answer = await api.client.post("/job/batch", json=jobs, headers=headers)
    first = first_answer.json()
    await complete(api, first["id"])

    answer = await api.client.post("/job/batch", json=jobs, headers=headers)

    again = answer.json()

    assert (again["id"], [job["id"] for job in again["jobs"]]) == (first["id"], [job["id"] for job in first["jobs"]])
    assert (again["total"], again["state"], len(function.calls)) == (5, "complete", 5)
    assert "idempotency-replayed" not in first_answer.headers
    assert answer.headers["idempotency-replayed"] == "true"
    other = {"jobs": [{"worker": "b", "queue": "q0"}]}
    refusal(await api.client.post("/job/batch", json=other, headers=headers), 422, "idempotency_mismatch")


async def repeated_with_all_workers(start: Start, function: Function, delay: str) -> tuple[Json, Json]:
    """A batch whose first job, of a queue in another shard, is refused at first and accepted when it is repeated."""
    async with start(worker_url="") as api:
        await api.client.put("/worker/known", json={"url": function.url})
        jobs = [{"worker": "new", "queue": "q0", "delay": delay}, {"worker": "known", "queue": "q1", "delay": delay}]

        async def send() -> Json:
            answer = await api.client.post("/job/batch", json={"jobs": jobs}, headers={"Idempotency-Key": "k"})
            batch: Json = answer.json()
            return batch

        first = await send()
        if delay == "0s":
            await complete(api, first["id"])
        await api.client.put("/worker/new", json={"url": function.url})
        return first, await send()


async def test_a_repeated_batch_is_the_same_although_more_of_it_is_accepted(start: Start, function: Function):
    first, again = await repeated_with_all_workers(start, function, "1h")

    assert again["id"] == first["id"]
    assert [(made["total"], made["refused"]) for made in (first, again)] == [(1, 1), (2, 0)]
    assert [job["status"] for job in again["jobs"]] == [201, 201]


async def test_a_complete_batch_takes_nothing_more_from_its_repetition(start: Start, function: Function):
    first, again = await repeated_with_all_workers(start, function, "0s")

    assert again["id"] == first["id"]
    assert (again["total"], again["refused"], again["state"]) == (1, 1, "complete")
    assert [job["status"] for job in again["jobs"]] == [409, 201]
    assert again["jobs"][0]["error"]["code"] == "invalid_state"
    assert [call.body["worker"] for call in function.calls] == ["known"]


async def test_all_that_a_complete_batch_does_not_take_is_taken_back(start: Start, function: Function):
    async with start(worker_url="") as api:
        jobs = {"jobs": [{"worker": "new", "queue": f"q{number % 2}"} for number in range(250)]}
        first = (await api.client.post("/job/batch", json=jobs, headers={"Idempotency-Key": "k"})).json()
        await api.client.put("/worker/new", json={"url": function.url})

        again = (await api.client.post("/job/batch", json=jobs, headers={"Idempotency-Key": "k"})).json()

        assert (again["id"], again["total"], again["refused"]) == (first["id"], 0, 250)
        assert {job["status"] for job in again["jobs"]} == {409}
        for queue in ("q0", "q1"):
            counts = (await api.client.get(f"/queue/{queue}")).json()
            assert (counts["cancelled"], counts["scheduled"], counts["queued"]) == (125, 0, 0)
    assert function.calls == []


async def test_a_refused_job_is_one_that_did_not_succeed(api: Api, function: Function):
    callbacks = {"onComplete": {"worker": "done"}, "onSuccess": {"worker": "fine"}, "onFailure": {"worker": "alas"}}
    answer = await api.post("/job/batch", {"jobs": [{"worker": "a"}, {"worker": "-"}]} | callbacks)

    batch = answer.json()
    assert (answer.status_code, batch["total"], batch["refused"]) == (207, 1, 1)
    about = (await callback(function, "alas"))["meta"]["callbackOf"]
    assert about == {"batchId": batch["id"], "succeeded": 1, "dead": 0, "cancelled": 0, "refused": 1}
    assert (await callback(function, "done"))["meta"]["callbackOf"] == about
    assert (await complete(api, batch["id"]))["refused"] == 1
    assert {call.body["worker"] for call in function.calls} == {"a", "alas", "done"}


async def test_a_batch_of_which_all_is_refused_is_complete_and_has_failed(api: Api, function: Function):
    callbacks = {"onComplete": {"worker": "done"}, "onSuccess": {"worker": "fine"}, "onFailure": {"worker": "alas"}}
    batch = (await api.post("/job/batch", {"jobs": [{"worker": "-"}, {"worker": "+"}]} | callbacks)).json()

    assert (batch["state"], batch["total"], batch["refused"]) == ("complete", 0, 2)
    for worker in ("done", "alas"):
        assert (await callback(function, worker))["meta"]["callbackOf"]["refused"] == 2
    assert {call.body["worker"] for call in function.calls} == {"alas", "done"}


async def test_a_repeated_request_joins_the_batch_that_the_first_did_not_reach(
    api: Api, function: Function, monkeypatch: pytest.MonkeyPatch
):
    function.hold()
    batch_id = (await api.post("/job/batch", {"jobs": [{"worker": "a"}]})).json()["id"]
    job = {"worker": "a", "batchId": batch_id}

    async def away(*_: object) -> list[str]:
        raise StoreUnavailable("redis_unavailable", "gone")

    with monkeypatch.context() as patch:
        patch.setattr(BatchStore, "add", away)
        refusal(await api.client.post("/job", json=job, headers={"Idempotency-Key": "j"}), 503, "redis_unavailable")
    again = await api.client.post("/job", json=job, headers={"Idempotency-Key": "j"})

    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (await api.client.get(f"/batch/{batch_id}")).json()["total"] == 2
    function.release()
    assert (await complete(api, batch_id))["succeeded"] == 2


async def test_who_joins_while_a_batch_becomes_complete_is_refused_and_does_not_run(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    batch_id = (await api.post("/job/batch", {"jobs": [{"worker": "a"}]})).json()["id"]
    await complete(api, batch_id)

    async def as_it_was(_: Intake, joined: str) -> str:
        return joined

    monkeypatch.setattr(Intake, "open_batch", as_it_was)
    answer = await api.post("/job", {"worker": "late", "batchId": batch_id, "delay": "1h"})

    refusal(answer, 409, "invalid_state")
    (job,) = (await api.client.get("/job", params={"worker": "late"})).json()["items"]
    assert (job["state"], job["reason"]) == ("cancelled", "user")
    batch = (await api.client.get(f"/batch/{batch_id}")).json()
    assert (batch["total"], batch["cancelled"]) == (1, 0)


async def test_a_job_joins_a_batch_while_that_is_open(api: Api, function: Function):
    function.hold()
    batch_id = (await api.post("/job/batch", {"jobs": [{"worker": "a"}]})).json()["id"]

    joined = await api.enqueue(batchId=batch_id)

    assert (await api.client.get(f"/batch/{batch_id}")).json()["total"] == 2
    assert (await api.job(joined))["batchId"] == batch_id
    function.release()
    assert (await complete(api, batch_id))["succeeded"] == 2
    refusal(await api.post("/job", {"worker": "a", "batchId": batch_id}), 409, "invalid_state")
    refusal(await api.post("/job", {"worker": "a", "batchId": "x"}), 404, "batch_not_found")


async def test_a_batch_is_cancelled_with_all_that_waits(api: Api):
    jobs = [{"worker": "a", "delay": "1h", "queue": f"q{number}"} for number in range(4)]
    batch_id = (await api.post("/job/batch", {"jobs": jobs, "onFailure": {"worker": "b"}})).json()["id"]

    assert (await api.client.post(f"/batch/{batch_id}/cancel")).json()["done"] == 4

    batch = await complete(api, batch_id)
    assert (batch["cancelled"], batch["pending"]) == (4, 0)
    refusal(await api.client.post("/batch/x/cancel"), 404, "batch_not_found")


async def test_many_jobs_are_changed_by_one_request(api: Api, function: Function):
    function.replies(FAILED)
    dead = [await api.enqueue(tags=["red"]) for _ in range(3)]
    for job_id in dead:
        await api.until(job_id, "dead")
    function.replies(Reply())
    retry = {"action": "retry", "filter": {"tag": "red"}}

    counted = (await api.post("/job/bulk", retry | {"dryRun": True})).json()
    retried = (await api.post("/job/bulk", retry)).json()

    assert counted == {"matched": 3, "done": 0, "more": False}
    assert retried == {"matched": 3, "done": 3, "more": False}
    for job_id in dead:
        await api.until(job_id, "succeeded")


@pytest.mark.parametrize(
    ("action", "state"), [("cancel", "cancelled"), ("run", "succeeded"), ("delete", "cancelled"), ("edit", "scheduled")]
)
async def test_bulk_acts_do_what_single_ones_do(api: Api, action: str, state: str):
    waiting = [await api.enqueue(queue=f"q{number}", delay="1h", worker="w") for number in range(3)]
    body: Json = {"action": action, "filter": {"worker": "w"}} | ({"set": {"priority": 1}} if action == "edit" else {})

    assert (await api.post("/job/bulk", body)).json()["done"] == 3

    for job_id in waiting:
        job = await api.until(job_id, state)
        assert job["priority"] == (1 if action == "edit" else 5)


async def test_a_queue_is_purged(api: Api):
    await api.until(await api.enqueue(queue="q"), "succeeded")
    waiting = await api.enqueue(queue="q", delay="1h")

    assert (await api.client.post("/queue/q/purge")).json()["done"] == 2
    assert (await api.job(waiting))["state"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"action": "retry"}, "filter"),
        ({"action": "retry", "filter": {}}, "filter"),
        ({"action": "explode", "all": True}, "action"),
        ({"action": "edit", "all": True}, "set"),
        ({"action": "run", "all": True, "set": {}}, "set"),
        ({"action": "run", "all": True, "limit": 10_001}, "limit"),
    ],
)
async def test_a_wrong_bulk_is_refused(idle: Api, body: Json, path: str):
    refusal(await idle.post("/job/bulk", body), 422, "validation_error", path)


@pytest.mark.parametrize("changes", [{"delay": "1h"}, {"runAt": "2040-01-01"}])
async def test_jobs_that_are_edited_in_bulk_are_met_once_wherever_they_are_moved(api: Api, changes: Json):
    await api.client.put("/queue/a", json={"paused": True})
    jobs = [{"worker": "w", "queue": "a"}] * 3 + [{"worker": "w", "queue": "a", "delay": "10m"}] * 120
    await api.post("/job/batch", {"jobs": jobs})

    done = await api.post("/job/bulk", {"action": "edit", "filter": {"queue": "a"}, "set": changes})

    assert done.json() == {"matched": 123, "done": 123, "more": False}


async def test_bulk_acts_know_schedules_by_name(api: Api):
    await api.client.put("/queue/default", json={"paused": True})
    await api.client.put("/schedule/morning", json={"worker": "w", "every": "1h"})
    await api.post("/schedule/morning/trigger")

    done = await api.post("/job/bulk", {"action": "cancel", "filter": {"scheduleId": "morning"}})

    assert done.json() == {"matched": 1, "done": 1, "more": False}
    none = await api.post("/job/bulk", {"action": "cancel", "filter": {"scheduleId": "evening"}})
    assert none.json() == {"matched": 0, "done": 0, "more": False}
