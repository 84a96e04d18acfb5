"""Lengths of time as people write them, turned into milliseconds.

Three spellings are read: a whole number of milliseconds, `"1h30m"` as in Go and most queues, and the days-and-time
part of ISO 8601 (`"P1DT2H"`). Months and years are refused because they have no fixed length, and plain digits in
a string because nobody can tell whether `"30"` means seconds or milliseconds.
"""

import json
import re
from fractions import Fraction

from coordinator.errors import Invalid

DURATION_MAX_MS = 366 * 86_400_000
"""A year: what is longer is a wrong unit more often than a wish."""

DURATION_CHARS_MAX = 64

_UNIT_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

_NUMBER = r"(\d+(?:\.\d+)?)"
# Each unit at most once and the larger first, so that a slip such as "1m30h" is not read as something.
_COMPOUND = re.compile("".join(rf"(?:{_NUMBER} ?{unit} ?)?" for unit in _UNIT_MS), re.ASCII)
_ISO_8601 = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?", re.ASCII
)

_FORMS = 'use milliseconds as a number, or text like "500ms", "30s", "5m", "1h30m", "7d" or "PT5M"'


def parse_duration(value: object, path: str, *, least_ms: int = 0, most_ms: int = DURATION_MAX_MS) -> int:
    """The milliseconds that `value` stands for; refused outside `least_ms`..`most_ms`, both allowed."""
    length_ms = _whole_ms(value)
    if length_ms is None:
        raise Invalid(path, f"{shown(value)} is not a duration; {_FORMS}")
    if length_ms < least_ms:
        raise Invalid(path, f"{shown(value)} is too short; the least is {_spelled(least_ms)}; {_FORMS}")
    if length_ms > most_ms:
        raise Invalid(path, f"{shown(value)} is too long; the most is {_spelled(most_ms)}; {_FORMS}")
    return length_ms


def shown(value: object) -> str:
    """A caller's value for a message: as in the caller's own JSON, but short and ASCII, whatever came."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    # Python refuses to print an integer of more than 4 300 digits, and JSON may well carry one.
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond 64 bits"
    text = json.dumps(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whole_ms(value: object) -> int | None:
    """None if `value` is no duration, or none of whole milliseconds."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= DURATION_CHARS_MAX:
        return _read(value.strip(" "))
    return None


def _read(text: str) -> int | None:
    match = _COMPOUND.fullmatch(text) or _ISO_8601.fullmatch(text)
    amounts = match.groups() if match else ()
    if not any(amounts):
        return None
    # Fractions, not floats: "1.1s" has to be 1100, not 1100.0000000000002 and therefore refused. (ISO has no
    # milliseconds, so there the last unit goes without an amount.)
    units = _UNIT_MS.values()
    total = sum(Fraction(amount) * unit for amount, unit in zip(amounts, units, strict=False) if amount)
    return int(total) if total.denominator == 1 else None


def _spelled(length_ms: int) -> str:
    """In the largest unit that divides it: `24h` is asked for as `1d`, which is the same bound."""
    for unit, unit_ms in _UNIT_MS.items():
        if unit != "w" and length_ms and length_ms % unit_ms == 0:
            return f"{length_ms // unit_ms}{unit}"
    return "0"
