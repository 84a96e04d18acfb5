"""Every test of the wire runs on both transports: a caller must not be able to tell them apart."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from coordinator.calling.transport import open_httpx_transport, open_transport

CERTIFICATE = Path(__file__).with_name("localhost.pem")

Opener = Callable[[ssl.SSLContext | None], httpx.AsyncBaseTransport]


@pytest.fixture(params=["aiohttp", "httpx"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "httpx":
        return open_httpx_transport
    pytest.importorskip("aiohttp")
    return open_transport


@pytest.fixture
async def transport(opener: Opener) -> AsyncIterator[httpx.AsyncBaseTransport]:
    opened = opener(None)
    yield opened
    await opened.aclose()


@pytest.fixture
async def trusting_transport(opener: Opener) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """It trusts the test's own certificate, which is for the name `localhost`."""
    opened = opener(ssl.create_default_context(cafile=CERTIFICATE))
    yield opened
    await opened.aclose()


@pytest.fixture
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
