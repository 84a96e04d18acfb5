"""What a call comes to, against servers that behave well, badly and viciously."""

import asyncio
import errno
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest

from coordinator import __version__
from coordinator.calling.answer import BODY_LIMIT_BYTES
from coordinator.calling.caller import Caller, CallLimit
from coordinator.calling.httpcore_transport import HttpcoreTransport
from coordinator.calling.request import Call
from coordinator.domain.outcome import Delivered, Failure, Outcome, Success, Throttle, Unsent
from coordinator.domain.worker import Ack
from tests.calling.raw_server import INLINE_SUCCESS, Behaviour, Peer, RawServer, answer_all, headers, serving
from tests.ports import free_port

NOW = 1_790_000_000
CALL = Call("", {}, b'{"jobId":"j"}', message_id="j:1", idempotency_key="j", timeout_s=10.0, ack="receipt")


@pytest.fixture
async def caller(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Caller]:
    caller = Caller(transport, clock=lambda: NOW + 0.5)
    yield caller
    await caller.close()


def to(server: RawServer, *, ack: Ack = "receipt", timeout_s: float = 10.0) -> Call:
    return replace(CALL, url=server.url, ack=ack, timeout_s=timeout_s)


def error_of(outcome: Outcome) -> dict[str, str]:
    assert isinstance(outcome, Failure), outcome
    error = json.loads(outcome.error)
    assert isinstance(error, dict)
    return error


def answering(status: str, body: bytes = b"", headers: str = "") -> Behaviour:
    async def behave(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(body, status, headers)

    return behave


async def test_a_call_carries_the_body_and_our_headers(caller: Caller) -> None:
    async with serving(answer_all) as server:
        assert await caller.call(to(server)) == Success(http_status=200)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body) == (b"POST /run HTTP/1.1", CALL.body)
    assert headers(head) == {
        "host": [f"127.0.0.1:{server.port}"],
        "accept": ["*/*"],
        "accept-encoding": ["identity"],
        "content-type": ["application/json"],
        "content-length": [str(len(CALL.body))],
        "user-agent": [f"coordinator/{__version__}"],
        "idempotency-key": ["j"],
        "webhook-id": ["j:1"],
        "webhook-timestamp": [str(NOW)],
    }


async def test_the_workers_own_headers_are_added_but_replace_nothing_of_ours(caller: Caller) -> None:
    own = {
        "X-Vercel-Protection-Bypass": " secret ",
        "User-Agent": "mine",
        "Host": "elsewhere",
        "Content-Length": "0",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
        "Expect": "100-continue",
        "Webhook-Id": "forged",
        "webhook-signature": "forged",
        "Accept-Encoding": "gzip",
    }
    async with serving(answer_all) as server:
        await caller.call(replace(to(server), headers=own))
        sent = headers(server.requests[0])
    assert sent["x-vercel-protection-bypass"] == ["secret"]
    assert sent["user-agent"] == ["mine"]
    assert sent["host"] == [f"127.0.0.1:{server.port}"]
    assert sent["webhook-id"] == ["j:1"]
    assert sent["content-length"] == [str(len(CALL.body))]
    assert sent["accept-encoding"] == ["identity"]
    assert not sent.keys() & {"transfer-encoding", "connection", "expect", "webhook-signature"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "é"),
        ("x-a", "a\r\nx-b: c"),
        ("x-a", "a\nb"),
        ("x-a", "a\x00b"),
        ("x-a", "\ud800"),
        ("x a", "b"),
        ("x-a:", "b"),
        ("é", "b"),
        ("", "b"),
        ("x-a\r\nx-b", "c"),
    ],
)
async def test_headers_that_cannot_be_sent_fail_the_call(caller: Caller, name: str, value: str) -> None:
    async with serving(answer_all) as server:
        outcome = await caller.call(replace(to(server), headers={name: value}))
    assert (error_of(outcome)["type"], server.connections) == ("InvalidHeader", 0)


async def test_an_id_that_cannot_be_sent_fails_the_call(caller: Caller) -> None:
    outcome = await caller.call(replace(CALL, url="http://127.0.0.1/", message_id="j\r\nx: y"))
    assert error_of(outcome)["type"] == "InvalidHeader"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/run",
        "/run",
        "http://",
        "http:///run",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://a b/",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://127.0.0.1/\r\nx: y",
        "http://127.0.0.1/" + "a" * 70_000,
    ],
)
async def test_a_url_that_cannot_be_called_fails_the_call(caller: Caller, url: str) -> None:
    outcome = await caller.call(replace(CALL, url=url))
    assert (error_of(outcome)["type"], outcome.kind) == ("InvalidURL", "failure")  # type: ignore[union-attr]


@pytest.mark.parametrize("ack", ["receipt", "response"])
async def test_a_refused_connection_fails_at_once(caller: Caller, ack: Ack) -> None:
    error = error_of(await caller.call(replace(CALL, url=f"http://127.0.0.1:{free_port()}/", ack=ack)))
    assert error["type"] == "ConnectError"
    assert error["message"]


