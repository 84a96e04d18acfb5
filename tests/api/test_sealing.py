"""With keys: what an application keeps, logs and shows of what is secret."""

import asyncio
import base64
import contextlib
import json
import logging
import time

import msgspec
import pytest

from coordinator.app import build_app
from coordinator.domain.job import Attempt, Spec, Tally
from coordinator.domain.keyring import Keyring
from coordinator.engine.receipt_tokens import ReceiptTokens
from coordinator.engine.shared_keys import SharedKeys
from coordinator.errors import Unauthenticated
from coordinator.settings import Settings
from coordinator.store.open import open_store, store_on
from coordinator.store.sealing import Sealer
from tests.api.harness import ACCEPTED, JSON, Api, Function, Reply, client_of, living, refusal

KEY = bytes(range(7, 39))
OTHER = Keyring({"k2": bytes(range(8, 40))})
SECRET = f"whsec_{base64.b64encode(b'what only the worker knows!').decode()}"
MARKS = {
    name: f"mark-{name}-7f3a" for name in ("args", "meta", "result", "error", "message", "header", "token", "bearer")
}


@pytest.fixture
def live_store(live_store):
    """The same store, with a key."""
    return store_on(live_store.connection, Sealer(Keyring({"k1": KEY})))


@contextlib.asynccontextmanager
async def count_releases(app):
    """Waits for so many jobs that a replica gave back."""
    jobs, given_back = app.state["replica"].store.jobs, asyncio.Semaphore(0)
    release = jobs.release

    async def counted(*given):
        await release(*given)
        given_back.release()

    async def wait(times: int) -> None:
        for _ in range(times):
            await asyncio.wait_for(given_back.acquire(), 15)

    jobs.release = counted
    yield wait
    del jobs.release


async def everything(store) -> bytes:
    """All keys and values that Redis holds."""
    commands = {
        b"hash": ("HGETALL",),
        b"zset": ("ZRANGE", 0, -1),
        b"set": ("SMEMBERS",),
        b"list": ("LRANGE", 0, -1),
        b"string": ("GET",),
    }
    held = []
    async for page in store.connection.scan("*"):
        for key in page:
            command, *more = commands[await store.connection.call("TYPE", key.decode())]
            held += [key, repr(await store.connection.call(command, key.decode(), *more)).encode()]
    return b"\n".join(held)


async def test_no_secret_is_logged_or_stands_readable_in_redis(start, live_store, function: Function, caplog):
    caplog.set_level(logging.DEBUG)
    failure = {"status": "failure", "error": {"message": MARKS["error"]}, "retryAfter": 0.001}
    function.replies(
        Reply(body=json.dumps({"status": "running", "message": MARKS["message"]}).encode()),
        Reply(body=json.dumps(failure).encode()),
        Reply(body=json.dumps({"status": "success", "result": {"of": MARKS["result"]}}).encode()),
    )
    given = {"keys": f"k1:{base64.b64encode(KEY).decode()}", "tokens": MARKS["token"], "worker_secret": SECRET}
    async with start(takes_literal_secrets=False, **given) as api:
        api.client.headers["authorization"] = f"Bearer {MARKS['token']}"
        worker = {"url": function.url, "secret": SECRET, "headers": {"x-api-key": MARKS["header"]}}
        worker |= {"auth": {"type": "bearer", "token": MARKS["bearer"]}}
        assert (await api.client.put("/worker/pay", json=worker)).status_code == 201
        callback = {"worker": "tell", "args": MARKS["args"]}
        asked = {"args": {"card": MARKS["args"]}, "meta": {"who": MARKS["meta"]}, "backoff": {"base": 0}}
        asked |= {"unique": {"by": ["args.card"]}, "onSuccess": callback, "timeout": "10s"}
        beaten = await api.enqueue("pay", **asked)
        await function.called(1)
        assert (await api.receipt(beaten, status="failure", error={"message": MARKS["error"]})).status_code == 200
        job = await api.until(beaten, "succeeded")
        await api.enqueue("pay", **asked | {"cron": "0 0 1 1 *", "unique": None})
        await api.post("/job/batch", {"jobs": [{"worker": "pay", "delay": "1h"} | asked], "onComplete": callback})
        called = await function.called(4)
        held = await everything(live_store)

    assert (job["args"], job["result"]["of"]) == ({"card": MARKS["args"]}, MARKS["result"])
    assert MARKS["error"] in json.dumps(job["attempts"])
    assert (called[0].headers["x-api-key"], called[0].headers["authorization"]) == (
        MARKS["header"],
        f"Bearer {MARKS['bearer']}",
    )
    logged = "\n".join(f"{record.getMessage()} {record.__dict__} {record.exc_text}" for record in caplog.records)
    encoded = base64.b64encode(KEY).decode()
    for secret in (*MARKS.values(), SECRET, SECRET.removeprefix("whsec_"), encoded, KEY.hex()):
        assert secret not in logged
        assert secret.encode() not in held
    assert b"~k1." in held


