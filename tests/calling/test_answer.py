"""The table of outcomes, row by row, in both columns."""

import json
from collections.abc import Callable

import pytest

from coordinator.calling.answer import (
    BODY_LIMIT_BYTES,
    Answer,
    answers_limit_bytes,
    lost,
    not_sent,
    read_answer,
    read_answers,
    timed_out,
)
from coordinator.domain.outcome import Beat, Cancel, Delivered, Failure, Outcome, Snooze, Success, Throttle
from coordinator.domain.receipt import RETRY_AFTER_LIMIT_MS, THROTTLE_DEFAULT_MS
from coordinator.domain.worker import Ack

NOW = 1_790_000_000_000  # Mon, 21 Sep 2026 14:13:20 GMT
ACKS: list[Ack] = ["receipt", "response"]


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"", ack: Ack = "receipt") -> Outcome:
    return read_answer(Answer(status, headers or {}, body, ack, NOW))


def http_error(status: int, message: str, *, retryable: bool = True, retry_after_ms: int | None = None) -> Failure:
    error = json.dumps({"type": "HTTPError", "message": message}, separators=(",", ":")).encode()
    return Failure(error, retryable=retryable, retry_after_ms=retry_after_ms, http_status=status)


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize("status", [200, 201, 202, 206])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"status":"success"}', lambda status: Success(None, status)),
        (b'{"status":"success","orderId":7}', lambda status: Success(None, status)),
        (b'{"status":"success","result":[1, 2.50]}', lambda status: Success(b"[1, 2.50]", status)),
        (b'{"status":"success","error":"ignored"}', lambda status: Success(None, status)),
        (b'{"status":"failure","error":"no"}', lambda status: Failure(b'{"message":"no"}', http_status=status)),
        (b'{"status":"error","message":"no"}', lambda status: Failure(b'{"message":"no"}', http_status=status)),
        (
            b'{"status":"failure","error":{"a" : 1},"retryable":false,"retryAfter":2}',
            lambda status: Failure(b'{"a" : 1}', retryable=False, retry_after_ms=2000, http_status=status),
        ),
        (b'{"status":"cancelled"}', lambda _: Cancel()),
        (b'{"status":"snooze","retryAfter":"5m"}', lambda _: Snooze(300_000)),
        (b'{"status":"throttled","retryAfter":2.5}', lambda status: Throttle(2500, status)),
        (b'{"status":"throttled"}', lambda status: Throttle(THROTTLE_DEFAULT_MS, status)),
        (b'{"status":"running"}', lambda status: Delivered(status, Beat())),
        (
            b'{"status":"running","progress":40,"message":"page 4","extend":"10m","mine":1}',
            lambda status: Delivered(status, Beat(40, "page 4", 600_000)),
        ),
        (
            b'{"status":"running","progress":101}',
            lambda status: Delivered(
                status, Beat(), "with a heartbeat that is not one: progress: use a number from 0 to 100"
            ),
        ),
        (
            b'{"result":"' + b"a" * 65_535 + b'","status":"success"}',
            lambda status: Success(b'{"tooLarge":65537,"limit":65536}', status),
        ),
        (
            b'{"status": "success", "result": "' + b"a" * BODY_LIMIT_BYTES,
            lambda status: Success(b'{"tooLarge":%d,"limit":65536}' % (BODY_LIMIT_BYTES + 33), status),
        ),
        (
            b'{"status":"success","result":1,"more":"' + b"a" * 65_536 + b'"}',
            lambda status: Success(b"1", status),
        ),
    ],
)
def test_a_2xx_with_a_known_status_is_an_inline_receipt(
    status: int, body: bytes, expected: Callable[[int], Outcome], ack: Ack
) -> None:
    assert answer(status, body=body, ack=ack) == expected(status)


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b'{"status":"snooze"}', "retryAfter"),
        (b'{"status":"snooze","retryAfter":"soon"}', "retryAfter"),
        (b'{"status":"failure","retryable":"no"}', "retryable"),
    ],
)
def test_an_inline_receipt_that_cannot_be_understood_is_a_failure(body: bytes, wrong: str, ack: Ack) -> None:
    outcome = answer(200, body=body, ack=ack)
    assert isinstance(outcome, Failure)
    error = json.loads(outcome.error)
    assert (error["type"], outcome.http_status, outcome.retryable) == ("InvalidReceipt", 200, True)
    assert wrong in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b"{}",
        b'"success"',
        b'{"status":null}',
        b'{"status":"success"',
        b'{"status":"success"}}',
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 60_000,
        b"<html>",
        b"\x1f\x8b\x08\x00",
        b'{"a":"' + b"a" * BODY_LIMIT_BYTES,
    ],
)
def test_a_2xx_without_a_known_status_waits_or_succeeds(body: bytes) -> None:
    assert answer(200, body=body, ack="receipt") == Delivered(200)
    assert answer(200, body=body, ack="response") == Success(None, 200)
    assert answer(202, body=body, ack="receipt") == Delivered(202)
    assert answer(202, body=body, ack="response") == Delivered(202)


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b'{"status":"succes"}', 'with the status "succes"'),
        (b'{"status":"Success"}', 'with the status "Success"'),
        (b'{"status":200}', "with the status 200"),
        (b'{"status":["success"]}', 'with the status ["success"]'),
        (b'{"status":"' + b"a" * 65 + b'"}', 'with the status "' + "a" * 63 + "…"),
    ],
)
def test_a_2xx_with_a_status_that_is_none_of_ours_says_so_while_it_waits(body: bytes, note: str) -> None:
    assert answer(200, body=body, ack="receipt") == Delivered(200, note=note)
    assert answer(202, body=body, ack="response") == Delivered(202, note=note)
    assert answer(200, body=body, ack="response") == Success(None, 200)


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"retry-after": "7"}, 7000),
        ({"retry-after": "2.0"}, 2000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT"}, 10_000),
        ({"retry-after": "31536000"}, RETRY_AFTER_LIMIT_MS),
        # A time in the past asks for nothing, but to call again at once is what brought us here.
        ({"retry-after": "0"}, THROTTLE_DEFAULT_MS),
        ({"retry-after": "-5"}, THROTTLE_DEFAULT_MS),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:10 GMT"}, THROTTLE_DEFAULT_MS),
        ({"x-ratelimit-reset": "3"}, 3000),
        ({"x-ratelimit-reset-after": "1.5"}, 1500),
        ({"ratelimit-reset": "12"}, 12_000),
        ({"x-ratelimit-reset": "1790000004"}, 4000),
        ({"x-ratelimit-reset": "1790000004.5"}, 4500),
        ({"x-ratelimit-reset": "1790000004000"}, 4000),
        ({"x-ratelimit-reset": "1789999999"}, THROTTLE_DEFAULT_MS),
        ({"x-ratelimit-reset": "inf"}, RETRY_AFTER_LIMIT_MS),
        ({"x-ratelimit-reset": "nan"}, THROTTLE_DEFAULT_MS),
        ({"retry-after": "7", "x-ratelimit-reset": "3"}, 7000),
        ({"retry-after": "soon", "x-ratelimit-reset": "3"}, 3000),
    ],
)
def test_429_and_503_that_say_when_are_throttled(status: int, headers: dict[str, str], wait_ms: int, ack: Ack) -> None:
    assert answer(status, headers, ack=ack) == Throttle(wait_ms, status)


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}, {"x-ratelimit-reset": "never"}])
def test_429_is_throttled_even_if_it_does_not_say_when_but_503_is_a_failure(headers: dict[str, str], ack: Ack) -> None:
    assert answer(429, headers, ack=ack) == Throttle(THROTTLE_DEFAULT_MS, 429)
    assert answer(503, headers, ack=ack) == http_error(503, "503 Service Unavailable")


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (410, {}, "410 Gone"),
        (489, {"upstash-nonretryable-error": "true"}, "489"),
        (500, {"job-retry": "false"}, "500 Internal Server Error"),
        (404, {"job-retry": "False"}, "404 Not Found"),
        (429, {"job-retry": "false", "retry-after": "1"}, "429 Too Many Requests"),
        (504, {"job-retry": "false"}, "504 Gateway Timeout"),
        (302, {"job-retry": "false"}, "302 Found"),
    ],
)
def test_an_answer_that_wants_no_retry_is_final(status: int, headers: dict[str, str], message: str, ack: Ack) -> None:
    assert answer(status, headers, ack=ack) == http_error(status, message, retryable=False)


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (489, {}, "489"),
        (489, {"upstash-nonretryable-error": "false"}, "489"),
        (500, {"job-retry": "true"}, "500 Internal Server Error"),
        (500, {"upstash-nonretryable-error": "true"}, "500 Internal Server Error"),
        (400, {}, "400 Bad Request"),
        (404, {}, "404 Not Found"),
        (500, {}, "500 Internal Server Error"),
        (501, {}, "501 Not Implemented"),
        (505, {}, "505 HTTP Version Not Supported"),
        (525, {}, "525"),
        (599, {}, "599"),
        (600, {}, "600"),
    ],
)
def test_any_other_failure_is_retryable(status: int, headers: dict[str, str], message: str, ack: Ack) -> None:
    assert answer(status, headers, ack=ack) == http_error(status, message)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (408, "408 Request Timeout"),
        (502, "502 Bad Gateway"),
        (504, "504 Gateway Timeout"),
        *[(status, str(status)) for status in range(520, 525)],
    ],
)
def test_a_gateway_that_lost_the_function_leaves_it_unknown(status: int, message: str) -> None:
    assert answer(status, ack="receipt") == Delivered(status)
    assert answer(status, ack="response") == http_error(status, message)


