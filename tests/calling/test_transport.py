"""What a transport promises, on real sockets: which side of "sent" a call broke on, and that nothing is sent twice."""

import asyncio
import gzip
import ssl

import httpx
import pytest

from coordinator.calling.egress import EgressGuard
from coordinator.calling.transport import KEEPALIVE_S, open_transport
from tests.calling.conftest import Opener
from tests.calling.raw_server import Peer, answer_all, headers, serving
from tests.ports import free_port

HEADERS = [
    ("accept", "*/*"),
    ("accept-encoding", "identity"),
    ("content-length", "2"),
    ("content-type", "application/json"),
    ("user-agent", "test"),
    ("x-own", "yes"),
]
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)


async def post(transport: httpx.AsyncBaseTransport, url: str, *, connect_s: float = 5.0) -> tuple[int, bytes]:
    """One exchange as a caller makes it: headers are given in full, the body is read raw, the stream is closed."""
    target = httpx.URL(url)
    request = httpx.Request(
        "POST",
        target,
        headers=[("host", target.netloc.decode()), *HEADERS],
        stream=httpx.ByteStream(b"{}"),
        extensions={"timeout": {"connect": connect_s, "read": None, "write": None, "pool": None}},
    )
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        body = b"".join([chunk async for chunk in response.stream])
    finally:
        await response.stream.aclose()
    return response.status_code, body


async def error_of(transport: httpx.AsyncBaseTransport, url: str, *, connect_s: float = 5.0) -> Exception:
    with pytest.raises(httpx.TransportError) as caught:
        await post(transport, url, connect_s=connect_s)
    return caught.value


async def test_a_refused_connection_was_surely_not_sent(transport: httpx.AsyncBaseTransport) -> None:
    assert isinstance(await error_of(transport, f"http://127.0.0.1:{free_port()}/"), httpx.ConnectError)


async def test_a_name_that_does_not_resolve_was_surely_not_sent(transport: httpx.AsyncBaseTransport) -> None:
    assert isinstance(await error_of(transport, "http://nothing.invalid/"), httpx.ConnectError)


async def test_a_silent_handshake_is_a_connect_timeout(transport: httpx.AsyncBaseTransport) -> None:
    async with serving(Peer.gone) as server:
        url = f"https://127.0.0.1:{server.port}/"
        assert isinstance(await error_of(transport, url, connect_s=0.1), httpx.ConnectTimeout)


async def test_an_unknown_certificate_was_surely_not_sent(
    transport: httpx.AsyncBaseTransport, server_tls: ssl.SSLContext
) -> None:
    async with serving(answer_all, server_tls) as server:
        error = await error_of(transport, f"https://localhost:{server.port}/")
    assert (type(error), server.requests) == (httpx.ConnectError, [])


async def test_a_certificate_of_another_name_was_surely_not_sent(
    trusting_transport: httpx.AsyncBaseTransport, server_tls: ssl.SSLContext
) -> None:
    async with serving(answer_all, server_tls) as server:
        error = await error_of(trusting_transport, f"https://127.0.0.1:{server.port}/")
    assert (type(error), server.requests) == (httpx.ConnectError, [])


async def test_tls_works_with_the_right_certificate(
    trusting_transport: httpx.AsyncBaseTransport, server_tls: ssl.SSLContext
) -> None:
    async with serving(answer_all, server_tls) as server:
        status, _ = await post(trusting_transport, f"https://localhost:{server.port}/")
    assert status == 200


async def test_a_reset_after_the_request_may_have_been_sent(transport: httpx.AsyncBaseTransport) -> None:
    async def reset(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with serving(reset) as server:
        error = await error_of(transport, server.url)
    assert not isinstance(error, NOT_SENT)
    assert len(server.requests) == 1


async def test_a_close_without_an_answer_may_have_been_sent(transport: httpx.AsyncBaseTransport) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()

    async with serving(close) as server:
        error = await error_of(transport, server.url)
    assert (type(error), len(server.requests)) == (httpx.RemoteProtocolError, 1)


async def test_a_body_that_breaks_off_is_an_error_and_not_a_short_body(transport: httpx.AsyncBaseTransport) -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}")

    async with serving(break_off) as server:
        assert not isinstance(await error_of(transport, server.url), NOT_SENT)


