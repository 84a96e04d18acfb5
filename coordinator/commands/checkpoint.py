"""How far a long command is, in a small file that is whole at any moment; with it the same command goes on."""

import json
import os
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from coordinator.commands.endings import USAGE, Ending

EACH_S = 0.25
"""Between two notes: so much work is done again after an interrupt, at the most."""


class Checkpoint:
    """A file beside the one that is worked on; none where there is no path."""

    def __init__(self, path: Path | None, *, same: dict[str, Any]) -> None:
        """`same` has to be as it was at the interrupt: what was asked for, and of what."""
        self._path = path
        self._same = same
        self._noted_at = 0.0

    @classmethod
    def of(cls, options: Namespace, same: dict[str, Any]) -> Self:
        """As the flags say."""
        place = options.checkpoint or ("" if options.file == "-" else f"{options.file}.checkpoint")
        made = cls(Path(place) if place else None, same=same)
        if options.restart:
            made.remove()
        return made

    def read(self) -> dict[str, Any] | None:
        """What was noted last, None if nothing. Raises `Ending` if that was about something else."""
        if self._path is None or not self._path.exists():
            return None
        try:
            noted: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            before, place = noted["same"], noted["place"]
        except (ValueError, KeyError, TypeError):
            raise Ending(USAGE, f"{self._path} is no checkpoint; name another with --checkpoint.") from None
        for name, value in self._same.items():
            if before.get(name) != value:
                raise Ending(
                    USAGE,
                    f"{self._path} is of another command ({name} was {before.get(name)!r}, and is {value!r}); "
                    "repeat that one, or begin anew with --restart.",
                )
        return dict(place) | {"at": noted["at"]}

    def is_due(self) -> bool:
        """Whether it is time to note again."""
        return self._path is not None and time.monotonic() - self._noted_at >= EACH_S

    def note(self, place: dict[str, Any]) -> None:
        """Replace what was noted. What it tells of has to be in its files already."""
        if self._path is None:
            return
        self._noted_at = time.monotonic()
        told = {"same": self._same, "place": place, "at": datetime.now(UTC).isoformat()}
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def remove(self) -> None:
        """All is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
