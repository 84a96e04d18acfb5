"""`/sync`: one declaration of all workers, queues and schedules of an application."""

import pytest

from tests.api.harness import Api, Json, refusal

SHOP: Json = {
    "owner": "shop",
    "workers": {"send-email": {"url": "https://mail.example/send", "timeout": "30s"}},
    "queues": {"mail": {"rate": {"limit": 2}, "maxWaiting": 500, "defaults": {"maxAttempts": 3}}},
    "schedules": {
        "nightly": {"worker": "send-email", "cron": "0 2 * * *", "queue": "mail"},
        "often": {"worker": "send-email", "every": "1h"},
    },
}
ALL = ["worker/send-email", "queue/mail", "schedule/nightly", "schedule/often"]
NOTHING: dict[str, list[str]] = {"created": [], "updated": [], "deleted": [], "unchanged": []}


async def sync(api: Api, body: Json, *, dry: bool = False) -> dict[str, list[str]]:
    """What was done, by `kind/name`."""
    answer = await api.post(f"/sync?dryRun={str(dry).lower()}", body)
    assert answer.status_code == 200, answer.text
    done: Json = answer.json()
    assert (done["owner"], done["dryRun"]) == (body["owner"], dry)
    return {change: [f"{one['kind']}/{one['name']}" for one in done[change]] for change in NOTHING}


async def everything(api: Api) -> list[list[Json]]:
    return [(await api.client.get(path)).json()["items"] for path in ("/worker", "/queue", "/schedule")]


async def test_what_is_declared_is_made_once(idle: Api):
    assert await sync(idle, SHOP) == NOTHING | {"created": ALL}
    before = await everything(idle)

    assert await sync(idle, SHOP) == NOTHING | {"unchanged": ALL}

    assert await everything(idle) == before
    assert [found["owner"] for found in before[2]] == ["shop", "shop"]


async def test_a_dry_run_tells_and_does_nothing(idle: Api):
    assert await sync(idle, SHOP, dry=True) == NOTHING | {"created": ALL}

    assert [found for kind in await everything(idle) for found in kind if found.get("name") != "*"] == []


async def test_what_is_declared_otherwise_is_changed(idle: Api):
    await sync(idle, SHOP)
    nightly = (await idle.client.get("/schedule/nightly")).json()
    changed = SHOP | {"queues": {"mail": {"concurrency": 1}}, "workers": {"send-email": {"url": "https://b.example/"}}}
    changed |= {"schedules": SHOP["schedules"] | {"nightly": SHOP["schedules"]["nightly"] | {"args": {"n": 2}}}}

    done = await sync(idle, changed)

    # The queue's default of three attempts is gone, which the schedule was made with.
    assert done == NOTHING | {
        "updated": ["worker/send-email", "queue/mail", "schedule/nightly", "schedule/often"],
    }
    after = (await idle.client.get("/schedule/nightly")).json()
    assert after == nightly | {"args": {"n": 2}, "maxAttempts": 10, "timeoutMs": 900_000}
    assert (await idle.client.get("/queue/mail")).json()["concurrency"] == 1


async def test_what_is_declared_no_more_is_deleted_but_only_in_the_kinds_that_are_given(idle: Api):
    await sync(idle, SHOP)

    done = await sync(idle, {"owner": "shop", "schedules": {}, "queues": {}})

    assert done == NOTHING | {"deleted": ["queue/mail", "schedule/nightly", "schedule/often"]}
    assert (await idle.client.get("/schedule")).json()["items"] == []
    refusal(await idle.client.get("/queue/mail"), 404, "queue_not_found")
    assert (await idle.client.get("/worker/send-email")).json()["owner"] == "shop"


async def test_a_queue_that_has_jobs_loses_its_settings_and_keeps_its_jobs(idle: Api):
    await sync(idle, SHOP)
    job_id = await idle.enqueue(queue="mail", delay="1h")

    await sync(idle, {"owner": "shop", "queues": {}})

    found = (await idle.client.get("/queue/mail")).json()
    assert (found["rate"], found["owner"], found["defaults"]["maxAttempts"]) == (None, None, None)
    assert (await idle.job(job_id))["state"] == "scheduled"


