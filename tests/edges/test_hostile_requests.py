"""What two programs could read in two ways is refused, and what is too much is told so."""

import contextlib
import json

import pytest

from tests.edges.conftest import Connect, clients, served

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
POST = b"POST /job HTTP/1.1\r\n" + HEAD
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
JOB = b'{"worker":"w","delay":"1h"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def health(fields: bytes) -> bytes:
    return b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(health(b"".join(b"x-%d: 1\r\n" % at for at in range(64))), id="65 fields"),
        pytest.param(health(b"".join(b"x-%d: 1\r\n" % at for at in range(3000))), id="3000 fields"),
        pytest.param(health(b"x: " + b"1" * 16_384 + b"\r\n"), id="a large field"),
        pytest.param(health(b"x: " + b"1" * 1_000_000 + b"\r\n"), id="a huge field"),
        pytest.param(b"GET /health?" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a large query"),
        pytest.param(b"GET /" + b"a" * 1_000_000, id="an endless path"),
        pytest.param(health(b"x: " + b"1" * 100_000)[:-2], id="an endless field"),
    ],
)
def test_too_many_headers_are_refused(connect: Connect, request_bytes: bytes):
    client = connect()
    with contextlib.suppress(ConnectionError):
        client.send(request_bytes)

    answer = client.answer()

    assert answer.statuses == [431]
    assert json.loads(answer.raw.partition(b"\r\n\r\n")[2])["code"] == "headers_too_large"


def test_as_many_headers_as_may_be_are_taken(connect: Connect):
    assert connect().send(health(b"".join(b"x-%d: 1\r\n" % at for at in range(63)))).first().status == 200
    assert connect().send(health(b"x: " + b"1" * 16_000 + b"\r\n")).first().status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", id="length and chunks"),
        pytest.param(POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", id="chunks and length"),
        pytest.param(POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", id="two lengths"),
        pytest.param(POST + b"Content-Length: 5, 6\r\n\r\nabcdef", id="two lengths in one"),
        pytest.param(POST + b"Content-Length: +5\r\n\r\nabcde", id="a length with a sign"),
        pytest.param(POST + b"Content-Length: -5\r\n\r\nabcde", id="a negative length"),
        pytest.param(POST + b"Content-Length: 0x5\r\n\r\nabcde", id="a length in hex"),
        pytest.param(POST + b"Content-Length : 5\r\n\r\nabcde", id="a space before the colon"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", id="the same of chunks"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown encoding"),
        pytest.param(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="chunks not last"),
        pytest.param(POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n", id="chunks twice"),
        pytest.param(POST + CHUNKED + b"\r\nx\r\nabc\r\n0\r\n\r\n", id="a chunk's size that is none"),
        pytest.param(POST + CHUNKED + b"\r\n-1\r\nabc\r\n0\r\n\r\n", id="a negative chunk"),
        pytest.param(POST + CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n", id="a chunk that is longer than it says"),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n", id="NUL in a name"),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n", id="NUL in a value"),
        pytest.param(b"GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n", id="a space in the path"),
        pytest.param(b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n", id="a version that is not ours"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_closed(connect: Connect, request_bytes: bytes):
    answer = connect().send(request_bytes + HEALTH).answer()

    assert answer.statuses == [400]
    assert json.loads(answer.raw.partition(b"\r\n\r\n")[2])["code"] in {"bad_request", "invalid_json"}


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(POST + b"Content-Length: 9\r\nContent-Length: 9\r\n\r\n", id="a length twice"),
        pytest.param(POST + b" folded: 1\r\nContent-Length: 0\r\n\r\n", id="a folded field"),
        pytest.param(POST + CHUNKED + b"\r\nfffffffffffffffff\r\nabc", id="a chunk beyond 64 bits"),
    ],
)
def test_what_the_parsers_do_not_agree_on_is_refused_by_both(connect: Connect, request_bytes: bytes):
    """One finds it wrong, the other can read it; by neither is it a request."""
    assert connect().send(request_bytes).first().status in {400, 408, 415}


def test_what_comes_after_a_request_is_the_next_one_or_refused(connect: Connect):
    answer = connect().send(POST + b"Content-Length: %d\r\n\r\n%s" % (len(JOB), JOB) + b"GARBAGE\r\n\r\n").answer()

    assert answer.statuses in ([201, 400], [400])


def test_requests_one_after_the_other_are_answered_in_turn(connect: Connect):
    length = b"Content-Length: %d\r\n\r\n%s" % (len(JOB), JOB)
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = connect().send(HEALTH + POST + length + HEALTH + last).answer()

    assert answer.statuses == [200, 201, 200, 404]


def test_an_upgrade_is_not_made_and_hides_nothing(connect: Connect):
    fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"

    assert connect().send(health(fields)).first().status == 200


@pytest.mark.parametrize("size", [400_000, 5_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_who_sends_too_much_can_read_that(connect: Connect, size: int, is_chunked: bool):
    if is_chunked:
        body = b"".join(b"%x\r\n%s\r\n" % (50_000, b" " * 50_000) for _ in range(size // 50_000)) + b"0\r\n\r\n"
        request = POST + CHUNKED + b"\r\n" + body
    else:
        request = POST + b"Content-Length: %d\r\n\r\n%s" % (size, b" " * size)
    client = connect()

    assert client.send(request).first().status == 413
    # The rest was thrown away, and the connection goes on with the next request.
    assert client.send(HEALTH).first().status == 200


def test_no_answer_tells_what_serves_it(connect: Connect):
    for request in (HEALTH, b"GARBAGE\r\n\r\n", health(b"x: 1\r\n" * 65), POST + b"Content-Length: 2\r\n\r\n{]"):
        head = connect().send(request).first().head
        assert "\r\nserver:" not in head
        assert "\r\nx-content-type-options: nosniff" in head
        assert "\r\ncache-control: no-store" in head
        assert "access-control" not in head


def test_too_many_connections_are_refused_and_health_is_not(parser: str):
    with served(parser, connections=3, spare=2, look_s=0.1) as port, clients(port) as connect:
        kept = [connect() for _ in range(3)]
        for client in kept:
            assert client.send(HEALTH).first().status == 200

        many = connect().send(b"GET /queue HTTP/1.1\r\nHost: localhost\r\n\r\n").answer()
        probe = connect().send(HEALTH).first()

        assert many.statuses == [503]
        assert "\r\nretry-after: 1" in many.head
        assert probe.status == 200
        # The probe still has one of the two to spare.
        connect()
        assert connect().answer().statuses == [503]
