"""One call of a cloud function, from its URL and body to an `Outcome`.

```
 Call ─▶ check ─▶ send ─▶ headers ─▶ at most 1 MiB of body ─▶ read_answer ─▶ Outcome
          │        │         └───────────┴─ broke: may have run        ▲
          └────────┴─ broke: surely not run                            │
 └────────────── its limit in all; then timed out ─────────────────────┘
```

The clock runs over everything at once. Time-outs of single reads do not end an answer that drips a byte a second
or a server that says `100 Continue` for ever.
"""

import asyncio
import errno
import logging
import re
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import httpx

from coordinator import __version__
from coordinator.calling.answer import BODY_LIMIT_BYTES, EXCERPT_LIMIT_BYTES, lost, not_sent, read_answer, timed_out
from coordinator.calling.transport import CONNECT_TIMEOUT_S
from coordinator.domain.outcome import Outcome, Unsent
from coordinator.domain.worker import Ack

RESERVED_HEADERS = frozenset(
    {
        # Ours, or the signature and the receipt would not mean what they say.
        *("content-type", "idempotency-key", "accept-encoding"),
        # The connection's own (RFC 9110, 7.6.1): a worker that set them could smuggle or stall a request.
        *("host", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"),
        *("proxy-connection", "te", "trailer", "upgrade", "expect"),
    }
)
"""Names that a worker's own headers cannot set; nor any that begins with `webhook-`."""

_log = logging.getLogger(__name__)

_EXTENSIONS = {"timeout": {"connect": CONNECT_TIMEOUT_S, "read": None, "write": None, "pool": None}}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOST = re.compile(rb"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|[0-9a-fA-F.]*:[0-9a-fA-F:.]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")

# Ours to run out of, not the function's fault. EADDRNOTAVAIL is left out: no local port is free then, but a machine
# without IPv6 says the same of every IPv6 address, and that call would be given back for ever.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be sent, and where. `headers` are the worker's own.

    `message_id` names this call (`<job id>:<number of the call>:<nonce>`): by the standard a receiver may drop an id
    that it has seen, so a retry needs a new one. `idempotency_key` names the job and stays. `timeout_s` bounds it all.
    """

    url: str
    headers: dict[str, str]
    body: bytes
    message_id: str
    idempotency_key: str
    timeout_s: float
    ack: Ack


class CallLimit:
    """How long a call may take; whoever hears that its function needs longer moves it."""

    def __init__(self, timeout_s: float) -> None:
        """The clock starts with the call."""
        self.timeout_s = timeout_s
        self._running: asyncio.Timeout | None = None

    def start(self) -> asyncio.Timeout:
        """The context in which the call is made."""
        self._running = asyncio.timeout(self.timeout_s)
        return self._running

    def extend(self, left_s: float) -> None:
        """The call has so long from now."""
        if self._running is None:
            self.timeout_s = left_s
        elif not self._running.expired():
            self._running.reschedule(asyncio.get_running_loop().time() + left_s)


class Caller:
    """Calls functions. One for the whole replica; it owns its transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the message's timestamp and for dates in `Retry-After`."""
        self._transport = transport
        self._clock = clock
        self._closed = False

    async def call(self, call: Call, limit: CallLimit | None = None) -> Outcome:
        """Make the call and say what it came to. Raises nothing but `CancelledError`.

        `limit` may be moved while the call is under way; without it the call takes `timeout_s` at the most.
        """
        limit = limit or CallLimit(call.timeout_s)
        if self._closed:
            return Unsent("shutdown")
        try:
            request = _request(call, int(self._clock()))
        except _UnsendableError as why:
            return not_sent(why.error_type, why.message)
        running = limit.start()
        try:
            async with running:
                return await self._exchange(request, call.ack)
        # Whatever a transport may raise: the dispatcher's other calls must go on, and this one has to be settled.
        except Exception as why:  # noqa: BLE001
            return timed_out(limit.timeout_s) if running.expired() else _read_exception(why, call.ack)

    async def close(self) -> None:
        """Close all connections. Calls still in flight come to `lost`."""
        self._closed = True
        await self._transport.aclose()

    async def _exchange(self, request: httpx.Request, ack: Ack) -> Outcome:
        response = await self._transport.handle_async_request(request)
        # The type allows synchronous streams as well, which no asynchronous transport has.
        limit = BODY_LIMIT_BYTES if response.is_success else EXCERPT_LIMIT_BYTES
        body, broke = await _read_body(cast("httpx.AsyncByteStream", response.stream), limit)
        if broke is not None and response.is_success:
            # Of a failure the status says enough; what a success means stands in the body.
            return lost(ack, _lost_message(broke), response.status_code)
        return read_answer(response.status_code, response.headers, body, ack, int(self._clock() * 1000))


class _UnsendableError(Exception):
    """The worker's URL or headers cannot be put into a request."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message


async def _read_body(stream: httpx.AsyncByteStream, limit: int) -> tuple[bytes, httpx.TransportError | None]:
    """The body as far as it came and as far as we read, and what broke it off if something did."""
    body: list[bytes] = []
    size = 0
    try:
        chunks = aiter(stream)
        async for chunk in chunks:
            body.append(chunk)
            size += len(chunk)
            if size > limit:
                if isinstance(chunks, AsyncGenerator):
                    await chunks.aclose()
                break
    except httpx.TransportError as why:
        return b"".join(body), why
    finally:
        # Closes the connection if the body was not read to its end, also when we are cancelled.
        await stream.aclose()
    return b"".join(body), None


def _request(call: Call, sent_at: int) -> httpx.Request:
    url = _target(call.url)
    for value in (call.message_id, call.idempotency_key):
        if not _HEADER_VALUE.fullmatch(value):
            raise _UnsendableError("InvalidHeader", "The job's id cannot be sent as a header: printable ASCII only.")
    headers = [
        (b"host", url.netloc),
        *_worker_headers(tuple(call.headers.items())),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(call.body)),
        (b"accept-encoding", b"identity"),
        (b"idempotency-key", call.idempotency_key.encode()),
        (b"webhook-id", call.message_id.encode()),
        (b"webhook-timestamp", b"%d" % sent_at),
    ]
    # With a stream httpx adds no headers of its own and does not encode the body again.
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(call.body), extensions=_EXTENSIONS)


@lru_cache(maxsize=1024)
def _target(url: str) -> httpx.URL:
    """The URL, read once per worker. Its text is not repeated in the error: it may carry a key."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as why:
        raise _UnsendableError("InvalidURL", f"The worker's URL cannot be read: {why}") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise _UnsendableError("InvalidURL", "The worker's URL must begin with https:// or http:// and name a host.")
    if target.userinfo:
        raise _UnsendableError("InvalidURL", "The worker's URL has a user or password; use an authorization header.")
    # The rest would come out of the resolver as errors that say nothing.
    if target.port is not None and not 0 < target.port < 65_536:
        raise _UnsendableError("InvalidURL", "The port of the worker's URL is not between 1 and 65535.")
    if not _HOST.fullmatch(target.raw_host):
        raise _UnsendableError("InvalidURL", "The host of the worker's URL is neither a name nor an address.")
    return target


@lru_cache(maxsize=1024)
def _worker_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The worker's own headers, checked, without the reserved ones; ours where it sets none."""
    kept = {"accept": "*/*", "user-agent": f"coordinator/{__version__}"}
    for given, value in headers:
        name = given.lower()
        if not _HEADER_NAME.fullmatch(name):
            raise _UnsendableError("InvalidHeader", f"{given[:64]!a} cannot be the name of a header.")
        if name in RESERVED_HEADERS or name.startswith("webhook-"):
            continue
        if not _HEADER_VALUE.fullmatch(value):
            # The value itself may be a secret.
            raise _UnsendableError("InvalidHeader", f"The value of {name} is not printable ASCII on one line.")
        kept[name] = value.strip(" \t")
    return tuple((name.encode(), value.encode()) for name, value in kept.items())


def _read_exception(why: Exception, ack: Ack) -> Outcome:
    """What a failed exchange means. The great question is whether anything may have been sent."""
    causes = _causes(why)
    if isinstance(why, httpx.ConnectError | httpx.ConnectTimeout):
        if any(isinstance(cause, OSError) and cause.errno in _EXHAUSTED for cause in causes):
            return Unsent("out_of_sockets")
        return not_sent(_connect_error_type(why, causes), str(causes[-1]) or type(causes[-1]).__name__)
    if isinstance(why, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return not_sent("InvalidURL", str(causes[-1]))
    if not isinstance(why, httpx.TransportError):
        _log.error("a call ended in an unforeseen way", exc_info=why)
    return lost(ack, _lost_message(why))


def _connect_error_type(why: Exception, causes: list[BaseException]) -> str:
    if isinstance(why, httpx.ConnectTimeout):
        return "ConnectTimeout"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "DNSError"
    return "TLSError" if any(isinstance(cause, ssl.SSLError) for cause in causes) else "ConnectError"


def _lost_message(why: Exception) -> str:
    # The innermost cause: the outer ones of aiohttp repeat the URL, which may carry a key.
    cause = _causes(why)[-1]
    return f"The connection broke before the answer was complete: {type(cause).__name__}: {cause}"


def _causes(why: BaseException) -> list[BaseException]:
    """`why`, what it was raised for, what that was raised for, …; the innermost last."""
    causes = [why]
    # httpcore keeps its cause as the context only.
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes
