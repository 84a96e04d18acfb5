"""`GET /event`: what happens is told as it does, to whoever has chosen it, once."""

import asyncio
import contextlib

import msgspec
import pytest

from coordinator.api import events, guards
from coordinator.app import build_app
from coordinator.engine import watch
from coordinator.settings import Settings
from coordinator.store.embedded import bundled_program
from coordinator.store.open import open_store
from tests.api.event_stream import streaming
from tests.api.harness import Api, client_of, eventually, living, refusal

TOKEN = "secret-of-the-admin-0123456789abcdef"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
LIFE = ("job.created", "job.started", "job.succeeded")


def watch_of(api):
    return api.app.state["replica"].watch


async def test_it_begins_with_a_hello_and_tells_what_happens(api):
    async with streaming(api.app, "/event") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")
        hello = await stream.message()
        assert (hello["event"], hello["retry"]) == ("hello", "1000")
        assert msgspec.json.decode(hello["data"])["at"].endswith("Z")
        job_id = await api.enqueue(key="k")

        created, started, ended = await stream.events(*LIFE)

        assert created | {"at": ""} == {
            "type": "job.created",
            "at": "",
            "jobId": job_id,
            "queue": "default",
            "worker": "send-email",
            "key": "k",
            "attempt": 0,
            "state": "queued",
            "scheduleId": None,
            "batchId": None,
        }
        assert (started["attempt"], started["state"]) == (1, "running")
        assert (ended["outcome"], ended["state"]) == ("success", "succeeded")


async def test_only_what_was_chosen_is_told(api):
    other, mail = await api.enqueue(delay="1h"), await api.enqueue(queue="mail", delay="1h")
    paths = [f"/event?{query}" for query in ("queue=mail", f"jobId={mail}", "type=circuit.,job.cancelled", "worker=w2")]
    async with contextlib.AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(streaming(api.app, path)) for path in paths]
        for stream in streams:
            await stream.events("hello")
        await api.post(f"/job/{other}/cancel")
        await api.post(f"/job/{mail}/run")
        await api.until(mail, "succeeded")
        await api.enqueue("w2", queue="mail")

        of_queue, of_job, of_types, of_worker = streams
        assert {event["jobId"] for event in await of_queue.events("job.queued", "job.started", "job.succeeded")} == {
            mail
        }
        await of_queue.events(*LIFE)
        await of_job.events("job.queued", "job.started", "job.succeeded")
        assert [event["jobId"] for event in await of_types.events("job.cancelled")] == [other]
        await of_worker.events(*LIFE)


async def test_the_runs_of_a_schedule_are_told_by_its_name(api):
    body = {"worker": "report", "every": "1h"}
    made = await api.client.put("/schedule/nightly", json=body)
    async with streaming(api.app, "/event?scheduleId=nightly") as stream:
        await stream.events("hello")
        await api.enqueue()
        await api.post("/schedule/nightly/trigger")

        told = await stream.events(*LIFE)
        assert {event["scheduleId"] for event in told} == {made.json()["id"]}
    async with streaming(api.app, "/event?scheduleId=unknown") as stream:
        assert stream.status == 404


async def test_who_was_cut_off_goes_on_without_a_loss(api):
    async with streaming(api.app, "/event") as stream:
        await stream.events("hello")
        await api.until(await api.enqueue(), "succeeded")
        await stream.events(*LIFE)
        last = stream.last_id
    meanwhile = [await api.enqueue(queue=f"q{number}", delay="1h") for number in range(5)]

    for path, headers in (("/event", {"last-event-id": last}), (f"/event?after={last}", {})):
        async with streaming(api.app, path, headers) as stream:
            meanwhile.append(await api.enqueue(delay="1h"))
            told = await stream.events("hello", *["job.created"] * len(meanwhile))
            assert sorted(event["jobId"] for event in told[1:]) == sorted(meanwhile)


