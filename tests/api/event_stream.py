"""A client of `GET /event` that reads what has come so far: httpx's own waits for the end, and there is none."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar

LIMIT_S = 15


class Stream:
    """What the application sends. `status` and `headers` are there when `began` has returned."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id = ""
        self.is_over = False
        self._text = ""
        self._changed = asyncio.Event()
        self._left = asyncio.Event()
        self._flow = asyncio.Event()
        self._flow.set()
        self._asked = False

    async def began(self) -> "Stream":
        """Wait until the answer has begun."""
        await self._until(lambda: self.status > 0)
        return self

    async def over(self) -> None:
        """Wait until it has ended."""
        await self._until(lambda: self.is_over)

    async def body(self) -> str:
        """All that is left of it."""
        await self.over()
        return self._text

    async def message(self) -> dict[str, str]:
        """The next message, or comment, by its fields."""
        await self._until(lambda: "\n\n" in self._text)
        block, _, self._text = self._text.partition("\n\n")
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def event(self) -> dict[str, Any]:
        """The next event's data; comments are passed over."""
        while True:
            fields = await self.message()
            if "data" in fields:
                data: dict[str, Any] = json.loads(fields["data"])
                assert data["type"] == fields["event"]
                return data

    async def events(self, *types: str) -> list[dict[str, Any]]:
        """As many events as there are types, which they have."""
        found = [await self.event() for _ in types]
        assert [event["type"] for event in found] == list(types)
        return found

    def stop_reading(self) -> None:
        """Take nothing more, until `read_on`."""
        self._flow.clear()

    def read_on(self) -> None:
        self._flow.set()

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            await self._flow.wait()
            self._text += message["body"].decode()
            if not message.get("more_body"):
                self._left.set()
        self._changed.set()

    async def run(self, app: Litestar, scope: Any) -> None:
        try:
            await app(scope, self.receive, self.send)  # type: ignore[arg-type]
        finally:
            self.is_over = True
            self._changed.set()

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def streaming(
    app: Litestar, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
) -> AsyncIterator[Stream]:
    """Asks for a stream, and leaves it in the end."""
    url = urlsplit(path)
    given = {"host": "localhost", "content-length": str(len(body))} | dict(headers or {})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "root_path": "",
        "query_string": url.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 5),
        "server": ("localhost", 80),
    }
    stream = Stream(body)
    task = asyncio.create_task(stream.run(app, scope))
    try:
        yield await stream.began()
    finally:
        stream.leave()
        await asyncio.wait_for(task, LIMIT_S)
