"""What commands write: tables for people, one JSON object a line for programs, and nothing else on stdout."""

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, Self, TextIO

from coordinator.commands.words import clean

Thing = Mapping[str, Any]

STATE_STYLES = {
    "queued": "36",
    "scheduled": "34",
    "retrying": "33",
    "running": "1;36",
    "succeeded": "32",
    "dead": "31",
    "cancelled": "90",
    "paused": "33",
    "ended": "90",
}
"""Colours of states, as a terminal is told them."""

_ROWS = 200
"""A table's columns are as wide as its first rows need: it may be of any length, and is not held in memory."""


class Column(NamedTuple):
    """A column of a table. `style` is a colour, or empty."""

    title: str
    text: Callable[[Any], str]
    style: Callable[[Any], str] = lambda _: ""
    is_number: bool = False


class Writer:
    """Writes as the flags of a command say."""

    def __init__(self, *, as_json: bool, is_quiet: bool, out: TextIO, err: TextIO) -> None:
        """`is_quiet` leaves names only of what is listed, and nothing of what is done."""
        self.as_json = as_json
        self.is_quiet = is_quiet
        self.is_seen = out.isatty()
        self._out = out
        self._err = err
        self._has_colour = self.is_seen and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """As the common flags say."""
        return cls(as_json=options.json, is_quiet=options.quiet, out=sys.stdout, err=sys.stderr)

    def many(self, things: Iterable[Thing], columns: list[Column], name: str = "id") -> int:
        """A list: a table, an object a line, or only names. Returns how many there were."""
        if self.as_json or self.is_quiet:
            count = 0
            for thing in things:
                self.line(json.dumps(thing) if self.as_json else clean(str(thing[name])))
                count += 1
            return count
        return self._table(iter(things), columns)

    def one(self, thing: Thing, text: Callable[[], str], name: str = "id") -> None:
        """A single thing, as its JSON or as `text` tells it."""
        if self.as_json:
            self.line(json.dumps(thing))
        else:
            self.line(clean(str(thing[name])) if self.is_quiet else text())

    def did(self, thing: Thing, text: str) -> None:
        """Something that was done."""
        if self.as_json:
            self.line(json.dumps(thing))
        elif not self.is_quiet:
            self.line(text)

    def line(self, text: str) -> None:
        """A line of the answer."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def note(self, text: str) -> None:
        """A line beside the answer, for people."""
        if not self.is_quiet:
            self._err.write(f"{text}\n")
            self._err.flush()

    def wrong(self, text: str) -> None:
        """A line that tells what is wrong."""
        self._err.write(f"coordinator: {clean(text)}\n")
        self._err.flush()

    def painted(self, text: str, style: str) -> str:
        """In a colour, where colours are seen."""
        return f"\033[{style}m{text}\033[0m" if style and self._has_colour else text

    def state(self, name: str) -> str:
        """The name of a state in its colour."""
        return self.painted(name, STATE_STYLES.get(name, ""))

    def table(self, things: Iterable[Thing], columns: list[Column]) -> str:
        """A short table as text."""
        rows = [_cells(thing, columns) for thing in things]
        widths = _widths(rows, columns)
        lines = [self._heading(columns, widths)]
        lines += [self._row(thing, cells, columns, widths) for thing, cells in zip(things, rows, strict=True)]
        return "\n".join(lines)

    def _table(self, things: Iterator[Thing], columns: list[Column]) -> int:
        count, widths = 0, None
        while chunk := list(islice(things, _ROWS)):
            rows = [_cells(thing, columns) for thing in chunk]
            if widths is None:
                widths = _widths(rows, columns)
                self.line(self._heading(columns, widths))
            for thing, cells in zip(chunk, rows, strict=True):
                self.line(self._row(thing, cells, columns, widths))
            count += len(chunk)
        return count

    def _heading(self, columns: list[Column], widths: list[int]) -> str:
        titles = [_padded(column.title, column, width) for column, width in zip(columns, widths, strict=True)]
        return self.painted("  ".join(titles).rstrip(), "1")

    def _row(self, thing: Thing, cells: list[str], columns: list[Column], widths: list[int]) -> str:
        # Only the last column is cut, and only where a line would be wrapped.
        left = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
        if self.is_seen and len(cells[-1]) > max(left, 8):
            cells = [*cells[:-1], f"{cells[-1][: max(left, 8) - 1]}…"]
        padded = [
            self.painted(_padded(cell, column, width), column.style(thing))
            for cell, column, width in zip(cells, columns, widths, strict=True)
        ]
        return "  ".join(padded).rstrip()


def _cells(thing: Thing, columns: list[Column]) -> list[str]:
    return [clean(column.text(thing)) for column in columns]


def _widths(rows: list[list[str]], columns: list[Column]) -> list[int]:
    return [max(len(column.title), *(len(row[at]) for row in rows), 0) for at, column in enumerate(columns)]


def _padded(text: str, column: Column, width: int) -> str:
    return text.rjust(width) if column.is_number else text.ljust(width)
