"""The client: enqueue jobs, and look at them. `Coordinator` for plain code, `AsyncCoordinator` for a loop.

```python
with Coordinator("https://coordinator.example.com", token) as coordinator:
    job = coordinator.enqueue("send-email", {"to": "a@b.c"}, delay="10m")
    print(coordinator.wait(job["id"])["result"])
```

What makes something carries an `Idempotency-Key`, so nothing is made twice however often it is sent. How requests are
repeated is told in `sending.py`.
"""

import re
import time
import uuid
from asyncio import sleep
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, TypedDict, Unpack, cast
from urllib.parse import quote

import httpx

from coordinator.sdk.sending import Address, CoordinatorError, Request, pause_before, told

__all__ = ["AsyncCoordinator", "Coordinator", "CoordinatorError"]

TIMEOUT_S = 10.0
WAIT_MOST_S = 30.0
"""Of one request of `wait`; proxies cut what takes much longer."""
FINAL_STATES = frozenset({"succeeded", "dead", "cancelled"})
SAME = object()
"""Args that stay what they were."""

Instant = str | datetime
"""In one of the forms that the coordinator reads; without an offset it is in `timezone`, else in UTC."""
Duration = str | timedelta
"""Such as `"30s"` or `"5m"`."""


class JobFields(TypedDict, total=False):
    """What can be said of a job beside `worker` and `args`; README's "Fields of a job" tells what each means.

    `trace` are the headers that OpenTelemetry's `inject` makes, `traceparent` and `tracestate`.
    """

    run_at: Instant
    delay: Duration
    queue: str
    key: str
    cost: float
    priority: int
    timeout: Duration
    heartbeat_timeout: Duration
    max_attempts: int
    backoff: Mapping[str, Any]
    retry: list[str]
    max_retry_duration: Duration
    expires_in: Duration
    unique: str | Mapping[str, Any]
    tags: list[str]
    meta: Mapping[str, Any]
    on_success: Mapping[str, Any]
    on_failure: Mapping[str, Any]
    batch_id: str
    idempotency_key: str
    trace: Mapping[str, str]
    # With one of the first two a schedule is made.
    cron: str
    every: Duration
    timezone: str
    seconds: bool
    start_at: Instant
    end_at: Instant
    max_runs: int
    overlap: str
    misfire: str
    misfire_window: Duration
    dst: Mapping[str, str]


class Filter(TypedDict, total=False):
    """Which jobs are listed; `limit` is the size of a page."""

    queue: str
    state: str
    worker: str
    key: str
    tag: str
    schedule_id: str
    batch_id: str
    created_after: Instant
    finished_before: Instant
    error: str
    limit: int


class BatchFields(TypedDict, total=False):
    """What can be said of a batch."""

    atomic: bool
    on_complete: Mapping[str, Any]
    on_success: Mapping[str, Any]
    on_failure: Mapping[str, Any]
    idempotency_key: str
    trace: Mapping[str, str]


class Job(TypedDict):
    """A job as the coordinator tells it; there is more in it than is named here. Of a schedule `kind` is `schedule`."""

    id: str
    kind: str
    worker: str
    args: Any
    queue: str
    key: str | None
    state: str
    attempt: int
    maxAttempts: int
    tags: list[str]
    meta: dict[str, Any]
    progress: float | None
    result: Any
    lastError: dict[str, Any] | None
    attempts: list[dict[str, Any]]


class Batch(TypedDict):
    """What became of `enqueue_many`: `jobs` has an item for each job, in their order, with an `id` or an `error`."""

    id: str
    total: int
    pending: int
    jobs: list[dict[str, Any]]


class Coordinator:
    """The coordinator at `url` (else `COORDINATOR_URL`), with a bearer `token` (else `COORDINATOR_TOKEN`).

    An empty token is none. `timeout` is in seconds, of each step of a request. Give an httpx client of your own for a
    proxy (the environment is not asked for one) or for TLS.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        http: httpx.Client | None = None,
    ) -> None:
        self._address = Address.of(url, token)
        self._http = http or httpx.Client(timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def enqueue(self, worker: str, args: object = None, **fields: Unpack[JobFields]) -> Job:
        """Make a job, or with `cron` or `every` a schedule. Raises `CoordinatorError`, as all of these."""
        return cast("Job", self._send(_creation("/job", {"worker": worker, "args": args}, fields)))

    def enqueue_many(self, jobs: Iterable[Mapping[str, Any]], **fields: Unpack[BatchFields]) -> Batch:
        """Make a batch of up to 1000 jobs, each `{"worker": …, "args": …, …}`."""
        return cast("Batch", self._send(_creation("/job/batch", {"jobs": [_camel(job) for job in jobs]}, fields)))

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return cast("Job", self._send(Request("GET", _path(job_id))))

    def list(self, **filters: Unpack[Filter]) -> Iterator[Job]:
        """All jobs that the filter finds; page after page is read as they are asked for."""
        query = _camel(filters)
        while True:
            page = self._send(Request("GET", "/job", query))
            yield from page["items"]
            if page["cursor"] is None:
                return
            query = query | {"cursor": page["cursor"]}

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits; ask one that runs to stop."""
        return cast("Job", self._send(Request("POST", f"{_path(job_id)}/cancel")))

    def retry(self, job_id: str, args: object = SAME) -> Job:
        """Have a dead or cancelled job tried anew, with other args if they are given; None is one."""
        return cast("Job", self._send(_retrial(job_id, args)))

    def run(self, job_id: str) -> Job:
        """Make a job that waits for its time due now."""
        return cast("Job", self._send(Request("POST", f"{_path(job_id)}/run", is_safe=False)))

    def wait(self, job_id: str, *, timeout: float = 60.0) -> Job:
        """The job when it is final. Raises `TimeoutError` after `timeout` seconds."""
        ends_at = time.monotonic() + timeout
        while True:
            job = cast("Job", self._send(_wait(job_id, ends_at)))
            if _is_final(job, ends_at):
                return job

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """All that has no method of its own, by path: what is answered, None where that is nothing."""
        return self._send(Request.of(method, path, query, body, idempotency_key))

    def _send(self, request: Request) -> Any:  # noqa: ANN401 - JSON
        return told(self._exchange(request))

    def _exchange(self, request: Request, number: int = 1) -> httpx.Response | httpx.TransportError:
        try:
            answer: httpx.Response | httpx.TransportError = self._http.send(self._address.to(request, self._http))
        except httpx.TransportError as why:
            answer = why
        pause_s = pause_before(request, answer, number)
        if pause_s is None:
            return answer
        time.sleep(pause_s)
        return self._exchange(request, number + 1)


