"""What time it is where the jobs are: that of the last answer, whatever the clock of this machine says.

`Date` tells whole seconds, so less than two are no difference; `Clock-Ahead` tells by how many ms `coordinator dev` was
moved on. The dashboard goes by the same two (`core/api.js`).
"""

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_NO_DIFFERENCE = timedelta(seconds=2)

_off: ContextVar[timedelta] = ContextVar("off", default=timedelta())


def now() -> datetime:
    """Now, as the coordinator has it."""
    return datetime.now(UTC) + _off.get()


def heed(headers: Mapping[str, str]) -> None:
    """Go by what this answer tells."""
    _off.set(off_of(headers, datetime.now(UTC)))


def off_of(headers: Mapping[str, str], here: datetime) -> timedelta:
    """By how much the time there is ahead of the one here."""
    ahead = skew = timedelta()
    # A proxy may leave a header out, or write it badly: a date without a zone is no instant.
    with suppress(ValueError, OverflowError):
        ahead = timedelta(milliseconds=float(headers.get("clock-ahead", 0)))
    with suppress(TypeError, ValueError, OverflowError):
        skew = parsedate_to_datetime(headers.get("date", "")) - here
    return ahead + skew if abs(skew) > _NO_DIFFERENCE else ahead
