"""Real replicas as processes on a real server, or a set of them, and a function that counts its calls."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.engine.doctor import Doctor
from coordinator.store.checkup import Finding
from coordinator.store.open import open_store
from tests.ports import free_port

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


async def succeed(_: dict[str, Any]) -> dict[str, Any]:
    """The receipt of a function that did its work."""
    return {"status": "success"}


@dataclass
class Function:
    """A cloud function on a free port. `answer` makes the receipt of a call; None drops the connection."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    answer: Answer = succeed
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def counts(self) -> Counter[str]:
        """How often each job was called."""
        return Counter(call["jobId"] for call in self.calls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one kept connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                call = json.loads(await reader.readexactly(int(length.partition(b":")[2])))
                self.calls.append(call)
                self.changed.set()
                receipt = await self.answer(call)
                if receipt is None:
                    break
                body = json.dumps(receipt).encode()
                head_out = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head_out.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def function() -> AsyncIterator[Function]:
    """A function that succeeds until told otherwise."""
    served = Function()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, backlog=1024)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield served
    server.close()


class ReplicaProcess:
    """One `coordinator serve` process."""

    def __init__(self, port: int, environment: dict[str, str], where: Path | None = None) -> None:
        """`where` holds another version of the package."""
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False)
        command = [sys.executable, "-m", "coordinator", "serve", "--port", str(port)]
        self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, cwd=where)

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await self.client.get("/ready")).status_code == httpx.codes.OK:
                        return
                assert self.process.poll() is None, "the replica ended at its start"
                await asyncio.sleep(0.02)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end. Returns the exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 30)

    async def enqueue(self, **job: Any) -> str:
        """Accept a job. Returns its id."""
        answer = await self.client.post("/job", json=job)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    async def read(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        answer = await self.client.get(f"/job/{job_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def problems_of(url: str, prefix: str) -> list[Finding]:
    """What the doctor finds in a store."""
    store = open_store(url, prefix=prefix)
    try:
        return [finding async for finding in Doctor(store).examine()]
    finally:
        await store.close()


Start = Callable[..., Awaitable[ReplicaProcess]]


_prefixes = itertools.count()


@pytest.fixture
def prefix() -> str:
    """Of this test's keys, which may share a server with others."""
    return f"e{next(_prefixes)}"


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """Of a server of this test's own, or with a parameter of a set that tests share."""
    if hasattr(request, "param") and request.param != "alone":
        return str(request.getfixturevalue("server_url")(request.param))
    return str(request.getfixturevalue("real_server").url)


@pytest.fixture
async def start_replica(redis_url: str, prefix: str, function: Function) -> AsyncIterator[Start]:
    """Starts replicas on one store; leases and locks of two seconds, so that a killed one costs little time here.

    Whatever a test does to them, in the end the doctor finds nothing.
    """
    started: list[ReplicaProcess] = []

    async def start(where: Path | None = None, **settings: object) -> ReplicaProcess:
        port = free_port()
        defaults = {"redis_url": redis_url, "prefix": prefix, "worker_url": function.url}
        defaults |= {"lease_ms": "2000", "leader_ttl_ms": "2000"}
        environment = {f"COORDINATOR_{name.upper()}": str(value) for name, value in (defaults | settings).items()}
        replica = ReplicaProcess(port, environment, where)
        started.append(replica)
        await replica.ready()
        return replica

    yield start
    for replica in started:
        await replica.client.aclose()
        if replica.process.poll() is None:
            replica.process.kill()
            replica.process.wait()
    if started:
        assert await problems_of(redis_url, prefix) == []


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Waits until a condition holds; it is looked at when something changes, and every 50 ms."""

    async def wait(condition: Callable[[], Awaitable[bool]], limit_s: float = 20) -> None:
        async with asyncio.timeout(limit_s):
            while not await condition():
                await asyncio.sleep(0.05)

    return wait
