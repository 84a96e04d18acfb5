"""Values as people read them in a line: instants, lengths of time, numbers, and text that can do a terminal no harm."""

import json
from datetime import datetime

from coordinator.commands import clock

_STEPS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def clean(text: str) -> str:
    """The text without what a terminal would obey: others have written it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def brief(value: object, most: int = 80) -> str:
    """A value as JSON in one line, cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = clean(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def error_text(error: object) -> str:
    """What an error of a job says: its type and message, where it has them."""
    if not error:
        return ""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        kind = error.get("type")
        return brief(f"{kind}: {error['message']}" if isinstance(kind, str) else error["message"], 200)
    return brief(error, 200)


def instant(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


def ago(text: str | None, now: datetime | None = None) -> str:
    """An instant of the API, as seen from its now: `3 s ago`, `in 5 m`."""
    if text is None:
        return "-"
    seconds = ((now or clock.now()) - instant(text)).total_seconds()
    length = span(abs(seconds) * 1000)
    return f"{length} ago" if seconds >= 0 else f"in {length}"


def span(ms: float | None) -> str:
    """A length of time in its largest unit: `40 ms`, `12 s`, `3 h`."""
    if ms is None:
        return "-"
    if ms < 1000:
        return f"{ms:.0f} ms"
    for unit_s, unit in _STEPS:
        if ms >= unit_s * 1000:
            amount = ms / (unit_s * 1000)
            return f"{amount:.1f} {unit}" if unit == "s" and amount < 10 else f"{int(amount)} {unit}"
    return f"{ms:.0f} ms"


def number(value: float) -> str:
    """With spaces between the thousands."""
    return f"{value:,.0f}".replace(",", " ")


def plural(count: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number(count)} {what}{'' if count == 1 else 's'}"
