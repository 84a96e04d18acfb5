"""Google's ID tokens, by the real library, from a metadata server that behaves well and badly."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from coordinator.calling import auth
from coordinator.calling.auth import FAILURE_KEPT_S, ID_TOKEN_MARGIN_S
from coordinator.calling.caller import Caller
from coordinator.calling.request import Call
from coordinator.domain.outcome import Failure, Outcome, Success
from coordinator.domain.worker import GoogleIdToken
from tests.calling import metadata_server
from tests.calling.metadata_server import MetadataServer, claims, jwt
from tests.calling.raw_server import RawServer, answer_all, header, serving
from tests.ports import free_port

AUDIENCE = "https://run.example.com/jobs"
CALL = Call(
    url="",
    headers={},
    body=b"{}",
    message_id="j:1",
    idempotency_key="j",
    timeout_s=10.0,
    ack="receipt",
    auth=GoogleIdToken(AUDIENCE),
)


class Clock:
    """Unix seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def caller(transport: httpx.AsyncBaseTransport, clock: Clock) -> AsyncIterator[Caller]:
    caller = Caller(transport, clock=clock)
    yield caller
    await caller.close()


@pytest.fixture
async def metadata(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MetadataServer]:
    served = MetadataServer(clock.now)
    async with serving(served.behave) as server:
        metadata_server.use(monkeypatch, server.port)
        yield served
        served.gate.set()


@pytest.fixture
async def function() -> AsyncIterator[RawServer]:
    async with serving(answer_all) as server:
        yield server


def to(function: RawServer, timeout_s: float = 10.0) -> Call:
    return replace(CALL, url=function.url, timeout_s=timeout_s)


def auth_error(outcome: Outcome) -> str:
    assert isinstance(outcome, Failure), outcome
    error = json.loads(outcome.error)
    assert (error["type"], outcome.retryable, outcome.http_status) == ("AuthError", True, None)
    return str(error["message"])


def serials(function: RawServer) -> list[object]:
    """Which token each call came with."""
    tokens = [header(request, "authorization").removeprefix("Bearer ") for request in function.requests]
    return [claims(token)["serial"] for token in tokens]


async def test_a_call_carries_a_token_for_its_audience(caller: Caller, metadata: MetadataServer, function: RawServer):
    assert await caller.call(to(function)) == Success(http_status=200)

    token = header(function.requests[0], "authorization").removeprefix("Bearer ")
    assert claims(token)["aud"] == AUDIENCE
    assert metadata.audiences == [AUDIENCE]


async def test_a_token_is_kept_and_fetched_anew_before_it_ends(
    caller: Caller, metadata: MetadataServer, function: RawServer, clock: Clock
):
    await caller.call(to(function))
    clock.now += metadata.lifetime_s - ID_TOKEN_MARGIN_S - 1
    await caller.call(to(function))
    assert metadata.audiences == [AUDIENCE]
    metadata.now = clock.now
    metadata.asked.clear()
    metadata.gate.clear()

    clock.now += 2
    await caller.call(to(function))
    await metadata.until_asked()
    await caller.call(to(function))
    assert serials(function) == [1, 1, 1, 1], "while another is fetched, the one that is still good is used"

    metadata.gate.set()
    async with asyncio.timeout(10):
        while serials(function)[-1] != 2:
            await caller.call(to(function))
    assert metadata.audiences == [AUDIENCE] * 2


async def test_one_that_has_ended_is_used_no_more(
    caller: Caller, metadata: MetadataServer, function: RawServer, clock: Clock
):
    await caller.call(to(function))
    clock.now += metadata.lifetime_s + 1

    await caller.call(to(function))

    assert serials(function) == [1, 2]


async def test_each_audience_has_its_own(caller: Caller, metadata: MetadataServer, function: RawServer):
    await caller.call(to(function))
    await caller.call(replace(to(function), auth=GoogleIdToken("https://other.example.com")))

    assert metadata.audiences == [AUDIENCE, "https://other.example.com"]