@pytest.fixture
async def idle_app():
    """Makes applications on one store, with or without keys, that have not started."""
    store = open_store("memory://", shards=1)

    def make(keyring: Keyring | None, **settings: object) -> Api:
        seen = store_on(store.connection, Sealer(keyring))
        app = build_app(msgspec.convert({"worker_url": "http://127.0.0.1:9/"} | settings, Settings), seen)
        return Api(app, client_of(app))

    yield make
    await store.close()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"secret": SECRET}, "secret"),
        ({"secret": SECRET, "previousSecret": SECRET}, "secret"),
        ({"headers": {"Authorization": "Basic x"}}, "headers.Authorization"),
        ({"headers": {"x-vercel-protection-bypass": "x"}}, "headers.x-vercel-protection-bypass"),
        ({"headers": {"X-Api-Key": "x"}}, "headers.X-Api-Key"),
        ({"auth": {"type": "bearer", "token": "x"}}, "auth.token"),
        ({"headers": {"x-auth": "x"}}, "headers.x-auth"),
        ({"headers": {"Api-Pass": "x"}}, "headers.Api-Pass"),
        ({"headers": {"x-functions-code": "abcdefgh"}}, "headers.x-functions-code"),
        ({"headers": {"x-door": "f3a91c07be5d42e8a6b0"}}, "headers.x-door"),
        ({"headers": {"x-door": "Basic dXNlcjpodW50ZXIyLWFuZC1tb3Jl0a1"}}, "headers.x-door"),
    ],
)
async def test_without_keys_a_secret_is_taken_by_reference_only(idle_app, fields, path):
    api, body = idle_app(None), {"url": "https://example.com/"} | fields

    refusal(await api.client.put("/worker/a", json=body), 422, "validation_error", path, "COORDINATOR_KEYS")
    declared = {"owner": "me", "workers": {"a": body}}
    refusal(await api.post("/sync", declared), 422, "validation_error", f"workers.a.{path}", "env:NAME")
    assert (await idle_app(OTHER).client.put("/worker/a", json=body)).status_code == 201


@pytest.mark.parametrize(
    "query", ["code=Zm9vYmFy", "api_key=x", "sig=x", "x=f3a91c07be5d42e8a6b0", "a=b&accessToken=x"]
)
async def test_without_keys_a_url_that_carries_a_secret_is_refused(idle_app, query: str):
    body = {"url": f"https://example.com/?{query}"}

    refusal(await idle_app(None).client.put("/worker/a", json=body), 422, "validation_error", "url", "env:NAME")
    assert (await idle_app(OTHER).client.put("/worker/a", json=body)).status_code == 201


async def test_what_opens_nothing_is_taken_as_it_is(idle_app):
    headers = {
        "x-tenant": "a",
        "x-country-code": "DE",
        "x-author": "me",
        "accept": "application/vnd.api+json;version=2",
    }
    headers |= {"user-agent": "coordinator/0.1 (+https://example.com/jobs)", "x-from": "europe-west1.example.com"}
    body = {"url": "https://example.com/?page=2&region=eu-central-1&postcode=10115", "headers": headers}

    assert (await idle_app(None).client.put("/worker/a", json=body)).status_code == 201


async def test_what_cannot_be_opened_is_shown_as_that_and_not_changed(idle_app):
    sealing, other = idle_app(Keyring({"k1": KEY})), idle_app(OTHER)
    job_id = await sealing.enqueue(args={"card": 7}, delay="1h", tags=["a"], onFailure={"worker": "b", "args": 1})
    schedule_id = await sealing.enqueue(args={"card": 7}, every="1h")
    lost = {"sealed": "k1"}

    job = await other.job(job_id)
    assert (job["args"], job["meta"], job["onFailure"]["args"]) == (lost, lost, lost)
    assert (job["worker"], job["tags"], job["state"]) == ("send-email", ["a"], "scheduled")
    assert [found["args"] for found in (await other.client.get("/job")).json()["items"]] == [lost]
    schedule = (await other.client.get(f"/schedule/{schedule_id}")).json()
    assert (schedule["args"], schedule["everyMs"]) == (lost, 3_600_000)
    for path, body in ((f"/job/{job_id}", {"priority": 1}), (f"/schedule/{schedule_id}", {"priority": 1})):
        refusal(await other.client.patch(path, json=body), 409, "sealed", says="'k1'")
    refusal(await other.post(f"/schedule/{schedule_id}/trigger", {}), 409, "sealed", says="'k1'")
    bulk = {"action": "edit", "filter": {"state": "scheduled"}, "set": {"priority": 1}}
    assert (await other.post("/job/bulk", bulk)).json() == {"matched": 1, "done": 0, "more": False}
    assert (await other.client.post(f"/schedule/{schedule_id}/pause", headers=JSON)).status_code == 200
    assert (await sealing.job(job_id))["args"] == {"card": 7}
    assert (await sealing.client.get(f"/schedule/{schedule_id}")).json()["args"] == {"card": 7}


