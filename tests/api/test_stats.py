"""`GET /stat`: what is, and what has happened in the last minutes."""

import msgspec

from coordinator.api import stats
from coordinator.domain.instants import parse_instant
from tests.api.harness import Reply, refusal

TOKEN = "secret-of-the-admin-0123456789abcdef"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
FAILURE = Reply(200, b'{"status":"failure","error":"no","retryable":false}')


async def stats_of(api, query="", **more):
    answer = await api.client.get(f"/stat{query}", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_idle_system_has_nothing_to_tell(api):
    found = await stats_of(api)

    assert found["minutes"] == 60
    assert found["stepMs"] == 60_000
    assert set(found["counts"].values()) == {0}
    assert found["oldestDue"] is None
    assert {name: len(series) for name, series in found["series"].items()} == dict.fromkeys(found["series"], 60)
    assert found["series"]["created"] == [0] * 60
    assert found["series"]["waitP95Ms"] == [None] * 60
    assert (found["queues"], found["workers"], found["isTruncated"]) == ([], [], False)
    since, now = parse_instant(found["since"], ""), parse_instant(found["now"], "")
    assert since % 60_000 == 0
    assert since + 59 * 60_000 <= now < since + 61 * 60_000


async def test_what_has_happened_is_told(api, function):
    function.replies(Reply(200, b'{"status":"success"}'), FAILURE)
    await api.until(await api.enqueue(), "succeeded")
    await api.until(await api.enqueue(queue="mail"), "dead")
    await api.enqueue(delay="1h")

    found = await stats_of(api, "?minutes=3")

    series = {name: sum(numbers) for name, numbers in found["series"].items() if not name.endswith("Ms")}
    assert series == {
        "created": 3,
        "started": 2,
        "succeeded": 1,
        "failed": 1,
        "dead": 1,
        "cancelled": 0,
        "throttled": 0,
    }
    assert max(ms for ms in found["series"]["runP95Ms"] if ms is not None) < 5000
    assert found["counts"] | {"scheduled": 1, "succeeded": 1, "dead": 1} == found["counts"]
    default, mail = found["queues"]
    assert (default["name"], default["counts"]["scheduled"], default["latencyMs"], default["paused"]) == (
        "default",
        1,
        0,
        False,
    )
    assert (sum(mail["series"]["dead"]), sum(mail["series"]["succeeded"])) == (1, 0)
    (worker,) = found["workers"]
    assert (worker["name"], worker["succeeded"], worker["failed"]) == ("send-email", 1, 1)
    assert worker["runP50Ms"] <= worker["runP95Ms"]


async def test_a_queue_that_lags_behind_is_told(api):
    await api.post("/queue/slow/pause")
    job = await api.job(await api.enqueue(queue="slow"))

    found = await stats_of(api)

    assert found["oldestDue"]["queue"] == "slow"
    assert found["oldestDue"]["dueAt"] == job["runAt"]
    assert 0 <= found["oldestDue"]["latencyMs"] < 15_000
    assert (found["queues"][0]["paused"], found["queues"][0]["counts"]["queued"]) == (True, 1)


async def test_one_queue_alone_is_told(api):
    await api.enqueue(delay="1h")
    await api.enqueue(queue="mail", delay="1h")

    found = await stats_of(api, "?queue=mail")

    assert [queue["name"] for queue in found["queues"]] == ["mail"]
    assert (found["counts"]["scheduled"], sum(found["series"]["created"])) == (1, 1)


async def test_the_workers_of_other_queues_are_not_those_of_one(api):
    """Queues of the same shard too: there are more of them than shards."""
    queues = [f"q{number}" for number in range(api.app.state["replica"].store.shards + 1)]
    for queue in queues:
        await api.until(await api.enqueue(f"worker-of-{queue}", queue=queue), "succeeded")

    for queue in queues:
        found = await stats_of(api, f"?queue={queue}")
        assert [worker["name"] for worker in found["workers"]] == [f"worker-of-{queue}"]


async def test_it_tells_who_works_and_how_full_redis_is(api, kind):
    ready = (await api.client.get("/ready")).json()

    found = await stats_of(api)

    assert [member["id"] for member in found["replicas"]["items"]] == [ready["replica"]]
    if kind == "in-process":
        assert found["store"] is None
    else:
        assert found["store"]["usedBytes"] > 0
        assert (found["store"]["maxBytes"], found["store"]["percent"]) == (None, None)


async def test_a_token_of_some_queues_sees_these(start):
    async with start(tokens=TOKEN) as api:
        api.client.headers.update(ADMIN)
        await api.enqueue(queue="mail", delay="1h")
        await api.enqueue(queue="other", delay="1h")
        made = await api.post("/token", {"name": "m", "scopes": ["read"], "queues": ["mail"]})
        bearer = {"authorization": f"Bearer {made.json()['token']}"}

        found = await stats_of(api, headers=bearer)

        assert [queue["name"] for queue in found["queues"]] == ["mail"]
        assert (found["counts"]["scheduled"], sum(found["series"]["created"])) == (1, 1)
        assert (found["workers"], found["replicas"], found["store"]) == (None, None, None)
        refusal(await api.client.get("/stat?queue=other", headers=bearer), 403, "forbidden")


async def test_whether_a_token_is_told_all_does_not_depend_on_what_it_is_not_for(start, monkeypatch):
    monkeypatch.setattr(stats, "WORKERS_MOST", 0)
    async with start(tokens=TOKEN) as api:
        api.client.headers.update(ADMIN)
        await api.until(await api.enqueue(queue="mail"), "succeeded")
        made = await api.post("/token", {"name": "m", "scopes": ["read"], "queues": ["mail"]})

        found = await stats_of(api, headers={"authorization": f"Bearer {made.json()['token']}"})

        assert (found["workers"], found["isTruncated"]) == (None, False)


async def test_what_cannot_be_told_is_refused(idle):
    refusal(await idle.client.get("/stat?minutes=181"), 422, "validation_error", "minutes")
    refusal(await idle.client.get("/stat?minutes=0"), 422, "validation_error", "minutes")
    refusal(await idle.client.get("/stat?hours=1"), 422, "validation_error", "hours")


async def test_the_answer_is_as_described(api):
    described = (await api.client.get("/openapi.json")).json()
    shape = described["components"]["schemas"]["StatShape"]

    assert set(msgspec.json.decode((await api.client.get("/stat")).content)) == set(shape["properties"])
