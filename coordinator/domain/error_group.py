"""Errors that are the same but for their numbers and ids, as one."""

import re
from typing import Any

import msgspec

FOLDED = "#"
"""Stands for what differs."""

MESSAGE_LIMIT = 300

# Ids first, or their digits would be taken for numbers: UUIDs, ours, and whatever is long and of hex digits with one.
_VARYING = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
    r"|\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"
    r"|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"
    r"|\d+(?:\.\d+)*"
)
# What JSON may write otherwise than it reads, and what was folded.
_NOT_PLAIN = re.compile(r'[^ !$-\[\]-~]|["#]')

_LEAST_MATCH = 4


class ErrorKind(msgspec.Struct, frozen=True):
    """What an error says of itself; None of one that says nothing."""

    type: str | None
    message: str | None


def kind_of(error: bytes) -> ErrorKind:
    """The kind of an error in JSON, an object of ours or whatever the function has sent."""
    found: Any = msgspec.json.decode(error) if error else None
    if isinstance(found, dict):
        kind, message = found.get("type"), found.get("message")
    else:
        kind, message = None, found
    message = message if isinstance(message, str) or message is None else msgspec.json.encode(message).decode()
    return ErrorKind(kind if isinstance(kind, str) else None, message and folded(message))


def folded(message: str) -> str:
    """A message without what tells one of its kind from another."""
    return _VARYING.sub(FOLDED, message)[:MESSAGE_LIMIT]


def match_of(kind: ErrorKind, error: bytes) -> str | None:
    """A text that stands in all errors of a kind, of which this is one, and as they are kept; None if there is none."""
    pieces = [piece.strip() for piece in _NOT_PLAIN.split(kind.message or "")]
    found = max([*pieces, ""], key=len)
    if len(found) < _LEAST_MATCH:
        found = kind.type or ""
    return found if found and found.encode() in error else None
