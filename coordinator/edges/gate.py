"""The door in front of the application: requests whose head no proxy and no server could be sure to read alike.

What the parsers take is not the same: one takes a length beside chunks, the other does not. Here it is.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from coordinator.edges.headers import completed
from coordinator.edges.limits import HEAD_BYTES, HEAD_FIELDS
from coordinator.edges.refusals import BROKEN, HEADERS_TOO_LARGE, OVERLOADED, TWO_LENGTHS, Refused

Receive = Callable[..., Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
"""An ASGI application."""

_PROBES = frozenset({"/health", "/ready"})
_VERSIONS = frozenset({"1.0", "1.1"})
_FIELD_EXTRA_BYTES = len(": \r\n")


def gate(app: Application) -> Application:
    """The application behind the door."""

    async def guarded(scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - ASGI's own types
        if scope["type"] == "http" and (refused := _head_problem(scope)):
            await _answer(refused, scope, send)
        else:
            await app(scope, receive, send)

    return guarded


def probes_only(app: Application) -> Application:
    """The application for a connection too many: a health check must not fail because there is much to do."""

    async def guarded(scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - ASGI's own types
        if scope["path"] in _PROBES:
            await app(scope, receive, send)
        else:
            await _answer(OVERLOADED, scope, send)

    return guarded


def _head_problem(scope: Any) -> Refused | None:  # noqa: ANN401
    if scope["http_version"] not in _VERSIONS:
        return BROKEN
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"])
    lengths = is_chunked = 0
    for name, value in headers:
        size += len(name) + len(value) + _FIELD_EXTRA_BYTES
        if name == b"content-length":
            lengths += 1
        elif name == b"transfer-encoding":
            is_chunked = 1
    if size > HEAD_BYTES or len(headers) > HEAD_FIELDS:
        return HEADERS_TOO_LARGE
    return TWO_LENGTHS if lengths + is_chunked > 1 else None


async def _answer(refused: Refused, scope: Any, send: Send) -> None:  # noqa: ANN401
    headers = completed([*refused.headers, (b"connection", b"close")])
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else refused.body})
