"""One call of a cloud function, from its URL and body to an `Outcome`.

```
 Call ─▶ check ─▶ authorize ─▶ send ─▶ headers ─▶ at most 1 MiB of body ─▶ read_answer ─▶ Outcome
          │         │           │         └───────────┴─ broke: may have run        ▲
          └─────────┴───────────┴─ broke: surely not run                            │
 └────────────── its limit in all; then timed out ──────────────────────────────────┘
```

The clock runs over everything at once. Time-outs of single reads do not end an answer that drips a byte a second
or a server that says `100 Continue` for ever.
"""

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar, cast

import httpx

from coordinator.calling.answer import (
    BODY_LIMIT_BYTES,
    EXCERPT_LIMIT_BYTES,
    Answer,
    answers_limit_bytes,
    lost,
    not_sent,
    read_answer,
    read_answers,
    timed_out,
)
from coordinator.calling.auth import Authorizer, no_auth_in_time
from coordinator.calling.request import Call, request_of
from coordinator.calling.unsendable import Unsendable
from coordinator.domain.outcome import Outcome, Unsent
from coordinator.domain.worker import Ack

Read = TypeVar("Read")

_log = logging.getLogger(__name__)

# Ours to run out of, not the function's fault. EADDRNOTAVAIL is left out: no local port is free then, but a machine
# without IPv6 says the same of every IPv6 address, and that call would be given back for ever.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class CallLimit:
    """How long a call may take: the context in which it is made, which raises `TimeoutError` when it is over.

    A function that needs longer tells any replica. Whoever hears of it moves the limit (`extend`), and nobody may have
    heard yet when it is reached: then `left` is asked first.
    """

    def __init__(self, timeout_s: float, left: Callable[[], Awaitable[float]] | None = None) -> None:
        """The clock starts with the call. `left` tells how many seconds there are still; 0 or less if it is over."""
        self.timeout_s = timeout_s
        self._left = left
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._arm(self.timeout_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._asking:
            self._asking.cancel()
        await self._timeout.__aexit__(kind, error, where)

    @property
    def is_over(self) -> bool:
        """Whether the call was ended by it."""
        return self._timeout.expired()

    def extend(self, left_s: float) -> None:
        """The call has so long from now."""
        if self._timer is None:
            self.timeout_s = left_s
        elif not self.is_over:
            self._timer.cancel()
            self._arm(left_s)

    def _arm(self, left_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(left_s, self._reach)

    def _reach(self) -> None:
        if self._left is None:
            self._end()
        else:
            self._asking = asyncio.create_task(self._ask(self._left))

    async def _ask(self, left: Callable[[], Awaitable[float]]) -> None:
        try:
            left_s = await left()
        except Exception:  # noqa: BLE001 - see below
            # A fault of ours; the call must end all the same.
            _log.exception("how long a call has left could not be asked", extra={"event": "fault"})
            left_s = 0
        if left_s > 0:
            self.extend(left_s)
        else:
            self._end()

    def _end(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time())


OnSent = Callable[[], None]
"""Is told that a call is leaving."""


def nobody() -> None:
    """Nobody wants to know."""


class Caller:
    """Calls functions. One for the whole replica; it owns its transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds, for the message's timestamp and for dates in `Retry-After`."""
        self._transport = transport
        self._clock = clock
        self._authorizer = Authorizer(clock)
        self._closed = False

    async def call(self, call: Call, limit: CallLimit | None = None, on_sent: OnSent = nobody) -> Outcome:
        """Make the call and say what it came to. Raises nothing but `CancelledError`.

        `limit` may be moved while the call is under way; without it the call takes `timeout_s` at the most. Until
        `on_sent` is called, surely no byte has left.
        """
        return await self._make(call, limit or CallLimit(call.timeout_s), read_answer, BODY_LIMIT_BYTES, on_sent)

    async def call_for_many(self, call: Call, job_ids: Sequence[str], on_sent: OnSent) -> Mapping[str, Outcome]:
        """Make one call for many jobs and say what it came to for each. Raises nothing but `CancelledError`."""

        def read(answer: Answer) -> Mapping[str, Outcome]:
            return read_answers(answer, job_ids)

        came_to = await self._make(call, CallLimit(call.timeout_s), read, answers_limit_bytes(len(job_ids)), on_sent)
        return came_to if isinstance(came_to, Mapping) else dict.fromkeys(job_ids, came_to)

    async def ask(self, call: Call) -> Answer | Outcome:
        """Make the call and hand on the answer as it came; if there is none, what that came to.

        Raises nothing but `CancelledError`.
        """
        return await self._make(call, CallLimit(call.timeout_s), lambda answer: answer, BODY_LIMIT_BYTES, nobody)

    async def close(self) -> None:
        """Close all connections. Calls still in flight come to `lost`."""
        self._closed = True
        await self._transport.aclose()

    async def _make(
        self, call: Call, limit: CallLimit, read: Callable[[Answer], Read], limit_bytes: int, on_sent: OnSent
    ) -> Read | Outcome:
        if self._closed:
            return Unsent("shutdown")
        is_ready = False
        try:
            async with limit:
                request = request_of(call, int(self._clock()))
                if call.auth is not None:
                    await self._authorizer.authorize(request, call.body, call.auth)
                is_ready = True
                on_sent()
                return await self._exchange(request, call.ack, read, limit_bytes)
        except Unsendable as why:
            return not_sent(why.error_type, why.message)
        # Whatever a transport may raise: the dispatcher's other calls must go on, and this one has to be settled.
        except Exception as why:  # noqa: BLE001
            if not limit.is_over:
                return _read_exception(why, call.ack)
            return timed_out(limit.timeout_s) if is_ready else not_sent(*no_auth_in_time(limit.timeout_s))

    async def _exchange(
        self, request: httpx.Request, ack: Ack, read: Callable[[Answer], Read], limit_bytes: int
    ) -> Read | Outcome:
        response = await self._transport.handle_async_request(request)
        # The type allows synchronous streams as well, which no asynchronous transport has.
        limit = limit_bytes if response.is_success else EXCERPT_LIMIT_BYTES
        body, broke = await _read_body(cast("httpx.AsyncByteStream", response.stream), limit)
        if broke is not None and response.is_success:
            # Of a failure the status says enough; what a success means stands in the body.
            return lost(ack, _lost_message(broke), response.status_code)
        return read(Answer(response.status_code, response.headers, body, ack, int(self._clock() * 1000)))


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
        _log.error("a call ended in an unforeseen way", exc_info=why, extra={"event": "fault"})
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
