"""The five calls with which it all began, to the letter."""

from coordinator.domain.ids import shard_of_id
from tests.api.harness import ACCEPTED, JSON, Api, Function


async def test_a_job_without_a_time_runs_now(api: Api, function: Function):
    answer = await api.client.post("/job", content=b'{"worker": "send-email", "args": {"to": "a@b.c"}}', headers=JSON)

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/job/{made['id']}"
    assert answer.headers["content-type"] == "application/json"
    job = await api.until(made["id"], "succeeded")
    assert [call.body["args"] for call in function.calls] == [{"to": "a@b.c"}]
    assert job["attempt"] == 1


async def test_a_job_of_2020_runs_at_once(api: Api, function: Function):
    body = b'{"worker": "send-email", "args": {"to": "a@b.c"}, "runAt": "2020-01-01 10:00:00 AM"}'

    made = (await api.client.post("/job", content=body, headers=JSON)).json()

    assert made["state"] == "queued"
    job = await api.until(made["id"], "succeeded")
    assert job["runAt"] == job["createdAt"]
    assert len(function.calls) == 1


async def test_a_job_of_the_future_waits(api: Api, function: Function):
    body = b'{"worker": "send-email", "args": {"to": "a@b.c"}, "runAt": "2120-01-01 10:00:00 PM"}'

    made = (await api.client.post("/job", content=body, headers=JSON)).json()

    assert (made["state"], made["runAt"]) == ("scheduled", "2120-01-01T22:00:00.000Z")
    assert function.calls == []


async def test_a_job_with_a_cron_is_a_schedule(api: Api):
    body = b'{"worker": "send-email", "args": {"to": "a@b.c"}, "cron": "30 9 * * 1-5"}'

    answer = await api.client.post("/job", content=body, headers=JSON)

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/job/{made['id']}"
    assert (made["kind"], made["cron"], made["timezone"]) == ("schedule", "30 9 * * 1-5", "UTC")
    assert made["nextRunAt"].endswith("T09:30:00.000Z")
    assert (await api.job(made["id"]))["nextRunAt"] == made["nextRunAt"]


async def test_a_receipt_of_success_ends_the_job(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue()
    await function.called(1)

    answer = await api.client.post(f"/job/{job_id}/receipt", content=b'{"status": "success"}', headers=JSON)

    assert (answer.status_code, answer.json()) == (200, {"id": job_id, "state": "succeeded", "accepted": True})
    assert (await api.job(job_id))["state"] == "succeeded"


async def test_a_receipt_of_failure_leads_to_a_retry(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue()
    await function.called(1)

    answer = await api.client.post(
        f"/job/{job_id}/receipt", content=b'{"status": "failure", "error": "no such address"}', headers=JSON
    )

    assert (answer.status_code, answer.json()) == (200, {"id": job_id, "state": "retrying", "accepted": True})
    assert (await api.job(job_id))["lastError"] == {"message": "no such address"}


async def test_error_is_another_word_for_failure(api: Api, function: Function):
    function.replies(ACCEPTED)
    job_id = await api.enqueue()
    await function.called(1)

    answer = await api.client.post(
        f"/job/{job_id}/receipt", content=b'{"status": "error", "error": {"code": 7}}', headers=JSON
    )

    assert answer.json() == {"id": job_id, "state": "retrying", "accepted": True}
    job = await api.job(job_id)
    assert [entry["outcome"] for entry in job["attempts"]] == ["failure"]
    assert job["lastError"] == {"code": 7}


async def test_a_schedule_makes_jobs_again_and_again(api: Api, function: Function):
    schedule_id = await api.enqueue(every="1s", args={"n": 1})

    first, second = (await function.called(2))[:2]

    assert [call.body["scheduleId"] for call in (first, second)] == [schedule_id, schedule_id]
    assert first.body["jobId"] != second.body["jobId"]
    assert first.body["jobId"].startswith(f"{schedule_id}:")
    assert shard_of_id(first.body["jobId"]) == shard_of_id(schedule_id)
    job = await api.until(first.body["jobId"], "succeeded")
    assert (job["scheduleId"], job["scheduledFor"]) == (schedule_id, first.body["scheduledFor"])
    schedule = await api.job(schedule_id)
    assert schedule["runs"] >= 2
    assert schedule["lastRunAt"] >= second.body["scheduledFor"]
