"""What each scope opens and what it does not, and that a token for some queues stays in them."""

import re
from collections.abc import AsyncIterator

import pytest
from litestar.routes import HTTPRoute

from coordinator.api.permissions import PERMISSIONS
from coordinator.domain.tokens import SCOPES, Token, digest_of
from tests.api.harness import JSON, Api, Json, refusal, resting
from tests.api.test_guards import PUBLIC, routes_of

ADMIN = "token-of-the-administrator"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """The application at rest. Its client may do everything."""
    async with resting(tokens=ADMIN) as api:
        api.client.headers.update(bearer(ADMIN))
        yield api


async def token_with(api: Api, *scopes: str, queues: tuple[str, ...] = ()) -> str:
    """A token that was made."""
    answer = await api.post("/token", {"name": "t", "scopes": scopes, "queues": queues})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def handlers(api: Api) -> dict[tuple[str, str], str]:
    """The handler of each method and path."""
    return {
        (method, path): next(
            handler.handler_name
            for route in api.app.routes
            if isinstance(route, HTTPRoute)
            for handler in route.route_handlers
            if method in handler.http_methods and path == _path(route)
        )
        for method, path in routes_of(api.app)
        if method != "OPTIONS"
    }


def _path(route: HTTPRoute) -> str:
    return re.sub(r"\{[^}]+\}", "x", route.path_format)


async def test_every_operation_says_who_may(api: Api):
    told = {name for place, name in handlers(api).items() if place not in PUBLIC}

    assert told == set(PERMISSIONS)


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_opens_what_it_says_and_nothing_else(api: Api, scope: str):
    token = await token_with(api, scope)
    refused, open_to_it = set(), set()
    for (method, path), name in handlers(api).items():
        if name not in PERMISSIONS:
            continue
        # What is let in to the events would wait for them without end.
        asked = f"{path}?wrong=" if name == "watch_events" else path
        answer = await api.client.request(method, asked, headers=bearer(token) | JSON, content=b'{"status":"success"}')
        is_refused = answer.status_code == 403
        if is_refused:
            refusal(answer, 403, "forbidden", says=f"the scope {PERMISSIONS[name].scope}; this one has {scope}")
        (refused if is_refused else open_to_it).add(name)

    # `POST /receipt` has its receipts refused one by one.
    wanted = {name for name, told in PERMISSIONS.items() if scope == "admin" or told.scope in (scope, None)}
    assert open_to_it - {"receive_receipts"} == wanted - {"receive_receipts"}
    assert refused | open_to_it == set(PERMISSIONS)


@pytest.fixture
async def seeded(api: Api) -> Json:
    """Something in the queue `mine`, and the same in `other`."""
    made: Json = {}
    for queue in ("mine", "other"):
        job = {"worker": "w", "queue": queue, "delay": "1h", "key": "k"}
        made[queue] = await api.enqueue(**job)
        made[f"{queue} schedule"] = await api.enqueue(worker="w", queue=queue, cron="@daily")
        assert await api.client.put(f"/schedule/{queue}-named", json={"worker": "w", "queue": queue, "every": "1h"})
        assert (await api.client.put(f"/queue/{queue}", json={"concurrency": 3})).status_code == 200
    return made


def attempts(queue: str, made: Json) -> list[tuple[str, str, Json | None]]:
    """Everything that can be asked for of one queue."""
    job, schedule, named = f"/job/{made[queue]}", f"/schedule/{made[f'{queue} schedule']}", f"/schedule/{queue}-named"
    body, here = {"worker": "w", "queue": queue}, {"worker": "w", "queue": "mine"}
    return [
        ("POST", "/job", body),
        ("POST", "/job", here | {"onSuccess": body}),
        ("POST", "/job", here | {"onFailure": body}),
        ("POST", "/job", body | {"cron": "@daily"}),
        ("POST", "/job?dryRun=true", body),
        ("POST", "/job/batch", {"jobs": [here], "onComplete": body}),
        ("POST", f"{job}/receipt", {"status": "success"}),
        ("POST", f"{job}/heartbeat", {}),
        ("GET", f"/job?queue={queue}", None),
        ("GET", job, None),
        ("GET", f"/job/{made[f'{queue} schedule']}", None),
        ("GET", f"/queue/{queue}", None),
        ("GET", f"/queue/{queue}/key", None),
        ("GET", f"/queue/{queue}/key/k", None),
        ("GET", schedule, None),
        ("GET", named, None),
        ("PATCH", job, {"priority": 1}),
        ("PATCH", f"/job/{made[f'{queue} schedule']}", {"priority": 1}),
        ("POST", f"{job}/run", {}),
        ("POST", f"{job}/retry", {}),
        ("POST", f"{job}/cancel", {}),
        ("POST", "/job/bulk", {"action": "cancel", "filter": {"queue": queue}}),
        ("POST", f"/queue/{queue}/pause", {}),
        ("POST", f"/queue/{queue}/resume", {}),
        ("POST", f"/queue/{queue}/key/k/pause", {}),
        ("PUT", f"/queue/{queue}", {"concurrency": 1}),
        ("PUT", f"/schedule/{queue}-new", body | {"every": "1h"}),
        ("PUT", named, body | {"every": "2h"}),
        ("PATCH", schedule, {"priority": 2}),
        ("POST", f"{schedule}/pause", {}),
        ("POST", f"{schedule}/resume", {}),
        ("POST", f"{named}/trigger", {}),
        ("DELETE", named, None),
        ("DELETE", schedule, None),
        ("POST", f"/queue/{queue}/purge", {}),
        ("DELETE", job, None),
        ("DELETE", f"/queue/{queue}", None),
    ]


