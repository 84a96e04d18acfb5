"""The figures of one replica in a registry of its own, and beside them those of the whole store.

```
 intake, settler, calls, API ──count──▶ Metrics ──┐
                                                  ├─ render ─▶ text, when somebody asks
 the store, looked at when somebody asks ─▶ Survey┘
```

What is counted is this replica's alone; what a `Survey` says is the same whichever replica is asked.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from coordinator.domain.queue import QueueTally
from coordinator.telemetry.labels import OTHER, QUEUES_LIMIT, Bounded

PREFIX = "coordinator_"

CONTENT_TYPES = (CONTENT_TYPE_PLAIN_0_0_4, openmetrics.CONTENT_TYPE_LATEST)
"""What can be asked for, the usual one first."""

_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
"""Seconds; the last is what a call may take unless it says otherwise."""

_DELAY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)

_CIRCUITS_LIMIT = 200

Child = TypeVar("Child")

# When each series began would be as many series again. The library has one switch for a whole process.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Survey:
    """The store at the instant `now` (Unix ms); `unlisted` queues were not looked at.

    `max_bytes` is None where a server has no limit, `used_bytes` where it is not known.
    """

    now: int
    queues: Sequence[QueueTally]
    unlisted: int
    used_bytes: int | None
    max_bytes: int | None
    replicas: int
    unled: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a replica is asked for when its figures are."""

    version: str
    calls_max: int
    in_flight: Callable[[], int]
    led: Callable[[], int]


class _Children(dict[tuple[str | int, ...], Child]):
    """The children of a family by their labels, each looked up once: the library's own way costs more than to count."""

    def __init__(self, look_up: Callable[..., Child]) -> None:
        super().__init__()
        self._look_up = look_up

    def __missing__(self, labels: tuple[str | int, ...]) -> Child:
        child = self[labels] = self._look_up(*labels)
        return child


