"""`import`: a job for each line of a file, in batches, with several requests in flight.

Nothing is lost: the checkpoint says up to which line all batches have been answered. Nothing is made twice: a batch is
sent under a key that follows from the file and its place there, so what was in flight at an interrupt finds what it has
made already.
"""

import asyncio
import json
import os
import time
from argparse import Namespace
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from coordinator.commands.checkpoint import Checkpoint
from coordinator.commands.endings import DONE, REFUSED, USAGE, Ending
from coordinator.commands.job_file import Batch, JobFile, Refused
from coordinator.commands.profiles import TIMEOUT_S, place_of
from coordinator.commands.progress import Progress
from coordinator.commands.sending_batches import Made, Sender
from coordinator.commands.words import number, plural
from coordinator.commands.writing import Writer
from coordinator.domain.durations import parse_duration
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import AsyncCommandClient

_KEYS_LIVE = timedelta(hours=23)
"""The coordinator knows the key of a batch for a day."""


def run(options: Namespace) -> int:
    """Send the file. A line tells how to go on, if it is interrupted."""
    writer, place = Writer.of(options), place_of(options)
    patience_s = parse_duration(options.patience, "--patience") / 1000
    with JobFile(options.file) as file:
        if options.id:
            identity = options.id
        elif options.file == "-":
            identity = f"stdin-{time.time_ns()}"
        else:
            identity = file.identity()
        same = {"command": "import", "url": place.url, "id": identity}
        checkpoint = Checkpoint.of(options, same)
        noted = checkpoint.read()
        if noted is not None:
            _check_age(noted["at"], options)
        importing = _Import(options, writer, checkpoint, noted)

        async def whole() -> None:
            async with AsyncCommandClient(place.url, place.token, timeout=TIMEOUT_S) as client:
                await importing.run(file, Sender(client, identity, patience_s, writer.note))

        try:
            asyncio.run(whole())
        except (KeyboardInterrupt, CoordinatorError):
            writer.note(f"It stopped after line {importing.at.number}. {_how_to_go_on(options)}")
            raise
    checkpoint.remove()
    return importing.tell(identity)


def _how_to_go_on(options: Namespace) -> str:
    if options.file != "-" or options.checkpoint:
        return "The same command goes on there."
    if options.id:
        return "The same input under the same --id makes none of them twice."
    return "What was made so far is made again by another run: give stdin an --id."


def _check_age(noted_at: str, options: Namespace) -> None:
    """What was in flight is found again within a day. Raises `Ending`."""
    if datetime.now(UTC) - datetime.fromisoformat(noted_at) < _KEYS_LIVE or options.anyway:
        return
    raise Ending(
        USAGE,
        f"it was interrupted at {noted_at}; after a day the batches that were in flight would be made a second time "
        f"(up to {number(options.parallel * 1000)} jobs). Add --anyway to go on, or begin anew: --restart --id NAME.",
    )


class _Place:
    """How far all is answered, and what came of it."""

    def __init__(self, noted: dict[str, Any] | None) -> None:
        told = noted or {}
        self.offset: int = told.get("offset", 0)
        self.number: int = told.get("number", 0)
        self.made: int = told.get("made", 0)
        self.duplicates: int = told.get("duplicates", 0)
        self.refused: int = told.get("refused", 0)
        self.rejects_size: int = told.get("rejectsSize", 0)

    def told(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return {
            "offset": self.offset,
            "number": self.number,
            "made": self.made,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "rejectsSize": self.rejects_size,
        }


class _Import:
    """One run over the file."""

    def __init__(
        self, options: Namespace, writer: Writer, checkpoint: Checkpoint, noted: dict[str, Any] | None
    ) -> None:
        self._options = options
        self._writer = writer
        self._checkpoint = checkpoint
        self._is_resumed = noted is not None
        self._again = 0
        self.at = _Place(noted)
        self._first = self.at.number
        self._began = time.monotonic()
        base = "import" if options.file == "-" else options.file
        self._rejects = Path(options.rejects or f"{base}.rejects")
        self._file: BinaryIO | None = None

    async def run(self, file: JobFile, sender: Sender) -> None:
        """To the end. What is in flight is answered in any order, and counts in the order of the file."""
        if self._rejects.exists() and (self.at.rejects_size or self._is_resumed):
            self._file = self._rejects.open("r+b")
            self._file.truncate(self.at.rejects_size)
            self._file.seek(self.at.rejects_size)
        if not self._is_resumed:
            self._checkpoint.note(self.at.told())
        flying: deque[tuple[Batch, asyncio.Task[Made]]] = deque()
        try:
            with Progress("import", "jobs", file.size, is_hidden=self._options.quiet) as bar:
                for batch in file.batches(self.at.offset, self.at.number):
                    flying.append((batch, asyncio.create_task(sender.send(batch.lines))))
                    if len(flying) >= self._options.parallel:
                        await self._settle(flying, bar)
                while flying:
                    await self._settle(flying, bar)
        finally:
            for _, task in flying:
                task.cancel()
            self._note()
            if self._file:
                self._file.close()

    async def _settle(self, flying: "deque[tuple[Batch, asyncio.Task[Made]]]", bar: Progress) -> None:
        batch, task = flying[0]
        made = await task
        flying.popleft()
        self._reject(sorted(batch.refused + made.refused))
        at = self.at
        at.offset, at.number = batch.offset, batch.number
        at.made, at.duplicates = at.made + made.made, at.duplicates + made.duplicates
        self._again += made.again
        bar.at(at.made + at.duplicates + at.refused, batch.read)
        if self._checkpoint.is_due():
            self._note()

    def _note(self) -> None:
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self.at.rejects_size = self._file.tell()
        self._checkpoint.note(self.at.told())

    def _reject(self, refused: list[Refused]) -> None:
        for one in refused:
            if self._file is None:
                self._file = self._rejects.open("wb")
            told: dict[str, Any] = {"line": one.number, "code": one.code, "detail": one.detail}
            try:
                told["job"] = json.loads(one.text)
            except ValueError:
                told["text"] = one.text.decode(errors="replace")
            self._file.write(json.dumps(told).encode() + b"\n")
        self.at.refused += len(refused)

    def tell(self, identity: str) -> int:
        """What came of it. Returns the exit code."""
        at, took_s = self.at, time.monotonic() - self._began
        # Of one that was interrupted they are what was in flight, and its own.
        before = 0 if self._is_resumed else self._again
        made, there = at.made - before, at.duplicates + before
        told = {
            "id": identity,
            "lines": at.number,
            "made": made,
            "madeBefore": before,
            "duplicates": at.duplicates,
            "refused": at.refused,
            "rejects": str(self._rejects) if at.refused else None,
            "resumedAtLine": self._first + 1 if self._is_resumed else None,
            "seconds": round(took_s, 3),
        }
        text = f"made {plural(made, 'job')}"
        text += f", {number(there)} {'was' if there == 1 else 'were'} there already" if there else ""
        text += f", {number(at.refused)} refused: {self._rejects}" if at.refused else ""
        self._writer.did(told, f"{text}; {took_s:.1f} s")
        if before:
            self._writer.note(
                f"{plural(before, 'job')} of these had been made by an import of the same within a day, "
                "and were not made again; --id NAME makes them anew."
            )
        return REFUSED if at.refused else DONE
