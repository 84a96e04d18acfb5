"""A queue that is full: 429 `queue_full` for what is new, and nothing of it is stored."""

import pytest

from tests.api.harness import Api, Function, Json, Reply, eventually, refusal

LATER: Json = {"worker": "a", "queue": "mail", "delay": "1h"}
ONCE = {"Idempotency-Key": "k"}


@pytest.fixture
async def full(idle: Api) -> Api:
    """The queue `mail` takes two jobs that wait, and has them; one has a handle, the other was sent under a key."""
    await idle.client.put("/queue/mail", json={"maxWaiting": 2})
    await idle.enqueue(**LATER, unique={"by": ["worker"]})
    assert (await idle.client.post("/job", json=LATER, headers=ONCE)).status_code == 201
    return idle


async def waiting(api: Api) -> int:
    """How many jobs of the queue wait."""
    view: Json = (await api.client.get("/queue/mail")).json()
    return int(view["queued"] + view["scheduled"] + view["retrying"])


async def test_what_is_new_is_refused_with_the_limit_and_when_to_come_again(full: Api):
    answer = await full.post("/job", LATER)

    problem = refusal(answer, 429, "queue_full", says="maxWaiting is 2")
    assert (problem["title"], problem["queue"], problem["limit"]) == ("Too many requests", "mail", 2)
    assert answer.headers["retry-after"] == "10"
    assert "ratelimit-limit" not in answer.headers
    assert await waiting(full) == 2


async def test_what_makes_the_line_no_longer_is_answered_as_ever(full: Api):
    again = await full.client.post("/job", json=LATER, headers=ONCE)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (await full.post("/job", LATER | {"unique": {"by": ["worker"]}})).json()["duplicate"]
    assert (await full.post("/job", LATER | {"unique": {"by": ["worker"], "onConflict": "replace"}})).status_code == 201
    assert (await full.post("/job?dryRun=true", LATER)).status_code == 200
    assert (await full.post("/job", LATER | {"queue": "other"})).status_code == 201

    assert await waiting(full) == 2


async def test_a_request_that_was_refused_is_accepted_under_its_key_when_there_is_room(full: Api):
    key = {"Idempotency-Key": "new"}
    refusal(await full.client.post("/job", json=LATER, headers=key), 429, "queue_full")
    await full.client.put("/queue/mail", json={})

    answer = await full.client.post("/job", json=LATER, headers=key)

    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


async def test_of_a_batch_each_job_is_refused_for_itself(idle: Api):
    await idle.client.put("/queue/mail", json={"maxWaiting": 2})

    answer = await idle.post("/job/batch", {"jobs": [LATER, LATER, LATER, LATER | {"queue": "other"}]})

    assert [job["status"] for job in answer.json()["jobs"]] == [201, 201, 429, 201]
    error = answer.json()["jobs"][2]["error"]
    assert (answer.status_code, error["code"], error["limit"]) == (207, "queue_full", 2)


async def test_of_an_atomic_batch_that_is_too_much_none_is_stored_and_it_may_come_again(idle: Api):
    await idle.client.put("/queue/mail", json={"maxWaiting": 2})
    batch = {"jobs": [LATER] * 3, "atomic": True}

    answer = await idle.client.post("/job/batch", json=batch, headers=ONCE)

    problem = refusal(answer, 429, "queue_full")
    assert (problem["limit"], answer.headers["retry-after"], await waiting(idle)) == (2, "10", 0)
    await idle.client.put("/queue/mail", json={"maxWaiting": 3})
    assert (await idle.client.post("/job/batch", json=batch, headers=ONCE)).status_code == 201
    assert await waiting(idle) == 3


async def test_what_was_accepted_before_comes_to_a_full_queue(api: Api, function: Function):
    """A callback of a job and of a batch, and a tick."""
    await api.client.put("/queue/mail", json={"maxWaiting": 1, "paused": True})
    assert (await api.post("/job", LATER)).status_code == 201
    told = {"worker": "told", "queue": "mail"}

    await api.until(await api.enqueue(queue="other", onSuccess=told), "succeeded")
    assert (await api.post("/job/batch", {"jobs": [{"worker": "b"}], "onComplete": told})).status_code == 201
    await api.post("/job", {"worker": "told", "queue": "mail", "every": "1s", "overlap": "allow", "maxRuns": 1})

    async def all_have_come() -> Json | None:
        return {} if await waiting(api) == 4 else None

    await eventually(all_have_come)
    refusal(await api.post("/job", LATER), 429, "queue_full")


async def test_a_retry_comes_to_a_full_queue(api: Api, function: Function):
    await api.client.put("/queue/mail", json={"maxWaiting": 1})
    function.replies(Reply(500, b""))
    function.hold()
    job_id = await api.enqueue(queue="mail", backoff={"type": "fixed", "base": "1h"})
    await api.until(job_id, "running")
    assert (await api.post("/job", LATER)).status_code == 201

    function.release()

    await api.until(job_id, "retrying")
    assert await waiting(api) == 2


async def test_a_run_that_somebody_triggers_is_refused_by_a_full_queue(full: Api):
    await full.client.put("/schedule/nightly", json={"worker": "a", "queue": "mail", "cron": "@daily"})

    refusal(await full.client.post("/schedule/nightly/trigger"), 429, "queue_full")