async def test_many_calls_at_once_share_one_fetch(caller: Caller, metadata: MetadataServer, function: RawServer):
    metadata.gate.clear()
    calls = [asyncio.create_task(caller.call(to(function))) for _ in range(50)]
    await metadata.until_asked()
    assert function.requests == []

    metadata.gate.set()

    assert await asyncio.gather(*calls) == [Success(http_status=200)] * 50
    assert metadata.audiences == [AUDIENCE]


async def test_a_slow_token_costs_the_call_its_time_and_is_there_for_the_next(
    caller: Caller, metadata: MetadataServer, function: RawServer
):
    metadata.gate.clear()

    assert "within 0.2 s; the call was not sent" in auth_error(await caller.call(to(function, timeout_s=0.2)))
    assert function.requests == []

    metadata.gate.set()
    assert await caller.call(to(function)) == Success(http_status=200)
    assert metadata.audiences == [AUDIENCE], "the fetch went on"


async def test_a_fetch_that_hangs_is_given_up_and_begun_again(
    caller: Caller, metadata: MetadataServer, function: RawServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(auth, "FETCH_LIMIT_S", 0.2)
    metadata.gate.clear()
    assert "within 0.2 s" in auth_error(await caller.call(to(function)))

    monkeypatch.setattr(auth, "FETCH_LIMIT_S", 10)
    clock.now += FAILURE_KEPT_S
    again = asyncio.create_task(caller.call(to(function)))
    async with asyncio.timeout(10):
        while len(metadata.audiences) < 2:
            metadata.asked.clear()
            await metadata.until_asked()
    metadata.gate.set()

    assert await again == Success(http_status=200)


async def test_who_gives_up_does_not_end_the_fetch_of_the_others(
    caller: Caller, metadata: MetadataServer, function: RawServer
):
    metadata.gate.clear()
    first, second = (asyncio.create_task(caller.call(to(function))) for _ in range(2))
    await metadata.until_asked()

    first.cancel()
    metadata.gate.set()

    assert await second == Success(http_status=200)
    assert metadata.audiences == [AUDIENCE]


@pytest.mark.parametrize(
    ("status", "token"),
    [
        ("500 Down", "s3cret words"),
        ("404 Not Found", "s3cret words"),
        ("200 OK", "s3cret"),
        ("200 OK", "s3cret.s3cret.s3cret"),
        ("200 OK", ""),
    ],
)
async def test_without_a_token_nothing_is_sent_and_nothing_told_of_what_came(
    caller: Caller, metadata: MetadataServer, function: RawServer, status: str, token: str
):
    metadata.status, metadata.token = status, token or jwt(AUDIENCE, 0).replace(".", " ")

    message = auth_error(await caller.call(to(function)))

    assert "could not be had" in message
    assert "s3cret" not in message
    assert function.requests == []


async def test_a_failure_holds_for_a_moment(
    caller: Caller, metadata: MetadataServer, function: RawServer, clock: Clock
):
    metadata.status = "404 Not Found"
    auth_error(await caller.call(to(function)))
    auth_error(await caller.call(to(function)))
    assert len(metadata.audiences) == 1

    metadata.status = "200 OK"
    clock.now += FAILURE_KEPT_S

    assert await caller.call(to(function)) == Success(http_status=200)


async def test_outside_of_google_the_message_says_what_is_missing(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    metadata_server.use(monkeypatch, free_port())

    message = auth_error(await caller.call(to(function)))

    assert "Neither metadata server or valid service account credentials are found" in message


async def test_a_service_accounts_file_does_as_well(
    caller: Caller, function: RawServer, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    token = jwt(AUDIENCE, clock.now + 3600)

    async def exchange(peer):
        while await peer.request():
            await peer.answer(json.dumps({"id_token": token}).encode())

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    async with serving(exchange) as endpoint:
        metadata_server.use(monkeypatch, free_port())
        (tmp_path / "key.json").write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": "me@example.iam.gserviceaccount.com",
                    "private_key": key.decode(),
                    "token_uri": endpoint.url,
                }
            )
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        assert await caller.call(to(function)) == Success(http_status=200)

    assert header(function.requests[0], "authorization") == f"Bearer {token}"


async def test_a_replica_without_the_library_says_what_to_install(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "google.auth", None)

    assert "pip install 'coordinator[google]'" in auth_error(await caller.call(to(function)))
    assert function.requests == []
