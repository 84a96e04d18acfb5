"""The processes beside a replica that is measured: the cheapest function there is, and the load. Used by bench.py."""

import asyncio
import json
import re
import sys
import time

ARGS = {"to": "someone@example.com", "subject": "x" * 150}
CONNECTIONS = 64

_JOB_ID = re.compile(rb'"jobId":"([^"]+)"')


class Function(asyncio.Protocol):
    """The cheapest function there is: an inline receipt for whatever comes, and for each job of a call for many."""

    first_byte_at = 0.0
    calls = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection is kept for many calls."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            if head.startswith(b"GET "):
                self._answer(b"%d" % Function.calls)
                self._transport.close()
                return
            Function.first_byte_at = time.monotonic()
            Function.calls += 1
            self._answer(_receipts_for(rest[:length]))

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def _receipts_for(call: bytes) -> bytes:
    if b'"jobs":[' not in call:
        return b'{"status":"success"}'
    receipts = b",".join(b'{"jobId":"%s","status":"success"}' % job_id for job_id in _JOB_ID.findall(call))
    return b'{"receipts":[%s]}' % receipts


async def serve_function(port: int) -> None:
    """A process of its own, for all parts but `latency`."""
    server = await asyncio.get_running_loop().create_server(Function, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


async def load(port: int, count: int) -> None:
    """POST `count` jobs over 64 kept connections; a process of its own."""
    body = json.dumps({"worker": "bench", "args": ARGS}).encode()
    request = (
        b"POST /job HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
    left = iter(range(count))

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 201 " in head.partition(b"\r\n")[0], head
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))


async def request(port: int, head: str, body: bytes = b"") -> bytes:
    """The whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(f"{head} HTTP/1.1\r\nhost: localhost\r\n{length}".encode() + body)
    answer = await reader.read()
    writer.close()
    return answer


async def load_one(port: int) -> None:
    """Enqueue one job."""
    await request(port, "POST /job", json.dumps({"worker": "bench", "args": ARGS}).encode())


async def pause_queue(port: int, queue: str = "default") -> None:
    """Accept into a queue, and start nothing."""
    await request(port, f"POST /queue/{queue}/pause", b"{}")


async def resume_queue(port: int, queue: str) -> None:
    """Start what waits in it."""
    await request(port, f"POST /queue/{queue}/resume", b"{}")


async def calls_of(function_port: int) -> int:
    """How often the function was called."""
    answer = await request(function_port, "GET /")
    return int(answer.partition(b"\r\n\r\n")[2])


async def until_ready(port: int) -> None:
    """Wait for a replica."""
    while True:
        try:
            if b" 200 " in await request(port, "GET /ready"):
                return
        except OSError:
            await asyncio.sleep(0.02)


async def main() -> None:
    """`function <port>` or `load <port> <jobs>`."""
    kind, port, *jobs = sys.argv[1:]
    await (serve_function(int(port)) if kind == "function" else load(int(port), int(jobs[0])))


if __name__ == "__main__":
    asyncio.run(main())
