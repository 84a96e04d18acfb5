"""How connections are opened: over aiohttp where it is installed (the extra `fast`), else over httpcore, as httpx does.

Both speak httpx's transport interface, so that a caller cannot tell them apart and tests may bring their own.
httpcore's pool is walked through for every request and costs several times the CPU (most of all with many
connections at once), which makes it the fallback and not the rule.

What both promise:

- Exceptions tell "surely not sent" (`ConnectError`, `ConnectTimeout`) from "may have been sent" (all else): the
  first is a failed attempt, the second may be a function that runs.
- Nothing is connected to but an address that `egress.py` has judged; what it refuses raises `Unsendable`.
- Nothing is sent twice: no redirects, no retries.
- Nothing comes from the environment (proxies, netrc), no cookies are kept, nothing is decompressed: 97 kB of gzip
  can be 100 MB.
- Connections are unbounded, because the dispatcher bounds the calls; idle ones are bounded by `KEEPALIVE_S`.
"""

import ssl
from functools import cache

import httpx

from coordinator.calling.egress import EgressGuard

CONNECT_TIMEOUT_S = 5.0

KEEPALIVE_S = 1.5
"""How long an idle connection is kept.

A server may close an idle connection at the very moment at which a call is written to it. The call is then lost
with nothing to tell it from one whose function crashed, so the attempt has to wait for its receipt until the
deadline. Every server closes late enough for us never to meet that moment: gunicorn after 2 s; Node, uvicorn and
Apache after 5; load balancers after 60. A busy worker's connections are still reused, and a quiet one pays a
handshake, which is cheap beside a lost quarter of an hour.
"""

KEEPALIVE_CONNECTIONS_LIMIT = 256
"""For httpcore's pool, whose cost grows with what it holds."""


def open_transport(guard: EgressGuard, context: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """The fastest transport that is installed. It opens no connection before the first call.

    `guard` judges each connection; `context` says which certificates are trusted, by default the public roots that come
    with httpx.
    """
    try:
        from coordinator.calling.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - an extra, may be absent
    except ImportError:
        return open_httpcore_transport(guard, context)
    return AiohttpTransport(guard, context or public_roots())


def open_httpcore_transport(guard: EgressGuard, context: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """The transport that needs nothing beside httpx."""
    from coordinator.calling.httpcore_transport import HttpcoreTransport  # noqa: PLC0415 - it needs what is above

    return HttpcoreTransport(guard, context or public_roots())


@cache
def public_roots() -> ssl.SSLContext:
    """One context for all connections: making one reads every root certificate and takes 20 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
