"""What an HTTP answer, or the lack of one, says about the attempt.

| the call came to                                  | `ack: receipt`         | `ack: response`    |
|---------------------------------------------------|------------------------|--------------------|
| refused, DNS, TLS, connect time-out               | failure                | failure            |
| 2xx with a JSON body of a known `status`          | inline receipt         | inline receipt     |
| the same of more than is read, success at first   | success                | success            |
| 202                                               | wait for the receipt   | wait               |
| any other 2xx                                     | wait for the receipt   | success            |
| 429, or 503 that says when                        | throttled              | throttled          |
| 410, 489 marked final, `job-retry: false`         | failure, not retryable | the same           |
| 408, 502, 504, 520-524, lost after sending        | wait for the receipt   | failure            |
| 3xx                                               | failure `Redirect`     | the same           |
| anything else                                     | failure `HTTPError`    | the same           |
| no answer in time                                 | failure, timed out     | the same           |

"Wait" is the honest reading of a gateway's 504: behind it the function may well be running still, and calling it
again would run it twice. A 404 is an ordinary failure, because a half-finished deploy answers it.

The `type` of an error is a stable word: `ConnectError`, `DNSError`, `TLSError`, `ConnectTimeout`, `InvalidURL`,
`InvalidHeader`, `InvalidSecret`, `MissingSecret`, `AuthError`, `ConnectionLost`, `Timeout`, `Redirect`, `HTTPError`,
`InvalidReceipt`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

import msgspec

from coordinator import errors
from coordinator.domain.outcome import Delivered, Failure, JsonBytes, Outcome, Success, Throttle
from coordinator.domain.receipt import (
    RESULT_LIMIT_BYTES,
    RETRY_AFTER_LIMIT_MS,
    THROTTLE_DEFAULT_MS,
    parse_retry_after,
    read_inline_receipt,
    too_large_result,
)
from coordinator.domain.worker import Ack

BODY_LIMIT_BYTES = 1024 * 1024
"""What is read of an answer. Of what does not fit only the beginning can be a receipt, if it says success."""

_CUT_SUCCESS = re.compile(rb'\s*\{\s*"status"\s*:\s*"success"\s*,')

EXCERPT_LIMIT_BYTES = 1024
MESSAGE_LIMIT = 512

_UNKNOWN = frozenset({408, 502, 504, *range(520, 525)})
"""Said by something in front of the function, which then knows less than we do. 520-524 are Cloudflare's."""


class _Receipts(msgspec.Struct):
    receipts: list[msgspec.Raw] | None = None


class _OfJob(msgspec.Struct, rename="camel"):
    job_id: str = ""


_RECEIPTS = msgspec.json.Decoder(_Receipts)
_OF_JOB = msgspec.json.Decoder(_OfJob)

_RESETS = ("x-ratelimit-reset-after", "x-ratelimit-reset", "ratelimit-reset")

_UNIX_TIME_FROM = 1_000_000_000
"""Reset headers carry seconds or a Unix time, and nobody waits 31 years."""
_UNIX_MS_FROM = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, and how those of its worker are to be read.

    `headers` must find names in lower case. `body` is raw and may have been cut past its limit. `now` is in ms.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    ack: Ack
    now: int


def read_answer(answer: Answer) -> Outcome:
    """What the answer to a call for one job means."""
    status, headers, body, ack, now = answer.status, answer.headers, answer.body, answer.ack, answer.now
    if 200 <= status < 300:
        return _read_success(status, body, ack, now)
    if _is_final(status, headers):
        return Failure(_http_error(status, body), retryable=False, http_status=status)
    if status in (429, 503):
        wait_ms = _throttle_wait(headers, now)
        if wait_ms is not None:
            return Throttle(wait_ms or THROTTLE_DEFAULT_MS, status)
        if status == 429:
            return Throttle(THROTTLE_DEFAULT_MS, status)
    if status in _UNKNOWN and ack == "receipt":
        return Delivered(status)
    return Failure(error_of(answer), retry_after_ms=_wait(headers, "retry-after", now), http_status=status)


def error_of(answer: Answer) -> JsonBytes:
    """What an answer that is no 2xx says, as an error."""
    if 300 <= answer.status < 400:
        return _redirect_error(answer.status, answer.headers)
    return _http_error(answer.status, answer.body)


def answers_limit_bytes(jobs: int) -> int:
    """What is read of an answer for so many jobs: each may have a result of full size."""
    return BODY_LIMIT_BYTES + jobs * RESULT_LIMIT_BYTES


