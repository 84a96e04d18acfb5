"""A coordinator as users start it: `coordinator serve`, on a server of its own."""

import base64
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from redis import Redis

from coordinator.store.embedded import EmbeddedServer
from tests.conftest import PROGRAMS
from tests.ports import free_port


@contextlib.contextmanager
def coordinator_process(directory: Path, **settings: str) -> Iterator[str]:
    """Gives its URL when it is ready."""
    own = {
        "egress_allow": "127.0.0.0/8",  # Where the tests' functions are.
        # So that workers may be registered with the secrets that functions know.
        "keys": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
    }
    with _server(directory) as redis_url, _running(["serve", "--redis-url", redis_url], own | settings) as url:
        yield url


def register_as_of_tomorrow(directory: Path, name: str) -> None:
    """Leave there a worker that a later version has written, in words that this one does not know."""
    with _server(directory) as redis_url, Redis.from_url(redis_url) as store:
        store.hset("co:workers", name, '{"url":"https://example.com/","auth":{"type":"of-tomorrow"}}')


@contextlib.contextmanager
def dev_process(directory: Path, **settings: str) -> Iterator[str]:
    """The same of `coordinator dev`, whose time can be moved on."""
    with _running(["dev", "--data-dir", str(directory)], settings) as url:
        yield url


@contextlib.contextmanager
def _server(directory: Path) -> Iterator[str]:
    server = EmbeddedServer(next(iter(PROGRAMS.values())), directory)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def _running(arguments: list[str], settings: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "coordinator", *arguments, "--port", str(port)]
    environment = os.environ | {f"COORDINATOR_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while not _is_ready(url, settings.get("tokens", "").partition(",")[0]):
            assert process.poll() is None, "the coordinator ended at its start"
            assert time.monotonic() < until, "the coordinator is not ready within 60 s"
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(url: str, token: str) -> bool:
    try:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{url}/ready", headers=headers, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