@pytest.mark.parametrize("ack", ["receipt", "response"])
async def test_a_name_that_does_not_resolve_fails_at_once(caller: Caller, ack: Ack) -> None:
    assert error_of(await caller.call(replace(CALL, url="http://nothing.invalid/", ack=ack)))["type"] == "DNSError"


@pytest.mark.parametrize("ack", ["receipt", "response"])
async def test_a_wrong_certificate_fails_at_once(caller: Caller, server_tls: ssl.SSLContext, ack: Ack) -> None:
    async with serving(answer_all, server_tls) as server:
        url = f"https://localhost:{server.port}/"
        error = error_of(await caller.call(replace(CALL, url=url, ack=ack)))
    assert (error["type"], server.requests) == ("TLSError", [])
    assert "self-signed" in error["message"]


async def test_https_to_a_plain_server_fails_at_once(caller: Caller) -> None:
    async def speak_plainly(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(speak_plainly) as server:
        outcome = await caller.call(replace(CALL, url=f"https://localhost:{server.port}/"))
    assert error_of(outcome)["type"] == "TLSError"


async def no_answer(peer: Peer) -> None:
    await peer.request()


async def reset(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def not_http(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"220 mail.example ESMTP\r\n")


async def too_many_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(1000):
        await peer.send(b"x-a: b\r\n" * 100)
    await peer.send(b"content-length: 0\r\n\r\n")


@pytest.mark.parametrize("behave", [no_answer, reset, not_http, too_many_headers])
async def test_a_call_that_breaks_after_sending_may_have_run(caller: Caller, behave: Behaviour) -> None:
    async with serving(behave) as server:
        assert await caller.call(to(server)) == Delivered()
        assert error_of(await caller.call(to(server, ack="response")))["type"] == "ConnectionLost"


async def test_a_success_that_breaks_off_may_have_been_anything(caller: Caller) -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"status":"success"}')

    async with serving(break_off) as server:
        assert await caller.call(to(server)) == Delivered(200)
        lost = await caller.call(to(server, ack="response"))
    assert error_of(lost)["type"] == "ConnectionLost"
    assert isinstance(lost, Failure)
    assert lost.http_status == 200


async def test_a_failure_that_breaks_off_is_still_that_failure(caller: Caller) -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nboom")

    async with serving(break_off) as server:
        error = error_of(await caller.call(to(server)))
    assert error == {"type": "HTTPError", "message": "500 Internal Server Error", "body": "boom"}


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()
    peer.server.left.set()


async def slow_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nx-a: ")
    await peer.drip(b"a")


async def slow_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n")
    await peer.drip(b"a")


async def endless_100(peer: Peer) -> None:
    await peer.request()
    await peer.flood(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("behave", [silent, slow_headers, slow_body, endless_100])
@pytest.mark.parametrize("ack", ["receipt", "response"])
async def test_what_is_not_complete_in_time_is_timed_out_and_closed(
    caller: Caller, behave: Behaviour, ack: Ack
) -> None:
    async with serving(behave) as server:
        outcome = await caller.call(to(server, ack=ack, timeout_s=0.15))
        async with asyncio.timeout(5):
            await server.left.wait()
    assert outcome == Failure(b'{"type":"Timeout","message":"No complete answer within 0.15 s."}', kind="timeout")


async def test_a_handshake_is_inside_the_time_as_well(caller: Caller, transport: httpx.AsyncBaseTransport) -> None:
    if isinstance(transport, HttpcoreTransport):
        pytest.skip("httpcore leaves the socket of a cancelled handshake to the garbage collector, which warns of it")
    async with serving(Peer.gone) as server:
        outcome = await caller.call(replace(CALL, url=f"https://127.0.0.1:{server.port}/", timeout_s=0.1))
    assert error_of(outcome)["type"] == "Timeout"


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        ("transfer-encoding: chunked", b"2710\r\n" + b"a" * 10_000 + b"\r\n"),
        ("content-length: 1000000000000", b"a" * 10_000),
        ("connection: close", b"a" * 10_000),
    ],
)
async def test_an_endless_body_is_cut_and_closed(caller: Caller, framing: str, piece: bytes) -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        await peer.flood(piece)

    async with serving(endless) as server:
        assert await caller.call(to(server)) == Delivered(200)
        async with asyncio.timeout(5):
            await server.left.wait()


async def test_a_gzip_bomb_stays_packed(caller: Caller) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < 100_000
    async with serving(answering("500 Oh", bomb, "content-encoding: gzip\r\n")) as server:
        error = error_of(await caller.call(to(server)))
    assert len(error["body"]) <= 1024


