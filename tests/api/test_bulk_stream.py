"""`POST /job/bulk` with `Accept: application/x-ndjson`: how far it is, line by line."""

import contextlib
import json

import pytest

from coordinator.api import bulk, guards
from coordinator.engine.replica import Replica
from coordinator.errors import StoreUnavailable
from coordinator.store.jobs import JobStore
from tests.api.event_stream import streaming
from tests.api.harness import JSON, eventually, refusal

NDJSON = {"accept": "application/x-ndjson"}


@pytest.fixture
async def many(api):
    """250 jobs for later."""
    jobs = [{"worker": "w", "delay": "1h"}] * 250
    for start in (0, 100, 200):
        await api.post("/job/batch", {"jobs": jobs[start : start + 100]})
    return api


async def lines_of(api, **body):
    answer = await api.post("/job/bulk", {"filter": {"queue": "default"}} | body, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_the_last_line_is_what_it_came_to(many):
    *progress, last = await lines_of(many, action="cancel")

    assert last == {"matched": 250, "done": 250, "more": False}
    assert progress
    assert all(set(line) == {"matched", "done"} for line in progress)
    assert [line["matched"] for line in progress] == sorted(line["matched"] for line in progress)


async def test_each_page_is_told_of_if_it_takes_long_enough(many, monkeypatch):
    monkeypatch.setattr(bulk, "TELL_S", 0)

    *progress, _ = await lines_of(many, action="cancel")

    assert {line["done"] for line in progress} >= {100, 200, 250}


async def test_a_dry_run_counts_and_a_limit_ends_it(many):
    assert (await lines_of(many, action="cancel", dryRun=True))[-1] == {"matched": 250, "done": 0, "more": False}
    assert (await lines_of(many, action="cancel", limit=120))[-1] == {"matched": 120, "done": 120, "more": True}


async def test_what_finds_nothing_has_nothing_to_do(api):
    assert (await lines_of(api, action="cancel"))[-1] == {"matched": 0, "done": 0, "more": False}
    nobody = {"filter": {"scheduleId": "nobody"}}
    assert (await lines_of(api, action="cancel", **nobody))[-1] == {"matched": 0, "done": 0, "more": False}


async def test_more_than_ten_thousand_are_done_in_a_stream_only(api):
    body = {"action": "cancel", "filter": {"queue": "default"}, "limit": 1_000_000}
    refusal(await api.post("/job/bulk", body), 422, "validation_error", "limit")
    assert (await lines_of(api, action="cancel", limit=1_000_000))[-1]["more"] is False
    refusal(await api.post("/job/bulk", body | {"limit": 1_000_001}, headers=NDJSON), 422, "validation_error", "limit")


async def test_an_error_on_the_way_is_told_in_a_line(many, monkeypatch):
    change = JobStore.change

    async def fail_later(self, shard, verb, ids):
        monkeypatch.setattr(JobStore, "change", away)
        return await change(self, shard, verb, ids)

    async def away(*_):
        raise StoreUnavailable("redis_unavailable", "Redis is away.")

    monkeypatch.setattr(JobStore, "change", fail_later)

    *_, last = await lines_of(many, action="cancel")

    assert last["problem"] | {"title": ""} == {
        "type": "about:blank",
        "title": "",
        "status": 503,
        "code": "redis_unavailable",
        "detail": "Redis is away.",
    }


async def test_a_replica_that_stops_says_so(many):
    replica: Replica = many.app.state["replica"]
    replica.is_stopping = True
    *_, last = await lines_of(many, action="cancel")
    replica.is_stopping = False

    assert last["problem"]["code"] == "stopping"
    assert (await many.client.get("/queue/default")).json()["cancelled"] < 250


async def test_a_replica_does_only_so_many_at_once(many, monkeypatch):
    monkeypatch.setattr(bulk, "TELL_S", 0)
    asked = {"action": "cancel", "filter": {"queue": "default"}, "dryRun": True}
    body = json.dumps(asked).encode()
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(bulk.STREAMS_MOST):
            stream = streaming(many.app, "/job/bulk", NDJSON | JSON, method="POST", body=body)
            (await opened.enter_async_context(stream)).stop_reading()
        refusal(await many.post("/job/bulk", asked, headers=NDJSON), 503, "too_many_streams")

    assert (await lines_of(many, action="cancel", dryRun=True))[-1]["matched"] == 250


async def test_a_revoked_token_ends_it_after_the_page_in_hand(many, monkeypatch):
    monkeypatch.setattr(guards, "RENEWED_EACH_S", 0)
    made = (await many.post("/token", {"name": "m", "scopes": ["manage", "read"]})).json()
    many.client.headers["authorization"] = f"Bearer {made['token']}"
    change = JobStore.change

    async def revoke_meanwhile(self, shard, verb, ids):
        monkeypatch.setattr(JobStore, "change", change)
        await many.app.state["replica"].tokens.revoke(made["id"])
        return await change(self, shard, verb, ids)

    monkeypatch.setattr(JobStore, "change", revoke_meanwhile)

    *_, last = await lines_of(many, action="cancel")

    assert (last["problem"]["status"], last["problem"]["code"]) == (401, "unauthenticated")
    assert (await many.app.state["replica"].store.queues.read("default")).counts["cancelled"] == 100


async def test_a_client_that_goes_away_stops_it_after_the_page_in_hand(many, monkeypatch):
    monkeypatch.setattr(bulk, "TELL_S", 0)
    body = json.dumps({"action": "cancel", "filter": {"queue": "default"}}).encode()
    async with streaming(many.app, "/job/bulk", NDJSON | JSON, method="POST", body=body) as stream:
        stream.stop_reading()
        stream.leave()
        await stream.over()

    async def stands_still():
        queue = (await many.client.get("/queue/default")).json()
        return queue if queue["cancelled"] + queue["scheduled"] == 250 else None

    assert (await eventually(stands_still))["cancelled"] < 250