async def test_a_token_for_a_queue_changes_nothing_in_another(api: Api, seeded: Json):
    token = await token_with(api, "enqueue", "receipt", "read", "manage", queues=("mine",))
    await api.client.get("/queue", headers=bearer(token))
    before = await everything(api)

    for method, path, body in attempts("other", seeded):
        answer = await api.client.request(method, path, json=body, headers=bearer(token))
        problem = refusal(answer, 403, "forbidden", says="This token is for the queues mine")
        assert problem["queue"] == "other", (method, path)
    assert await everything(api) == before


async def test_a_token_for_a_queue_may_do_in_it_what_its_scopes_say(api: Api, seeded: Json):
    token = await token_with(api, "enqueue", "receipt", "read", "manage", queues=("mi*",))

    for method, path, body in attempts("mine", seeded):
        answer = await api.client.request(method, path, json=body, headers=bearer(token))
        assert answer.status_code not in (401, 403), (method, path, answer.text)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/job", None),
        ("GET", "/job?tag=a", None),
        ("POST", "/job/bulk", {"action": "cancel", "all": True}),
        ("GET", "/worker", None),
        ("GET", "/worker/w", None),
        ("GET", "/replica", None),
        ("POST", "/tick", {}),
        ("POST", "/worker/w/ping", {}),
        ("POST", "/batch/x/cancel", {}),
    ],
)
async def test_what_concerns_all_queues_is_not_for_a_token_of_some(api: Api, method: str, path: str, body: Json | None):
    token = await token_with(api, "read", "manage", queues=("mine",))

    refusal(await api.client.request(method, path, json=body, headers=bearer(token)), 403, "forbidden")


@pytest.mark.parametrize(
    "query", ["queue=mine&queue=other", "queue=other&queue=mine", "queue=mine&queue=mine", "queue=mine&queue~=other"]
)
async def test_a_queue_that_is_named_twice_leads_nowhere(api: Api, seeded: Json, query: str):
    token = await token_with(api, "read", queues=("mine",))

    answer = await api.client.get(f"/job?{query}", headers=bearer(token))

    refusal(answer, 422, "validation_error", "queue~" if "~" in query else "queue")


async def test_lists_show_what_the_token_is_for(api: Api, seeded: Json):
    token = await token_with(api, "read", queues=("mine",))

    queues = (await api.client.get("/queue", headers=bearer(token))).json()["items"]
    schedules = (await api.client.get("/schedule", headers=bearer(token))).json()["items"]

    assert [queue["name"] for queue in queues] == ["mine"]
    assert {schedule["queue"] for schedule in schedules} == {"mine"}
    assert len(schedules) == 2


async def test_in_a_batch_the_jobs_of_other_queues_are_refused_one_by_one(api: Api, seeded: Json):
    token = await token_with(api, "enqueue", queues=("mine",))
    jobs = [{"worker": "w", "queue": queue, "delay": "1h"} for queue in ("mine", "other")]

    answer = await api.client.post("/job/batch", json={"jobs": jobs}, headers=bearer(token))

    assert [item["status"] for item in answer.json()["jobs"]] == [201, 403]


@pytest.mark.parametrize(
    "batch",
    [
        {"jobs": [{"worker": "w", "queue": "other", "delay": "1h"}]},
        {"jobs": [{"worker": "w", "queue": queue, "delay": "1h"} for queue in ("mine", "other")]},
        {
            "jobs": [{"worker": "w", "queue": "mine", "delay": "1h"}],
            "onFailure": {"worker": "w", "queue": "other"},
        },
    ],
    ids=["jobs", "one job", "callback"],
)
async def test_a_batch_of_other_queues_is_neither_joined_nor_read(api: Api, batch: Json):
    """Who joins it decides when its callback runs, and who reads it knows how those jobs have ended."""
    token = await token_with(api, "enqueue", "read", queues=("mine",))
    batch_id = (await api.post("/job/batch", batch)).json()["id"]
    own_id = (await api.post("/job/batch", {"jobs": [{"worker": "w", "queue": "mine", "delay": "1h"}]})).json()["id"]

    def joining(joined: str) -> Json:
        return {"worker": "w", "queue": "mine", "delay": "1h", "batchId": joined}

    for joined, status in ((batch_id, 403), (own_id, 201)):
        answer = await api.client.post("/job", json=joining(joined), headers=bearer(token))
        assert answer.status_code == status, answer.text
        answer = await api.client.get(f"/batch/{joined}", headers=bearer(token))
        assert answer.status_code == (403 if status == 403 else 200)
    assert (await api.client.get(f"/batch/{batch_id}")).json()["pending"] == len(batch["jobs"])


