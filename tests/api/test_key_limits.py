"""`perKey` and presets of a queue, its circuit, and `/queue/:name/key`: what is asked for, shown and done."""

from urllib.parse import quote

import pytest

from tests.api.harness import ACCEPTED, Api, Function, Json, Reply, eventually, refusal

REST = {"limit": 2, "periodMs": 1000, "burst": 40}
GRAPHQL = {"limit": 100, "periodMs": 1000, "burst": 2000}


async def put(api: Api, **settings: object) -> Json:
    answer = await api.client.put("/queue/shop", json=settings)
    assert answer.status_code == 200, answer.text
    shown: Json = answer.json()
    assert (await api.client.get("/queue/shop")).json() == shown
    return shown


async def key(api: Api, name: str) -> Json:
    answer = await api.client.get(f"/queue/shop/key/{quote(name)}")
    assert answer.status_code == 200, answer.text
    shown: Json = answer.json()
    return shown


@pytest.mark.parametrize(
    ("settings", "per_key"),
    [
        ({}, {"concurrency": None, "rate": None}),
        ({"perKey": None}, {"concurrency": None, "rate": None}),
        ({"perKey": {"concurrency": 3}}, {"concurrency": 3, "rate": None}),
        (
            {"perKey": {"rate": {"limit": 5, "period": "1m"}}},
            {"concurrency": None, "rate": {"limit": 5, "periodMs": 60_000, "burst": 5}},
        ),
        ({"preset": "shopify-rest"}, {"concurrency": None, "rate": REST}),
        ({"preset": "shopify-graphql"}, {"concurrency": None, "rate": GRAPHQL}),
        ({"preset": None, "perKey": {"concurrency": 3}}, {"concurrency": 3, "rate": None}),
        ({"preset": "shopify-rest", "perKey": {"concurrency": 3}}, {"concurrency": 3, "rate": REST}),
        (
            {"preset": "shopify-rest", "perKey": {"rate": {"limit": 20, "burst": 400}}},
            {"concurrency": None, "rate": {"limit": 20, "periodMs": 1000, "burst": 400}},
        ),
    ],
)
async def test_what_is_set_for_each_key_is_shown_and_overrules_the_preset(idle: Api, settings: Json, per_key: Json):
    shown = await put(idle, **settings)
    assert (shown["perKey"], shown["rate"], shown["concurrency"]) == (per_key, None, None)


async def test_what_is_left_out_goes(idle: Api):
    await put(idle, preset="shopify-rest", circuit={"failures": 3})
    shown = await put(idle)
    assert shown["perKey"] == {"concurrency": None, "rate": None}
    assert shown["circuit"] == {"failures": 20, "openMs": 30_000}


@pytest.mark.parametrize(
    ("circuit", "shown"),
    [
        ({}, {"failures": 20, "openMs": 30_000}),
        ({"failures": 3}, {"failures": 3, "openMs": 30_000}),
        ({"open": "2m"}, {"failures": 20, "openMs": 120_000}),
        ({"failures": 1, "open": 1000}, {"failures": 1, "openMs": 1000}),
        (None, None),
    ],
)
async def test_a_circuit_is_shown_as_it_was_set(idle: Api, circuit: Json | None, shown: Json | None):
    assert (await put(idle, circuit=circuit))["circuit"] == shown


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        ({"perKey": 1}, "perKey", "expected an object"),
        ({"perKey": {"concurency": 1}}, "perKey.concurency", "did you mean concurrency?"),
        ({"perKey": {"concurrency": 1.5}}, "perKey.concurrency", "expected a whole number"),
        ({"perKey": {"rate": {}}}, "perKey.rate.limit", "is required"),
        ({"perKey": {"rate": {"limit": -1}}}, "perKey.rate.limit", "> 0"),
        ({"perKey": {"rate": {"limit": 0.5}}}, "perKey.rate.burst", "is below 1"),
        ({"perKey": {"rate": {"limit": 1, "period": "soon"}}}, "perKey.rate.period", "is not a duration"),
        ({"preset": 1}, "preset", "expected text"),
        ({"preset": ""}, "preset", "use shopify-rest or shopify-graphql"),
        ({"circuit": {"failures": 1.5}}, "circuit.failures", "expected a whole number"),
        ({"circuit": {"open": "2d"}}, "circuit.open", "the most is 1d"),
        ({"circuit": {"opens": "1m"}}, "circuit.opens", "did you mean open?"),
        ({"circuit": False}, "circuit", "expected an object"),
    ],
)
async def test_a_wrong_setting_is_refused_by_its_name(idle: Api, settings: Json, path: str, says: str):
    refusal(await idle.client.put("/queue/shop", json=settings), 422, "validation_error", path, says)