def test_a_failure_keeps_the_wait_it_asks_for() -> None:
    assert answer(500, {"retry-after": "30"}) == http_error(500, "500 Internal Server Error", retry_after_ms=30_000)
    assert answer(504, {"retry-after": "30"}, ack="response") == http_error(
        504, "504 Gateway Timeout", retry_after_ms=30_000
    )


@pytest.mark.parametrize("ack", ACKS)
@pytest.mark.parametrize(
    ("status", "line"), [(301, "301 Moved Permanently"), (303, "303 See Other"), (307, "307 Temporary Redirect")]
)
def test_a_redirect_is_a_failure_that_says_where_to(status: int, line: str, ack: Ack) -> None:
    message = f"{line} to https://b.example/; redirects are never followed"
    error = json.dumps({"type": "Redirect", "message": message}, separators=(",", ":")).encode()
    assert answer(status, {"location": "https://b.example/"}, ack=ack) == Failure(error, http_status=status)


def test_a_redirect_to_nowhere_is_a_failure_too() -> None:
    outcome = answer(304)
    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["message"].startswith("304 Not Modified to nowhere;")


def test_a_failure_shows_the_beginning_of_the_body() -> None:
    outcome = answer(500, body="é".encode() * 600 + b"\xff")
    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error) == {
        "type": "HTTPError",
        "message": "500 Internal Server Error",
        "body": "é" * 512,
    }


