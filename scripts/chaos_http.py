"""The least of an HTTP client: kept connections, and an honest word for what broke. Used by chaos.py."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 3.0
"""For an answer. A replica that is stopped never gives one, and others are to be asked."""


class UnsentError(Exception):
    """Nobody listened: surely nothing was done."""


class UnknownError(Exception):
    """Nobody knows whether it was done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `body` is what its JSON says."""

    status: int
    body: Any


Kept = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """Sends requests to ports of loopback."""

    def __init__(self) -> None:
        """Connects on use."""
        self._idle: dict[int, list[Kept]] = {}

    async def send(self, port: int, head: str, body: object = None, key: str = "") -> Answer:
        """`head` is `POST /job`; `key` goes as `Idempotency-Key`. Raises `UnsentError`, `UnknownError`."""
        data = b"" if body is None else json.dumps(body).encode()
        keyed = f"idempotency-key: {key}\r\n" if key else ""
        lines = f"{head} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{keyed}"
        request = f"{lines}content-length: {len(data)}\r\n\r\n".encode() + data
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await self._connect(port)
                try:
                    writer.write(request)
                    answer = await _read(reader)
                except BaseException:
                    writer.close()
                    raise
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise UnknownError(type(error).__name__) from error
        self._idle.setdefault(port, []).append((reader, writer))
        return answer

    def close(self, port: int | None = None) -> None:
        """Close what is idle, to one port or to all."""
        for at in list(self._idle) if port is None else [port]:
            for _, writer in self._idle.pop(at, []):
                writer.close()

    async def _connect(self, port: int) -> Kept:
        idle = self._idle.get(port, [])
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise UnsentError from error


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.lower().split(b"\r\n")
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)
    data = await reader.readexactly(length)
    return Answer(int(first.split()[1]), json.loads(data) if data else None)