@pytest.mark.parametrize(("length", "expected"), [(BODY_LIMIT_BYTES, Failure), (BODY_LIMIT_BYTES + 1, Delivered)])
async def test_a_failure_that_does_not_fit_is_no_receipt(caller: Caller, length: int, expected: type[Outcome]) -> None:
    frame = b'{"status":"failure","error":""}'
    body = frame[:-2] + b"a" * (length - len(frame)) + frame[-2:]
    async with serving(answering("200 OK", body)) as server:
        assert isinstance(await caller.call(to(server)), expected)


async def test_retry_after_is_read_on_the_callers_clock(caller: Caller) -> None:
    http_date = "retry-after: Mon, 21 Sep 2026 14:13:25 GMT\r\n"
    async with serving(answering("429 Slow Down", headers=http_date)) as server:
        assert await caller.call(to(server)) == Throttle(4_500, 429)


async def test_a_body_that_closes_the_connection_is_read_to_its_end(caller: Caller) -> None:
    async def until_close(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + INLINE_SUCCESS[:5])
        await peer.send(INLINE_SUCCESS[5:])

    async with serving(until_close) as server:
        assert await caller.call(to(server)) == Success(http_status=200)


async def test_early_hints_before_the_answer_are_passed_over(caller: Caller) -> None:
    async def hint(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        await peer.answer()

    async with serving(hint) as server:
        assert await caller.call(to(server)) == Success(http_status=200)


async def test_an_upgrade_nobody_asked_for_is_no_answer(caller: Caller) -> None:
    async def upgrade(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
        await peer.gone()
        peer.server.left.set()

    async with serving(upgrade) as server, asyncio.timeout(5):
        assert await caller.call(to(server)) == Delivered()
        await server.left.wait()


async def test_an_answer_that_comes_before_the_body_is_sent_counts(caller: Caller) -> None:
    async def refuse_early(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"", "413 Too Large", "connection: close\r\n")
        await peer.gone()

    async with serving(refuse_early) as server:
        error = error_of(await caller.call(replace(to(server), body=b"a" * 1_000_000)))
    assert error["message"].startswith("413 ")


async def test_a_cancelled_call_is_cancelled_and_closed(caller: Caller) -> None:
    async with serving(silent) as server, asyncio.timeout(5):
        call = asyncio.ensure_future(caller.call(to(server)))
        while not server.requests:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.left.wait()


async def test_a_closed_caller_gives_calls_back(caller: Caller) -> None:
    await caller.close()
    assert await caller.call(replace(CALL, url="http://127.0.0.1/")) == Unsent("shutdown")


def raising(error: Exception, cause: Exception | None = None) -> Callable[[httpx.Request], httpx.Response]:
    def handle(_: httpx.Request) -> httpx.Response:
        raise error from cause

    return handle


async def test_a_call_without_a_free_descriptor_is_given_back() -> None:
    full = OSError(errno.EMFILE, "Too many open files")
    caller = Caller(httpx.MockTransport(raising(httpx.ConnectError("no"), full)))
    assert await caller.call(replace(CALL, url="http://127.0.0.1/")) == Unsent("out_of_sockets")


async def test_a_fault_of_our_own_never_escapes_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller(httpx.MockTransport(raising(KeyError("x"))))
    assert await caller.call(replace(CALL, url="http://127.0.0.1/")) == Delivered()
    assert "unforeseen" in caplog.text


async def test_messages_never_show_the_url() -> None:
    """A URL may carry a key, and errors are kept and shown."""
    url = "http://127.0.0.1:{}/run?key=secret"
    for transport_error in (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        caller = Caller(httpx.MockTransport(raising(transport_error(f"broken: {url}"), OSError(104, "reset"))))
        outcome = await caller.call(replace(CALL, url=url.format(1), ack="response"))
        assert "secret" not in str(outcome)


async def test_a_limit_that_is_reached_asks_how_much_is_left() -> None:
    asked = [0.05, 0.05, 0.0]

    async def left() -> float:
        return asked.pop(0)

    began = asyncio.get_running_loop().time()
    limit = CallLimit(0.05, left)
    with pytest.raises(TimeoutError):
        async with limit:
            await asyncio.Event().wait()

    assert (asked, limit.is_over) == ([], True)
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_a_limit_that_cannot_ask_ends_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async def left() -> float:
        raise ZeroDivisionError

    with pytest.raises(TimeoutError):
        async with CallLimit(0.01, left):
            await asyncio.Event().wait()

    assert "could not be asked" in caplog.text


async def test_what_ends_in_time_is_not_asked_about() -> None:
    asked: list[float] = []

    async def left() -> float:
        asked.append(1)
        return 1

    async with CallLimit(0.01, left):
        pass
    await asyncio.sleep(0.02)

    assert asked == []


async def test_a_limit_may_be_moved_before_and_while_the_call_is_made() -> None:
    limit = CallLimit(10)
    limit.extend(5)

    async def call() -> None:
        async with limit:
            limit.extend(0.01)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await call()

    assert (limit.timeout_s, limit.is_over) == (5, True)