async def test_who_comes_back_too_late_is_told_of_a_gap(api):
    await api.enqueue(delay="1h")
    for unknown in ("no place", "1_0.0.0_1.0.0"):
        async with streaming(api.app, "/event", {"last-event-id": unknown}) as stream:
            await stream.events("hello", "gap")
            await api.enqueue(delay="1h")
            await stream.events("job.created")


async def test_who_comes_back_to_a_few_of_many_events_has_missed_none(api, monkeypatch):
    monkeypatch.setattr(watch, "PENDING_MOST", 10)
    async with streaming(api.app, "/event?worker=mine") as stream:
        await stream.events("hello")
        last = stream.last_id
    for number in range(30):
        await api.enqueue("mine" if number % 10 == 0 else "other", delay="1h")
    async with streaming(api.app, "/event?worker=mine", {"last-event-id": last}) as stream:
        await stream.events("hello", *["job.created"] * 3)
    async with streaming(api.app, "/event", {"last-event-id": last}) as stream:
        await stream.events("hello", "gap")


async def test_who_does_not_read_is_told_of_a_gap_and_holds_nobody_up(api, monkeypatch):
    monkeypatch.setattr(watch, "PENDING_MOST", 10)
    async with streaming(api.app, "/event") as slow, streaming(api.app, "/event") as quick:
        await slow.events("hello")
        await quick.events("hello")
        slow.stop_reading()
        for _ in range(4):
            await api.until(await api.enqueue(), "succeeded")
            await quick.events(*LIFE)
        for _ in range(4):
            await api.until(await api.enqueue(), "succeeded")
            await quick.events(*LIFE)
        slow.read_on()
        types = []
        while "gap" not in types:
            types.append((await slow.event())["type"])

        assert len(types) < 24
        await api.enqueue(delay="1h")
        while types[-1] != "job.created":
            types.append((await slow.event())["type"])


@pytest.mark.parametrize("is_reading", [True, False])
async def test_a_place_is_free_as_soon_as_its_client_has_gone(api, monkeypatch, is_reading):
    monkeypatch.setattr(watch, "LISTENERS_MOST", 1)
    async with streaming(api.app, "/event") as stream:
        await stream.events("hello")
        if not is_reading:
            stream.stop_reading()
            await api.enqueue(delay="1h")
        refusal(await api.client.get("/event"), 503, "too_many_streams")
        stream.leave()
        await stream.over()
        async with streaming(api.app, "/event") as other:
            await other.events("hello")


async def test_a_stream_ends_when_the_replica_stops(start):
    async with start() as api:
        opened = streaming(api.app, "/event")
        stream = await opened.__aenter__()
        await stream.events("hello")
    await stream.over()
    await opened.__aexit__(None, None, None)


async def test_an_idle_stream_shows_that_it_lives_and_where_it_stands(api, monkeypatch):
    monkeypatch.setattr(events, "BEAT_S", 0.1)
    async with streaming(api.app, "/event?type=circuit.") as stream:
        await stream.events("hello")
        before = stream.last_id
        await api.until(await api.enqueue(), "succeeded")

        async def moved():
            fields = await stream.message()
            assert set(fields) == {"", "id"}  # A comment has no name.
            return fields if fields["id"] != before else None

        await eventually(moved)


async def test_a_token_of_some_queues_has_to_choose_one(start):
    async with start(tokens=TOKEN) as api:
        api.client.headers.update(ADMIN)
        made = await api.post("/token", {"name": "m", "scopes": ["read"], "queues": ["mail"]})
        bearer = {"authorization": f"Bearer {made.json()['token']}"}
        refusal(await api.client.get("/event", headers=bearer), 403, "forbidden")
        refusal(await api.client.get("/event?queue=other", headers=bearer), 403, "forbidden")
        await api.client.put("/schedule/of-others", json={"worker": "w", "queue": "other", "every": "1h"})
        for name in ("of-others", "of-nobody"):
            answer = await api.client.get(f"/event?queue=mail&scheduleId={name}", headers=bearer)
            refusal(answer, 404, "schedule_not_found", says=name)
        async with streaming(api.app, "/event?queue=mail", bearer) as stream:
            await stream.events("hello")
            await api.enqueue(delay="1h")
            job_id = await api.enqueue(queue="mail", delay="1h")
            (created,) = await stream.events("job.created")
            assert created["jobId"] == job_id


