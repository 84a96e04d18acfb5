"""From a body to what is to be run: with the workers and queues that it names."""

from typing import Protocol

from msgspec.structs import replace

from coordinator.api.context import Request
from coordinator.api.job_bodies import CallbackBody, NewJobBody, queue_of, spec_of
from coordinator.domain.job import Spec
from coordinator.domain.queue import QueueDefaults
from coordinator.domain.trace import Trace, read_trace
from coordinator.domain.worker import ENTRY_POINT, Worker
from coordinator.errors import Invalid


class Known(Protocol):
    """Who knows the workers and the queues."""

    async def find(self, name: str) -> Worker | None:
        """The worker that serves a name."""

    async def defaults_of(self, queue: str) -> QueueDefaults:
        """What jobs of a queue have that name none themselves."""


async def spec_asked(known: Known, asked: NewJobBody) -> Spec:
    """What the body asks to be run. Raises `Invalid`, also for an unknown worker."""
    worker = await _worker(known, asked.worker, "worker")
    spec = spec_of(asked, worker, await known.defaults_of(queue_of(asked, worker)))
    return replace(
        spec,
        on_success=await callback_asked(known, asked.on_success, "onSuccess"),
        on_failure=await callback_asked(known, asked.on_failure, "onFailure"),
    )


async def callback_asked(known: Known, asked: CallbackBody | None, path: str) -> Spec | None:
    """What is to be called afterwards."""
    if asked is None:
        return None
    body = NewJobBody(worker=asked.worker, args=asked.args, queue=asked.queue)
    worker = await _worker(known, asked.worker, f"{path}.worker")
    return spec_of(body, worker, await known.defaults_of(queue_of(body, worker)))


def trace_of(request: Request) -> Trace | None:
    """The trace that a request belongs to, by the headers of the standard."""
    headers = request.headers
    parents = headers.getall("traceparent", ())
    return read_trace(parents, headers.getall("tracestate", ())) if parents else None


async def _worker(known: Known, name: str, path: str) -> Worker:
    worker = await known.find(name)
    if worker is None:
        raise Invalid(
            path,
            f"no worker is registered as {name!r}; register it with PUT /worker/{name}, "
            f"or an entry point for all with PUT /worker/{ENTRY_POINT} or COORDINATOR_WORKER_URL",
            code="unknown_worker",
        )
    return worker