async def test_args_that_a_job_is_tried_anew_with_are_sealed(idle_app):
    sealing, other = idle_app(Keyring({"k1": KEY})), idle_app(OTHER)
    job_id = await sealing.enqueue(args={"card": 7}, meta={"of": 1}, delay="1h")
    await sealing.client.delete(f"/job/{job_id}")
    url = f"/job/{job_id}/retry"

    refusal(await other.post(url, {"args": 1}), 409, "sealed", says="'k1'")
    assert (await sealing.post(url, {"args": {"card": 8}})).status_code == 200

    job = await sealing.job(job_id)
    assert (job["args"], job["meta"], job["state"]) == ({"card": 8}, {"of": 1}, "queued")
    assert (await other.job(job_id))["args"] == {"sealed": "k1"}


async def test_a_call_for_a_job_that_cannot_be_opened_fails_and_names_the_key(live_store, function: Function):
    with_other_key = store_on(live_store.connection, Sealer(OTHER))
    asked = build_app(Settings(worker_url=function.url), live_store)
    async with client_of(asked) as client:
        job_id = await Api(asked, client).enqueue(args={"card": 7}, maxAttempts=1)
        worker = {"url": function.url, "secret": SECRET}
        assert (await client.put("/worker/pay", json=worker)).status_code == 201
        calling_id = await Api(asked, client).enqueue("pay", maxAttempts=1, key="k")
    app = build_app(Settings(worker_url=function.url, poll_interval_ms=100, shutdown_grace_ms=0), with_other_key)
    async with living(app), client_of(app) as client:
        api = Api(app, client)
        for dead in (job_id, calling_id):
            job = await api.until(dead, "dead")
            assert job["lastError"]["type"] == "SealedJob"
            assert "'k1'" in job["lastError"]["message"]
        fine = await api.enqueue()
        await api.until(fine, "succeeded")
        await api.until(await api.enqueue("pay", maxAttempts=1), "dead")
        pinged = (await client.post("/worker/pay/ping", headers=JSON)).json()
        assert pinged["error"]["type"] == "SealedWorker"
        assert "'k1'" in pinged["error"]["message"]
    assert [call.body["jobId"] for call in function.calls] == [fine]


def without_and_with_keys(live_store, function: Function):
    """Two replicas of one store."""
    keys = f"k1:{base64.b64encode(KEY).decode()}"
    settings = Settings(worker_url=function.url, tokens="an-administrator", poll_interval_ms=100, shutdown_grace_ms=0)
    bare = build_app(settings, store_on(live_store.connection))
    keyed = build_app(msgspec.structs.replace(settings, keys=keys), live_store)
    return bare, keyed


async def test_the_first_keys_can_be_rolled_out_replica_by_replica(live_store, function: Function):
    """One without them leaves sealed jobs to the others, and tokens that were signed without them are still good."""
    function.replies(ACCEPTED)
    bare, keyed = without_and_with_keys(live_store, function)
    async with living(bare), client_of(bare) as bare_client, client_of(keyed) as client:
        for each in (bare_client, client):
            each.headers["authorization"] = "Bearer an-administrator"
        old_id = await Api(bare, bare_client).enqueue(args={"card": 7})
        (old,) = await function.called(1)
        await live_store.agree()
        async with count_releases(bare) as releases:
            new_id = await Api(keyed, client).enqueue(args={"card": 8})
            await releases(2)
        left = await Api(keyed, client).job(new_id)
        assert (left["attempt"] <= 1, left["attempts"]) == (True, [])
        async with living(keyed):
            new = (await function.called(2))[1]
            assert new.body["args"] == {"card": 8}
            for each in (bare_client, client):
                each.headers.clear()
            success = {"status": "success"}
            refused = await bare_client.post(f"/job/{new_id}/receipt", json=success | {"token": new.body["token"]})
            refusal(refused, 503, "key_missing")
            forged = new.body["token"].replace("rt1.k1.", "rt1.k9.")
            refusal(
                await bare_client.post(f"/job/{new_id}/receipt", json={"token": forged} | success),
                401,
                "unauthenticated",
            )
            for job_id, call in ((old_id, old), (new_id, new)):
                ended = await client.post(f"/job/{job_id}/receipt", json=success | {"token": call.body["token"]})
                assert ended.json()["state"] == "succeeded"