def test_a_body_that_is_no_text_is_shown_as_far_as_it_can_be() -> None:
    outcome = answer(500, body=b"a\xff\x00b")
    assert isinstance(outcome, Failure)
    assert json.loads(outcome.error)["body"] == "a\ufffd\x00b"


@pytest.mark.parametrize("ack", ACKS)
def test_a_receipt_in_a_failed_answer_is_not_one(ack: Ack) -> None:
    outcome = answer(500, body=b'{"status":"success"}', ack=ack)
    assert isinstance(outcome, Failure)


def test_what_was_not_sent_fails_and_may_be_tried_again() -> None:
    assert not_sent("ConnectError", "refused") == Failure(b'{"type":"ConnectError","message":"refused"}')


def test_a_lost_call_is_unknown_or_a_failure() -> None:
    assert lost("receipt", "reset") == Delivered()
    assert lost("receipt", "reset", 200) == Delivered(200)
    assert lost("response", "reset") == Failure(b'{"type":"ConnectionLost","message":"reset"}')


def test_a_timed_out_call_is_a_failure_noticed_by_the_deadline() -> None:
    error = b'{"type":"Timeout","message":"No complete answer within 900 s."}'
    assert timed_out(900.0) == Failure(error, kind="timeout")


def answers(body: object, ack: Ack = "receipt", status: int = 200) -> dict[str, Outcome]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dict(read_answers(Answer(status, {}, raw, ack, NOW), ["a", "b", "c"]))


@pytest.mark.parametrize(("ack", "left_out"), [("receipt", Delivered(200)), ("response", Success(http_status=200))])
def test_each_of_many_jobs_has_its_own_receipt(ack: Ack, left_out: Outcome) -> None:
    receipts = [{"jobId": "b", "status": "snooze", "retryAfter": 2}, {"jobId": "a", "status": "success", "result": 1}]

    said = answers({"receipts": receipts}, ack)

    assert said == {"a": Success(b"1", 200), "b": Snooze(2000), "c": left_out}


def test_one_receipt_that_cannot_be_read_is_no_harm_to_the_others() -> None:
    receipts = [{"jobId": "a", "status": "snooze"}, {"status": "success"}, {"jobId": "c", "status": "success"}]

    said = answers({"receipts": receipts})

    assert isinstance(said["a"], Failure)
    assert (said["b"], said["c"]) == (Delivered(200), Success(http_status=200))


def test_of_two_receipts_for_one_job_the_first_counts() -> None:
    receipts = [{"jobId": "a", "status": "success"}, {"jobId": "a", "status": "failure"}]

    assert answers({"receipts": receipts})["a"] == Success(http_status=200)


def test_a_job_that_was_not_called_for_is_passed_over() -> None:
    assert set(answers({"receipts": [{"jobId": "z", "status": "success"}]})) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("body", "status", "all_alike"),
    [
        ({"status": "success"}, 200, Success(http_status=200)),
        ({"status": "throttled", "retryAfter": 3}, 200, Throttle(3000, 200)),
        (b"", 202, Delivered(202)),
        (b"no json", 200, Delivered(200)),
        ({"receipts": 7}, 200, Delivered(200)),
        ({"receipts": ["x"]}, 200, Delivered(200)),
        (b"", 504, Delivered(504)),
        (b"", 429, Throttle(THROTTLE_DEFAULT_MS, 429)),
    ],
)
def test_any_other_answer_is_the_same_for_all(body: object, status: int, all_alike: Outcome) -> None:
    assert answers(body, status=status) == dict.fromkeys("abc", all_alike)


def test_more_receipts_than_are_read_are_awaited_or_failed() -> None:
    body = b'{"receipts":[' + b" " * answers_limit_bytes(3)

    assert answers(body) == dict.fromkeys("abc", Delivered(200))
    assert all(isinstance(outcome, Failure) for outcome in answers(body, "response").values())
