"""From a body to what is to be run: with the workers that it names, which have to be there."""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from coordinator.api.job_bodies import CallbackBody, NewJobBody, spec_of
from coordinator.domain.job import Spec
from coordinator.domain.worker import ENTRY_POINT, Worker
from coordinator.errors import Invalid

Find = Callable[[str], Awaitable[Worker | None]]
"""Gives the worker that serves a name."""


async def spec_asked(find: Find, asked: NewJobBody) -> Spec:
    """What the body asks to be run. Raises `Invalid`, also for an unknown worker."""
    spec = spec_of(asked, await _worker(find, asked.worker, "worker"))
    return replace(
        spec,
        on_success=await callback_asked(find, asked.on_success, "onSuccess"),
        on_failure=await callback_asked(find, asked.on_failure, "onFailure"),
    )


async def callback_asked(find: Find, asked: CallbackBody | None, path: str) -> Spec | None:
    """What is to be called afterwards."""
    if asked is None:
        return None
    worker = await _worker(find, asked.worker, f"{path}.worker")
    return spec_of(NewJobBody(worker=asked.worker, args=asked.args, queue=asked.queue), worker)


async def _worker(find: Find, name: str, path: str) -> Worker:
    worker = await find(name)
    if worker is None:
        raise Invalid(
            path,
            f"no worker is registered as {name!r}; register it with PUT /worker/{name}, "
            f"or an entry point for all with PUT /worker/{ENTRY_POINT} or COORDINATOR_WORKER_URL",
            code="unknown_worker",
        )
    return worker
