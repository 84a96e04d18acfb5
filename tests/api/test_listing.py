"""`GET /job` page by page, and `DELETE /job/:id`."""

import base64
import json
from typing import Any

import pytest

from tests.api.harness import Api, Function, Json, Reply, refusal


async def read_all(api: Api, limit: int, **query: str) -> list[Json]:
    """All jobs of a list, page by page."""
    items: list[Json] = []
    cursor = None
    while True:
        params: dict[str, Any] = {"limit": limit, **query} | ({"cursor": cursor} if cursor else {})
        page = (await api.client.get("/job", params=params)).json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            return items


def cursor_of(*place: object) -> str:
    """A cursor that somebody made up."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


async def test_an_empty_list_is_one_page(api: Api):
    answer = await api.client.get("/job")

    assert (answer.status_code, answer.json()) == (200, {"items": [], "cursor": None})


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_the_pages_hold_every_job_once_and_in_order(api: Api, limit: int):
    """By queue, and in a queue by run-at."""
    order = [
        await api.enqueue(queue=queue, delay=f"{hours}h") for queue in ("a", "b") for hours in (1, 2, 3) for _ in "12"
    ]

    items = await read_all(api, limit)

    assert [item["runAt"] for item in items] == sorted(item["runAt"] for item in items[:6]) + [
        item["runAt"] for item in items[6:]
    ]
    assert [item["queue"] for item in items] == ["a"] * 6 + ["b"] * 6
    assert sorted(item["id"] for item in items) == sorted(order)


async def test_a_page_can_be_read_again(api: Api):
    for _ in range(4):
        await api.enqueue(delay="1h")
    first = (await api.client.get("/job?limit=2")).json()

    pages = [(await api.client.get("/job", params={"limit": 2, "cursor": first["cursor"]})).json() for _ in "12"]

    assert pages[0] == pages[1]
    assert {item["id"] for item in pages[0]["items"]}.isdisjoint(item["id"] for item in first["items"])


async def test_what_comes_meanwhile_neither_skips_nor_repeats(api: Api):
    jobs = [await api.enqueue(delay=f"{hours}h") for hours in (2, 4, 6, 8)]
    page = (await api.client.get("/job?limit=2")).json()
    await api.client.delete(f"/job/{jobs[0]}")
    await api.enqueue(delay="1h")
    later = await api.enqueue(delay="5h")

    rest = (await api.client.get("/job", params={"state": "scheduled", "cursor": page["cursor"]})).json()["items"]

    assert [item["id"] for item in page["items"]] == jobs[:2]
    assert [item["id"] for item in rest] == [later, *jobs[2:]]


async def test_a_list_is_narrowed_by_queue_and_state(api: Api, function: Function):
    done = await api.enqueue(queue="a")
    await api.until(done, "succeeded")
    waiting = await api.enqueue(queue="a", delay="1h")
    elsewhere = await api.enqueue(queue="b", delay="1h")

    lists = {
        query: [item["id"] for item in (await api.client.get(f"/job?{query}")).json()["items"]]
        for query in ("queue=a", "state=scheduled", "state=succeeded", "queue=b&state=succeeded", "queue=nothing")
    }

    assert lists == {
        "queue=a": [waiting, done],
        "state=scheduled": [waiting, elsewhere],
        "state=succeeded": [done],
        "queue=b&state=succeeded": [],
        "queue=nothing": [],
    }


async def test_finished_jobs_come_newest_first(api: Api, function: Function):
    jobs = []
    for _ in range(3):
        jobs.append(await api.enqueue())
        await api.until(jobs[-1], "succeeded")

    items = await read_all(api, 2, state="succeeded")

    assert [item["finishedAt"] for item in items] == sorted((item["finishedAt"] for item in items), reverse=True)
    assert sorted(item["id"] for item in items) == sorted(jobs)


async def test_an_item_is_the_job_itself(api: Api, function: Function):
    job_id = await api.enqueue(args={"n": [1]}, delay="1h")

    (item,) = (await api.client.get("/job")).json()["items"]

    assert item == await api.job(job_id)


@pytest.mark.parametrize(
    ("query", "path", "says"),
    [
        ({"limit": 0}, "limit", ">= 1"),
        ({"limit": 201}, "limit", "<= 200"),
        ({"limit": "many"}, "limit", "expected a whole number"),
        ({"state": "waiting"}, "state", "waiting"),
        ({"queue": "a/b"}, "queue", "is not a name"),
        ({"cursor": "x" * 1025}, "cursor", "1024"),
        ({"cursor": "?"}, "cursor", "send back the one of the last page"),
        ({"cursor": "üüü"}, "cursor", "send back"),
        ({"cursor": "AAAA"}, "cursor", "send back"),
        ({"cursor": cursor_of("a")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "waiting", 0, "1", "x")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "queued", 0, 1, "x")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "queued", 0, "nan", "x")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "queued", 0, "inf", "x")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "queued", 0, "1_0", "x")}, "cursor", "send back"),
        ({"cursor": cursor_of("a", "queued", 0, "9" * 400, "x")}, "cursor", "send back"),
        ({"tag": "a b"}, "tag", "is not a tag"),
        ({"unique": "h"}, "queue", "is needed beside unique"),
        ({"State": "queued"}, "State", "did you mean state?"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_its_name(idle: Api, query: Json, path: str, says: str):
    await idle.enqueue(queue="a")

    refusal(await idle.client.get("/job", params=query), 422, "validation_error", path, says)


@pytest.mark.parametrize("cursor", [cursor_of("zzz", "queued", 0), cursor_of("a", "dead", 0, "1", "\x00")])
async def test_a_cursor_of_another_list_is_harmless(api: Api, cursor: str):
    await api.enqueue(queue="a", delay="1h")

    assert (await api.client.get("/job", params={"cursor": cursor})).json() == {"items": [], "cursor": None}


async def test_a_waiting_job_is_cancelled(api: Api, function: Function):
    job_id = await api.enqueue(delay="300ms")

    answer = await api.client.delete(f"/job/{job_id}")

    job = answer.json()
    assert (answer.status_code, job["state"], job["reason"]) == (200, "cancelled", "user")
    assert await api.job(job_id) == job
    await api.until(await api.enqueue(delay="400ms"), "succeeded")
    assert [call.body["jobId"] == job_id for call in function.calls] == [False]


async def test_a_final_job_is_erased(api: Api, function: Function):
    job_id = await api.enqueue()
    await api.until(job_id, "succeeded")

    answer = await api.client.delete(f"/job/{job_id}")

    assert (answer.status_code, answer.json()) == (200, {"id": job_id, "erased": True})
    refusal(await api.client.get(f"/job/{job_id}"), 404, "job_not_found")
    refusal(await api.client.delete(f"/job/{job_id}"), 404, "job_not_found")


async def test_a_running_job_is_let_end(api: Api, function: Function):
    function.hold()
    job_id = await api.enqueue()
    await function.called(1)

    answer = await api.client.delete(f"/job/{job_id}")

    assert refusal(answer, 409, "invalid_state", says="asks its function to stop")["state"] == "running"
    function.release()
    await api.until(job_id, "succeeded")


async def test_a_deleted_schedule_makes_no_more_jobs(api: Api, function: Function):
    schedule_id = await api.enqueue(every="1s")
    (call,) = await function.called(1)

    answer = await api.client.delete(f"/job/{schedule_id}")

    assert (answer.status_code, answer.json()) == (200, {"id": schedule_id, "erased": True})
    refusal(await api.client.get(f"/job/{schedule_id}"), 404, "job_not_found")
    # A later job of its own tells that the next tick has passed.
    await api.until(await api.enqueue(delay="1100ms"), "succeeded")
    assert [call.body["scheduleId"] for call in function.calls] == [schedule_id, None]
    await api.until(call.body["jobId"], "succeeded")


@pytest.mark.parametrize("job_id", ["nothing", "01M85P9P7E00DDH5YFHM896VEH", "01M85P9P7EZZDDH5YFHM896VEH", "%00%FF"])
async def test_an_unknown_id_is_not_found(api: Api, job_id: str):
    refusal(await api.client.get(f"/job/{job_id}"), 404, "job_not_found", says="it may have been purged")
    refusal(await api.client.delete(f"/job/{job_id}"), 404, "job_not_found")


async def test_jobs_are_found_by_what_they_have(api: Api):
    wanted = await api.enqueue(worker="a", queue="shop", key="k/1", tags=["red", "big"], unique="order-7", delay="1h")
    other = await api.enqueue(worker="b", queue="shop", key="k2", tags=["red"], delay="1h")
    plain = await api.enqueue(worker="a", delay="1h")

    async def found(**query: str) -> list[str]:
        return sorted(job["id"] for job in await read_all(api, 200, **query))

    assert await found(tag="red") == sorted([wanted, other])
    assert await found(tag="red", worker="a") == [wanted]
    assert await found(tag="red", queue="default") == []
    assert await found(key="k/1") == [wanted]
    assert await found(worker="a") == sorted([wanted, plain])
    assert await found(queue="shop", unique="order-7") == [wanted]
    assert await found(tag="big", state="queued") == []
    assert await found(tag="big", state="scheduled") == [wanted]
    assert await found(createdAfter="2120-01-01") == []
    assert await found(finishedBefore="2120-01-01") == []


async def test_dead_jobs_are_found_by_a_part_of_their_last_error(api: Api, function: Function):
    function.replies(Reply(body=b'{"status": "failure", "error": "no such address", "retryable": false}'))
    job_id = await api.enqueue()
    await api.until(job_id, "dead")

    assert (await api.client.get("/job?error~=such")).json()["items"][0]["id"] == job_id
    assert (await api.client.get("/job", params={"error": "other"})).json()["items"] == []
