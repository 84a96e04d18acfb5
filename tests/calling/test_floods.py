"""Answers that never end: each is cut by the deadline at the latest, and none is kept in memory."""

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest

from coordinator.calling.answer import timed_out
from coordinator.calling.caller import Caller
from coordinator.calling.request import Call
from tests.calling.raw_server import Peer, serving

LIMIT_S = 0.3
LATE_S = 5.0
MEMORY_LIMIT_BYTES = 16 * 1024 * 1024
"""With what the server in this process has not sent yet. Each flood is far more within its time, or would be."""

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Flood:
    """What is sent once, and then for ever. `is_cut`: before its time."""

    begin: bytes
    piece: bytes
    is_cut: bool = False


FLOODS = {
    "headers": Flood(HEAD, b"x-a: b\r\n" * 1000, is_cut=True),
    "one header": Flood(HEAD + b"x-a: ", b"a" * 8000, is_cut=True),
    "the name of a header": Flood(HEAD, b"a" * 8000, is_cut=True),
    "the status line": Flood(b"HTTP/1.1 200 ", b"a" * 8000, is_cut=True),
    "100 Continue": Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 300),
    "103 Early Hints": Flood(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 300),
    "empty lines": Flood(b"", b"\r\n" * 4000),
    "an extension of a chunk": Flood(CHUNKED + b"1;", b"a" * 8000),
    "the size of a chunk": Flood(CHUNKED, b"0" * 8000),
    "chunks": Flood(CHUNKED, b"1f40\r\n" + b"a" * 8000 + b"\r\n", is_cut=True),
    "chunks of one byte": Flood(CHUNKED, b"1\r\na\r\n" * 1000),
    "trailers": Flood(CHUNKED + b"0\r\n", b"x-a: b\r\n" * 1000, is_cut=True),
    "one trailer": Flood(CHUNKED + b"0\r\nx-a: ", b"a" * 8000, is_cut=True),
    "the body of a failure": Flood(b"HTTP/1.1 500 Oh\r\n\r\n", b"a" * 8000, is_cut=True),
}


@pytest.fixture
async def caller(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Caller]:
    caller = Caller(transport)
    yield caller
    await caller.close()


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_cut_and_not_kept(caller: Caller, traced: None, name: str):
    flood = FLOODS[name]

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(flood.begin)
        await peer.flood(flood.piece)

    async with serving(behave) as server:
        limit_s = LATE_S if flood.is_cut else LIMIT_S
        outcome = await caller.call(Call(server.url, {}, b"{}", "j:1", "j", limit_s, "receipt"))
        await server.left.wait()

    # What need not be cut before its time may be: httpcore's parser counts more than aiohttp's.
    assert outcome != timed_out(limit_s) or not flood.is_cut
    assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT_BYTES