async def test_a_key_is_shown_with_its_tokens_and_what_runs_and_waits(api: Api, function: Function):
    await put(api, perKey={"concurrency": 1, "rate": {"limit": 1, "period": "1h", "burst": 10}})
    function.replies(ACCEPTED)
    for _ in range(3):
        await api.enqueue(queue="shop", key="a", cost=2)
    await function.called(1)

    shown = await key(api, "a")

    assert shown.pop("tokens") == pytest.approx(8, abs=0.1)
    assert shown.pop("refillPerSecond") == pytest.approx(1 / 3600)
    assert shown == {"key": "a", "burst": 10, "running": 1, "waiting": 2, "paused": False, "blockedUntil": None}


async def test_a_key_without_limits_that_was_never_heard_of_is_free(idle: Api):
    none = dict.fromkeys(["tokens", "burst", "refillPerSecond", "blockedUntil"])
    assert await key(idle, "new") == none | {"key": "new", "running": 0, "waiting": 0, "paused": False}


@pytest.mark.parametrize("name", ["a b", "a/b", "ü漢", "a?b=c", "100%", "a#b", "a/pause", "https://a.b/", "/a"])
async def test_a_key_is_the_rest_of_the_path_whatever_it_holds(idle: Api, name: str):
    await idle.enqueue(queue="shop", key=name, delay="1h")
    path = f"/queue/shop/key/{quote(name, safe='')}"

    assert (await idle.client.get(path)).json()["waiting"] == 1
    assert (await idle.client.post(f"{path}/pause")).json()["paused"] is True
    listed = (await idle.client.get("/queue/shop/key")).json()["items"]
    assert [(item["key"], item["paused"]) for item in listed] == [(name, True)]


async def test_a_paused_key_waits_until_it_is_resumed(api: Api, function: Function):
    paused = (await api.client.post("/queue/shop/key/a/pause")).json()
    assert (paused["key"], paused["paused"]) == ("a", True)
    held = await api.enqueue(queue="shop", key="a")
    await api.until(await api.enqueue(queue="shop", key="b"), "succeeded")
    assert (await api.job(held))["state"] == "queued"

    assert (await api.client.post("/queue/shop/key/a/resume")).json()["paused"] is False

    await api.until(held, "succeeded")


async def test_a_reset_key_begins_anew(api: Api, function: Function):
    await put(api, perKey={"rate": {"limit": 1, "period": "1h", "burst": 2}})
    receipt = b'{"status":"throttled","retryAfter":"1h","limits":{"used":2,"max":2}}'
    function.replies(Reply(200, receipt), Reply())
    throttled = await api.enqueue(queue="shop", key="a")
    await api.until(throttled, "scheduled")
    waits = await api.enqueue(queue="shop", key="a")
    assert (await key(api, "a"))["blockedUntil"] is not None

    shown = (await api.client.post("/queue/shop/key/a/reset")).json()

    assert (shown["blockedUntil"], shown["burst"]) == (None, 2)
    await api.until(waits, "succeeded")


async def test_keys_that_wait_are_listed_page_by_page(idle: Api):
    names = {f"k{number}" for number in range(230)}
    for start in range(0, 230, 115):
        jobs = [{"worker": "a", "queue": "shop", "key": f"k{start + at}", "delay": "1h"} for at in range(115)]
        await idle.post("/job/batch", {"jobs": jobs})
    found, cursor = set(), ""
    while True:
        page = (await idle.client.get(f"/queue/shop/key?limit=50{cursor}")).json()
        found |= {item["key"] for item in page["items"]}
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert found == names


async def test_what_is_done_to_a_key_is_one_of_three_things(idle: Api):
    refusal(await idle.client.post("/queue/shop/key/a/stop"), 404, "not_found", says="/pause, /resume or /reset")
    refusal(await idle.client.post("/queue/shop/key/pause"), 422, "validation_error", "key")
    refusal(await idle.client.post("/queue/-shop/key/a/pause"), 422, "validation_error", "name")
    refusal(await idle.client.get(f"/queue/shop/key/{'x' * 257}"), 422, "validation_error", "key")


async def test_an_open_circuit_is_shown_with_its_worker(api: Api, function: Function):
    await put(api, circuit={"failures": 2, "open": "1h"})
    function.replies(Reply(500))
    for _ in range(2):
        await api.enqueue("bad", queue="shop", maxAttempts=1)

    async def opened() -> Json | None:
        (*circuits,) = (await api.client.get("/queue/shop")).json()["circuits"]
        return {"shown": circuits} if circuits and circuits[0]["openUntil"] else None

    (shown,) = (await eventually(opened))["shown"]
    assert (shown["worker"], shown["failures"]) == ("bad", 2)


@pytest.mark.parametrize("cursor", ["01", "9" * 20, "9" * 400, "\u00b2", "-1", "x"])
async def test_a_cursor_of_keys_that_is_none_is_the_beginning(idle: Api, cursor: str):
    answer = await idle.client.get("/queue/shop/key", params={"cursor": cursor})

    assert (answer.status_code, answer.json()) == (200, {"items": [], "cursor": None})
