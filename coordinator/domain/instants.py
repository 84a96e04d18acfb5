"""Points in time: as people write them, as we answer them, and as the clocks on the wall show them.

```
 a wall clock   ──────────01:59 03:00────────────────────01:59 01:00────01:59 02:00─────▶
 the instants   ──────────────▲▲─────────────────────────▲──▲▲───────────▲───────────────▶
                        gap: 02:30 is the               fold: 01:30 is the
                        first instant after it          first time it is read
```

A reading of a wall clock stands for the first instant at which the clocks of the zone show it or later. That one
rule covers gaps, folds and days that a zone left out, and it never puts two readings in the wrong order.

Zones come from the `tzdata` package only and not from the machine: replicas on different images would otherwise
disagree about the next tick after a government changed its mind.
"""

import difflib
import math
import re
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from coordinator.domain.durations import shown
from coordinator.errors import Invalid, joined

INSTANT_END = 253_402_300_800_000
"""The first millisecond of the year 10000, which no four-digit year can name."""

INSTANT_CHARS_MAX = 64
TIMEZONE_CHARS_MAX = 64

_SECONDS_END = 100_000_000_000
"""Numbers below are seconds (up to the year 5138), others milliseconds (from March 1973)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_INSTANT = re.compile(
    r"""(?P<date>\d{4}-\d\d-\d\d)
        (?:(?:T|[ ]{1,2})(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?
           [ ]?(?P<half>AM|PM)?
           [ ]?(?P<offset>Z|UTC|[+-]\d\d(?::?\d\d)?)?)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)

_FORMS = (
    'use "YYYY-MM-DD hh:mm:ss AM" (or PM, or 24 hours), ISO 8601 like "2026-09-21T10:00:00Z", '
    "or a Unix time in seconds or milliseconds"
)


def parse_instant(value: object, path: str, timezone: str | None = None) -> int:
    """The Unix milliseconds of `value`, from 1970 to 9999.

    A text without an offset is a wall clock in `timezone` (UTC if None); a date alone is the start of that day;
    digits past the millisecond are dropped. A number below 10¹¹ is seconds, else milliseconds.
    """
    zone = parse_timezone("UTC" if timezone is None else timezone, "timezone")
    instant = _read_text(value, zone) if isinstance(value, str) else _read_number(value)
    if instant is None:
        raise Invalid(path, f"{shown(value)} is not an instant; {_FORMS}", code="invalid_run_at")
    if not 0 < instant < INSTANT_END:
        raise Invalid(path, f"{shown(value)} is outside the years 1970 to 9999; {_FORMS}", code="invalid_run_at")
    return instant


def format_instant(instant: int | None) -> str | None:
    """`2026-09-21T10:00:00.000Z`; None stays None."""
    if instant is None:
        return None
    # By whole seconds: a float of milliseconds would round the last digit of far instants.
    return f"{datetime.fromtimestamp(instant // 1000, UTC).isoformat()[:19]}.{instant % 1000:03d}Z"


def parse_timezone(name: object, path: str) -> ZoneInfo:
    """The zone of this IANA name, e.g. `Europe/Berlin`."""
    # The name becomes part of a file's path, so nothing but a name from the list may pass.
    if isinstance(name, str) and len(name) <= TIMEZONE_CHARS_MAX:
        if name in _zone_names():
            return _load_zone(name)
        near = _near_names(name)
        remedy = f"did you mean {joined(near)}?" if near else 'use an IANA name like "Europe/Berlin" or "UTC"'
    else:
        remedy = 'use an IANA name like "Europe/Berlin" or "UTC"'
    raise Invalid(path, f"{shown(name)} is not a known timezone; {remedy}", code="invalid_timezone")


def instant_of(wall: int, zone: ZoneInfo) -> int:
    """The first instant at which clocks in `zone` show `wall` or later.

    `wall` is what the clock shows, in milliseconds as if it were UTC.
    """
    reading = (_EPOCH + timedelta(milliseconds=wall)).replace(tzinfo=zone)
    # PEP 495: in a gap `fold=0` has the offset before it, in a fold that of the first pass.
    before, after = _offset_of(reading), _offset_of(reading.replace(fold=1))
    if before >= after:
        return wall - before
    return _change_between(wall - after, wall - before, zone)


