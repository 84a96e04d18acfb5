"""A real server process with low limits, on either parser, and clients that write what they like."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

ANSWER_LIMIT_S = 10


@dataclass(frozen=True)
class Answer:
    """What came until the server closed, or until one whole answer was there."""

    raw: bytes

    @property
    def status(self) -> int:
        """Of the first answer; 0 if there is none."""
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def statuses(self) -> list[int]:
        """Of all answers on the connection."""
        return [int(part[:3]) for part in self.raw.split(b"HTTP/1.1 ")[1:]]

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode().lower()


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT_S)

    def send(self, data: bytes) -> "Client":
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        """All until the server closes. Raises `TimeoutError`, `ConnectionResetError`."""
        raw = b""
        while part := self.socket.recv(65536):
            raw += part
        return Answer(raw)

    def first(self) -> Answer:
        """One answer with its body, on a connection that stays open."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            part = self.socket.recv(65536)
            assert part, raw
            raw += part
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self.socket.recv(65536)
        return Answer(head + b"\r\n\r\n" + body)

    def closed_after_s(self) -> float:
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""
        return time.monotonic() - began

    def drip(self, data: bytes, each_s: float) -> None:
        """Byte by byte, until the server has had enough."""
        self.socket.settimeout(each_s)
        with contextlib.suppress(OSError):
            for byte in data:
                self.socket.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    self.socket.recv(1, socket.MSG_PEEK)
                    break
        self.socket.settimeout(ANSWER_LIMIT_S)


Connect = Callable[[], Client]


@contextlib.contextmanager
def clients(port: int) -> Iterator[Connect]:
    """Gives what connects; the connections are closed in the end."""
    with contextlib.ExitStack() as opened:

        def connect() -> Client:
            client = Client(port)
            opened.callback(client.socket.close)
            return client

        yield connect


@contextlib.contextmanager
def served(parser: str, **given: object) -> Iterator[int]:
    """Gives its port."""
    command = [
        sys.executable,
        "-m",
        "tests.edges.served",
        parser,
        *(f"{name}={value}" for name, value in given.items()),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> str:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    return str(request.param)


@pytest.fixture(scope="module")
def port(parser: str) -> Iterator[int]:
    """Of a server on which nothing takes long."""
    limits = {"head_s": 0.6, "body_pause_s": 0.6, "body_s": 1.2, "unread_s": 1.0, "linger_s": 0.5, "look_s": 0.1}
    with served(parser, **limits) as port:
        yield port


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    """Connects to it."""
    with clients(port) as connect:
        yield connect
