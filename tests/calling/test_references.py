"""Secrets that stand in the environment of a replica, and bearer tokens."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from coordinator.calling.caller import Caller
from coordinator.calling.request import Call
from coordinator.domain.outcome import Failure, Success
from coordinator.domain.worker import Bearer
from tests.calling.raw_server import RawServer, answer_all, header, headers, serving

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
CALL = Call("", {}, b"{}", message_id="j:1", idempotency_key="j", timeout_s=10.0, ack="receipt")


@pytest.fixture
async def caller(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Caller]:
    caller = Caller(transport)
    yield caller
    await caller.close()


@pytest.fixture
async def function() -> AsyncIterator[RawServer]:
    async with serving(answer_all) as server:
        yield server


async def error_of(caller: Caller, function: RawServer, **changes: Any) -> dict[str, str]:
    """The error of a call that was not sent."""
    outcome = await caller.call(replace(CALL, url=function.url, **changes))
    assert isinstance(outcome, Failure), outcome
    assert function.requests == []
    error: dict[str, str] = json.loads(outcome.error)
    return error


async def test_what_is_sent_is_what_the_environment_holds(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COORDINATOR_SECRET_Bypass_1", " let me in\n")
    monkeypatch.setenv("COORDINATOR_SECRET_SIGNING", f"{SECRET}\n")
    monkeypatch.setenv("COORDINATOR_SECRET_TOKEN", "t0ken")
    call = replace(
        CALL,
        url=function.url,
        headers={"x-vercel-protection-bypass": "env:Bypass_1", "x-plain": "plain"},
        secrets=("env:SIGNING",),
        auth=Bearer("env:TOKEN"),
    )

    assert await caller.call(call) == Success(http_status=200)

    (request,) = function.requests
    assert header(request, "x-vercel-protection-bypass") == "let me in"
    assert header(request, "x-plain") == "plain"
    assert header(request, "authorization") == "Bearer t0ken"
    Webhook(SECRET).verify(CALL.body, {name: values[0] for name, values in headers(request).items()})


async def test_a_literal_token_is_sent_as_it_is(caller: Caller, function: RawServer):
    await caller.call(replace(CALL, url=function.url, auth=Bearer("t0ken")))

    assert header(function.requests[0], "authorization") == "Bearer t0ken"


@pytest.mark.parametrize(
    "changes", [{"headers": {"x-key": "env:ABSENT"}}, {"secrets": ("env:ABSENT",)}, {"auth": Bearer("env:ABSENT")}]
)
@pytest.mark.parametrize("value", [None, "", " \n"])
async def test_a_missing_variable_is_named_and_found_once_it_is_there(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], value: str | None
):
    if value is not None:
        monkeypatch.setenv("COORDINATOR_SECRET_ABSENT", value)

    error = await error_of(caller, function, **changes)

    assert error["type"] == "MissingSecret"
    assert error["message"] == (
        "The environment variable COORDINATOR_SECRET_ABSENT is not set on this replica; each replica needs it."
    )


@pytest.mark.parametrize("name", ["", "a b", "A-B", "../X", "Ü", "A" * 129])
async def test_what_cannot_be_the_name_of_a_variable_refers_to_nothing(caller: Caller, function: RawServer, name: str):
    assert (await error_of(caller, function, auth=Bearer(f"env:{name}")))["type"] == "MissingSecret"


async def test_nothing_else_of_the_environment_can_be_sent(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COORDINATOR_REDIS_PASSWORD", "s3cret")

    for name in ("COORDINATOR_REDIS_PASSWORD", "REDIS_PASSWORD", "PATH"):
        assert (await error_of(caller, function, headers={"x-key": f"env:{name}"}))["type"] == "MissingSecret"


@pytest.mark.parametrize(
    ("changes", "error_type"),
    [
        ({"headers": {"x-key": "env:BROKEN"}}, "InvalidHeader"),
        ({"secrets": ("env:BROKEN",)}, "InvalidSecret"),
        ({"auth": Bearer("env:BROKEN")}, "AuthError"),
    ],
)
async def test_a_value_that_cannot_be_sent_is_not_told(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error_type: str
):
    monkeypatch.setenv("COORDINATOR_SECRET_BROKEN", "s3cret\r\nx: y")

    error = await error_of(caller, function, **changes)

    assert error["type"] == error_type
    assert "s3cret" not in error["message"]


async def test_a_secret_may_be_mounted_as_a_file(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "token").write_text("t0ken\n")
    monkeypatch.setenv("COORDINATOR_SECRET_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("COORDINATOR_SECRET_GONE_FILE", str(tmp_path / "gone"))

    error = await error_of(caller, function, auth=Bearer("env:GONE"))
    assert await caller.call(replace(CALL, url=function.url, auth=Bearer("env:TOKEN"))) == Success(http_status=200)

    assert error["type"] == "MissingSecret"
    assert "gone cannot be read" in error["message"]
    assert header(function.requests[0], "authorization") == "Bearer t0ken"