async def test_two_applications_do_not_touch_each_others_things(idle: Api):
    await sync(idle, SHOP)
    other = {"owner": "blog", "queues": {"posts": {"concurrency": 1}}, "schedules": {}, "workers": {}}

    assert await sync(idle, other) == NOTHING | {"created": ["queue/posts"]}
    assert await sync(idle, SHOP) == NOTHING | {"unchanged": ALL}

    before = await everything(idle)
    problem = refusal(
        await idle.post("/sync", other | {"queues": {"mail": {}, "more": {}}}), 409, "already_exists", says="'shop'"
    )
    assert problem["foreign"] == [{"kind": "queue", "name": "mail", "owner": "shop"}]
    assert await everything(idle) == before


async def test_what_was_made_by_hand_is_taken_over_when_it_is_declared(idle: Api):
    await idle.client.put("/queue/mail", json={"rate": {"limit": 2}, "defaults": {"maxAttempts": 3}, "paused": True})
    await idle.client.put("/queue/other", json={"concurrency": 1})

    done = await sync(idle, SHOP)

    assert done["updated"] == ["queue/mail"]
    mail = (await idle.client.get("/queue/mail")).json()
    assert (mail["owner"], mail["paused"]) == ("shop", True)
    assert (await sync(idle, SHOP))["unchanged"] == ALL
    assert (await idle.client.get("/queue/other")).json()["concurrency"] == 1


async def test_what_is_changed_by_hand_stays_the_owners_and_is_set_right(idle: Api):
    await sync(idle, SHOP)
    await idle.client.put("/worker/send-email", json={"url": "https://elsewhere.example/"})
    await idle.client.put("/queue/mail", json={})
    await idle.client.patch("/schedule/often", json={"priority": 0})

    assert (await sync(idle, SHOP))["updated"] == ["worker/send-email", "queue/mail", "schedule/often"]


@pytest.mark.parametrize(
    ("body", "code", "path", "says"),
    [
        ({}, "validation_error", "owner", "is required"),
        ({"owner": "a b"}, "validation_error", "owner", "is not a name"),
        ({"owner": "a", "workers": {"w": {"url": "ftp://x"}}}, "validation_error", "workers.w.url", "http"),
        (
            {"owner": "a", "workers": {"w w": {"url": "http://x.example"}}},
            "validation_error",
            "workers.w w.name",
            "name",
        ),
        ({"owner": "a", "queues": {"q": {"preset": "x"}}}, "validation_error", "queues.q.preset", "shopify-rest"),
        ({"owner": "a", "queues": {"q": {"rat": 1}}}, "validation_error", "queues", "rat"),
        ({"owner": "a", "schedules": {"s": {"worker": "any"}}}, "validation_error", "schedules.s.cron", "every"),
        (
            {"owner": "a", "schedules": {"s": {"worker": "any", "cron": "* * *"}}},
            "invalid_cron",
            "schedules.s.cron",
            "fields",
        ),
    ],
)
async def test_a_wrong_declaration_is_refused_by_its_place(idle: Api, body: Json, code: str, path: str, says: str):
    await idle.client.put("/worker/any", json={"url": "https://any.example/"})
    before = await everything(idle)
    problem = refusal(await idle.post("/sync", body), 422, code, says=says)
    assert problem["errors"][0]["path"].startswith(path)
    assert await everything(idle) == before


async def test_a_schedule_may_name_a_worker_that_is_declared_with_it_but_none_that_goes(idle: Api):
    await idle.client.delete("/worker/*")
    await sync(idle, SHOP)

    problem = refusal(await idle.post("/sync", SHOP | {"workers": {}}), 422, "unknown_worker")

    assert problem["errors"][0]["path"] == "schedules.nightly.worker"


async def test_a_schedule_that_is_moved_to_another_queue_by_hand_stays_its_owners(api: Api):
    await sync(api, SHOP)
    for queue in "abcdef":
        moved = await api.client.put("/schedule/often", json={"worker": "send-email", "every": "1h", "queue": queue})
        assert moved.json()["owner"] == "shop"

    assert (await sync(api, {"owner": "shop", "schedules": {}}))["deleted"] == ["schedule/nightly", "schedule/often"]


async def test_what_is_no_json_behind_a_wrong_field_is_refused(idle: Api):
    body = b'{"owner":"a","workers":{"w":{"url":1}},"queues":0x10}'

    answer = await idle.post("/sync", content=body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