async def test_an_answer_that_is_not_http_may_have_been_sent(transport: httpx.AsyncBaseTransport) -> None:
    async def speak_otherwise(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    async with serving(speak_otherwise) as server:
        assert isinstance(await error_of(transport, server.url), httpx.RemoteProtocolError)


async def test_a_connection_is_used_again(transport: httpx.AsyncBaseTransport) -> None:
    async with serving(answer_all) as server:
        for _ in range(3):
            await post(transport, server.url)
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(
    transport: httpx.AsyncBaseTransport,
) -> None:
    closed = asyncio.Event()

    async def answer_one(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        peer.writer.close()
        await peer.writer.wait_closed()
        closed.set()

    async with serving(answer_one) as server:
        await post(transport, server.url)
        await closed.wait()
        # The FIN is on its way through the loop; nothing tells of its arrival.
        for _ in range(20):
            await asyncio.sleep(0)
        status, _ = await post(transport, server.url)
    assert (status, server.connections, len(server.requests)) == (200, 2, 2)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_call_lost_on_a_kept_connection_is_never_sent_again(
    transport: httpx.AsyncBaseTransport, end: str
) -> None:
    """The race of a stale connection: the server ends it just as the second call arrives."""

    async def answer_then_end(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.request()
        if end == "reset":
            peer.reset()

    async with serving(answer_then_end) as server:
        await post(transport, server.url)
        error = await error_of(transport, server.url)
    assert not isinstance(error, NOT_SENT)
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_an_idle_connection_is_given_up_before_servers_do_so(local: EgressGuard) -> None:
    pytest.importorskip("aiohttp")  # httpx's pool looks only when it is used
    transport = open_transport(local)
    async with serving(answer_all) as server:
        await post(transport, server.url)
        async with asyncio.timeout(KEEPALIVE_S * 3):
            await server.left.wait()
    await transport.aclose()


async def test_a_redirect_is_answered_and_not_followed(transport: httpx.AsyncBaseTransport) -> None:
    async def redirect(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", "307 Temporary Redirect", "location: /elsewhere\r\n")

    async with serving(redirect) as server:
        status, _ = await post(transport, server.url)
    assert (status, len(server.requests)) == (307, 1)


async def test_cookies_are_not_kept(transport: httpx.AsyncBaseTransport) -> None:
    async def set_cookie(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(headers="set-cookie: session=1\r\n")

    async with serving(set_cookie) as server:
        await post(transport, server.url)
        await post(transport, server.url)
    assert "cookie" not in headers(server.requests[1])


async def test_a_compressed_body_stays_compressed(transport: httpx.AsyncBaseTransport) -> None:
    bomb = gzip.compress(bytes(10_000_000))

    async def send_bomb(peer: Peer) -> None:
        await peer.request()
        await peer.answer(bomb, headers="content-encoding: gzip\r\n")

    async with serving(send_bomb) as server:
        _, body = await post(transport, server.url)
    assert body == bomb


async def test_proxies_of_the_environment_are_ignored(
    opener: Opener, local: EgressGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    transport = opener(local)
    async with serving(answer_all) as server:
        status, _ = await post(transport, server.url)
        await transport.aclose()
    assert status == 200


async def test_a_request_goes_out_as_it_was_given(transport: httpx.AsyncBaseTransport) -> None:
    async with serving(answer_all) as server:
        url = f"http://127.0.0.1:{server.port}/a%2Fb/./c?x=%20y&z=é"
        await post(transport, url)
        port = server.port
    line, _, rest = server.requests[0].partition(b"\r\n")
    assert line == b"POST /a%2Fb/c?x=%20y&z=%C3%A9 HTTP/1.1"
    assert headers(b"\r\n" + rest) == {"host": [f"127.0.0.1:{port}"]} | {name: [value] for name, value in HEADERS}


async def test_hundreds_of_calls_are_in_flight_at_once(transport: httpx.AsyncBaseTransport) -> None:
    all_here = asyncio.Barrier(301)

    async def wait_for_all(peer: Peer) -> None:
        await peer.request()
        await all_here.wait()
        await peer.answer()

    async with serving(wait_for_all) as server, asyncio.timeout(30):
        calls = [asyncio.ensure_future(post(transport, server.url)) for _ in range(300)]
        await all_here.wait()
        assert {status for status, _ in await asyncio.gather(*calls)} == {200}
