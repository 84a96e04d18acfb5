"""Receipts as functions send them: the forms that count, and what is said about those that do not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import errors
from coordinator.domain.outcome import Beat, Cancel, Delivered, Ending, Failure, Snooze, Success, Throttle
from coordinator.domain.receipt import (
    ERROR_LIMIT_BYTES,
    RESULT_LIMIT_BYTES,
    RETRY_AFTER_LIMIT_MS,
    THROTTLE_DEFAULT_MS,
    Receipt,
    kept_error,
    parse_receipt,
    parse_retry_after,
    read_inline_receipt,
)

NOW = 1_790_000_000_000  # Mon, 21 Sep 2026 14:13:20 GMT
NO_ERROR = b'{"type":"ReportedFailure","message":"The function gave no error."}'


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (b'{"status": "success"}', Success()),
        (b'{"status": "success", "result": null}', Success()),
        (b'{"status": "success", "error": null}', Success()),
        (b'{"status": "success", "result": {"b" : 1.50, "a":[]} }', Success(b'{"b" : 1.50, "a":[]}')),
        (b'{"status": "success", "result": 0}', Success(b"0")),
        (b'{"status": "failure"}', Failure(NO_ERROR)),
        (b'{"status": "error"}', Failure(NO_ERROR)),
        (b'{"status": "failure", "error": "no luck"}', Failure(b'{"message":"no luck"}')),
        (b'{"status": "error", "error": "no luck"}', Failure(b'{"message":"no luck"}')),
        (b'{"status": "failure", "error": {"b" : 1, "a": 2} }', Failure(b'{"b" : 1, "a": 2}')),
        (b'{"status": "failure", "error": [1, 2]}', Failure(b'{"message":"[1, 2]"}')),
        (b'{"status": "failure", "error": 404}', Failure(b'{"message":"404"}')),
        (b'{"status": "failure", "error": false}', Failure(b'{"message":"false"}')),
        (b'{"status": "failure", "retryable": false}', Failure(NO_ERROR, retryable=False)),
        (b'{"status": "failure", "retryable": true}', Failure(NO_ERROR)),
        (b'{"status": "failure", "retryAfter": 2.0}', Failure(NO_ERROR, retry_after_ms=2000)),
        (b'{"status": "cancelled"}', Cancel()),
        (b'{"status": "snooze", "retryAfter": "5m"}', Snooze(300_000)),
        (b'{"status": "throttled"}', Throttle(THROTTLE_DEFAULT_MS)),
        (b'{"status": "throttled", "retryAfter": 0.5}', Throttle(500)),
        (b'{"status": "throttled", "retryAfter": 0}', Throttle(0)),
    ],
)
def test_a_receipt_ends_the_attempt(body: bytes, ending: Ending) -> None:
    assert parse_receipt(body, NOW) == Receipt(ending)


def test_a_receipt_may_name_its_attempt_and_token() -> None:
    receipt = parse_receipt(b'{"status":"success","attempt":3,"token":"abc"}', NOW)
    assert receipt == Receipt(Success(), attempt=3, token="abc")


@pytest.mark.parametrize(
    ("body", "path", "remedy"),
    [
        (b"{}", "status", "is missing; use success, failure, cancelled, snooze, throttled or running"),
        (b'{"status":null}', "status", "use success, failure,"),
        (b'{"status":"success","progress":5}', "progress", "send status running"),
        (b'{"status":"running","result":5}', "result", "only a success has a result"),
        (b'{"status":"running","error":5}', "error", "send it with the receipt that ends it"),
        (b'{"status":"running","limits":{"cost":1}}', "limits", "send it with the receipt that ends it"),
        (b'{"status":"running","progress":101}', "progress", "a number from 0 to 100"),
        (b'{"status":"running","progress":"50"}', "progress", "a number from 0 to 100"),
        (b'{"status":"running","message":5}', "message", "a text of at most 1024 bytes"),
        (b'{"status":"running","extend":"25h"}', "extend", "the most is 1d"),
        (b'{"status":"running","extend":"1ms"}', "extend", "too short"),
        (b'{"status":"success","limits":[]}', "limits", "tells no limits"),
        (b'{"status":"success","limits":{"used":1}}', "limits.used", "needs max beside it"),
        (b'{"status":"success","limits":{"left":1}}', "limits.left", "unknown field"),
        (b'{"status":"success","limits":{"remaining":-1}}', "limits.remaining", "0 or more"),
        (b'{"status":"succes"}', "status", "use success, failure,"),
        (b'{"status":"Success"}', "status", "use success"),
        (b'{"status":["success"]}', "status", "use success"),
        (b'{"status":{}}', "status", "use success"),
        (b'{"status":1}', "status", "use success"),
        (b'{"status":"failure","eror":"x"}', "eror", "did you mean error?"),
        (b'{"status":"failure","retry_after":1}', "retry_after", "did you mean retryAfter?"),
        (b'{"status":"failure","xyz":1}', "xyz", "use status, error, result, retryable,"),
        (b'{"status":"success","error":"x"}', "error", "a success has no error"),
        (b'{"status":"failure","result":1}', "result", "only a success has a result"),
        (b'{"status":"snooze"}', "retryAfter", "is missing"),
        (b'{"status":"snooze","retryAfter":null}', "retryAfter", "is missing"),
        (b'{"status":"snooze","retryAfter":"soon"}', "retryAfter", "use seconds such as 2.0"),
        (b'{"status":"snooze","retryAfter":-1}', "retryAfter", "from 0 to 24 h"),
        (b'{"status":"failure","retryAfter":-0.5}', "retryAfter", "from 0 to 24 h"),
        (b'{"status":"throttled","retryAfter":"-5"}', "retryAfter", "from 0 to 24 h"),
        (b'{"status":"throttled","retryAfter":" -5m"}', "retryAfter", "from 0 to 24 h"),
        (b'{"status":"snooze","retryAfter":true}', "retryAfter", "use seconds such as 2.0"),
        (b'{"status":"snooze","retryAfter":[1]}', "retryAfter", "use seconds such as 2.0"),
        (b'{"status":"failure","retryable":"false"}', "retryable", "use true or false"),
        (b'{"status":"failure","retryable":0}', "retryable", "use true or false"),
        (b'{"status":"success","attempt":0}', "attempt", "1 or more"),
        (b'{"status":"success","attempt":true}', "attempt", "1 or more"),
        (b'{"status":"success","attempt":"1"}', "attempt", "1 or more"),
        (b'{"status":"success","token":""}', "token", "use the token of the call"),
        (b'{"status":"success","token":7}', "token", "use the token of the call"),
        (b"[]", "body", "must be a JSON object"),
        (b'"success"', "body", "must be a JSON object"),
        (b"null", "body", "must be a JSON object"),
    ],
)
def test_a_wrong_receipt_is_refused_with_the_field_and_the_remedy(body: bytes, path: str, remedy: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        parse_receipt(body, NOW)
    listed = refused.value.extra["errors"]
    assert isinstance(listed, list)
    (error,) = listed
    assert (error["path"], refused.value.code) == (path, "validation_error")
    assert remedy in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"status=success",
        b'{"status":"success"',
        b'{"status":"success"}}',
        b"\xef\xbb\xbf{}",
        b'{"status":"\xff"}',
        b'{"\xff":1}',
        b'{"status":"failure","error":"\xff"}',
        b'{"status":"success","result":{"a":"\xff"}}',
        b'{"status":"success","result":"\\ud800"}',
        b'{"status":"success","result":1e999}',
        b'{"status":"success","result":NaN}',
        b'{"status":"success","result":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"status":' * 100_000,
    ],
)
def test_what_is_not_readable_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(errors.BadRequest) as refused:
        parse_receipt(body, NOW)
    assert refused.value.code == "invalid_json"


def test_a_result_may_be_as_long_as_the_limit_and_no_longer() -> None:
    result = b'"' + b"a" * (RESULT_LIMIT_BYTES - 2) + b'"'
    assert parse_receipt(b'{"status":"success","result":' + result + b"}", NOW) == Receipt(Success(result))
    with pytest.raises(errors.TooLarge) as refused:
        parse_receipt(b'{"status":"success","result":' + result[:-1] + b'a"}', NOW)
    assert (refused.value.code, refused.value.extra) == ("payload_too_large", {"limitBytes": RESULT_LIMIT_BYTES})


def test_an_error_as_long_as_the_limit_is_kept_as_it_came() -> None:
    frame = b'{ "message": "" }'
    error = frame[:-3] + b"a" * (ERROR_LIMIT_BYTES - len(frame)) + frame[-3:]
    assert kept_error(error) == error


def test_a_longer_error_keeps_its_type_and_the_first_part_of_the_rest() -> None:
    error = {"type": "TypeError", "message": "x is not a function", "stack": "at y\n" * 5_000, "code": 7}
    kept = json.loads(kept_error(json.dumps(error).encode()))
    stack = kept.pop("stack")
    assert kept == {"type": "TypeError", "message": "x is not a function", "truncated": True}
    assert len(stack) > ERROR_LIMIT_BYTES // 2
    assert error["stack"].startswith(stack)  # type: ignore[attr-defined]


def test_a_longer_error_without_a_message_keeps_the_first_part_of_its_text() -> None:
    kept = json.loads(kept_error(json.dumps({"type": "E", "details": ["a"] * 5_000}).encode()))
    assert (kept["type"], kept["truncated"]) == ("E", True)
    assert kept["message"].startswith('{"type": "E", "details": ["a", "a"')


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20), st.text())
def test_an_error_is_kept_as_an_object_within_the_limit(value: object, text: str) -> None:
    long = {"type": text * 1000, "message": [value], "stack": text * 2000}
    for error in (value, text * 3000, long):
        kept = kept_error(json.dumps(error, ensure_ascii=False).encode())
        assert len(kept) <= ERROR_LIMIT_BYTES
        assert isinstance(json.loads(kept), dict)


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        (0, 0),
        (2, 2000),
        (2.0, 2000),
        (0.0015, 2),
        (-1, 0),
        (-0.5, 0),
        (1e300, RETRY_AFTER_LIMIT_MS),
        (10**400, RETRY_AFTER_LIMIT_MS),
        ("2", 2000),
        ("2.0", 2000),
        (" 2.5 ", 2500),
        ("-2", 0),
        ("9" * 64, RETRY_AFTER_LIMIT_MS),
        ("500ms", 500),
        ("30s", 30_000),
        ("1h30m", 5_400_000),
        ("PT5M", 300_000),
        ("7d", RETRY_AFTER_LIMIT_MS),
        ("9999w", RETRY_AFTER_LIMIT_MS),
        ("2026-09-21T14:13:30Z", 10_000),
        ("2026-09-21T16:13:30+02:00", 10_000),
        ("2020-01-01 10:00:00 AM", 0),
        ("Mon, 21 Sep 2026 14:13:30 GMT", 10_000),
        ("Monday, 21-Sep-26 14:13:30 GMT", 10_000),
        ("Mon Sep 21 14:13:30 2026", 10_000),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Mon, 21 Sep 2027 14:13:30 GMT", RETRY_AFTER_LIMIT_MS),
    ],
)
def test_a_wait_may_be_written_in_many_ways(value: object, wait_ms: int) -> None:
    assert parse_retry_after(value, NOW) == wait_ms


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "2.0.0", "1e5", "inf", "nan", "0x10", "٣", "2 2", "Mon", "Mon, 99 Sep 2026 14:13:30 GMT"),
        *("2026-02-31T00:00:00Z", "9" * 65 + "x", "Mon, " + "9" * 10_000, None, [], {}, True),
    ],
)
def test_what_is_no_wait_is_refused(value: object) -> None:
    with pytest.raises(errors.Invalid, match="retryAfter: not a wait; use seconds such as"):
        parse_retry_after(value, NOW)


def test_an_inline_receipt_shares_its_object_with_the_functions_own_answer() -> None:
    body = b'{"orderId":7,"attempt":"first","status":"success","result":[1]}'
    assert read_inline_receipt(body, NOW, 200) == Success(b"[1]", 200)


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"{}", b'{"status":null}', b"[" * 100_000])
def test_an_answer_without_a_status_is_no_receipt(body: bytes) -> None:
    assert read_inline_receipt(body, NOW, 200) is None


def test_an_inline_wait_below_zero_is_none_because_nobody_hears_of_a_refusal() -> None:
    assert read_inline_receipt(b'{"status":"throttled","retryAfter":-5}', NOW, 200) == Throttle(0, 200)


def test_an_inline_running_leaves_the_attempt_open() -> None:
    body = b'{"status":"running","progress":7.5,"message":"half","extend":"1h"}'
    assert read_inline_receipt(body, NOW, 200) == Delivered(200, Beat(7.5, "half", 3_600_000))


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    for wrapped in (body, b'{"status":' + body + b"}", b'{"status":"failure","error":' + body + b"}"):
        try:
            parse_receipt(wrapped, NOW)
            read_inline_receipt(wrapped, NOW, 200)
        except errors.Refusal:
            pass
