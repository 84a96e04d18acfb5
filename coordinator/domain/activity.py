"""What has happened in the last minutes, put together from the counters of all shards.

A counter is a text as `lib/stats.lua` writes it, such as `default succeeded send-email 96`: what happened in which
queue, of which worker, and how long it took. A `Minute` is what one shard counted in one, and never changes once it is
over; an `Activity` adds up those that are asked for.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from coordinator.domain.spans import quantile

KINDS = ("created", "started", "succeeded", "failed", "dead", "cancelled", "throttled")

UNNAMED = "*"
"""Queues and workers that were too many for a minute are counted under this name."""

Series = list[int]
Durations = list[int | None]


def _spans() -> defaultdict[int, int]:
    return defaultdict(int)


@dataclass(slots=True)
class WorkerActivity:
    """Attempts of a worker, and how long they ran."""

    succeeded: int = 0
    failed: int = 0
    runs: defaultdict[int, int] = field(default_factory=_spans)

    def run_ms(self, share: float) -> int | None:
        """How long this share of them ran at the most."""
        return quantile(self.runs, share)

    def include(self, other: "WorkerActivity") -> None:
        """Add what another has counted of the same worker."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        _include(self.runs, other.runs)


@dataclass(slots=True)
class QueueMinute:
    """What happened in a queue, by kind; how long what began had been due, and how long what ended had run."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    waits: defaultdict[int, int] = field(default_factory=_spans)
    runs: defaultdict[int, int] = field(default_factory=_spans)


class Minute:
    """What one shard counted in a minute. `size` is how many counters there were."""

    def __init__(self, counters: Iterable[tuple[str, str]]) -> None:
        """Pairs of a name and a number; names of another version are left out."""
        self.size = 0
        self.queues: dict[str, QueueMinute] = {}
        self.workers: dict[tuple[str, str], WorkerActivity] = {}
        """By queue and name: who asks for one queue is not told of the others of the same shard."""
        for name, number in counters:
            self.size += 1
            queue, _, rest = name.partition(" ")
            kind, *more = rest.split(" ")
            if kind in KINDS:
                self._add(queue, kind, more, int(number))

    def _add(self, queue: str, kind: str, more: list[str], number: int) -> None:
        counted = self.queues.get(queue) or self.queues.setdefault(queue, QueueMinute())
        counted.counts[kind] += number
        if kind == "started":
            counted.waits[int(more[0])] += number
        elif kind in ("succeeded", "failed"):
            name, span = more
            worker = self.workers.get((queue, name)) or self.workers.setdefault((queue, name), WorkerActivity())
            if kind == "succeeded":
                worker.succeeded += number
            else:
                worker.failed += number
            if span.isdigit():
                counted.runs[int(span)] += number
                worker.runs[int(span)] += number


class Activity:
    """Counts of `minutes`, of which `last` (since 1970) is the one that runs; of those queues that are `wanted`."""

    def __init__(self, last: int, minutes: int, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Nothing is counted yet."""
        self.first = last - minutes + 1
        self.minutes = minutes
        self.workers: dict[str, WorkerActivity] = {}
        self._wanted = wanted
        self._totals: dict[str, Series] = {kind: [0] * minutes for kind in KINDS}
        self._queues: dict[str, dict[str, Series]] = {}
        self._waits = [_spans() for _ in range(minutes)]
        self._runs = [_spans() for _ in range(minutes)]

    def add(self, number: int, minute: Minute) -> None:
        """What one shard has counted in this minute since 1970. One that is not among these is left out."""
        at = number - self.first
        if not 0 <= at < self.minutes:
            return
        for name, counted in minute.queues.items():
            if not self._wanted(name):
                continue
            if name not in self._queues:
                self._queues[name] = {kind: [0] * self.minutes for kind in KINDS}
            series = self._queues[name]
            for kind, count in counted.counts.items():
                series[kind][at] += count
                self._totals[kind][at] += count
            _include(self._waits[at], counted.waits)
            _include(self._runs[at], counted.runs)
        for (queue, name), worker in minute.workers.items():
            if not self._wanted(queue):
                continue
            self.workers.setdefault(name, WorkerActivity()).include(worker)

    def totals(self, kind: str) -> Series:
        """Of all queues, minute by minute."""
        return self._totals[kind]

    def of_queue(self, name: str, kind: str) -> Series:
        """The same of one queue."""
        found = self._queues.get(name)
        return found[kind] if found else [0] * self.minutes

    def wait_ms(self, share: float) -> Durations:
        """How long this share of what began had been due at the most, minute by minute."""
        return [quantile(counts, share) for counts in self._waits]

    def run_ms(self, share: float) -> Durations:
        """How long this share of what ended had run at the most, minute by minute."""
        return [quantile(counts, share) for counts in self._runs]


def _include(counts: defaultdict[int, int], others: defaultdict[int, int]) -> None:
    for span, number in others.items():
        counts[span] += number
