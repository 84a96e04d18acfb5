"""`export`: jobs as lines of a file, page by page, with the next page asked for while one is written.

At any moment the file up to the noted offset holds exactly the jobs before the noted cursor: what was written after the
last note is cut off when the same command goes on.
"""

import os
import sys
import time
import zlib
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from coordinator.commands.asking import filter_of
from coordinator.commands.checkpoint import Checkpoint
from coordinator.commands.endings import DONE, USAGE, Ending
from coordinator.commands.grammar_parts import FILTERS, STATES
from coordinator.commands.job_lines import ToldJob, line_of
from coordinator.commands.jobs import PAGE
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.progress import Progress
from coordinator.commands.words import number
from coordinator.commands.writing import Writer
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import CommandClient

_GZIP = 31
"""Of zlib: with the header and the trailer of a gzip file. Such files stand behind one another in a file."""


class _Page(msgspec.Struct):
    items: list[ToldJob]
    cursor: str | None


class _FullPage(msgspec.Struct):
    items: list[msgspec.Raw]
    cursor: str | None


class _File:
    """Where the lines go, plain or gzipped."""

    def __init__(self, file: BinaryIO, *, is_zipped: bool, is_kept: bool) -> None:
        """What is not kept is a pipe."""
        self._file = file
        self._is_kept = is_kept
        self._is_zipped = is_zipped
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._has_open = False

    def write(self, lines: bytes) -> None:
        self._file.write(self._packer.compress(lines) if self._is_zipped else lines)
        self._has_open = True

    def settle(self) -> int:
        """Have all be in the file that was written. Returns its size."""
        if self._is_zipped and self._has_open:
            self._file.write(self._packer.flush())
            self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._has_open = False
        self._file.flush()
        if not self._is_kept:
            return 0
        os.fsync(self._file.fileno())
        return self._file.tell()


def run(options: Namespace) -> int:
    """Write the file. A line tells how to go on, if it is interrupted."""
    writer, place = Writer.of(options), place_of(options)
    asked = {name: getattr(options, name.replace("-", "_")) for name in FILTERS} | {"filter": options.filter}
    same = {"command": "export", "url": place.url, "asked": asked, "full": options.full}
    checkpoint = Checkpoint.of(options, same)
    noted = checkpoint.read()
    began = time.monotonic()
    with connect(place) as client:
        try:
            count, resumed = _export(client, options, checkpoint, noted, writer)
        except (KeyboardInterrupt, CoordinatorError):
            if options.file != "-":
                writer.note("It is not complete; the same command goes on where it stopped.")
            raise
    checkpoint.remove()
    took_s = time.monotonic() - began
    told = {"file": options.file, "jobs": count, "resumedAt": resumed, "seconds": round(took_s, 3)}
    if options.file == "-":
        writer.note(f"exported {number(count)} jobs in {took_s:.1f} s")
    else:
        writer.did(told, f"exported {number(count)} jobs to {options.file} in {took_s:.1f} s")
    return DONE


def _export(
    client: CommandClient, options: Namespace, checkpoint: Checkpoint, noted: dict[str, Any] | None, writer: Writer
) -> tuple[int, int]:
    """Returns how many jobs are in the file, and how many were before this time."""
    at = noted or {"filter": filter_of(options), "cursor": None, "offset": 0, "jobs": 0}
    chosen, count = at["filter"], at["jobs"]
    odd = _Odd(writer)
    progress = Progress.of(options, "export", "jobs", _total(client, chosen))
    with _open(options, noted) as raw, progress as bar:
        file = _File(raw, is_zipped=options.file.endswith(".gz"), is_kept=options.file != "-")
        if noted is None:
            checkpoint.note(at)
        for lines, found, cursor in _pages(client, chosen, at["cursor"], is_full=options.full):
            odd.look(lines)
            file.write(lines)
            count += found
            bar.at(count)
            if cursor is not None and checkpoint.is_due():
                offset = file.settle()
                checkpoint.note({"filter": chosen, "cursor": cursor, "offset": offset, "jobs": count})
        file.settle()
    return count, at["jobs"]


def _open(options: Namespace, noted: dict[str, Any] | None) -> BinaryIO:
    """The file, cut to what was noted. Raises `Ending`."""
    if options.file == "-":
        if sys.stdout.isatty() and options.json:
            raise Ending(USAGE, "the jobs go to stdout already; leave out --json.")
        return open(sys.stdout.fileno(), "wb", closefd=False)
    path = Path(options.file)
    if noted is None:
        if path.exists() and path.stat().st_size and not (options.overwrite or options.restart):
            raise Ending(USAGE, f"{path} is there already; --overwrite has it replaced.")
        return path.open("wb")
    if not path.exists() or path.stat().st_size < noted["offset"]:
        raise Ending(USAGE, f"{path} is shorter than what was written before; begin anew with --restart.")
    file = path.open("r+b")
    file.truncate(noted["offset"])
    file.seek(noted["offset"])
    return file


def _pages(
    client: CommandClient, chosen: dict[str, Any], cursor: str | None, *, is_full: bool
) -> Iterator[tuple[bytes, int, str | None]]:
    """The lines of each page, how many they are, and the cursor behind them."""

    def ask(cursor: str | None) -> _Page | _FullPage:
        query = {**chosen, "limit": PAGE} | ({"cursor": cursor} if cursor else {})
        told = client.fetch("/job", query)
        return msgspec.json.decode(told, type=_FullPage) if is_full else msgspec.json.decode(told, type=_Page)

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(ask, cursor)
        while True:
            page = coming.result()
            if page.cursor is not None:
                coming = ahead.submit(ask, page.cursor)
            lines = [line_of(one) if isinstance(one, ToldJob) else bytes(one) for one in page.items]
            yield b"".join(line + b"\n" for line in lines), len(lines), page.cursor
            if page.cursor is None:
                return


def _total(client: CommandClient, chosen: dict[str, Any]) -> int | None:
    """How many there will be, where that is known without looking."""
    if set(chosen) - {"queue", "state"}:
        return None
    try:
        queues = client.request("GET", "/queue")["items"]
    except CoordinatorError:
        # Whoever may not list all queues exports without a time left.
        return None
    states = [chosen["state"]] if "state" in chosen else STATES
    meant = [queue for queue in queues if chosen.get("queue") in (None, queue["name"])]
    return sum(int(queue.get(state, 0)) for queue in meant for state in states)


class _Odd:
    """Says once what would not come back as it was."""

    _TELLS = (
        (b'"[redacted]"', "some values are hidden by COORDINATOR_REDACT, and are exported as [redacted]"),
        (b'"args":{"sealed":', "some jobs are sealed with a key that the coordinator lacks, and have no args here"),
    )

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._left = list(self._TELLS)

    def look(self, lines: bytes) -> None:
        for tell in [tell for tell in self._left if tell[0] in lines]:
            self._left.remove(tell)
            self._writer.note(f"Warning: {tell[1]}.")