class AsyncCoordinator:
    """`Coordinator` for a loop."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._address = Address.of(url, token)
        self._http = http or httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def enqueue(self, worker: str, args: object = None, **fields: Unpack[JobFields]) -> Job:
        """Make a job, or with `cron` or `every` a schedule. Raises `CoordinatorError`, as all of these."""
        return cast("Job", await self._send(_creation("/job", {"worker": worker, "args": args}, fields)))

    async def enqueue_many(self, jobs: Iterable[Mapping[str, Any]], **fields: Unpack[BatchFields]) -> Batch:
        """Make a batch of up to 1000 jobs, each `{"worker": …, "args": …, …}`."""
        return cast("Batch", await self._send(_creation("/job/batch", {"jobs": [_camel(job) for job in jobs]}, fields)))

    async def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return cast("Job", await self._send(Request("GET", _path(job_id))))

    async def list(self, **filters: Unpack[Filter]) -> AsyncIterator[Job]:
        """All jobs that the filter finds; page after page is read as they are asked for."""
        query = _camel(filters)
        while True:
            page = await self._send(Request("GET", "/job", query))
            for job in page["items"]:
                yield job
            if page["cursor"] is None:
                return
            query = query | {"cursor": page["cursor"]}

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits; ask one that runs to stop."""
        return cast("Job", await self._send(Request("POST", f"{_path(job_id)}/cancel")))

    async def retry(self, job_id: str, args: object = SAME) -> Job:
        """Have a dead or cancelled job tried anew, with other args if they are given; None is one."""
        return cast("Job", await self._send(_retrial(job_id, args)))

    async def run(self, job_id: str) -> Job:
        """Make a job that waits for its time due now."""
        return cast("Job", await self._send(Request("POST", f"{_path(job_id)}/run", is_safe=False)))

    async def wait(self, job_id: str, *, timeout: float = 60.0) -> Job:  # noqa: ASYNC109 - as of `Coordinator`
        """The job when it is final. Raises `TimeoutError` after `timeout` seconds."""
        ends_at = time.monotonic() + timeout
        while True:
            job = cast("Job", await self._send(_wait(job_id, ends_at)))
            if _is_final(job, ends_at):
                return job

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """All that has no method of its own, by path: what is answered, None where that is nothing."""
        return await self._send(Request.of(method, path, query, body, idempotency_key))

    async def _send(self, request: Request) -> Any:  # noqa: ANN401 - JSON
        return told(await self._exchange(request))

    async def _exchange(self, request: Request, number: int = 1) -> httpx.Response | httpx.TransportError:
        try:
            answer: httpx.Response | httpx.TransportError = await self._http.send(self._address.to(request, self._http))
        except httpx.TransportError as why:
            answer = why
        pause_s = pause_before(request, answer, number)
        if pause_s is None:
            return answer
        await sleep(pause_s)
        return await self._exchange(request, number + 1)


def _creation(path: str, body: Mapping[str, Any], fields: Mapping[str, Any]) -> Request:
    told = _camel({**body, **fields})
    key = told.pop("idempotencyKey", None) or str(uuid.uuid4())
    return Request("POST", path, body=told, trace=told.pop("trace", {}), idempotency_key=key)


def _retrial(job_id: str, args: object) -> Request:
    body = None if args is SAME else {"args": args}
    return Request("POST", f"{_path(job_id)}/retry", body=body, is_safe=False)


def _wait(job_id: str, ends_at: float) -> Request:
    wait_s = max(0.0, min(WAIT_MOST_S, ends_at - time.monotonic()))
    return Request("GET", _path(job_id), {"wait": f"{wait_s * 1000:.0f}ms"}, held_s=wait_s)


def _is_final(job: Job, ends_at: float) -> bool:
    if job["kind"] == "schedule":
        raise ValueError(f"{job['id']} is a schedule, which has no end to wait for; wait for one of its jobs")
    if job["state"] in FINAL_STATES:
        return True
    if time.monotonic() >= ends_at:
        raise TimeoutError(f"job {job['id']} is still {job['state']}")
    return False


def _path(job_id: str) -> str:
    return f"/job/{quote(job_id, safe=':')}"


def _camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As the coordinator names and writes it. What is inside of a field is the caller's own."""
    names = ((re.sub("_(.)", lambda found: found[1].upper(), name), value) for name, value in fields.items())
    return {name: _written(value) for name, value in names if value is not None}


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    return value
