"""Spans of OpenTelemetry, as an exporter gets them."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from coordinator.app import build_app
from coordinator.settings import Settings
from coordinator.store.open import Store
from coordinator.telemetry import otel
from coordinator.telemetry.otel import OtelTracing
from tests.api.harness import LOCAL, Api, Function, Reply, client_of, living

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
Traced = AsyncIterator[tuple[Api, InMemorySpanExporter]]
FAILURE = Reply(500, b'{"error":"no"}')


@contextlib.asynccontextmanager
async def traced(store: Store, function: Function, sampler: Sampler = ALWAYS_ON) -> Traced:
    """The application with an exporter that keeps what it gets."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings(worker_url=function.url, egress_allow=LOCAL, poll_interval_ms=100, shutdown_grace_ms=0)
    app = build_app(settings, store, tracing=OtelTracing(provider))
    async with living(app), client_of(app) as client:
        yield Api(app, client), exporter


def told(span: ReadableSpan) -> tuple[str, SpanKind, StatusCode, str, str | None]:
    """A span in brief: its name, kind and status, its trace, and its parent."""
    parent = f"{span.parent.span_id:016x}" if span.parent else None
    return span.name, span.kind, span.status.status_code, f"{span.context.trace_id:032x}", parent


async def test_a_job_has_a_span_for_its_acceptance_and_one_for_each_attempt(live_store: Store, function: Function):
    function.replies(FAILURE, Reply())
    async with traced(live_store, function) as (api, exporter):
        body = {"worker": "mailer", "queue": "mails", "backoff": {"base": "1ms"}}
        answer = await api.client.post("/job", json=body, headers={"traceparent": PARENT, "tracestate": "vendor=1"})
        await api.until(job_id := answer.json()["id"], "succeeded")
    enqueued, first, second = exporter.get_finished_spans()
    root = f"{enqueued.context.span_id:016x}"

    assert [told(span) for span in (enqueued, first, second)] == [
        ("enqueue mails", SpanKind.PRODUCER, StatusCode.UNSET, TRACE_ID, "00f067aa0ba902b7"),
        ("call mails", SpanKind.CLIENT, StatusCode.ERROR, TRACE_ID, root),
        ("call mails", SpanKind.CLIENT, StatusCode.UNSET, TRACE_ID, root),
    ]
    common = {
        "messaging.system": "coordinator",
        "messaging.destination.name": "mails",
        "messaging.message.id": job_id,
        "coordinator.worker": "mailer",
    }
    assert dict(enqueued.attributes) == common | {
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
    }
    call = common | {"messaging.operation.name": "call", "messaging.operation.type": "process"}
    assert dict(first.attributes) == call | {
        "coordinator.attempt": 1,
        "coordinator.outcome": "failure",
        "http.response.status_code": 500,
        "error.type": "HTTPError",
    }
    assert dict(second.attributes) == call | {
        "coordinator.attempt": 2,
        "coordinator.outcome": "success",
        "http.response.status_code": 200,
    }
    sent = [call.headers for call in function.calls]
    assert [headers["traceparent"] for headers in sent] == [
        f"00-{TRACE_ID}-{span.context.span_id:016x}-01" for span in (first, second)
    ]
    assert {headers["tracestate"] for headers in sent} == {"vendor=1"}


async def test_a_job_without_a_caller_s_trace_has_one_of_its_own(live_store: Store, function: Function):
    async with traced(live_store, function) as (api, exporter):
        await api.until(await api.enqueue(), "succeeded")
    enqueued, called = exporter.get_finished_spans()

    assert enqueued.parent is None
    assert called.context.trace_id == enqueued.context.trace_id


async def test_the_runs_of_a_schedule_are_traces_of_their_own(live_store: Store, function: Function):
    async with traced(live_store, function) as (api, exporter):
        answer = await api.client.post(
            "/job",
            json={"worker": "w", "cron": "* * * * * *", "seconds": True, "maxRuns": 1},
            headers={"traceparent": PARENT},
        )
        await function.called(1)
    spans = exporter.get_finished_spans()

    assert {span.attributes["coordinator.schedule.id"] for span in spans} == {answer.json()["id"]}
    assert TRACE_ID not in {told(span)[3] for span in spans}
    assert len({told(span)[3] for span in spans}) == 1


async def test_what_is_not_sampled_is_told_so(live_store: Store, function: Function):
    async with traced(live_store, function, sampler=ParentBased(ALWAYS_OFF)) as (api, exporter):
        await api.until(await api.enqueue(), "succeeded")

    assert exporter.get_finished_spans() == ()
    assert function.calls[0].headers["traceparent"].endswith("-02")  # Not sampled; its id is random.


LOADS = """
import json, sys
from coordinator.telemetry.traces import open_tracing
before = open_tracing(json.loads(sys.argv[1]))
print(type(before).__name__, "opentelemetry" in sys.modules)
"""


@pytest.mark.parametrize(
    ("environment", "opened"),
    [
        ({}, "NoneType False"),
        ({"OTEL_SERVICE_NAME": "jobs"}, "NoneType False"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "NoneType False"),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "NoneType False"),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "NoneType False"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "OtelTracing True"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OtelTracing True"),
    ],
)
def test_nothing_is_loaded_unless_the_environment_asks_for_it(environment: dict[str, str], opened: str):
    code = [sys.executable, "-c", LOADS, json.dumps(environment)]
    ran = subprocess.run(code, capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == opened


class Stuck(SpanExporter):
    """An exporter whose collector does not answer until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may.wait()
        return SpanExportResult.SUCCESS


def test_a_collector_that_does_not_answer_holds_up_the_end_for_some_seconds_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otel, "CLOSE_LIMIT_S", 0.05)
    exporter, provider = Stuck(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracing = OtelTracing(provider)
    provider.get_tracer("test").start_span("any").end()

    tracing.close()  # Else this would not come back.

    assert not exporter.may.is_set()
    exporter.may.set()