async def test_a_stream_ends_when_its_token_is_revoked(start, monkeypatch):
    monkeypatch.setattr(events, "BEAT_S", 0.1)
    async with start(tokens=TOKEN) as api:
        api.client.headers.update(ADMIN)
        made = (await api.post("/token", {"name": "m", "scopes": ["read"]})).json()
        async with streaming(api.app, "/event", {"authorization": f"Bearer {made['token']}"}) as stream:
            await stream.events("hello")
            await api.client.delete(f"/token/{made['id']}")
            await stream.over()


async def test_a_busy_stream_tells_nothing_more_to_a_revoked_token(start, monkeypatch):
    monkeypatch.setattr(guards, "RENEWED_EACH_S", 0)
    async with start(tokens=TOKEN) as api:
        api.client.headers.update(ADMIN)
        made = (await api.post("/token", {"name": "m", "scopes": ["read"]})).json()
        async with streaming(api.app, "/event", {"authorization": f"Bearer {made['token']}"}) as stream:
            await stream.events("hello")
            await api.enqueue(delay="1h")
            await stream.events("job.created")
            await api.client.delete(f"/token/{made['id']}")
            await api.enqueue(delay="1h")
            assert "job.created" not in await stream.body()


async def test_two_replicas_both_tell_all(start, live_store, function, kind, server_url):
    if kind == "in-process":
        pytest.skip("one process alone can have that store")
    connection, url = live_store.connection, server_url("valkey" if bundled_program() else "redis")
    async with start() as first:
        second_store = open_store(url, prefix=connection.prefix, shards=connection.shards)
        settings = Settings(worker_url=function.url, egress_allow="127.0.0.0/8", shutdown_grace_ms=0)
        app = build_app(settings, second_store, takes_literal_secrets=True)
        async with living(app), client_of(app) as client:
            second = Api(app, client)
            async with streaming(first.app, "/event") as one, streaming(second.app, "/event") as two:
                for stream in (one, two):
                    await stream.events("hello")
                ids = {await first.enqueue(), await second.enqueue(queue="mail")}
                for stream in (one, two):
                    told = [await stream.event() for _ in range(6)]
                    assert {event["jobId"] for event in told} == ids
                    assert sorted(event["type"] for event in told) == sorted([*LIFE, *LIFE])
                last = one.last_id
            # Whoever was cut off from one replica goes on with the other.
            job_id = await first.enqueue(delay="1h")
            async with streaming(second.app, "/event", {"last-event-id": last}) as stream:
                _, created = await stream.events("hello", "job.created")
                assert created["jobId"] == job_id


async def test_an_idle_replica_reads_no_events(api, monkeypatch):
    """Counted: what it asks of the store while nobody listens, before and after somebody did."""
    store, read = api.app.state["replica"].store.events, []
    original = type(store).read

    async def counted(self, *given):
        read.append(given)
        return await original(self, *given)

    monkeypatch.setattr(type(store), "read", counted)
    await api.until(await api.enqueue(), "succeeded")
    assert read == []
    async with streaming(api.app, "/event") as stream:
        await stream.events("hello")
        await api.enqueue()
        await stream.events(*LIFE)
    assert read
    read.clear()
    await asyncio.sleep(3 * watch.POLL_S)
    assert read == []


async def test_what_cannot_be_chosen_is_refused(idle):
    refusal(await idle.client.get("/event?type=jobs."), 422, "validation_error", "type")
    refusal(await idle.client.get("/event?jobid=x"), 422, "validation_error", "jobid")
