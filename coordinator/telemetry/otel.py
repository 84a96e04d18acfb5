"""Spans by OpenTelemetry, in the words of its conventions for messaging.

```
 caller's span ─▶ enqueue <queue> (producer) ─┬─▶ call <queue> (client), attempt 1
                                              └─▶ call <queue> (client), attempt 2 ─▶ the function's own spans
```

Nothing is set for the whole process: a replica has a provider of its own.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from coordinator import __version__
from coordinator.domain.job import Attempt, Spec
from coordinator.domain.trace import Trace

Attributes = dict[str, str | int]

CLOSE_LIMIT_S = 5
"""So long a collector that does not answer can hold up the end of a process."""


def open_otel(environment: Mapping[str, str], exporter: str) -> "OtelTracing":
    """A provider as the standard variables say; sampler, exporter and limits read theirs by themselves."""
    named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {"service.version": __version__} | ({} if named else {"service.name": "coordinator"})
    provider = TracerProvider(resource=Resource.create(own))
    sink = ConsoleSpanExporter() if exporter == "console" else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(sink))
    return OtelTracing(provider)


class OtelTracing:
    """Records spans with a provider, which is closed with it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("coordinator", __version__)

    @contextmanager
    def enqueue(self, job_id: str, spec: Spec) -> Iterator[Trace]:
        """The span of storing a job."""
        attributes = _attributes("enqueue", "send", job_id, spec)
        with self._tracer.start_as_current_span(
            f"enqueue {spec.queue}", _context_of(spec.trace), SpanKind.PRODUCER, attributes
        ) as span:
            yield _trace_of(span)

    def call(self, attempt: Attempt) -> "OtelCallSpan":
        """The span of calling a function."""
        spec = attempt.spec
        attributes = _attributes("call", "process", attempt.job_id, spec) | {
            "coordinator.attempt": attempt.tally.attempt
        }
        parent = _context_of(spec.trace)
        return OtelCallSpan(self._tracer.start_span(f"call {spec.queue}", parent, SpanKind.CLIENT, attributes))

    def close(self) -> None:
        """Send what is left, as far as the time allows."""
        # The library takes as long as its exporter does, and a process that stops has little time. What is a daemon
        # does not keep it.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_LIMIT_S)


class OtelCallSpan:
    """The span of one call."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace = _trace_of(span)

    def end(self, outcome: str, http_status: int | None, error: str | None) -> None:
        """What the call came to."""
        self._span.set_attribute("coordinator.outcome", outcome)
        if http_status is not None:
            self._span.set_attribute("http.response.status_code", http_status)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _attributes(name: str, kind: str, job_id: str, spec: Spec) -> Attributes:
    attributes: Attributes = {
        "messaging.system": "coordinator",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": spec.queue,
        "messaging.message.id": job_id,
        "coordinator.worker": spec.worker,
    }
    if spec.batch_id is not None:
        attributes["coordinator.batch.id"] = spec.batch_id
    if spec.schedule_id is not None:
        attributes["coordinator.schedule.id"] = spec.schedule_id
    return attributes


def _context_of(trace: Trace | None) -> Context:
    """A context of nothing but this: what else goes on in the process is no parent of it."""
    if trace is None:
        return Context()
    state = TraceState.from_header([trace.state]) if trace.state else None
    where = SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(trace.flags),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(where), Context())


def _trace_of(span: Span) -> Trace:
    where = span.get_span_context()
    return Trace(
        f"{where.trace_id:032x}", f"{where.span_id:016x}", int(where.trace_flags), where.trace_state.to_header()
    )
