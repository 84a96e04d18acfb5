"""httpx's transport interface over aiohttp's connections.

The ready-made `httpx-aiohttp` reports a dropped connection as `ConnectTimeout`, as if nothing had been sent, and
a job would then run twice. Here the exception says on which side of "sent" the call broke:

```
 resolve ─▶ connect ─▶ TLS │ write ─▶ wait ─▶ headers ─▶ body
   ConnectError, ConnectTimeout │ ReadError, RemoteProtocolError
```

aiohttp repeats a request by itself when a kept connection breaks, but only for idempotent methods; a POST it never
sends again. It cannot tell whether a POST on a connection that broke was read, and neither can we: it may have been
sent. `KEEPALIVE_S` keeps that from happening to connections that a server closes for being idle.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPStatus

import aiohttp
import aiohttp.abc
import httpx
import yarl

from coordinator.calling.egress import EgressGuard
from coordinator.calling.transport import CONNECT_TIMEOUT_S, KEEPALIVE_S
from coordinator.calling.worker_url import target, target_at

DNS_CACHE_S = 10
FIELD_LIMIT_BYTES = 64 * 1024
"""A header beyond aiohttp's 8 KiB is odd, but refusing the answer would hide a job that is done."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests as they are, if they are complete.

    aiohttp fills in `accept`, `accept-encoding`, `content-type` and `user-agent` where there is none; to keep it from
    that costs time in every call, so the caller sends all four. Of the time-outs in the request's extensions only
    `connect` counts: how long an answer may take in all is for the caller to bound.

    aiohttp asks its resolver for no address that is a URL's host already, so these are judged when the URL is read; and
    keeps answers by host and port only, although http may be refused where https is not, so each has its own session.
    """

    def __init__(self, guard: EgressGuard, tls: ssl.SSLContext) -> None:
        """`tls` is used for every https URL."""
        self._guard = guard
        self._tls = tls
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._target = lru_cache(maxsize=1024)(self._judged_target)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the answer's headers are in, its body is still to be read."""
        url = self._target(str(request.url))
        session = self._sessions.get(url.scheme) or self._open(url.scheme)
        connect_s = request.extensions.get("timeout", {}).get("connect", CONNECT_TIMEOUT_S)
        try:
            answer = await session.request(
                request.method,
                url,
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=await request.aread(),
                allow_redirects=False,
                timeout=_timeout(connect_s),
            )
        except aiohttp.ClientError as why:
            raise _httpx_error(why) from why
        if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
            # Nobody asked for it; what comes next is not HTTP.
            answer.close()
            raise httpx.RemoteProtocolError("The server switched protocols unasked.")
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections, those in use as well."""
        for session in self._sessions.values():
            await session.close()

    def _judged_target(self, url: str) -> yarl.URL:
        """The URL for aiohttp. What is refused is judged again the next time. Raises `EgressRefused`."""
        self._guard.check(target_at(httpx.URL(url)))
        # `encoded`, because httpx has quoted it already: the function gets the same path by either transport.
        return yarl.URL(url, encoded=True)

    def _open(self, scheme: str) -> aiohttp.ClientSession:
        # Not in __init__: a session belongs to the loop that runs when it is made.
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEPALIVE_S,
            ssl=self._tls,
            ttl_dns_cache=DNS_CACHE_S,
            resolver=_JudgingResolver(self._guard, scheme),
        )
        self._sessions[scheme] = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_field_size=FIELD_LIMIT_BYTES,
        )
        return self._sessions[scheme]


class _JudgingResolver(aiohttp.abc.AbstractResolver):
    """Gives aiohttp addresses that were judged, and nothing that would have to be looked up again."""

    def __init__(self, guard: EgressGuard, scheme: str) -> None:
        self._guard = guard
        self._scheme = scheme

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        """The addresses, in the system's order. Raises `EgressRefused`, `OSError`."""
        del family
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._guard.addresses(target(self._scheme, host, port))
        ]

    async def close(self) -> None:
        """There is nothing to close."""


class _Body(httpx.AsyncByteStream):
    """The body as it comes. aiohttp stops reading from the socket while 128 KiB wait here."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        try:
            while chunk := await content.readany():
                yield chunk
        except aiohttp.ClientError as why:
            raise _httpx_error(why) from why

    async def aclose(self) -> None:
        # Once the body has come to its end the connection is back in the pool; before, it is good for nothing.
        if self._answer.connection is not None:
            self._answer.close()


def _httpx_error(why: aiohttp.ClientError) -> httpx.HTTPError:
    """The same in httpx's words. Only what is raised before the first byte is written may be a connect error."""
    match why:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(str(why))
        case aiohttp.ClientConnectorError():  # name resolution and TLS are its subclasses
            return httpx.ConnectError(str(why))
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx.UnsupportedProtocol(str(why))
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError(str(why))
        case _:
            return httpx.ReadError(str(why))


@lru_cache(maxsize=16)
def _timeout(connect_s: float | None) -> aiohttp.ClientTimeout:
    # `connect` spans resolving, connecting and TLS; aiohttp's own defaults (5 minutes in all) would cut off the rest.
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=None, sock_read=None)
