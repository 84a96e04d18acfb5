"""Read JSON into the bodies that handlers ask for, every wrong field named.

A field that we do not know is refused, with the nearest one we do: a misspelt option that is silently ignored shows
itself much later, and elsewhere.
"""

import re
from collections.abc import Mapping
from functools import cache
from itertools import accumulate
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from coordinator.api.faults import fault, parts
from coordinator.errors import BadRequest, Invalid

ARGS_LIMIT_BYTES = 256 * 1024
BODY_LIMIT_BYTES = ARGS_LIMIT_BYTES + 64 * 1024
"""The args and all that may stand beside them."""

NESTING_LIMIT = 256
"""Lists and objects inside one another. A JSON reader's own limit depends on the stack that it is called on: what one
place had just accepted, another could not read, nor any job on the same page."""

# In Python `$` also matches before a last line feed; in JSON Schema it does not.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$(?!\n)"
QUEUE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$(?!\n)"

TAG = r"^[^\s,\x00-\x1f]{1,64}$(?!\n)"

Tag = Annotated[str, Meta(pattern=TAG)]
WorkerName = Annotated[str, Meta(pattern=NAME)]
QueueName = Annotated[str, Meta(pattern=QUEUE_NAME)]
Duration = int | float | str
Instant = int | float | str

_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_STEPS = bytes(sorted(frozenset(range(256)) - frozenset(b'[{]}"')))
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)


class Body(Struct, forbid_unknown_fields=True, rename="camel"):
    """What all bodies have in common."""


class CursorQuery(Body):
    """What every list may be asked for."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=1024)] | None = None


Shape = TypeVar("Shape", bound=Struct)


def decode(raw: bytes, shape: type[Shape]) -> Shape:
    """The body as `shape`. Raises `BadRequest` if it is no JSON, `Invalid` if a field is wrong."""
    body = skim(raw, shape)
    check_nesting(raw)
    return body


def skim(raw: bytes, shape: type[Shape]) -> Shape:
    """The same of a body of which nobody knows yet how deep its raw fields are nested."""
    try:
        # Raw fields are skipped over, not read: bad UTF-8 would be found by the function that is sent it.
        raw.decode()
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise fault(str(error), shape, raw) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("invalid_json", f"The body is not JSON that can be read: {error}.") from None


def check_nesting(raw: bytes) -> None:
    """Refuse a body that is nested too deep. Only for what is known to be JSON. Raises `BadRequest`."""
    if raw.count(b"[") + raw.count(b"{") <= NESTING_LIMIT:
        return
    # No line of Python for each bracket: a body may have millions, and all others wait meanwhile.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    # Two quotes in a row end one text and begin another, or are one: without them what is inside of texts stays inside.
    steps = bare.translate(_STEPS, _NO_STEPS).replace(b'""', b"")
    if b'"' in steps:
        steps = b"".join(steps.split(b'"')[::2])
    if max(accumulate(memoryview(steps).cast("b")), default=0) > NESTING_LIMIT:
        raise BadRequest("invalid_json", f"The body is nested deeper than {NESTING_LIMIT} lists and objects.")


def decode_query(given: Mapping[str, str], shape: type[Shape]) -> Shape:
    """The query parameters as `shape`. Raises `Invalid`.

    A query is all text. Where a body has a number or a text, digits are the number: `wait=1000`.
    """
    numbers = _numbers_of(shape)
    read = {name: _number(text) if name in numbers else text for name, text in given.items()}
    try:
        return msgspec.convert(read, shape, strict=False)
    except msgspec.ValidationError as error:
        raise fault(str(error), shape) from None


def plain_name(parameter: str) -> str:
    """The name of a query parameter: `error~=text` reads as what it does, and a URL has the tilde in the name."""
    return "error" if parameter == "error~" else parameter


@cache
def _numbers_of(shape: type[Struct]) -> frozenset[str]:
    """The fields that may be a number or a text. Asked for each request, and slow to find."""
    fields = msgspec.structs.fields(shape)
    return frozenset(field.encode_name for field in fields if set(parts(field.type)) >= {int, float, str})


def _number(text: str) -> int | float | str:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def check_name(name: str, what: str) -> str:
    """The name of something in a path, as it came. Raises `Invalid`."""
    if not re.fullmatch(QUEUE_NAME, name):
        remedy = "letters, digits and _ . : - up to 128, a letter or digit first"
        raise Invalid("name", f"{name[:80]!r} is not {what}: {remedy}")
    return name


def camels(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields by the names that callers use."""
    return {camel(name): value for name, value in fields.items()}


def camel(name: str) -> str:
    """A field's name as callers write it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
