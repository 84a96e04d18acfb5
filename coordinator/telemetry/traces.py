"""What the engine knows of traces. `otel.py`, which makes them, is loaded where the environment says where they go."""

import importlib.util
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from coordinator.domain.job import Attempt, Spec
from coordinator.domain.trace import Trace

log = logging.getLogger(__name__)

_PLACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class CallSpan(Protocol):
    """The span of one call; its function is told of `trace`."""

    trace: Trace

    def end(self, outcome: str, http_status: int | None, error: str | None) -> None:
        """What the call came to, in a word; `error` is the type of the error if it is one."""


class Tracing(Protocol):
    """Records spans, each below the trace of its job."""

    def enqueue(self, job_id: str, spec: Spec) -> AbstractContextManager[Trace]:
        """The span of storing a job: the trace that the job is to be kept with."""

    def call(self, attempt: Attempt) -> CallSpan:
        """The span of calling a function for an attempt, begun."""

    def close(self) -> None:
        """Send what is left; this takes some seconds at the most."""


def open_tracing(environment: Mapping[str, str]) -> Tracing | None:
    """What the standard variables (`OTEL_…`) ask for; None, and nothing loaded, if they ask for nothing."""
    exporter = environment.get(_EXPORTER, "otlp" if any(environment.get(name) for name in _PLACES) else "none").strip()
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if exporter not in {"otlp", "console"}:
        log.warning(
            "%s is %r; it can be otlp, console or none: nothing is traced",
            _EXPORTER,
            exporter,
            extra={"event": "traces.off"},
        )
        return None
    if not all(_is_there(module) for module in _NEEDED):
        log.warning(
            "OTEL_… is set, and the extra is missing: pip install 'coordinator[otel]'", extra={"event": "traces.off"}
        )
        return None
    from coordinator.telemetry.otel import open_otel  # noqa: PLC0415 - an extra that may be missing

    return open_otel(environment, exporter)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
