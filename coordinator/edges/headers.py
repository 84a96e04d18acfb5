"""The headers that every answer has, whatever it is.

```
 JSON, text, files  nosniff, no referrer, never stored, and nothing may be loaded or framed
 pages (text/html)  the same, but scripts, styles and requests of our own origin are allowed
```

A header that a handler sets itself stays as it is: `/sdk` may be cached.
"""

from typing import Any

NOTHING_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of an answer that is no page: shown by a browser, it can do nothing."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy of a page of ours: no inline scripts, and nothing of anybody else's."""

_EVERYWHERE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
ANSWER_HEADERS = _EVERYWHERE | {"Content-Security-Policy": NOTHING_POLICY}
PAGE_HEADERS = _EVERYWHERE | {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}

Raw = list[tuple[bytes, bytes]]


def _raw(headers: dict[str, str]) -> Raw:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_ANSWER, _PAGE = _raw(ANSWER_HEADERS), _raw(PAGE_HEADERS)


async def add_headers(message: Any, _: Any) -> None:  # noqa: ANN401 - ASGI's own types
    """Complete the headers of an answer that is about to be sent: a hook of the framework."""
    if message["type"] == "http.response.start":
        message["headers"] = completed(message["headers"])


def completed(given: Raw) -> Raw:
    """The headers of an answer, names in lower case, with those that every answer has."""
    own = dict(given)
    added = _PAGE if own.get(b"content-type", b"").startswith(b"text/html") else _ANSWER
    return [*given, *(header for header in added if header[0] not in own)]
