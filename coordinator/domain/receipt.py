"""A receipt: the message with which a function ends its attempt, posted or inside its HTTP answer.

| `status`            | ends the attempt as | fields of its own                               |
|---------------------|---------------------|-------------------------------------------------|
| `success`           | `Success`           | `result`                                        |
| `failure`, `error`  | `Failure`           | `error`, `retryable`, `retryAfter` (at least)   |
| `cancelled`         | `Cancel`            |                                                 |
| `snooze`            | `Snooze`            | `retryAfter`, needed                            |
| `throttled`         | `Throttle`          | `retryAfter`, else `THROTTLE_DEFAULT_MS`        |
| `running`           | not: a `Beat`       | `progress`, `message`, `extend`                 |

`limits` may stand in any that ends the attempt: what the function saw of the limits of what it calls.

A posted receipt is read strictly, because a misspelt field must not pass silently. An inline one is read
leniently: it shares its JSON object with whatever else the function answers (`{"status": "success",
"orderId": 7}`), so only the fields of its status are looked at. `null` is the same as leaving a field out.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from coordinator import errors
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import parse_instant
from coordinator.domain.limits import parse_limits
from coordinator.domain.outcome import (
    Beat,
    Cancel,
    Delivered,
    Ending,
    Failure,
    JsonBytes,
    Limits,
    Snooze,
    Success,
    Throttle,
)

ERROR_LIMIT_BYTES = 8 * 1024
RESULT_LIMIT_BYTES = 64 * 1024
TOKEN_LIMIT = 512
MESSAGE_LIMIT_BYTES = 1024
EXTEND_LIMIT_MS = 86_400_000
"""The longest that an attempt may take in all."""

RETRY_AFTER_LIMIT_MS = 86_400_000
"""A day. A longer wait is cut to this: whoever asks for a year has sent a unit we did not expect."""

THROTTLE_DEFAULT_MS = 5_000
"""The wait when nobody says how long. With a thousand throttles allowed, a job bears 80 minutes of this."""

NOTE_LIMIT = 64
"""Characters of what was not understood that people are told."""

STATUSES = ("success", "failure", "cancelled", "snooze", "throttled", "running")

_FIELDS = (
    "status",
    "error",
    "result",
    "retryable",
    "retryAfter",
    "limits",
    "progress",
    "message",
    "extend",
    "attempt",
    "token",
)
_KNOWN_STATUSES = frozenset({*STATUSES, "error"})
_NO_ERROR = b'{"type":"ReportedFailure","message":"The function gave no error."}'

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_NEGATIVE = re.compile(r"\s*-[\d.]", re.ASCII)
_HTTP_DATE = re.compile(r"(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?,? ")
_ISO_INSTANT = re.compile(r"\d{4}-\d", re.ASCII)
_WAIT_FORMS = "use seconds such as 2.0, a duration such as 30s, an HTTP-date or an ISO instant"

Fields = Mapping[str, msgspec.Raw]
_FIELDS_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a posted receipt says. `attempt` and `token` are the fence; the plain form has neither."""

    ending: Ending
    attempt: int | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a function says that goes on; the fence is as of a receipt."""

    beat: Beat
    attempt: int | None = None
    token: str | None = None


def parse_receipt(body: bytes, now: int) -> Receipt | Heartbeat:
    """Read a posted receipt. `now` (ms) turns an absolute `retryAfter` into a delay.

    Raises `BadRequest` (`invalid_json`), `Invalid` naming the field, or `TooLarge`.
    """
    fields = _fields(body)
    for name in fields:
        if name not in _FIELDS:
            raise errors.Invalid(name, f"unknown field; {_nearest_field(name)}")
    if "status" not in fields:
        raise errors.Invalid("status", f"is missing; use {errors.joined(STATUSES)}")
    status = _value(fields, "status")
    if not isinstance(status, str) or status not in _KNOWN_STATUSES:
        raise errors.Invalid("status", f"unknown status; use {errors.joined(STATUSES)}")
    _refuse_contradiction(fields, status)
    attempt, token = _attempt(fields), _token(fields)
    if status == "running":
        return Heartbeat(_beat(fields), attempt, token)
    return Receipt(_ending(fields, status, now, None), attempt, token)


def read_inline_receipt(body: bytes, now: int, http_status: int) -> Ending | Delivered | None:
    """The receipt inside a 2xx answer, or None if the body has no status at all; a `Delivered` notes an unknown one.

    Raises `Invalid` or `TooLarge` if it is a receipt but cannot be understood.
    """
    try:
        fields = _fields(body)
        status = _value(fields, "status")
    except errors.Refusal:
        return None
    if status == "running":
        return _going_on(fields, http_status)
    if not isinstance(status, str) or status not in _KNOWN_STATUSES:
        return None if status is None else Delivered(http_status, note=_unknown_status(bytes(fields["status"])))
    return _ending(fields, status, now, http_status)


def too_large_result(size: int) -> JsonBytes:
    """Stands for a result that is not kept. The work is done: to drop its success would have it done again."""
    return msgspec.json.encode({"tooLarge": size, "limit": RESULT_LIMIT_BYTES})


def _going_on(fields: Fields, http_status: int) -> Delivered:
    """A function that says that it goes on has surely not finished, however its answers are to be read."""
    try:
        return Delivered(http_status, beat=_beat(fields))
    except errors.Refusal as why:
        return Delivered(http_status, beat=Beat(), note=f"with a heartbeat that is not one: {why.detail[:NOTE_LIMIT]}")


def _unknown_status(raw: JsonBytes) -> str:
    text = raw.decode()
    return f"with the status {text if len(text) <= NOTE_LIMIT else f'{text[:NOTE_LIMIT]}…'}"


def parse_heartbeat(body: bytes, now: int) -> Heartbeat:
    """Read the body of a heartbeat: a receipt that says `running`, also if it does not say so. Empty is `{}`."""
    fields = _fields(body or b"{}")
    if "status" not in fields:
        body = msgspec.json.encode({**fields, "status": "running"})
    heartbeat = parse_receipt(body, now)
    if isinstance(heartbeat, Receipt):
        raise errors.Invalid("status", "a heartbeat says running, or nothing; what ends an attempt goes to /receipt")
    return heartbeat


def parse_retry_after(value: object, now: int, path: str = "retryAfter") -> int:
    """A wait in ms from seconds (number or digits), a duration, an HTTP-date (RFC 9110) or an ISO instant.

    What is past or negative is 0; what is longer than a day is a day.
    """
    if isinstance(value, str):
        wait_ms = _wait_of_text(value.strip(), now, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        wait_ms = value * 1000
    else:
        raise errors.Invalid(path, f"not a wait; {_WAIT_FORMS}")
    return round(min(max(wait_ms, 0), RETRY_AFTER_LIMIT_MS))


def kept_error(raw: JsonBytes) -> JsonBytes:
    """The error as it is kept: an object as it came, anything else as `{"message": …}`, at most 8 KiB.

    What is longer keeps `type` and as much of `message` and `stack` as fits, and says `"truncated": true`.
    """
    value = _decoded(raw)
    if isinstance(value, dict):
        if len(raw) <= ERROR_LIMIT_BYTES:
            return raw
        parts = {name: value[name] for name in ("type", "message", "stack") if isinstance(value.get(name), str)}
        return _truncated({"message": raw.decode()} | parts)
    message = value if isinstance(value, str) else raw.decode()
    kept = msgspec.json.encode({"message": message})
    return kept if len(kept) <= ERROR_LIMIT_BYTES else _truncated({"message": message})


def _ending(fields: Fields, status: str, now: int, http_status: int | None) -> Ending:
    match status:
        case "success":
            return Success(_result(fields, is_inline=http_status is not None), http_status, _limits(fields))
        case "cancelled":
            return Cancel()
        case "snooze":
            delay_ms = _retry_after(fields, now, http_status)
            if delay_ms is None:
                raise errors.Invalid("retryAfter", "is missing; a snooze says how long it is to be")
            return Snooze(delay_ms, _limits(fields))
        case "throttled":
            delay_ms = _retry_after(fields, now, http_status)
            return Throttle(THROTTLE_DEFAULT_MS if delay_ms is None else delay_ms, http_status, _limits(fields))
        case _:
            return Failure(
                error=_error(fields),
                retryable=_retryable(fields),
                retry_after_ms=_retry_after(fields, now, http_status),
                http_status=http_status,
                limits=_limits(fields),
            )


def _refuse_contradiction(fields: Fields, status: str) -> None:
    """Refuse what would be dropped in silence although someone meant it."""
    if status == "success" and _given(fields, "error"):
        raise errors.Invalid("error", "a success has no error; send status failure, or leave the error out")
    for name in ("progress", "message", "extend"):
        if status != "running" and _given(fields, name):
            raise errors.Invalid(name, "is of a function that goes on; send status running, or leave it out")
    for name in ("error", "retryable", "retryAfter", "limits"):
        if status == "running" and _given(fields, name):
            raise errors.Invalid(name, "is of an attempt that ends; send it with the receipt that ends it")
    if status != "success" and _given(fields, "result"):
        raise errors.Invalid("result", "only a success has a result; send status success, or leave the result out")


def _beat(fields: Fields) -> Beat:
    message, extend = _value(fields, "message"), _value(fields, "extend")
    if message is not None and (not isinstance(message, str) or len(message.encode()) > MESSAGE_LIMIT_BYTES):
        raise errors.Invalid("message", f"use a text of at most {MESSAGE_LIMIT_BYTES} bytes")
    extend_ms = None if extend is None else parse_duration(extend, "extend", least_ms=1000, most_ms=EXTEND_LIMIT_MS)
    return Beat(_progress(fields), message or "", extend_ms)


def _progress(fields: Fields) -> float | None:
    value = _value(fields, "progress")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise errors.Invalid("progress", "use a number from 0 to 100")
    return value


def _result(fields: Fields, *, is_inline: bool) -> JsonBytes | None:
    if not _given(fields, "result"):
        return None
    raw = bytes(fields["result"])
    if len(raw) > RESULT_LIMIT_BYTES and is_inline:
        # Who posts it can be told, and send another; nobody hears an answer to an answer.
        return too_large_result(len(raw))
    if len(raw) > RESULT_LIMIT_BYTES:
        raise errors.TooLarge(
            "payload_too_large",
            f"result: {len(raw)} bytes of JSON; at most {RESULT_LIMIT_BYTES} are kept",
            limitBytes=RESULT_LIMIT_BYTES,
        )
    _decoded(raw)
    return raw


def _error(fields: Fields) -> JsonBytes:
    # `message` alone can only come inline (a posted receipt may not have it): {"status": "error", "message": …}
    # is what many functions answer already.
    for name in ("error", "message"):
        if _given(fields, name):
            return kept_error(bytes(fields[name]))
    return _NO_ERROR


def _retryable(fields: Fields) -> bool:
    value = _value(fields, "retryable")
    if value is not None and not isinstance(value, bool):
        raise errors.Invalid("retryable", "use true or false")
    return value is not False


def _retry_after(fields: Fields, now: int, http_status: int | None) -> int | None:
    value = _value(fields, "retryAfter")
    # As of a result: who posts it can be told, and of who answers it the attempt must not fail for it.
    if http_status is None and _NEGATIVE.match(str(value)):
        raise errors.Invalid("retryAfter", f"a wait is from 0 to 24 h, and what is longer is cut; {_WAIT_FORMS}")
    return None if value is None else parse_retry_after(value, now)


def _limits(fields: Fields) -> Limits | None:
    return parse_limits(_value(fields, "limits")) if _given(fields, "limits") else None


def _attempt(fields: Fields) -> int | None:
    value = _value(fields, "attempt")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise errors.Invalid("attempt", "use the attempt's number, 1 or more")
    return value


def _token(fields: Fields) -> str | None:
    value = _value(fields, "token")
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= TOKEN_LIMIT):
        raise errors.Invalid("token", f"use the token of the call as it came, at most {TOKEN_LIMIT} characters")
    return value


def _wait_of_text(text: str, now: int, path: str) -> float:
    try:
        if _NUMBER.fullmatch(text[:64]):
            return float(text) * 1000
        if _HTTP_DATE.match(text):
            when = parsedate_to_datetime(text[:64])
            # Without a zone it would be read in this machine's own.
            return when.replace(tzinfo=when.tzinfo or UTC).timestamp() * 1000 - now
        if _ISO_INSTANT.match(text):
            return parse_instant(text, path) - now
        return parse_duration(text, path, most_ms=sys.maxsize)
    except (errors.Invalid, ValueError, OverflowError):
        raise errors.Invalid(path, f"not a wait; {_WAIT_FORMS}") from None


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _FIELDS_DECODER.decode(body)
    except msgspec.ValidationError:
        raise errors.Invalid("body", f"must be a JSON object with a status: {errors.joined(STATUSES)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise errors.BadRequest("invalid_json", f"The body is not readable JSON: {why}") from None


def _given(fields: Fields, name: str) -> bool:
    return name in fields and bytes(fields[name]) != b"null"


def _value(fields: Fields, name: str) -> object:
    return _decoded(bytes(fields[name])) if name in fields else None


def _decoded(raw: JsonBytes) -> object:
    # A raw field was skipped over, not read: bad UTF-8 or a number out of range would be found by the next reader.
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise errors.BadRequest("invalid_json", f"The body is not readable JSON: {why}") from None


def _truncated(parts: dict[str, str]) -> JsonBytes:
    parts = {name: text[:ERROR_LIMIT_BYTES] for name, text in parts.items()}
    while True:
        kept = msgspec.json.encode(parts | {"truncated": True})
        if len(kept) <= ERROR_LIMIT_BYTES:
            return kept
        # The longest part gives way, so that a long stack does not cost the message. A character may take six
        # bytes (\\u0000), so what fits is found by trying.
        longest = max(parts, key=lambda name: len(parts[name]))
        parts[longest] = parts[longest][: len(parts[longest]) * 7 // 8]


def _nearest_field(given: str) -> str:
    near = get_close_matches(given, _FIELDS, n=1)
    return f"did you mean {near[0]}?" if near else f"use {errors.joined(_FIELDS)}"