async def test_a_callback_that_is_sealed_waits_for_a_replica_with_the_key(live_store, function: Function):
    function.replies(ACCEPTED)
    bare, keyed = without_and_with_keys(live_store, function)
    async with living(keyed), client_of(bare) as bare_client, client_of(keyed) as client:
        for each in (bare_client, client):
            each.headers["authorization"] = "Bearer an-administrator"
        job_id = await Api(keyed, client).enqueue(onSuccess={"worker": "then", "args": {"card": 9}})
        await function.called(1)

        ended = await bare_client.post(f"/job/{job_id}/receipt", json={"status": "success"})

        assert ended.json()["state"] == "succeeded"
        assert (await function.called(2))[1].body["args"] == {"card": 9}


async def test_what_was_signed_without_keys_is_believed_for_days_and_no_longer(
    live_store, function: Function, monkeypatch
):
    """Who can read Redis could sign so for ever."""
    keys = f"k1:{base64.b64encode(KEY).decode()}"
    settings = Settings(worker_url=function.url, keys=keys)
    forged = ReceiptTokens(SharedKeys(live_store.leadership, None))
    await forged.agree()
    far = 400 * 86_400_000 + time.time_ns() // 1_000_000
    spec = Spec(worker="w", args=msgspec.Raw(b"{}"))
    token = forged.of(
        Attempt(job_id="01M85P9P7E00DDH5YFHM896VEH", nonce="n", deadline_at=far, tally=Tally(1), spec=spec)
    )
    now_s = time.time()
    for days, is_believed in ((0, True), (2, True), (4, False)):
        monkeypatch.setattr("coordinator.engine.receipt_tokens.time.time", lambda at=now_s + days * 86_400: at)
        tokens = build_app(settings, live_store).state["replica"].receipt_tokens
        if is_believed:
            assert (await tokens.verified(token, "01M85P9P7E00DDH5YFHM896VEH")).attempt == 1
        else:
            with pytest.raises(Unauthenticated):
                await tokens.verified(token, "01M85P9P7E00DDH5YFHM896VEH")
        monkeypatch.undo()
    await live_store.close()


async def test_lists_leave_out_what_is_to_be_redacted(idle_app):
    api = idle_app(None, redact="Card, iban")
    args = {"order": 7.10, "to": [{"CARD": "4111"}, {"iban": {"a": 1}}]}
    fields = {"args": args, "meta": {"card": 1}, "unique": {"by": ["args.order", "meta.card"]}}
    fields |= {"delay": "1h", "onSuccess": {"worker": "b", "args": {"card": 1}}}
    job_id = await api.enqueue(**fields)
    schedule_id = await api.enqueue(args=args, every="1h")
    left = {"order": 7.1, "to": [{"CARD": "[redacted]"}, {"iban": "[redacted]"}]}

    (job,) = (await api.client.get("/job")).json()["items"]
    assert (job["args"], job["meta"], job["onSuccess"]["args"]) == (left, *({"card": "[redacted]"},) * 2)
    assert json.loads(job["unique"]) == [["args.order", 7.1], ["meta.card", "[redacted]"]]
    (schedule,) = (await api.client.get("/schedule")).json()["items"]
    assert schedule["args"] == left
    handle = (await api.job(job_id))["unique"]
    by_handle = await api.client.get("/job", params={"queue": "default", "unique": handle})
    assert by_handle.json()["items"] == [job]
    assert (await api.job(job_id))["args"] == args
    assert (await api.client.get(f"/schedule/{schedule_id}")).json()["args"] == args


async def test_lists_show_what_holds_nothing_to_redact_to_the_last_digit(idle_app):
    api = idle_app(None, redact="card")
    number = b"1.00000000000000000001"
    await api.post("/job", content=b'{"worker":"a","delay":"1h","args":{"n":' + number + b"}}")

    assert number in (await api.client.get("/job")).content


def test_settings_are_shown_without_their_secrets():
    secrets = ("redis_password", "redis_sentinel_password", "worker_secret", "tokens", "keys")
    given = {"redis_url": "redis://me:mark-url@host:1/0"} | {name: f"mark-{name}" for name in secrets}
    shown = repr(msgspec.convert(given, Settings))

    assert "mark" not in shown
    assert "redis_url='redis://host:1/0'" in shown
    assert "port=8000" in shown
