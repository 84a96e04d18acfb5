"""Whoever lets the server wait is cut off, and nobody else is."""

import json
import socket
import time

import pytest

from tests.edges.conftest import Client, Connect, clients, served

SOON_S = 3
JOB = b'{"worker":"w","delay":"1h"}'
POST = b"POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(body: bytes, length: int | None = None) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n%s" % (len(body) if length is None else length, body)


def test_a_connection_that_says_nothing_is_closed(connect: Connect):
    assert connect().closed_after_s() < SOON_S


@pytest.mark.parametrize("begun", [b"G", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: loc"])
def test_a_head_that_stops_is_closed(connect: Connect, begun: bytes):
    assert connect().send(begun).closed_after_s() < SOON_S


def test_a_head_that_drips_is_closed(connect: Connect):
    client = connect()
    began = time.monotonic()

    client.drip(b"GET /health HTTP/1.1\r\nX: " + b"x" * 100, 0.1)

    assert time.monotonic() - began < SOON_S


def test_the_second_head_of_a_connection_is_no_exception(connect: Connect):
    client = connect()
    assert client.send(HEALTH).first().status == 200

    assert client.send(b"GET /health HT").closed_after_s() < SOON_S


def test_a_connection_that_is_kept_alive_is_not_waiting_for_a_head(connect: Connect):
    client = connect()
    assert client.send(HEALTH).first().status == 200
    client.socket.settimeout(1.5)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    client.socket.settimeout(10)

    assert client.send(HEALTH).first().status == 200


def test_a_body_that_stops_is_answered_with_408(connect: Connect):
    answer = connect().send(post(JOB[:5], len(JOB))).answer()

    assert (answer.status, answer.statuses) == (408, [408])
    assert "content-type: application/problem+json" in answer.head
    assert json.loads(answer.raw.partition(b"\r\n\r\n")[2])["code"] == "body_too_slow"


def test_a_body_that_drips_is_answered_with_408_in_the_end(connect: Connect):
    client = connect().send(post(b"", 1000))
    began = time.monotonic()

    client.drip(b" " * 1000, 0.1)

    assert client.answer().status == 408
    assert time.monotonic() - began < SOON_S


def test_a_body_in_chunks_is_no_exception(connect: Connect):
    assert connect().send(POST + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"wor').answer().status == 408


def test_a_body_that_is_refused_already_is_not_waited_for_either(connect: Connect):
    client = connect().send(post(b"{", 10_000_000))
    assert client.first().status == 413

    assert client.closed_after_s() < SOON_S


def test_a_slow_body_that_goes_on_is_taken(connect: Connect):
    client = connect().send(post(JOB[:5], len(JOB)))
    time.sleep(0.3)

    assert client.send(JOB[5:]).first().status == 201


def test_a_long_poll_is_not_cut_off(connect: Connect):
    client = connect()
    job_id = json.loads(client.send(post(JOB)).first().raw.partition(b"\r\n\r\n")[2])["id"]
    began = time.monotonic()

    answer = client.send(f"GET /job/{job_id}?wait=2s HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).first()

    assert answer.status == 200
    assert time.monotonic() - began >= 2
    assert client.send(HEALTH).first().status == 200


def test_an_answer_that_nobody_reads_is_given_up(connect: Connect):
    client = connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

    # More answers than all buffers hold; then the server reads no further, and in the end it closes.
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.send(request * 200_000)


def listening(connect: Connect) -> Client:
    """A client that has got its hello."""
    client = connect().send(b"GET /event HTTP/1.1\r\nHost: localhost\r\n\r\n")
    raw = b""
    while b"event: hello" not in raw:
        part = client.socket.recv(65536)
        assert part, raw
        raw += part
    return client


def test_a_stream_in_which_nothing_happens_is_not_cut_off(connect: Connect):
    client = listening(connect)
    client.socket.settimeout(3)  # Longer than any time-out of this server.

    with pytest.raises(TimeoutError):
        client.socket.recv(1)


def test_a_stream_ends_with_the_server_and_does_not_hold_it_up(parser: str):
    with served(parser) as port, clients(port) as connect:
        client = listening(connect)
        ended_at = time.monotonic()
    # It has ended by now: its grace for open connections is half a minute.
    assert time.monotonic() - ended_at < 15
    assert client.socket.fileno() == -1