def local(instant: int, zone: ZoneInfo) -> datetime:
    """What the clocks of `zone` show then, to the second. `fold` is 1 if they show it for the second time."""
    return datetime.fromtimestamp(instant // 1000, zone)


def offset_at(instant: int, zone: ZoneInfo) -> int:
    """How far the clocks of `zone` are ahead of UTC then, in milliseconds."""
    return _offset_of(local(instant, zone))


def first_change(start: int, end: int, zone: ZoneInfo) -> int | None:
    """The first instant after `start` and not after `end` at which the offset changes."""
    low, offset = start, offset_at(start, zone)
    while low < end:
        high = min(low + _CHANGES_APART_MS, end)
        if offset_at(high, zone) != offset:
            return _change_between(low, high, zone)
        low = high
    return None


def last_change(start: int, end: int, zone: ZoneInfo) -> int | None:
    """The last instant after `start` and not after `end` at which the offset changes."""
    high, offset = end, offset_at(end, zone)
    while high > start:
        low = max(high - _CHANGES_APART_MS, start)
        if offset_at(low, zone) != offset:
            return _change_between(low, high, zone)
        high = low
    return None


_CHANGES_APART_MS = 3 * 86_400_000
"""No zone has changed twice in six days since 1970, so a look every third day misses none."""


def _change_between(low: int, high: int, zone: ZoneInfo) -> int:
    """Where the one change after `low` and not after `high` is; all changes are at whole seconds."""
    low_s, high_s = low // 1000, high // 1000
    offset = offset_at(high, zone)
    while high_s - low_s > 1:
        middle = (low_s + high_s) // 2
        if offset_at(middle * 1000, zone) == offset:
            high_s = middle
        else:
            low_s = middle
    return high_s * 1000


def _offset_of(reading: datetime) -> int:
    offset = reading.utcoffset() or timedelta()
    return (offset.days * 86_400 + offset.seconds) * 1000


def _read_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return round(value * 1000 if abs(value) < _SECONDS_END else value)


def _read_text(text: str, zone: ZoneInfo) -> int | None:
    match = _INSTANT.fullmatch(text.strip(" ")) if len(text) <= INSTANT_CHARS_MAX else None
    if match is None:
        return None
    hour = _hour_of_day(int(match["hour"] or 0), match["half"])
    year, month, day = map(int, match["date"].split("-"))
    try:
        # What the clock shows is counted as if it were UTC; the zone comes in afterwards.
        shows = datetime(year, month, day, hour, int(match["minute"] or 0), int(match["second"] or 0), tzinfo=UTC)
    except ValueError:  # the 31st of February, hour 25, 13 PM
        return None
    wall = (shows - _EPOCH) // timedelta(milliseconds=1) + int((match["fraction"] or "").ljust(3, "0")[:3])
    if match["offset"] is None:
        return instant_of(wall, zone)
    offset_ms = _read_offset(match["offset"])
    return None if offset_ms is None else wall - offset_ms


def _hour_of_day(hour: int, half: str | None) -> int:
    """`12 AM` is midnight and `12 PM` noon; 99 for an hour that half a day has not."""
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        return 99
    return hour % 12 + (12 if half.upper() == "PM" else 0)


def _read_offset(text: str) -> int | None:
    if text.upper() in {"Z", "UTC"}:
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    ahead = (hours * 60 + minutes) * 60_000
    return -ahead if text[0] == "-" else ahead


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


@lru_cache(maxsize=1024)
def _load_zone(name: str) -> ZoneInfo:
    source = (resources.files("tzdata") / "zoneinfo").joinpath(*name.split("/"))
    with source.open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _near_names(name: str) -> list[str]:
    """Up to three zones that `name` may have meant: by the whole name, or by the city alone."""
    wanted = name.lower().replace(" ", "_")
    full = {known.lower(): known for known in sorted(_zone_names())}
    city = {known.rpartition("/")[2]: spelled for known, spelled in full.items()}
    if wanted in city:
        return [city[wanted]]
    return [full[near] for near in difflib.get_close_matches(wanted, full, n=3, cutoff=0.75)]
