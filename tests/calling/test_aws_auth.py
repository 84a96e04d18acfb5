"""AWS Signature Version 4: AWS' own vectors, and a function URL that checks what arrives with code of its own."""

import asyncio
import hashlib
import hmac
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import httpx
import pytest

from coordinator.calling.auth import KEYS_FRESH_S, Authorizer
from coordinator.calling.caller import Caller
from coordinator.calling.request import Call
from coordinator.domain.outcome import Failure, Outcome, Success
from coordinator.domain.worker import AwsSigV4
from tests.calling.raw_server import INLINE_SUCCESS, Peer, RawServer, header, headers, serving

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
GIVEN = AwsSigV4(region="eu-central-1", service="lambda", access_key_id=KEY_ID, secret_access_key=SECRET)
CHAIN = AwsSigV4(region="eu-central-1", service="lambda")
SECRETS = {KEY_ID: SECRET}
"""What the function knows, by key id."""

CALL = Call(
    url="",
    headers={"X-Shop": "  a   b ", "User-Agent": "mine"},
    body=b'{"jobId":"j"}',
    message_id="j:1",
    idempotency_key="j",
    timeout_s=10.0,
    ack="receipt",
    auth=GIVEN,
)

VECTORS = [
    # get-vanilla, post-vanilla, get-vanilla-query-order-key-case, post-x-www-form-urlencoded: AWS' test suite of SigV4.
    ("GET", "/", b"", None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("POST", "/", b"", None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        *("GET", "/?Param2=value2&Param1=value1", b"", None),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        *("POST", "/", b"Param1=value1", "application/x-www-form-urlencoded"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "content_type", "signature"), VECTORS)
async def test_signatures_are_those_of_aws(
    method: str, path: str, body: bytes, content_type: str | None, signature: str, monkeypatch: pytest.MonkeyPatch
):
    import botocore.auth

    then = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: then)
    sent = {"host": "example.amazonaws.com"} | ({"content-type": content_type} if content_type else {})
    request = httpx.Request(method, f"https://example.amazonaws.com{path}", headers=sent, stream=httpx.ByteStream(body))

    await Authorizer(then.timestamp).authorize(request, body, replace_auth(region="us-east-1", service="service"))

    names = ";".join(sorted([*sent, "x-amz-date"]))
    assert request.headers["x-amz-date"] == "20150830T123600Z"
    assert request.headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def replace_auth(**changes: str) -> AwsSigV4:
    return AwsSigV4(**({"access_key_id": KEY_ID, "secret_access_key": SECRET} | changes))


def signature_problem(request: bytes) -> str | None:
    """What Lambda would refuse of a request, by the standard's own words; None if it would let it through."""
    head, _, body = request.partition(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
    sent = {name: ",".join(values) for name, values in headers(request).items()}
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/(.+)/(.+)/aws4_request, SignedHeaders=(.+), Signature=(\w{64})",
        sent.get("authorization", ""),
    )
    if not found:
        return "no signature"
    key_id, day, region, service, signed, signature = found.groups()
    if not {"host", "x-amz-date", "content-type"} <= set(signed.split(";")) or key_id not in SECRETS:
        return "signs too little, or unknown"
    if (region, service) != ("eu-central-1", "lambda") or not sent["x-amz-date"].startswith(day):
        return "another scope"
    path, _, query = target.partition("?")
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    quoted = sorted((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in pairs)
    canonical = [
        method,
        quote(path, safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in quoted),
        *(f"{name}:{' '.join(sent[name].split())}" for name in signed.split(";")),
        "",
        signed,
        hashlib.sha256(body).hexdigest(),
    ]
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{SECRETS[key_id]}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{sent['x-amz-date']}\n{scope}\n{digest}"
    return None if hmac.digest(key, text.encode(), "sha256").hex() == signature else "the signature does not match"


async def lambda_url(peer: Peer) -> None:
    while request := await peer.request():
        problem = signature_problem(request)
        await peer.answer(*((INLINE_SUCCESS, "200 OK") if problem is None else (problem.encode(), "403 Forbidden")))


class Clock:
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
async def function() -> AsyncIterator[RawServer]:
    async with serving(lambda_url) as server:
        yield server


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys, and nowhere to look for them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def auth_error(outcome: Outcome) -> str:
    assert isinstance(outcome, Failure), outcome
    error = json.loads(outcome.error)
    assert (error["type"], outcome.retryable, outcome.http_status) == ("AuthError", True, None)
    return str(error["message"])


async def sent_by_hand(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "path", ["/", "/run", "/a%20b/c", "/run?b=2&a=1&a=0", "/run?at=a/b&c=%C3%BC&empty=&bare", "/~x?y=~"]
)
async def test_a_function_url_lets_a_signed_call_through(caller: Caller, function: RawServer, path: str):
    url = f"http://127.0.0.1:{function.port}{path}"

    assert await caller.call(replace(CALL, url=url)) == Success(http_status=200)

    assert [signature_problem(request) for request in function.requests] == [None]


async def test_what_is_changed_on_the_way_is_refused(caller: Caller, function: RawServer):
    await caller.call(replace(CALL, url=function.url))
    (request,) = function.requests
    signed = headers(request)["authorization"][0].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert set(signed) == {
        *("content-type", "host", "idempotency-key", "webhook-id", "webhook-timestamp", "x-amz-date", "x-shop")
    }
    assert await sent_by_hand(function.port, request) == b"HTTP/1.1 200 OK"

    for what, instead in (
        (b'{"jobId":"j"}', b'{"jobId":"k"}'),
        (b"POST /run", b"POST /ran"),
        (b"POST /run", b"POST /run?x=1"),
        (b"POST /run", b"PUT /run"),
        (b"j:1", b"j:2"),
        (b"eu-central-1", b"eu-central-2"),
        (b"application/json", b"application/jsom"),
        (b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA1 "),
    ):
        assert what in request
        tampered = request.replace(what, instead)
        assert await sent_by_hand(function.port, tampered) == b"HTTP/1.1 403 Forbidden", (what, instead)


async def test_wrong_keys_are_refused_by_the_function(caller: Caller, function: RawServer):
    outcome = await caller.call(
        replace(
            CALL, url=function.url, auth=replace_auth(region="eu-central-1", service="lambda", secret_access_key="x")
        )
    )

    assert isinstance(outcome, Failure)
    assert outcome.http_status == 403


async def test_keys_may_be_references(caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COORDINATOR_SECRET_AWS_ID", KEY_ID)
    monkeypatch.setenv("COORDINATOR_SECRET_AWS_KEY", SECRET)
    monkeypatch.setenv("COORDINATOR_SECRET_AWS_SESSION", "a-session")
    auth = AwsSigV4(
        region="eu-central-1",
        service="lambda",
        access_key_id="env:AWS_ID",
        secret_access_key="env:AWS_KEY",
        session_token="env:AWS_SESSION",
    )

    assert await caller.call(replace(CALL, url=function.url, auth=auth)) == Success(http_status=200)
    assert header(function.requests[0], "x-amz-security-token") == "a-session"


async def test_without_keys_those_of_the_environment_are_taken(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    assert await caller.call(replace(CALL, url=function.url, auth=CHAIN)) == Success(http_status=200)


async def test_the_keys_of_a_container_are_fetched_once_for_all_and_again_in_time(
    caller: Caller, function: RawServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    given = []

    async def container(peer: Peer) -> None:
        while await peer.request():
            key_id = f"ASIA{len(given)}"
            given.append(key_id)
            # By botocore's own clock it ends too soon to be kept for long.
            ends_at = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
            keys = {"AccessKeyId": key_id, "SecretAccessKey": SECRETS[key_id], "Token": "t", "Expiration": ends_at}
            await peer.answer(json.dumps(keys).encode())

    for number in range(3):
        monkeypatch.setitem(SECRETS, f"ASIA{number}", f"secret {number}")
    async with serving(container) as keys:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.url)
        call = replace(CALL, url=function.url, auth=CHAIN)
        outcomes = await asyncio.gather(*(caller.call(call) for _ in range(20)))
        assert outcomes == [Success(http_status=200)] * 20
        before = len(given)
        assert before <= 2, "one fetch, in which botocore may ask twice"

        clock.now += KEYS_FRESH_S
        async with asyncio.timeout(10):
            while (
                f"Credential={given[-1]}" not in header(function.requests[-1], "authorization")
                or given[-1] == given[before - 1]
            ):
                assert await caller.call(call) == Success(http_status=200)


async def test_without_any_keys_nothing_is_sent(caller: Caller, function: RawServer):
    assert "Unable to locate credentials" in auth_error(await caller.call(replace(CALL, url=function.url, auth=CHAIN)))
    assert function.requests == []


async def test_half_of_the_keys_are_missed_by_name(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)

    assert "AWS_SECRET_ACCESS_KEY" in auth_error(await caller.call(replace(CALL, url=function.url, auth=CHAIN)))


async def test_a_replica_without_the_library_says_what_to_install(
    caller: Caller, function: RawServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "botocore", None)

    for auth in (GIVEN, CHAIN):
        message = auth_error(await caller.call(replace(CALL, url=function.url, auth=auth)))
        assert "pip install 'coordinator[aws]'" in message
    assert function.requests == []
