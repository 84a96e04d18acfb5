"""A real cloud function over HTTP, and the application with a client in front of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from litestar import Litestar

from coordinator.app import build_app
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store

JSON = {"content-type": "application/json"}
FINAL = {"succeeded", "dead", "cancelled"}
LIMIT_S = 15
STOP_LIMIT_S = 5
LOCAL = "127.0.0.0/8"
"""Where the tests' functions are."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the function answers. Without a status it keeps the connection open and says nothing."""

    status: int | None = 200
    body: bytes = b'{"status":"success"}'
    headers: Mapping[str, str] = field(default_factory=dict)


SUCCESS = Reply()
ACCEPTED = Reply(202, b"")
SILENCE = Reply(None)


@dataclass(frozen=True)
class Call:
    """One request that the function got. Header names are in lower case."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        """The JSON of the call."""
        read: Json = json.loads(self.raw)
        return read


class Function:
    """A cloud function: it gives the next of its replies, the last one again and again, and remembers its calls.

    A reply may depend on the call.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.running = 0
        self.most_at_once = 0
        self._replies: list[Reply | Callable[[Call], Reply]] = [SUCCESS]
        self._changed = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()
        self._tasks: set[asyncio.Task[None] | None] = set()

    def replies(self, *replies: Reply | Callable[[Call], Reply]) -> None:
        """Set what it answers from now on."""
        self._replies = list(replies)

    def hold(self) -> None:
        """Keep the calls waiting until `release`."""
        self._gate.clear()

    def release(self) -> None:
        """Answer what is held, and what comes."""
        self._gate.set()

    async def called(self, times: int) -> list[Call]:
        """Wait until it was called so many times."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.calls) < times:
                self._changed.clear()
                await self._changed.wait()
        return self.calls

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Function"]:
        """Serve on a free port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=256)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/run"
        try:
            yield self
        finally:
            server.close()
            tasks = [task for task in self._tasks if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                while True:
                    await self._answer(await _read(reader), reader, writer)
        finally:
            writer.close()

    async def _answer(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(call)
        self._changed.set()
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            reply = reply if isinstance(reply, Reply) else reply(call)
            await self._gate.wait()
            if reply.status is None:
                await reader.read()  # Until the caller gives up.
                return
        finally:
            self.running -= 1
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} Said\r\n{extra}content-length: {len(reply.body)}\r\n\r\n"
        writer.write(head.encode() + reply.body)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
    }
    return Call(headers, await reader.readexactly(int(headers["content-length"])))


@dataclass
class Api:
    """The application and a client of it."""

    app: Litestar
    client: httpx.AsyncClient

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Send JSON; `content` as bytes is sent as it is."""
        if "content" in more:
            return await self.client.post(path, headers=JSON | more.pop("headers", {}), **more)
        return await self.client.post(path, json=body, **more)

    async def enqueue(self, worker: str = "send-email", **fields: Any) -> str:
        """Accept a job or a schedule. Returns its id."""
        answer = await self.post("/job", {"worker": worker} | fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def job(self, job_id: str) -> Json:
        """The job as it is now."""
        answer = await self.client.get(f"/job/{job_id}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def receipt(self, job_id: str, **fields: Any) -> httpx.Response:
        """Post a receipt."""
        return await self.post(f"/job/{job_id}/receipt", fields)

    async def until(self, job_id: str, *states: str) -> Json:
        """The job when it has come to one of these states."""

        async def arrived() -> Json | None:
            job = await self.job(job_id)
            assert job["state"] not in FINAL - set(states), job
            return job if job["state"] in states else None

        return await eventually(arrived)


def client_of(app: Any) -> httpx.AsyncClient:
    """A client of the application. A fault of ours shows as the 500 that a caller would see."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@contextlib.asynccontextmanager
async def resting(tokens: str = "", url: str = IN_PROCESS_URL) -> AsyncIterator[Api]:
    """The application before its start: it refuses and accepts, and runs nothing. For long tables of requests."""
    store = open_store(url, shards=1)
    settings = Settings(worker_url="http://127.0.0.1:9/", tokens=tokens, egress_allow=LOCAL)
    app = build_app(settings, store, takes_literal_secrets=True)
    async with client_of(app) as client:
        yield Api(app, client)
    await store.close()


@contextlib.asynccontextmanager
async def living(app: Litestar) -> AsyncIterator[None]:
    """The application between its start and its stop, both in one task, as the framework wants it."""
    is_up, may_stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            is_up.set()
            await may_stop.wait()

    task = asyncio.create_task(live())
    waiting = asyncio.create_task(is_up.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        may_stop.set()
        # Nothing is waited for, so it ends at once; a replica that does not end is a failure, and no hanging test.
        async with asyncio.timeout(STOP_LIMIT_S):
            await task


async def eventually(look: Callable[[], Awaitable[Json | None]]) -> Json:
    """What `look` finds, when it finds something."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.01)


def refusal(answer: httpx.Response, status: int, code: str, path: str | None = None, says: str = "") -> Json:
    """The problem document of a refused request, when it is the one that is meant."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: Json = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert says in problem["detail"]
    if path is not None:
        assert [error["path"] for error in problem["errors"]] == [path], problem
        assert problem["detail"] == f"{path}: {problem['errors'][0]['message']}"
    return problem
