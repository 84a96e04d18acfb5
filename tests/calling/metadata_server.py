"""A stand-in for Google's metadata server: it gives ID tokens, slowly, badly or not at all, and counts."""

import asyncio
import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.calling.raw_server import Peer


def jwt(audience: str, ends_at: float, serial: int = 1) -> str:
    """A token that ends at this instant (Unix s). Nobody here checks who signed it."""
    parts = [{"alg": "RS256"}, {"aud": audience, "exp": ends_at, "serial": serial}, "signature"]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


class MetadataServer:
    """`behave` is its behaviour; a test may set `status`, `token` and `lifetime_s`, or close the `gate`."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.lifetime_s = 3600.0
        self.status = "200 OK"
        self.token: str | None = None
        self.audiences: list[str] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def until_asked(self) -> None:
        """Wait until somebody wants a token."""
        async with asyncio.timeout(10):
            await self.asked.wait()

    async def behave(self, peer: Peer) -> None:
        while request := await peer.request():
            target = urlsplit(request.split(b" ")[1].decode())
            if not target.path.endswith("/identity"):
                account = b'{"email": "me@example.iam.gserviceaccount.com"}'
                await peer.answer(account, headers="metadata-flavor: Google\r\ncontent-type: application/json\r\n")
                continue
            (audience,) = parse_qs(target.query)["audience"]
            self.audiences.append(audience)
            self.asked.set()
            await self.gate.wait()
            token = self.token or jwt(audience, self.now + self.lifetime_s, len(self.audiences))
            await peer.answer(token.encode(), self.status, "content-type: text/html\r\n")


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Have google-auth find its metadata server here, and wait for nothing when it tries again."""
    from google.auth import _exponential_backoff
    from google.auth.compute_engine import _metadata

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{port}")
    # What GCE_METADATA_HOST sets, which is read but once.
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"127.0.0.1:{port}")

    class Hasty:
        sleep = staticmethod(lambda _: None)

    monkeypatch.setattr(_exponential_backoff, "time", Hasty)


def claims(token: str) -> dict[str, object]:
    """What a token says."""
    payload = token.split(".")[1]
    read: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return read
