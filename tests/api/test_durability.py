"""`?durability=`: how safe a change is to be before it is answered. The servers here have no replica."""

import pytest

from tests.api.harness import refusal

BODIES = {
    "/job": {"worker": "a", "delay": "1h"},
    "/job/batch": {"jobs": [{"worker": "a", "delay": "1h"}]},
}


@pytest.mark.parametrize("path", BODIES)
async def test_what_no_replica_confirms_is_refused_and_may_be_asked_for_again_without_that(start, path):
    async with start() as api:
        key = {"headers": {"Idempotency-Key": "k"}}
        refusal(await api.post(f"{path}?durability=replicated", BODIES[path], **key), 503, "not_confirmed")

        answer = await api.post(f"{path}?durability=local", BODIES[path], **key)

        assert answer.status_code == 201
        (job,) = (await api.client.get("/job?queue=default")).json()["items"]
        assert job["state"] == "scheduled"


async def test_a_schedule_is_as_safe_as_a_job(start):
    async with start() as api:
        refusal(await api.post("/job?durability=replicated", {"worker": "a", "every": "1h"}), 503, "not_confirmed")


async def test_a_receipt_that_no_replica_confirms_may_be_sent_again(start, function):
    function.hold()
    async with start() as api:
        job_id = await api.enqueue()
        await function.called(1)
        path = f"/job/{job_id}/receipt"

        refusal(await api.post(f"{path}?durability=replicated", {"status": "success"}), 503, "not_confirmed")
        again = await api.post(path, {"status": "success"})

        assert again.json() == {
            "id": job_id,
            "state": "succeeded",
            "accepted": False,
            "reason": "already_recorded",
        }
        function.release()


async def test_all_changes_are_as_safe_as_the_coordinator_is_set_to(start, live_store, function):
    live_store.connection.durability = "replicated"
    async with start() as api:
        refusal(await api.post("/job", {"worker": "a"}), 503, "not_confirmed")
        refusal(await api.client.put("/queue/a", json={"concurrency": 1}), 503, "not_confirmed")


@pytest.mark.parametrize("path", [*BODIES, "/job/1/receipt"])
async def test_a_word_that_is_none_is_refused(idle, path):
    body = BODIES.get(path, {"status": "success"})

    refusal(await idle.post(f"{path}?durability=often", body), 422, "validation_error", "durability", "replicated")