def read_answers(answer: Answer, job_ids: Sequence[str]) -> Mapping[str, Outcome]:
    """What the answer to a call for many jobs means for each.

    `{"receipts": [{"jobId": …, "status": …}, …]}` tells of each by itself. For a job that it leaves out it is a plain
    2xx: its receipt is awaited, or with `ack: response` it is done. Any other answer is the same for all.
    """
    if not 200 <= answer.status < 300:
        return dict.fromkeys(job_ids, read_answer(answer))
    if len(answer.body) > answers_limit_bytes(len(job_ids)):
        error = error_bytes("InvalidReceipt", f"more than {answers_limit_bytes(len(job_ids))} bytes of receipts")
        cut = Failure(error, http_status=answer.status) if answer.ack == "response" else Delivered(answer.status)
        return dict.fromkeys(job_ids, cut)
    receipts = _receipts_by_job(answer.body)
    if receipts is None:
        return dict.fromkeys(job_ids, read_answer(answer))
    return {job_id: read_answer(replace(answer, body=receipts.get(job_id, b""))) for job_id in job_ids}


def not_sent(error_type: str, message: str) -> Failure:
    """Not a byte of the call reached the function, so it has surely not run."""
    return Failure(error_bytes(error_type, message))


def lost(ack: Ack, message: str, status: int | None = None) -> Outcome:
    """The connection broke after the call may have been sent. `status` is known if the answer had begun."""
    if ack == "receipt":
        return Delivered(status)
    return Failure(error_bytes("ConnectionLost", message), http_status=status)


def timed_out(timeout_s: float) -> Failure:
    """Nothing, or no end of it, within the attempt's time."""
    return Failure(error_bytes("Timeout", f"No complete answer within {timeout_s:g} s."), kind="timeout")


def error_bytes(error_type: str, message: str, body: str = "") -> JsonBytes:
    """An error of our own, in the form in which errors are kept."""
    error = {"type": error_type, "message": message[:MESSAGE_LIMIT]}
    return msgspec.json.encode(error | {"body": body} if body else error)


def _receipts_by_job(body: bytes) -> dict[str, bytes] | None:
    receipts: dict[str, bytes] = {}
    try:
        listed = _RECEIPTS.decode(body).receipts
        for raw in listed or ():
            receipts.setdefault(_OF_JOB.decode(raw).job_id, bytes(raw))  # What was said first counts.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if listed is None else receipts


def _read_success(status: int, body: bytes, ack: Ack, now: int) -> Outcome:
    # 202 promises nothing but that the work was taken on; so does every 2xx where only receipts count.
    waits = status == HTTPStatus.ACCEPTED or ack == "receipt"
    if len(body) > BODY_LIMIT_BYTES:
        if _CUT_SUCCESS.match(body):
            return Success(too_large_result(len(body)), status)
        return Delivered(status) if waits else Success(http_status=status)
    try:
        receipt = read_inline_receipt(body, now, status)
    except errors.Refusal as why:
        return Failure(error_bytes("InvalidReceipt", why.detail), http_status=status)
    if receipt is None or (isinstance(receipt, Delivered) and receipt.beat is None and not waits):
        return Delivered(status) if waits else Success(http_status=status)
    return receipt


def _is_final(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the function wants no further attempt. 489 is QStash's, for functions that come from there."""
    if status == HTTPStatus.GONE or headers.get("job-retry", "").lower() == "false":
        return True
    return status == 489 and headers.get("upstash-nonretryable-error", "").lower() == "true"


def _throttle_wait(headers: Mapping[str, str], now: int) -> int | None:
    """The wait that the answer asks for, or None if it names none that can be read. 0 is a time in the past."""
    wait_ms = _wait(headers, "retry-after", now)
    if wait_ms is not None:
        return wait_ms
    for name in _RESETS:
        wait_ms = _reset_wait(headers.get(name, ""), now)
        if wait_ms is not None:
            return wait_ms
    return None


def _wait(headers: Mapping[str, str], name: str, now: int) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        return parse_retry_after(value, now, name)
    except errors.Invalid:
        return None


def _reset_wait(value: str, now: int) -> int | None:
    try:
        number = float(value)
    except ValueError:
        return None
    if number >= _UNIX_MS_FROM:
        number = (number - now) / 1000
    elif number >= _UNIX_TIME_FROM:
        number -= now / 1000
    # The comparison also turns away NaN, which float() reads.
    return round(min(number * 1000, RETRY_AFTER_LIMIT_MS)) if number > 0 else 0


def _redirect_error(status: int, headers: Mapping[str, str]) -> JsonBytes:
    target = headers.get("location", "nowhere")
    return error_bytes("Redirect", f"{_status_line(status)} to {target[:256]}; redirects are never followed")


def _http_error(status: int, body: bytes) -> JsonBytes:
    return error_bytes("HTTPError", _status_line(status), body[:EXCERPT_LIMIT_BYTES].decode("utf-8", "replace"))


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
