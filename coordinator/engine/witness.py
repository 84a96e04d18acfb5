"""Is told what happens to jobs, and counts it, logs it and traces it: the one such object that the parts have.

```
 Intake ────── enqueuing, accepted ─┐             ┌─▶ metrics   always
 Dispatcher ── calling, end ────────┼─▶ Witness ──┼─▶ logs      a death; each attempt where the level is debug
 Settler ───── settled ─────────────┘             └─▶ traces    where OpenTelemetry is set up
```
"""

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import msgspec

from coordinator.domain.job import FINAL_STATES, Attempt
from coordinator.domain.outcome import Cancel, Delivered, Failure, JsonBytes, Outcome, Snooze, Success, Throttle, Unsent
from coordinator.domain.trace import Headers, headers_of
from coordinator.store.records import Ended, NewJob
from coordinator.store.replies import Settled
from coordinator.telemetry.metrics import Metrics
from coordinator.telemetry.traces import CallSpan, Tracing

log = logging.getLogger(__name__)

ERROR_SHOWN = 300
"""Characters of an error that a line of the log has."""


class Calling:
    """One call that is being made for an attempt. `headers` are those that tell its function of the trace."""

    __slots__ = ("_began", "_metrics", "_queue", "_span", "headers")

    def __init__(self, attempt: Attempt, metrics: Metrics, span: CallSpan | None) -> None:
        """The clock starts here."""
        self._began = time.monotonic()
        self._metrics = metrics
        self._queue = attempt.spec.queue
        self._span = span
        trace = attempt.spec.trace
        if span is not None:
            trace = span.trace
        elif trace is not None:
            # Each attempt is another span of the same trace, whether or not anybody records it.
            trace = trace.child(secrets.token_hex(8))
        self.headers: Headers = () if trace is None else headers_of(trace)

    def end(self, outcome: Outcome | None) -> None:
        """What it came to; None if it was broken off."""
        if outcome is not None and not isinstance(outcome, Unsent):
            self._metrics.called(self._queue, time.monotonic() - self._began)
        if self._span is not None:
            word, status, error = _words_of(outcome)
            self._span.end(word, status, error)


class Witness:
    """What the parts of one replica tell."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None, *, shows_errors: bool) -> None:
        """Without `shows_errors` a log has their types only: what functions say is kept sealed."""
        self.metrics = metrics
        self._tracing = tracing
        self._shows_errors = shows_errors

    @contextmanager
    def enqueuing(self, jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
        """Jobs that are about to be stored, each with the trace that it is to be stored with."""
        if self._tracing is None:
            yield jobs
            return
        with ExitStack() as stack:
            traced = []
            for job in jobs:
                trace = stack.enter_context(self._tracing.enqueue(job.id, job.spec))
                traced.append(replace(job, spec=msgspec.structs.replace(job.spec, trace=trace)))
            yield traced

    def accepted(self, queue: str) -> None:
        """A job was stored."""
        self.metrics.accepted(queue)

    def calling(self, attempt: Attempt) -> Calling:
        """An attempt's function is about to be called."""
        self.metrics.started(attempt.waited_ms)
        span = None if self._tracing is None else self._tracing.call(attempt)
        return Calling(attempt, self.metrics, span)

    def settled(self, ended: Ended, settled: Settled) -> None:
        """What an ending came to."""
        if settled.reply != "ok":
            return
        outcome = ended.settlement.outcome
        self.metrics.ended(settled.queue, outcome)
        if settled.state in FINAL_STATES:
            self.metrics.finished(settled.queue, settled.state)
        if settled.state == "dead":
            # The store may know better than we why: it has been tried for long enough.
            reason = ended.settlement.reason or "retry_duration_exhausted"
            told = {"reason": reason, **self._told(ended, settled)}
            log.warning("a job is dead: %s", reason, extra={"event": "job.dead", **told})
        if outcome != "success" and log.isEnabledFor(logging.DEBUG):
            log.debug("an attempt ended: %s", outcome, extra={"event": "attempt.failed", **self._told(ended, settled)})
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("an attempt succeeded", extra={"event": "attempt.succeeded", **self._told(ended, settled)})

    def _told(self, ended: Ended, settled: Settled) -> dict[str, object]:
        return {
            "job": ended.job_id,
            "queue": settled.queue,
            "worker": settled.worker,
            "attempt": ended.attempt,
            "outcome": ended.settlement.outcome,
            "error": error_text(ended.settlement.error, whole=self._shows_errors),
        }


def error_text(error: JsonBytes, *, whole: bool) -> str | None:
    """An error for a line of a log: its type, and its message unless it is nobody's business."""
    if not error:
        return None
    try:
        read = msgspec.json.decode(error)
    except msgspec.DecodeError:
        return None
    told = read if isinstance(read, dict) else {"message": read}
    parts = [str(told[name]) for name in (("type", "message") if whole else ("type",)) if told.get(name)]
    return ": ".join(parts)[:ERROR_SHOWN] or None


def _words_of(outcome: Outcome | None) -> tuple[str, int | None, str | None]:
    """An outcome for a span: its word, the status of the answer, and the type of the error if it is one."""
    match outcome:
        case Success(http_status=status):
            return "success", status, None
        case Delivered(http_status=status):
            return "delivered", status, None
        case Throttle(http_status=status):
            return "throttled", status, None
        case Failure(kind=kind, http_status=status, error=error):
            return kind, status, error_text(error, whole=False) or kind
        case Snooze():
            return "snoozed", None, None
        case Cancel():
            return "cancelled", None, None
        case Unsent(reason=reason):
            return "unsent", None, reason
        case _:
            return "aborted", None, "aborted"
