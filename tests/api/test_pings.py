"""`POST /worker/:name/ping`: whether a function can be reached, without a job."""

import base64
import json

import pytest
from standardwebhooks.webhooks import Webhook

from coordinator.engine import pings
from tests.api.conftest import Start
from tests.api.harness import SILENCE, Api, Function, Json, Reply, refusal

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
NOTHING = {"ok": False, "httpStatus": None, "sdk": None, "workers": None, "error": None, "note": None}


async def ping(api: Api, name: str) -> Json:
    """The answer without its duration."""
    answer = await api.post(f"/worker/{name}/ping")
    assert answer.status_code == 200, answer.text
    pinged: Json = answer.json()
    assert isinstance(pinged.pop("durationMs"), int)
    return pinged


async def test_a_function_that_knows_pings_tells_of_itself(api: Api, function: Function):
    pong = {"pong": True, "sdk": "python 0.1.0", "workers": ["mail/send"], "more": 1}
    function.replies(Reply(body=json.dumps(pong).encode()))
    body = {"url": function.url, "secret": SECRET, "headers": {"x-key": "1"}, "auth": {"type": "bearer", "token": "t"}}
    await api.client.put("/worker/mail/send", json=body)

    assert await ping(api, "mail/send") == NOTHING | {
        "ok": True,
        "httpStatus": 200,
        "sdk": "python 0.1.0",
        "workers": ["mail/send"],
    }
    (call,) = function.calls
    assert call.body == {"ping": True, "worker": "mail/send"}
    Webhook(SECRET).verify(call.raw, call.headers)
    assert call.headers["webhook-id"].startswith("ping_")
    assert (call.headers["x-key"], call.headers["authorization"]) == ("1", "Bearer t")
    assert "idempotency-key" not in call.headers
    assert (await api.client.get("/job")).json()["items"] == []


async def test_each_ping_has_an_id_of_its_own(api: Api, function: Function):
    await ping(api, "a")
    await ping(api, "a")

    assert len({call.headers["webhook-id"] for call in function.calls}) == 2


@pytest.mark.parametrize("body", [b"", b"hello", b"[1]", b'{"status":"success"}', b'{"pong":1}', b'{"sdk":"x"}'])
async def test_any_2xx_is_fine_with_a_note(api: Api, function: Function, body: bytes):
    function.replies(Reply(204 if not body else 200, body))

    pinged = await ping(api, "a")

    assert "is not known" in pinged["note"]
    assert pinged == NOTHING | {"ok": True, "httpStatus": 200 if body else 204, "note": pinged["note"]}


async def test_a_name_that_the_function_does_not_serve_is_told(api: Api, function: Function):
    function.replies(Reply(body=b'{"pong":true,"workers":["b"]}'))

    assert "no worker 'a'" in (await ping(api, "a"))["note"]
    assert (await ping(api, "b"))["note"] is None
    await api.client.put("/worker/*", json={"url": function.url})
    assert (await ping(api, "*"))["note"] is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            Reply(401, b'{"code":"invalid_signature"}'),
            {"type": "HTTPError", "message": "401 Unauthorized", "body": '{"code":"invalid_signature"}'},
        ),
        (Reply(500, b""), {"type": "HTTPError", "message": "500 Internal Server Error"}),
        (Reply(429, b""), {"type": "HTTPError", "message": "429 Too Many Requests"}),
        (Reply(504, b""), {"type": "HTTPError", "message": "504 Gateway Timeout"}),
        (
            Reply(302, b"", {"location": "https://example.com/"}),
            {"type": "Redirect", "message": "302 Found to https://example.com/; redirects are never followed"},
        ),
    ],
)
async def test_a_refusal_is_told(api: Api, function: Function, reply: Reply, error: Json):
    function.replies(reply)

    assert await ping(api, "a") == NOTHING | {"httpStatus": reply.status, "error": error}
    assert len(function.calls) == 1


async def test_a_function_that_cannot_be_reached_is_told(api: Api):
    await api.client.put("/worker/a", json={"url": "http://127.0.0.1:9/"})

    pinged = await ping(api, "a")

    assert pinged["error"]["type"] == "ConnectError"
    assert pinged == NOTHING | {"error": pinged["error"]}


async def test_a_function_that_says_nothing_has_its_time(api: Api, function: Function, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pings, "LIMIT_S", 0.1)
    function.replies(SILENCE)

    error = {"type": "Timeout", "message": "No complete answer within 0.1 s."}
    assert await ping(api, "a") == NOTHING | {"error": error}


async def test_a_missing_secret_is_told(api: Api, function: Function, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COORDINATOR_SECRET_PINGED", "x")
    auth = {"type": "bearer", "token": "env:PINGED"}
    await api.client.put("/worker/a", json={"url": function.url, "auth": auth})
    monkeypatch.delenv("COORDINATOR_SECRET_PINGED")

    assert (await ping(api, "a"))["error"]["type"] == "MissingSecret"


async def test_nobody_cannot_be_pinged(start: Start):
    async with start(worker_url="") as api:
        refusal(await api.post("/worker/a/ping"), 404, "worker_not_found", says="'a'")
        refusal(await api.post("/worker/*/ping"), 404, "worker_not_found")


async def test_what_is_done_to_a_worker_is_one_word(api: Api):
    for path in ("/worker/a", "/worker/a/pong", "/worker/ping", "/worker/a/ping/b"):
        answer = await api.post(path)
        assert answer.status_code in (404, 422), path
    refusal(await api.post("/worker/a/pong"), 404, "not_found", says="/ping")
    refusal(await api.post("/worker/-a/ping"), 422, "validation_error", "name")
