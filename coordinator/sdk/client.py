"""The client: enqueue jobs, and look at them. `Coordinator` for plain code, `AsyncCoordinator` for a loop.

```python
with Coordinator("https://coordinator.example.com", token) as coordinator:
    job = coordinator.enqueue("send-email", {"to": "a@b.c"}, delay="10m")
    print(coordinator.wait(job["id"])["result"])
```

A request is made up to three times. What makes something carries an `Idempotency-Key`, so nothing is made twice; what
would be refused the second time is repeated only if it has surely not arrived.
"""

import os
import random
import re
import time
import uuid
from asyncio import sleep
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple, Self, TypedDict, Unpack, cast
from urllib.parse import quote

import httpx

TRIES = 3
TIMEOUT_S = 10.0
RETRY_AFTER_MOST_S = 30.0
WAIT_MOST_S = 30.0
"""Of one request of `wait`; proxies cut what takes much longer."""
FINAL_STATES = frozenset({"succeeded", "dead", "cancelled"})

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


class CoordinatorError(Exception):
    """The coordinator refused a request; with the status 0 and the code `unreachable` it did not answer."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        """`errors` are the wrong fields, `{"path": …, "message": …}`; `problem` is all that was answered."""
        super().__init__(f"{status} {code}: {detail}" if status else f"{code}: {detail}")
        self.status, self.code, self.detail = status, code, detail
        self.problem = dict(problem or {})
        self.errors: list[dict[str, str]] = self.problem.get("errors", [])


class Coordinator:
    """The coordinator at `url` (else `COORDINATOR_URL`), with a bearer `token` (else `COORDINATOR_TOKEN`).

    Give an httpx client of your own for a proxy (the environment is not asked for one), other time-outs or TLS.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, http: httpx.Client | None = None) -> None:
        self._address = _Address.of(url, token)
        self._http = http or httpx.Client(timeout=TIMEOUT_S, trust_env=False)

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
        return cast("Job", self._send(_Request("GET", _path(job_id))))

    def list(self, **filters: Unpack[Filter]) -> Iterator[Job]:
        """All jobs that the filter finds; page after page is read as they are asked for."""
        query = _camel(filters)
        while True:
            page = self._send(_Request("GET", "/job", query))
            yield from page["items"]
            if page["cursor"] is None:
                return
            query = query | {"cursor": page["cursor"]}

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits; ask one that runs to stop."""
        return cast("Job", self._send(_Request("POST", f"{_path(job_id)}/cancel")))

    def retry(self, job_id: str) -> Job:
        """Have a dead or cancelled job tried anew."""
        return cast("Job", self._send(_Request("POST", f"{_path(job_id)}/retry", is_safe=False)))

    def run(self, job_id: str) -> Job:
        """Make a job that waits for its time due now."""
        return cast("Job", self._send(_Request("POST", f"{_path(job_id)}/run", is_safe=False)))

    def wait(self, job_id: str, *, timeout: float = 60.0) -> Job:
        """The job when it is final. Raises `TimeoutError` after `timeout` seconds."""
        ends_at = time.monotonic() + timeout
        while True:
            job = cast("Job", self._send(_wait(job_id, ends_at)))
            if _is_final(job, ends_at):
                return job

    def _send(self, request: "_Request", number: int = 1) -> Any:  # noqa: ANN401 - JSON
        try:
            answer: httpx.Response | httpx.TransportError = self._http.send(self._address.to(request, self._http))
        except httpx.TransportError as why:
            answer = why
        pause_s = _pause(request, answer, number)
        if pause_s is None:
            return _told(answer)
        time.sleep(pause_s)
        return self._send(request, number + 1)


class AsyncCoordinator:
    """`Coordinator` for a loop."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, http: httpx.AsyncClient | None = None
    ) -> None:
        self._address = _Address.of(url, token)
        self._http = http or httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

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
        return cast("Job", await self._send(_Request("GET", _path(job_id))))

    async def list(self, **filters: Unpack[Filter]) -> AsyncIterator[Job]:
        """All jobs that the filter finds; page after page is read as they are asked for."""
        query = _camel(filters)
        while True:
            page = await self._send(_Request("GET", "/job", query))
            for job in page["items"]:
                yield job
            if page["cursor"] is None:
                return
            query = query | {"cursor": page["cursor"]}

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits; ask one that runs to stop."""
        return cast("Job", await self._send(_Request("POST", f"{_path(job_id)}/cancel")))

    async def retry(self, job_id: str) -> Job:
        """Have a dead or cancelled job tried anew."""
        return cast("Job", await self._send(_Request("POST", f"{_path(job_id)}/retry", is_safe=False)))

    async def run(self, job_id: str) -> Job:
        """Make a job that waits for its time due now."""
        return cast("Job", await self._send(_Request("POST", f"{_path(job_id)}/run", is_safe=False)))

    async def wait(self, job_id: str, *, timeout: float = 60.0) -> Job:  # noqa: ASYNC109 - as of `Coordinator`
        """The job when it is final. Raises `TimeoutError` after `timeout` seconds."""
        ends_at = time.monotonic() + timeout
        while True:
            job = cast("Job", await self._send(_wait(job_id, ends_at)))
            if _is_final(job, ends_at):
                return job

    async def _send(self, request: "_Request", number: int = 1) -> Any:  # noqa: ANN401 - JSON
        try:
            answer: httpx.Response | httpx.TransportError = await self._http.send(self._address.to(request, self._http))
        except httpx.TransportError as why:
            answer = why
        pause_s = _pause(request, answer, number)
        if pause_s is None:
            return _told(answer)
        await sleep(pause_s)
        return await self._send(request, number + 1)


class _Request(NamedTuple):
    """`is_safe`: to make it twice is the same as once. `held_s`: so much longer the answer may take."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = {}
    is_safe: bool = True
    held_s: float = 0.0


