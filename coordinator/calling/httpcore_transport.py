"""httpx's transport interface over httpcore's connections, which is what httpx itself is made of.

httpx offers no place to say which address to connect to; httpcore does (`network_backend`). Only the address is ours:
the host stays in the `host` header, in SNI and in the name that a certificate must have.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

import httpcore
import httpx

from coordinator.calling.egress import EgressGuard
from coordinator.calling.transport import KEEPALIVE_CONNECTIONS_LIMIT, KEEPALIVE_S
from coordinator.calling.worker_url import target

_IN_HTTPX = {
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.WriteError: httpx.WriteError,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.ReadError: httpx.ReadError,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}
"""httpcore raises no others but their parents."""


class HttpcoreTransport(httpx.AsyncBaseTransport):
    """Sends requests as they are. A pool for each scheme: the guard judges http and https differently."""

    def __init__(self, guard: EgressGuard, tls: ssl.SSLContext) -> None:
        """`tls` is used for every https URL."""
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=tls,
                max_connections=None,
                max_keepalive_connections=KEEPALIVE_CONNECTIONS_LIMIT,
                keepalive_expiry=KEEPALIVE_S,
                network_backend=_JudgingBackend(guard, scheme),
            )
            for scheme in ("http", "https")
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the answer's headers are in, its body is still to be read."""
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _in_httpx():
            answer = await self._pools[url.scheme].handle_async_request(sent)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections, those in use as well."""
        for pool in self._pools.values():
            await pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body as it comes."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)
        with _in_httpx():
            async for chunk in self._answer.stream:
                yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


class _JudgingBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, and to nothing else: Unix sockets are left as the parent leaves them."""

    def __init__(self, guard: EgressGuard, scheme: str) -> None:
        self._guard = guard
        self._scheme = scheme
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first connection that comes about. Raises `EgressRefused` and what httpcore knows."""
        clock = asyncio.get_running_loop().time
        until = None if timeout is None else clock() + timeout
        try:
            async with asyncio.timeout(timeout):
                addresses = [str(address) for address in await self._guard.addresses(target(self._scheme, host, port))]
        except TimeoutError as why:
            raise httpcore.ConnectTimeout("The host could not be looked up in time.") from why
        except OSError as why:
            raise httpcore.ConnectError(str(why)) from why
        failure: Exception | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            # One that does not answer leaves time for the others.
            limit_s = None if until is None else max(0.0, until - clock()) / left
            try:
                return await self._network.connect_tcp(address, port, limit_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as why:
                failure = why
        assert failure is not None
        raise failure


@contextlib.contextmanager
def _in_httpx() -> Iterator[None]:
    """The same in httpx's words."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
    ) as why:
        raise _IN_HTTPX[type(why)](str(why)) from why
