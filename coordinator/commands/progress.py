"""How far a long command is: a bar with rate and time left where somebody sees it, else a line now and then."""

import math
import sys
import time
from argparse import Namespace
from typing import Any, Self

from coordinator.commands.words import number, span

_EACH_S = 5.0
"""Between two lines where nobody sees a bar."""


class Progress:
    """Counts things, and bytes too where how many there are is known. A context: the bar goes away at its end."""

    def __init__(self, title: str, what: str, total: int | None = None, *, is_hidden: bool = False) -> None:
        """`total` is how many there will be, of the things or, if `at` is told them, of bytes."""
        self._title, self._what, self._total = title, what, total
        self._is_hidden = is_hidden
        self._bar: Any = None
        self._task: Any = None
        self._began = self._told_at = time.monotonic()
        self._first: int | None = None

    @classmethod
    def of(cls, options: Namespace, title: str, what: str, total: int | None = None) -> Self:
        """As the common flags say."""
        return cls(title, what, total, is_hidden=options.quiet)

    def __enter__(self) -> Self:
        if not self._is_hidden and sys.stderr.isatty():
            self._begin_bar()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, count: int, part: int | None = None) -> None:
        """So many things are done; `part` is how much that is of the total."""
        if self._is_hidden:
            return
        if self._first is None:
            self._first = count
        now = time.monotonic()
        rate = (count - self._first) / max(now - self._began, 0.001)
        part = count if part is None else part
        if self._bar is not None:
            self._bar.update(self._task, completed=part, told=f"{number(count)} {self._what}  {number(rate)}/s")
        elif now - self._told_at >= _EACH_S:
            self._told_at = now
            done = f", {part / self._total:.0%}" if self._total else ""
            left_s = self._left_s(part, now)
            left = "" if math.isinf(left_s) else f", {span(left_s * 1000)} left"
            sys.stderr.write(f"{self._title}: {number(count)} {self._what}, {number(rate)}/s{done}{left}\n")
            sys.stderr.flush()

    def _left_s(self, part: int, now: float) -> float:
        if not self._total or not part:
            return math.inf
        return (now - self._began) * max(0, self._total - part) / part

    def _begin_bar(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where it is seen
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=5,
        )
        self._task = self._bar.add_task(self._title, total=self._total, told="")
        self._bar.start()