class _Address(NamedTuple):
    url: str
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str | None, token: str | None) -> Self:
        url, token = url or os.environ.get("COORDINATOR_URL"), token or os.environ.get("COORDINATOR_TOKEN")
        if not url:
            raise ValueError("give the address of the coordinator, or set COORDINATOR_URL")
        return cls(url.rstrip("/"), {"authorization": f"Bearer {token}"} if token else {})

    def to(self, request: _Request, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        limits = client.timeout.as_dict()
        limits["read"] = limits["read"] and limits["read"] + request.held_s
        url, headers, timeout = self.url + request.path, {**self.headers, **request.headers}, httpx.Timeout(**limits)
        return client.build_request(
            request.method, url, params=request.query, json=request.body, headers=headers, timeout=timeout
        )


def _creation(path: str, body: Mapping[str, Any], fields: Mapping[str, Any]) -> _Request:
    told = _camel({**body, **fields})
    key = told.pop("idempotencyKey", None) or str(uuid.uuid4())
    return _Request("POST", path, body=told, headers={**told.pop("trace", {}), "idempotency-key": key})


def _wait(job_id: str, ends_at: float) -> _Request:
    wait_s = max(0.0, min(WAIT_MOST_S, ends_at - time.monotonic()))
    return _Request("GET", _path(job_id), {"wait": f"{wait_s * 1000:.0f}ms"}, held_s=wait_s)


def _is_final(job: Job, ends_at: float) -> bool:
    if job["kind"] == "schedule":
        raise ValueError(f"{job['id']} is a schedule, which has no end to wait for; wait for one of its jobs")
    if job["state"] in FINAL_STATES:
        return True
    if time.monotonic() >= ends_at:
        raise TimeoutError(f"job {job['id']} is still {job['state']}")
    return False


def _pause(request: _Request, answer: httpx.Response | httpx.TransportError, number: int) -> float | None:
    """Seconds until the next try; None if there is none. `number` is that of the try, from 1."""
    if number >= TRIES:
        return None
    backoff_s = 0.2 * 4 ** (number - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - protects nothing
    if isinstance(answer, httpx.TransportError):
        has_not_arrived = isinstance(answer, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        return backoff_s if request.is_safe or has_not_arrived else None
    asked = answer.headers.get("retry-after", "")
    asked_s = float(asked) if re.fullmatch(r"\d{1,9}", asked, re.ASCII) else None
    if asked_s is not None and asked_s > RETRY_AFTER_MOST_S:
        return None
    match answer.status_code:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return asked_s
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.GATEWAY_TIMEOUT if request.is_safe:
            return backoff_s if asked_s is None else asked_s
    return None


def _told(answer: httpx.Response | httpx.TransportError) -> Any:  # noqa: ANN401 - JSON
    """What a successful answer holds. Raises `CoordinatorError`."""
    if isinstance(answer, httpx.TransportError):
        raise CoordinatorError(0, "unreachable", f"{type(answer).__name__}: {answer}") from answer
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and body is not None:
        return body
    # Proxies answer whatever they like.
    problem = body if isinstance(body, dict) else {}
    code, detail = problem.get("code", "http_error"), problem.get("detail", answer.text[:500])
    raise CoordinatorError(answer.status_code, str(code), str(detail), problem)


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
