"""The command `coordinator doctor`: tells what the doctor of the engine finds, how far it is, and what it looked at."""

import json
import math
import sys
import time
from collections import Counter
from typing import Any, TextIO

from coordinator.engine.doctor import Doctor
from coordinator.settings import Settings
from coordinator.store.checkup import INDEXES, Finding
from coordinator.store.open import open_as_written

_BAR_WIDTH = 24
_DRAW_EACH_S = 0.1


async def examine(url: str, settings: Settings, *, repair: bool, as_json: bool) -> int:
    """Walk through the store once and tell of it. Returns the exit code: 1 if problems are left.

    The number of shards is the one that the store was set up with: whoever looks for what is wrong should not have to
    know first what is right. Raises `StoreUnavailable`, and `SettingsError` also when nothing is kept under the prefix.
    """
    store = await open_as_written(url, settings)
    report = Report(sys.stdout, sys.stderr, repair=repair, as_json=as_json)
    doctor = Doctor(store, repair=repair, tell=lambda: report.draw(doctor))
    try:
        async for finding in doctor.examine():
            report.add(finding)
        return report.close(doctor)
    finally:
        report.wipe()
        await store.close()


class Report:
    """Findings and the summary go to `out`, a progress bar to `err` if somebody sees it."""

    def __init__(self, out: TextIO, err: TextIO, *, repair: bool, as_json: bool) -> None:
        """`repair` says that the doctor mends. `as_json` writes one object per line, the summary last."""
        self._out = out
        self._err = err
        self._repair = repair
        self._as_json = as_json
        self._has_bar = err.isatty()
        self._is_drawn = False
        self._began, self._drawn_at = time.monotonic(), -math.inf
        self._by_status: Counter[str] = Counter()
        self._by_kind: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        """Say what was found."""
        self.wipe()
        self._by_status[finding.status] += 1
        self._by_kind[finding.kind] += 1
        told = {name: getattr(finding, name) for name in ("kind", "key", "detail", "status")}
        line = f"{finding.kind} {finding.key}: {finding.detail} ({finding.status})"
        self._out.write(f"{json.dumps(told) if self._as_json else line}\n")
        self._out.flush()

    def draw(self, doctor: Doctor) -> None:
        """Bring the bar up to date."""
        now = time.monotonic()
        if not self._has_bar or now - self._drawn_at < _DRAW_EACH_S:
            return
        self._drawn_at, self._is_drawn = now, True
        seen = doctor.progress
        part = min(1.0, seen.keys / max(1, seen.total))
        rate = seen.keys / max(0.001, now - self._began)
        bar = ("#" * round(part * _BAR_WIDTH)).ljust(_BAR_WIDTH, ".")
        left = f"{(seen.total - seen.keys) / rate:.0f} s left" if 0 < seen.keys < seen.total else "nearly done"
        found = f"{seen.findings} found"
        self._err.write(f"\r[{bar}] {part:4.0%} {seen.keys}/{seen.total} keys, {rate:.0f}/s, {left}, {found}\033[K")
        self._err.flush()

    def wipe(self) -> None:
        """Take the bar away."""
        if self._is_drawn:
            self._err.write("\r\033[K")
            self._err.flush()
            self._is_drawn = False

    def close(self, doctor: Doctor) -> int:
        """Say what was looked at. Returns the exit code."""
        self.wipe()
        checked = counts_of(doctor)
        mended, mendable = self._by_status["mended"], self._by_status["mendable"]
        left = self._by_status.total() - mended
        took_s = time.monotonic() - self._began
        if self._as_json:
            summary: dict[str, Any] = {"checked": checked, "problems": dict(self._by_kind), "left": left}
            summary |= {"mendable": mendable, "seconds": round(took_s, 3)}
            self._out.write(json.dumps(summary) + "\n")
        else:
            looked_at = ", ".join(f"{what} {count}" for what, count in checked.items())
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._by_kind.items()))
            done = f"{mended} mended, {left} left" if self._repair else f"{left} found, --repair would mend {mendable}"
            found = f"{kinds}; {done}" if kinds else "nothing is wrong"
            self._out.write(f"checked {looked_at} in {took_s:.1f} s: {found}\n")
        self._out.flush()
        return 1 if left else 0


def counts_of(doctor: Doctor) -> dict[str, int]:
    """What was looked at. A line holds the waiting jobs of one key and priority."""
    kinds = doctor.progress.kinds
    return {
        "jobs": kinds["job"],
        "indexes": sum(count for kind, count in kinds.items() if kind in INDEXES),
        "members": doctor.progress.members,
        "lines": sum(count for kind, count in kinds.items() if kind.startswith("waiting")),
        "queues": len(doctor.progress.queues),
        "schedules": kinds["schedule"],
        "batches": kinds["batch"],
    }