class Metrics:
    """Counts."""

    def __init__(self, vitals: Vitals) -> None:
        """Nothing is shared with another replica of the same process."""
        self.registry = CollectorRegistry()
        self._names = Bounded()
        self._surveyed = _Surveyed()
        self._rendering = Lock()
        self._define(vitals)

    def _define(self, vitals: Vitals) -> None:
        def counter(name: str, about: str, *labels: str) -> _Children[Counter]:
            return _Children(Counter(PREFIX + name, about, labels, registry=self.registry).labels)

        about = "Jobs that this replica accepted; not those of schedules and callbacks."
        self._accepted = counter("jobs_accepted", about, "queue")
        self._outcomes = counter("attempts", "Attempts that this replica ended.", "queue", "outcome")
        self._ends = counter("jobs_finished", "Jobs that an attempt's end finished here.", "queue", "state")
        self._answers = counter("api_requests", "Requests that this replica answered.", "operation", "status")
        about = "Seconds from the begin of a call to its answer."
        name = f"{PREFIX}call_duration_seconds"
        durations = Histogram(name, about, ["queue"], registry=self.registry, buckets=_CALL_BUCKETS)
        self._durations = _Children(durations.labels)
        about = "Seconds from when a job was due to its claim."
        name = f"{PREFIX}start_delay_seconds"
        self._delay = Histogram(name, about, registry=self.registry, buckets=_DELAY_BUCKETS)

        def gauge(name: str, about: str, value: Callable[[], int]) -> None:
            Gauge(PREFIX + name, about, registry=self.registry).set_function(value)

        gauge("calls_in_flight", "Calls that this replica makes now.", vitals.in_flight)
        gauge("calls_max", "Calls that this replica makes at once at the most.", lambda: vitals.calls_max)
        gauge("shards_led", "Shards that this replica looks after.", vitals.led)
        build = Gauge(f"{PREFIX}build_info", "What runs here.", ["version"], registry=self.registry)
        build.labels(vitals.version).set(1)
        self.registry.register(self._surveyed)
        ProcessCollector(registry=self.registry)

    def accepted(self, queue: str) -> None:
        """A job was accepted."""
        self._accepted[self._names.of(queue),].inc()

    def started(self, waited_ms: int) -> None:
        """A job was claimed that has been due for so long."""
        self._delay.observe(waited_ms / 1000)

    def called(self, queue: str, took_s: float) -> None:
        """A call is over."""
        self._durations[self._names.of(queue),].observe(took_s)

    def ended(self, queue: str, outcome: str) -> None:
        """An attempt has ended."""
        self._outcomes[self._names.of(queue), outcome].inc()

    def finished(self, queue: str, state: str) -> None:
        """A job has come to its end."""
        self._ends[self._names.of(queue), state].inc()

    def answered(self, operation: str, status: int) -> None:
        """A request is answered; the operation is one of few."""
        self._answers[operation, status].inc()

    def render(self, survey: Survey | None, accept: str) -> tuple[bytes, str]:
        """All figures and their content type, as the header `Accept` wants them. Without a survey the store is away.

        From any thread.
        """
        with self._rendering:
            self._surveyed.survey = survey
            return self._rendered(accept)

    def _rendered(self, accept: str) -> tuple[bytes, str]:
        if openmetrics.CONTENT_TYPE_LATEST.partition(";")[0] in accept:
            return openmetrics.generate_latest(self.registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4


class _Surveyed(Collector):
    """What was found in the store."""

    def __init__(self) -> None:
        self.survey: Survey | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that nobody collects to find out."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything about the whole store."""
        survey = self.survey
        yield _gauge("store_up", "1 if the store could be looked at.", 0 if survey is None else 1)
        if survey is None:
            return
        yield from _of_queues(survey.queues, survey.now)
        yield _gauge("queues", "Queues that there are.", len(survey.queues) + survey.unlisted)
        yield _gauge("replicas", "Replicas that live.", survey.replicas)
        yield _gauge("shards_unled", "Shards that nobody looks after.", survey.unled)
        if survey.used_bytes is not None:
            yield _gauge("store_memory_bytes", "Bytes that the store uses.", survey.used_bytes)
        if survey.max_bytes is not None:
            yield _gauge("store_memory_max_bytes", "Bytes that the store may use.", survey.max_bytes)


def _of_queues(found: Sequence[QueueTally], now: int) -> Iterator[Metric]:
    """By name, so that all replicas choose the same ones."""
    queues = sorted(found, key=lambda queue: queue.name)
    labels = [queue.name if at < QUEUES_LIMIT else OTHER for at, queue in enumerate(queues)]
    counts: dict[tuple[str, str], int] = defaultdict(int)
    due: dict[str, int] = {}
    paused: dict[str, int] = defaultdict(int)
    circuits: dict[tuple[str, str], int] = defaultdict(int)
    for label, queue in zip(labels, queues, strict=True):
        for state, count in queue.counts.items():
            counts[label, state] += count
        paused[label] += queue.paused
        if queue.oldest_due_at is not None:
            due[label] = max(due.get(label, 0), now - queue.oldest_due_at)
        for worker in queue.open_circuits:
            place = (label, worker) if len(circuits) < _CIRCUITS_LIMIT else (OTHER, OTHER)
            circuits[place] += 1
    yield _family("jobs", "Jobs by state.", ("queue", "state"), counts.items())
    about = "Seconds that the oldest job has been due that waits."
    yield _family("oldest_due_seconds", about, ("queue",), (((name,), ms / 1000) for name, ms in due.items()))
    about = "1 if the queue is paused; of the rest, how many."
    yield _family("queue_paused", about, ("queue",), (((name,), count) for name, count in paused.items()))
    about = "1 if jobs of this worker wait, because its calls fail; nothing if not."
    yield _family("circuit_open", about, ("queue", "worker"), circuits.items())


def _family(
    name: str, about: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, about, value=value)
