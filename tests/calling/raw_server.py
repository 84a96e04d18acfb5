"""A server that does on the wire exactly what a test says, right or wrong, and remembers what it was sent."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

INLINE_SUCCESS = b'{"status":"success"}'


@dataclass
class Peer:
    """One connection, as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def request(self) -> bytes:
        """The next request, head and body; b"" when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = header(head, "content-length")
        whole = head + await self.reader.readexactly(int(length or 0))
        self.server.requests.append(whole)
        return whole

    async def send(self, data: bytes) -> None:
        """Write and wait until the client takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = INLINE_SUCCESS, status: str = "200 OK", headers: str = "") -> None:
        """A proper answer that keeps the connection."""
        await self.send(f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def flood(self, piece: bytes) -> None:
        """Send `piece` for ever: until the client goes, which is noted, or the server ends."""
        while True:
            await self.send(piece)

    async def drip(self, piece: bytes) -> None:
        """Send `piece` every few milliseconds, so that no time-out between two reads ever runs out."""
        while True:
            await self.send(piece)
            await asyncio.sleep(0.005)

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Peer], Awaitable[None]]


@dataclass
class RawServer:
    """What a running server has seen. `left` is set when a client has closed a connection or broken it off."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/run"


async def answer_all(peer: Peer) -> None:
    """Answer every request of the connection with an inline success."""
    while await peer.request():
        await peer.answer()
    peer.server.left.set()


@contextlib.asynccontextmanager
async def serving(
    behave: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Serve on a free port; `behave` is run for every connection, which is closed when it returns."""
    server = RawServer()
    tasks: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        server.connections += 1
        try:
            await behave(Peer(reader, writer, server))
        except (OSError, asyncio.CancelledError):
            server.left.set()
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def header(request: bytes, name: str) -> str | None:
    """The value of this header in the request, None without."""
    values = headers(request).get(name)
    return None if values is None else values[0]


def headers(request: bytes) -> dict[str, list[str]]:
    """All headers of the request, names in lower case."""
    found: dict[str, list[str]] = {}
    for line in request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.lower(), []).append(value.strip())
    return found
