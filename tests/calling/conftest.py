"""Every test of the wire runs on both transports: a caller must not be able to tell them apart."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from coordinator.calling.egress import EgressGuard, open_guard
from coordinator.calling.transport import open_httpcore_transport, open_transport

CERTIFICATE = Path(__file__).with_name("localhost.pem")

Opener = Callable[..., httpx.AsyncBaseTransport]
"""From a guard, and what certificates are trusted, to a transport."""


@pytest.fixture(params=["aiohttp", "httpcore"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "httpcore":
        return open_httpcore_transport
    pytest.importorskip("aiohttp")
    return open_transport


@pytest.fixture
def local() -> EgressGuard:
    """This machine is open, and what does not exist."""
    return open_guard("127.0.0.0/8, ::1, nothing.invalid", "")


@pytest.fixture
async def transport(opener: Opener, local: EgressGuard) -> AsyncIterator[httpx.AsyncBaseTransport]:
    opened = opener(local)
    yield opened
    await opened.aclose()


@pytest.fixture
async def trusting_transport(opener: Opener, local: EgressGuard) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """It trusts the test's own certificate, which is for the name `localhost`."""
    opened = opener(local, ssl.create_default_context(cafile=CERTIFICATE))
    yield opened
    await opened.aclose()


@pytest.fixture
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