async def test_what_calls_into_another_queue_is_not_shown(api: Api):
    """The arguments of its callback are of that queue."""
    token = await token_with(api, "read", queues=("mine",))
    callback = {"onSuccess": {"worker": "w", "queue": "other", "args": {"of": "others"}}}
    made = [
        await api.enqueue(worker="w", queue="mine", **rule, **callback) for rule in ({"every": "1h"}, {"delay": "1h"})
    ]

    for path in ("/schedule", "/job?queue=mine"):
        assert (await api.client.get(path, headers=bearer(token))).json()["items"] == []
    for job_id in made:
        refusal(await api.client.get(f"/job/{job_id}", headers=bearer(token)), 403, "forbidden")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/job/bulk", {"action": "cancel", "filter": {"queue": "mine"}}),
        ("/job/bulk", {"action": "edit", "filter": {"queue": "mine"}, "set": {"priority": 3}}),
        ("/job/bulk", {"action": "delete", "filter": {"queue": "mine"}, "dryRun": True}),
        ("/queue/mine/purge", {}),
    ],
    ids=["cancel", "edit", "dry run", "purge"],
)
async def test_what_calls_into_another_queue_is_left_out_of_bulk_acts(api: Api, path: str, body: Json):
    token = await token_with(api, "manage", queues=("mine",))
    callback = {"onFailure": {"worker": "w", "queue": "other"}}
    calling = await api.enqueue(worker="w", queue="mine", delay="1h", **callback)
    await api.enqueue(worker="w", queue="mine", delay="1h")
    before = await api.job(calling)

    answer = await api.client.post(path, json=body, headers=bearer(token))

    done = 0 if "dryRun" in body else 1
    assert answer.json() == {"matched": 1, "done": done, "more": False}
    assert await api.job(calling) == before


async def test_a_schedule_cannot_be_moved_out_of_the_queues_of_a_token(api: Api, seeded: Json):
    token = await token_with(api, "manage", queues=("mine",))
    moved = {"worker": "w", "queue": "other", "every": "1h"}

    for method, path, body in (
        ("PUT", "/schedule/mine-named", moved),
        ("PATCH", f"/schedule/{seeded['mine schedule']}", {"onSuccess": {"worker": "w", "queue": "other"}}),
    ):
        answer = await api.client.request(method, path, json=body, headers=bearer(token))
        assert answer.status_code in (403, 422), answer.text
    assert (await api.client.get("/schedule/mine-named")).json()["queue"] == "mine"


async def everything(api: Api) -> dict[bytes, object]:
    """All that is in the store."""
    client = await api.app.state["replica"].store.connection.servers.having("")
    kept: dict[bytes, object] = {}
    for key in await client.keys("*"):
        kind = (await client.type(key)).decode()
        reads = {"hash": client.hgetall, "string": client.get, "set": client.smembers}
        if kind in reads:
            kept[key] = await reads[kind](key)
        elif kind == "zset":
            kept[key] = await client.zrange(key, 0, -1, withscores=True)
        else:
            kept[key] = await client.lrange(key, 0, -1)
    return {key: value for key, value in kept.items() if not key.endswith(b":tokens_used")}


@pytest.mark.parametrize(
    "given",
    [
        "co_aaaaaaaa_" + "x" * 43,
        "co_aaaaaaaa_" + "y" * 42,
        "co_aaaaaaaa_" + "y" * 44,
        "co_aaaaaaab_" + "y" * 43,
        "CO_aaaaaaaa_" + "y" * 43,
        "co_aaaaaaaa_" + "y" * 43 + "\t",
        "co_aaaaaaaa",
        digest_of("co_aaaaaaaa_" + "y" * 43),
        "aaaaaaaa",
        "rt1.r0.1.nonce.9999999999." + "y" * 43,
    ],
    ids=["secret", "truncated", "extended", "id", "case", "tab", "id alone", "digest", "bare id", "receipt token"],
)
async def test_what_is_not_the_token_opens_nothing(api: Api, given: str):
    text = "co_aaaaaaaa_" + "y" * 43
    await api.app.state["replica"].store.tokens.put("aaaaaaaa", Token("t", digest_of(text), ("admin",)))
    assert (await api.client.get("/token", headers=bearer(text))).status_code == 200
    before = await everything(api)

    for method, path, body in (
        ("GET", "/token", None),
        ("POST", "/job", {"worker": "w"}),
        ("DELETE", "/queue/q", None),
    ):
        answer = await api.client.request(method, path, json=body, headers=bearer(given))
        if "\t" in given:
            assert answer.status_code in (200, 201, 404), "white space around a header's value is no part of it"
            return
        refusal(answer, 401, "unauthenticated")
    assert await everything(api) == before
