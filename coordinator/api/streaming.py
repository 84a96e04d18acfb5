"""Answers that come bit by bit, for as long as there is something to tell and somebody who reads it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from litestar import Litestar, Response
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from coordinator.api.context import Request
from coordinator.errors import StoreUnavailable

Chunks = AsyncGenerator[bytes, None]
Close = Callable[[], Awaitable[None]]

# A proxy that collects an answer before it passes it on would keep it for ever.
_HEADERS = {"X-Accel-Buffering": "no"}


class Places:
    """So many streams at once, and no more."""

    def __init__(self, most: int) -> None:
        """All are free."""
        self._most = most
        self._taken = 0

    def take(self) -> None:
        """Take one, to be given back by `leave`. Raises `StoreUnavailable` when none is free."""
        if self._taken >= self._most:
            detail = (
                f"{self._most} of these streams are open at this replica, which takes no more; ask another, or later."
            )
            raise StoreUnavailable("too_many_streams", detail, 5)
        self._taken += 1

    async def leave(self) -> None:
        """Give one back."""
        self._taken -= 1


class Streamed(Response[bytes]):
    """Sends what `chunks` gives. Both end with the connection, also while the client does not read: then `close`."""

    def __init__(self, chunks: Chunks, media_type: str, close: Close | None = None) -> None:
        """Nothing is asked of `chunks` before the answer begins."""
        super().__init__(b"", media_type=media_type, headers=_HEADERS, status_code=200)
        self._chunks = chunks
        self._close = close

    def to_asgi_response(self, app: Litestar | None, request: Request, **_: Any) -> ASGIResponse:  # noqa: ANN401 - of the framework
        """What sends it."""
        del app, request
        return _Sender(self._chunks, str(self.media_type), self._close)


class _Sender(ASGIStreamingResponse):
    """The framework's would leave the generator to the garbage collector if its task ends in `send`."""

    def __init__(self, chunks: Chunks, media_type: str, close: Close | None) -> None:
        super().__init__(iterator=chunks, media_type=media_type, headers=_HEADERS, status_code=200)
        self._chunks = chunks
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            try:
                await self._chunks.aclose()
            finally:
                if self._close:
                    await self._close()

    async def send_body(self, send: Send, receive: Receive) -> None:
        sending = asyncio.create_task(self._stream(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
