"""`/queue`: limits that hold, pauses that stay, and what is shown."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from coordinator.domain.ids import shard_of_queue
from tests.api.harness import SUCCESS, Api, Function, Json, Reply, eventually, refusal

DAY_MS = 86_400_000

UNTOUCHED: Json = {
    "queued": 0,
    "scheduled": 0,
    "retrying": 0,
    "running": 0,
    "succeeded": 0,
    "dead": 0,
    "cancelled": 0,
    "latencyMs": 0,
    "paused": False,
    "blockedUntil": None,
    "concurrency": None,
    "rate": None,
    "perKey": {"concurrency": None, "rate": None},
    "maxWaiting": 1_000_000,
    "circuit": {"failures": 20, "openMs": 30_000},
    "circuits": [],
    "defaults": {"maxAttempts": None, "timeoutMs": None, "backoff": None},
    "owner": None,
    "retention": {
        "succeeded": {"ageMs": DAY_MS, "count": 10_000},
        "dead": {"ageMs": 30 * DAY_MS, "count": 10_000},
        "cancelled": {"ageMs": DAY_MS, "count": 1_000},
    },
}


async def finished(api: Api, queue: str, count: int) -> Json:
    """The queue when so many of its jobs have succeeded."""

    async def look() -> Json | None:
        view: Json = (await api.client.get(f"/queue/{queue}")).json()
        return view if view["succeeded"] >= count else None

    return await eventually(look)


async def test_many_queues_are_listed_by_name_in_a_script_for_each_hundred(idle: Api, monkeypatch: pytest.MonkeyPatch):
    names = sorted(f"q{number}" for number in range(250))
    for name in names:
        await idle.client.put(f"/queue/{name}", json={"concurrency": int(name[1:]) + 1})
    store = idle.app.state["replica"].store
    ran: list[str] = []
    run = store.connection.run

    async def counted(script: str, *given: object, **values: object) -> object:
        ran.append(script)
        return await run(script, *given, **values)

    monkeypatch.setattr(store.connection, "run", counted)

    items = (await idle.client.get("/queue")).json()["items"]

    assert [(item["name"], item["concurrency"]) for item in items] == [(name, int(name[1:]) + 1) for name in names]
    held = Counter(shard_of_queue(name, store.shards) for name in names)
    assert ran.count("read_queues") == sum(-(-count // 100) for count in held.values())
    assert {script for script in ran if script.startswith(("list_", "read_"))} == {"list_queues", "read_queues"}


async def test_a_queue_without_settings_has_the_defaults(api: Api):
    answer = await api.client.put("/queue/mail", json={})

    assert (answer.status_code, answer.json()) == (200, {"name": "mail"} | UNTOUCHED)
    assert (await api.client.get("/queue/mail")).json() == answer.json()
    assert (await api.client.get("/queue")).json() == {"items": [answer.json()]}


async def test_settings_are_shown_as_they_were_set(api: Api):
    settings = {"concurrency": 3, "rate": {"limit": 2, "period": "5s", "burst": 40}, "paused": True}
    settings |= {"maxWaiting": 7}
    settings |= {"retention": {"dead": {"age": "1h", "count": 5}}}

    shown = (await api.client.put("/queue/mail", json=settings)).json()

    retention = UNTOUCHED["retention"] | {"dead": {"ageMs": 3_600_000, "count": 5}}
    rate = {"limit": 2, "periodMs": 5000, "burst": 40}
    assert shown == UNTOUCHED | {
        "name": "mail",
        "concurrency": 3,
        "rate": rate,
        "maxWaiting": 7,
        "paused": True,
        "retention": retention,
    }
    assert (await api.client.get("/queue/mail")).json() == shown


async def test_a_burst_is_the_limit_when_left_out(api: Api):
    shown = (await api.client.put("/queue/mail", json={"rate": {"limit": 7}})).json()

    assert shown["rate"] == {"limit": 7, "periodMs": 1000, "burst": 7}


async def test_what_is_left_out_goes_but_a_pause_stays(api: Api):
    await api.client.put("/queue/mail", json={"concurrency": 3, "rate": {"limit": 2}, "paused": True})

    shown = (await api.client.put("/queue/mail", json={})).json()
    assert (shown["concurrency"], shown["rate"], shown["paused"]) == (None, None, True)

    shown = (await api.client.put("/queue/mail", json={"paused": False})).json()
    assert shown["paused"] is False


async def test_a_paused_queue_keeps_its_jobs_until_it_is_resumed(api: Api, function: Function):
    await api.client.put("/queue/mail", json={"paused": True})
    job_id = await api.enqueue(queue="mail")
    other_id = await api.enqueue(queue="other")
    await api.until(other_id, "succeeded")

    shown = (await api.client.get("/queue/mail")).json()
    assert (shown["queued"], shown["paused"]) == (1, True)
    assert (await api.job(job_id))["state"] == "queued"

    await api.client.put("/queue/mail", json={"paused": False})
    await api.until(job_id, "succeeded")


async def test_a_queue_begins_with_its_first_job(api: Api):
    refusal(await api.client.get("/queue/mail"), 404, "queue_not_found", says="PUT /queue/mail")

    await api.enqueue(queue="mail", delay="1h")

    assert (await api.client.get("/queue/mail")).json() == {"name": "mail"} | UNTOUCHED | {"scheduled": 1}


async def test_the_counts_tell_how_many_are_in_which_state(api: Api, function: Function):
    await api.client.put("/queue/mail", json={"concurrency": 1})
    function.hold()
    running = await api.enqueue(queue="mail")
    await function.called(1)
    await api.enqueue(queue="mail")
    await api.enqueue(queue="mail", delay="1h")
    cancelled = await api.enqueue(queue="mail", delay="1h")
    await api.client.delete(f"/job/{cancelled}")

    shown = (await api.client.get("/queue/mail")).json()

    counts = {"queued": 1, "scheduled": 1, "retrying": 0, "running": 1, "succeeded": 0, "dead": 0, "cancelled": 1}
    assert {name: shown[name] for name in counts} == counts
    assert 0 <= shown["latencyMs"] < 5000
    assert (await api.job(running))["state"] == "running"


async def test_a_rate_limit_spreads_what_is_over_the_burst(api: Api, function: Function):
    """Two at once, then two a second: in no window more than burst + rate * window."""
    await api.client.put("/queue/slow", json={"rate": {"limit": 2, "period": "1s", "burst": 2}})

    jobs = await asyncio.gather(*(api.enqueue(queue="slow") for _ in range(5)))
    await finished(api, "slow", 5)

    starts = sorted([(await api.job(job_id))["startedAt"] for job_id in jobs])
    at = [float(start[-7:-1]) + 60 * int(start[-10:-8]) + 3600 * int(start[-13:-11]) for start in starts]
    first = [start - at[0] for start in at]
    # Instants are whole ms, and the bucket's are not.
    assert all(found >= due - 0.002 for found, due in zip(first, (0, 0, 0.5, 1.0, 1.5), strict=True)), first
    assert first[1] < 0.4, first
    assert first[4] < 4, first


async def test_a_concurrency_of_one_never_runs_two_at_once(api: Api, function: Function):
    await api.client.put("/queue/single", json={"concurrency": 1})

    jobs = await asyncio.gather(*(api.enqueue(queue="single") for _ in range(8)))
    await finished(api, "single", 8)

    spans = sorted([(job["startedAt"], job["finishedAt"]) for job in [await api.job(job_id) for job_id in jobs]])
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), spans
    assert (function.most_at_once, len(function.calls)) == (1, 8)


async def test_queues_are_listed_by_name(api: Api):
    for name in ("b", "a", "c.d:e-f_g"):
        await api.client.put(f"/queue/{name}", json={})
    await api.enqueue(queue="B", delay="1h")

    items = (await api.client.get("/queue")).json()["items"]

    assert [item["name"] for item in items] == ["B", "a", "b", "c.d:e-f_g"]


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        ({"concurrency": 0}, "concurrency", ">= 1"),
        ({"concurrency": 1.5}, "concurrency", "expected a whole number"),
        ({"rate": 5}, "rate", "expected an object"),
        ({"rate": {}}, "rate.limit", "is required"),
        ({"rate": {"limit": 0}}, "rate.limit", "> 0"),
        ({"rate": {"limit": 1, "period": "0s"}}, "rate.period", "too short"),
        ({"rate": {"limit": 1, "period": "2d"}}, "rate.period", "the most is 1d"),
        ({"rate": {"limit": 1, "burst": 0}}, "rate.burst", "> 0"),
        ({"rate": {"limit": 0.5}}, "rate.burst", "is below 1"),
        ({"rate": {"limit": 1, "brust": 1}}, "rate.brust", "did you mean burst?"),
        ({"pause": True}, "pause", "did you mean paused?"),
        ({"paused": "yes"}, "paused", "expected true or false"),
        ({"retention": {"queued": {"age": 1, "count": 1}}}, "retention", "queued"),
        ({"maxWaiting": 0}, "maxWaiting", ">= 1"),
        ({"maxWaiting": 100_000_001}, "maxWaiting", "<= 100000000"),
        ({"maxWaiting": 1.5}, "maxWaiting", "expected a whole number"),
        ({"retention": {"dead": {"age": "x", "count": 1}}}, "retention.dead.age", "is not a duration"),
        ({"retention": {"dead": {"age": "1d"}}}, "retention.dead.count", "is required"),
        ({"perkey": {}}, "perkey", "did you mean perKey?"),
        ({"perKey": {"concurrency": 0}}, "perKey.concurrency", ">= 1"),
        ({"perKey": {"rate": {"limit": 1, "period": "2d"}}}, "perKey.rate.period", "the most is 1d"),
        ({"preset": "shopify"}, "preset", "use shopify-rest or shopify-graphql"),
        ({"circuit": {"failures": 0}}, "circuit.failures", ">= 1"),
        ({"circuit": {"open": "1ms"}}, "circuit.open", "too short"),
    ],
)
async def test_a_wrong_setting_is_refused_by_its_name(idle: Api, settings: Json, path: str, says: str):
    refusal(await idle.client.put("/queue/mail", json=settings), 422, "validation_error", path, says)

    assert (await idle.client.get("/queue")).json() == {"items": []}


@pytest.mark.parametrize("name", ["-a", "a b", "ü", "a" * 129, "a%0A"])
async def test_a_queue_needs_a_proper_name(idle: Api, name: str):
    for answer in (await idle.client.get(f"/queue/{name}"), await idle.client.put(f"/queue/{name}", json={})):
        refusal(answer, 422, "validation_error", "name", "is not a queue name")


async def test_jobs_have_what_their_queue_says_unless_they_or_their_worker_say_otherwise(api: Api):
    backoff = {"type": "fixed", "base": "1s", "jitter": 0}
    settings = {"paused": True, "defaults": {"maxAttempts": 3, "timeout": "1m", "backoff": backoff}}
    shown = (await api.client.put("/queue/mail", json=settings)).json()
    assert shown["defaults"]["maxAttempts"] == 3
    assert (shown["defaults"]["timeoutMs"], shown["defaults"]["backoff"]["baseMs"]) == (60_000, 1000)
    await api.client.put("/worker/slow", json={"url": "https://slow.example/", "timeout": "2m", "queue": "mail"})

    async def dry(**body: object) -> Json:
        found: Json = (await api.post("/job?dryRun=true", {"worker": "a", "queue": "mail"} | body)).json()
        return found

    async def timeout_ms(**body: object) -> int:
        made = await dry(every="1h", **body)
        return int(made["job"]["timeoutMs"])

    plain = await dry()
    assert (plain["job"]["maxAttempts"], plain["retrySchedule"]) == (3, [1000, 1000])
    assert (await dry(maxAttempts=2, backoff={"base": "5s"}))["retrySchedule"] == [5000]
    assert (await dry(queue="other"))["job"]["maxAttempts"] == 10
    assert [await timeout_ms(), await timeout_ms(worker="slow"), await timeout_ms(timeout="3m")] == [
        60_000,
        120_000,
        180_000,
    ]
    await api.client.put("/queue/mail", json={})
    assert (await dry())["job"]["maxAttempts"] == 10


@pytest.mark.parametrize(
    ("defaults", "path"),
    [
        ({"maxAttempts": 0}, "defaults.maxAttempts"),
        ({"timeout": "25h"}, "defaults.timeout"),
        ({"backoff": {"base": "-1s"}}, "defaults.backoff.base"),
        ({"priority": 1}, "defaults.priority"),
    ],
)
async def test_a_wrong_default_is_refused_by_its_name(idle: Api, defaults: Json, path: str):
    refusal(await idle.client.put("/queue/mail", json={"defaults": defaults}), 422, "validation_error", path)
    refusal(await idle.client.get("/queue/mail"), 404, "queue_not_found")


async def test_a_block_of_the_jobs_without_a_key_is_shown_and_lifted(api: Api, function: Function):
    function.replies(Reply(429, headers={"Retry-After": "100"}), SUCCESS)
    job_id = await api.enqueue(queue="mail")
    await api.until(job_id, "scheduled")
    other = await api.enqueue(queue="mail")
    blocked_until = (await api.client.get("/queue/mail")).json()["blockedUntil"]
    assert blocked_until is not None
    reasons = (await api.job(other))["waitingFor"]
    assert {"type": "retryAfter", "queue": "mail", "key": None, "until": blocked_until} in reasons

    assert (await api.post("/queue/mail/resume")).json()["blockedUntil"] is None

    await api.until(other, "succeeded")
    assert (await api.job(job_id))["state"] == "scheduled"
