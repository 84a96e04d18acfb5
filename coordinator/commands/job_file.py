"""A file of jobs, cut into the same batches from the same place on, whoever reads it: so a batch can be sent again."""

import gzip
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import msgspec

from coordinator.commands.endings import USAGE, Ending
from coordinator.commands.job_lines import ToldJob, line_of

LINES_MOST = 1000
"""As many as a batch may have."""
BYTES_MOST = 4 * 1024 * 1024
"""A quarter of what a request may have: several are in flight."""
LINE_BYTES_MOST = 1024 * 1024
"""More than a job may have with its args of 256 KiB."""

_SAMPLE = 1024 * 1024


class Line(NamedTuple):
    """A line that can be sent. `number` counts from 1, `offset` is where it begins."""

    number: int
    offset: int
    job: bytes


class Refused(NamedTuple):
    """A line that was not made a job, and why."""

    number: int
    code: str
    detail: str
    text: bytes


class Batch(NamedTuple):
    """What is sent at once, what cannot be, and the place behind both."""

    lines: list[Line]
    refused: list[Refused]
    offset: int
    number: int
    read: int
    """Bytes of the file that were read for it and all before; of a gzipped one those that are packed."""


class JobFile:
    """The file, or stdin. A context."""

    def __init__(self, name: str) -> None:
        """Raises `Ending` if it cannot be read."""
        self._name = name
        self.size: int | None = None
        try:
            self._raw: BinaryIO = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - ours
            if name != "-":
                self.size = os.fstat(self._raw.fileno()).st_size
        except OSError as error:
            raise Ending(USAGE, f"{name} cannot be read: {error.strerror}.") from None
        self._lines: BinaryIO = gzip.GzipFile(fileobj=self._raw) if name.endswith(".gz") else self._raw  # type: ignore[assignment]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._name != "-":
            self._raw.close()

    def identity(self) -> str:
        """The same for the same content, wherever it lies: of its size, its beginning and its end."""
        size = self.size or 0
        beginning = self._raw.read(_SAMPLE)
        self._raw.seek(max(0, size - _SAMPLE))
        end = self._raw.read(_SAMPLE)
        self._raw.seek(0)
        return hashlib.sha256(b"%d\n" % size + beginning + end).hexdigest()[:32]

    def batches(self, offset: int, number: int) -> Iterator[Batch]:
        """All batches from a line on. Raises `Ending`."""
        try:
            self._skip(offset)
            while (batch := self._batch(offset, number)) is not None:
                yield batch
                offset, number = batch.offset, batch.number
        except (gzip.BadGzipFile, EOFError) as error:
            raise Ending(USAGE, f"{self._name} is no whole gzip file: {error}.") from None

    def _skip(self, offset: int) -> None:
        if self._name != "-":
            self._lines.seek(offset)
            return
        while offset and (part := self._lines.read(min(offset, _SAMPLE))):
            offset -= len(part)

    def _batch(self, offset: int, number: int) -> Batch | None:
        lines: list[Line] = []
        refused: list[Refused] = []
        began = offset
        # What is refused counts as well: a file of nothing else is not to be held in memory.
        while len(lines) + len(refused) < LINES_MOST and offset - began < BYTES_MOST:
            text = self._lines.readline(LINE_BYTES_MOST + 1)
            if not text:
                break
            at, offset, number = offset, offset + len(text), number + 1
            if len(text) > LINE_BYTES_MOST and not text.endswith(b"\n"):
                offset += self._skip_line()
                refused.append(Refused(number, "line_too_long", f"more than {LINE_BYTES_MOST} bytes", text[:200]))
                continue
            text = text.strip()
            if not text:
                continue
            made = job_in(text, number)
            if isinstance(made, Refused):
                refused.append(made)
            else:
                lines.append(Line(number, at, made))
        if offset == began:
            return None
        return Batch(lines, refused, offset, number, self._raw.tell() if self.size is not None else offset)

    def _skip_line(self) -> int:
        skipped = 0
        while part := self._lines.readline(LINE_BYTES_MOST):
            skipped += len(part)
            if part.endswith(b"\n"):
                break
        return skipped


def job_in(text: bytes, number: int) -> bytes | Refused:
    """The body that a line asks for; of a job as the API tells it, the one that has it made again.

    A line that is no JSON would have all others of its batch be refused.
    """
    try:
        text.decode()
        fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        if bytes(fields.get("kind", b"")) == b'"job"':
            return line_of(msgspec.json.decode(text, type=ToldJob))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(number, "invalid_json", f"{error}; a line is the JSON of a job", text)
    return text
