"""What makes a cloud function of a Python function. Copy this file into your bundle, or import it from the package.

```
 Lambda event, ASGI, WSGI, Flask, anything ──▶ method, headers, body
                                                      │
   401, 404, 400 … ◀── not ours ── read: signature, one job or a batch, which function
                                                      │
                              run: the function, once for each job or once for all ──▶ heartbeats
                                                      │
         200 with the receipts ◀── answer ◀── post the receipts first, if it took long
```

A plain function runs in the thread of its request, or in a thread of its own under ASGI; an `async def` on the server's
loop, or on one of its own, which on Lambda is kept. Needs Python 3.10 and nothing else. The settings: see `Options`.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import functools
import hashlib
import hmac
import http.client
import inspect
import json
import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, ParamSpec, TypedDict, TypeVar, overload
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from typing import Unpack

VERSION = "0.1.0"
BODY_LIMIT_BYTES = 16 * 1024 * 1024
RESULT_LIMIT_BYTES = 64 * 1024
MESSAGE_LIMIT = STACK_LIMIT = 4096
REPORT_AFTER_S = 10.0
"""Proxies in between cut calls that are held; from here on a receipt is posted before it is answered."""
POST_TIMEOUT_S = 5.0
TRY_WAITS_S = (0.0, 0.2, 1.0)

P = ParamSpec("P")
R = TypeVar("R")
Receipt = dict[str, Any]
Wait = float | str
"""Seconds, or a duration such as `"30s"` or `"5m"`."""
_Run = Callable[[Coroutine[Any, Any, list[Receipt]]], list[Receipt]]
Stop = Literal["requested", "superseded", "deadline", ""]

_log = logging.getLogger("coordinator.functions")
_FUNCTIONS = ThreadPoolExecutor(64, "coordinator-function")
_KEPT = threading.local()
_POSTS = ThreadPoolExecutor(16, "coordinator-post")
"""Apart from those of functions: a heartbeat must not wait for functions to end."""


class Limits(TypedDict, total=False):
    """What was seen of the limits of an API: `used` and `max`, or `remaining`, `max` and `restoreRate` (a second)."""

    used: float
    remaining: float
    max: float
    restoreRate: float
    cost: float


# What a function may raise; any other exception is a failure named by its class.


class Ending(Exception):
    """How an attempt ends that does not return."""

    status = "failure"

    def __init__(self, message: str = "", *, after: Wait | None = None, limits: Limits | None = None) -> None:
        super().__init__(message)
        self.after, self.limits = after, limits

    def receipt(self) -> Receipt:
        """As the coordinator wants it."""
        return {"status": self.status} | ({} if self.after is None else {"retryAfter": self.after})


class Failure(Ending):
    """The attempt failed; it is made again, not before `after`, if `retryable`. `data` is kept with the error."""

    def __init__(
        self,
        message: str,
        *,
        after: Wait | None = None,
        retryable: bool = True,
        type: str = "",  # noqa: A002 - as the receipt calls it
        data: object = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(message, after=after, limits=limits)
        self.retryable, self.type, self.data = retryable, type, data

    def receipt(self) -> Receipt:
        """A failure with what was given."""
        error = _error_of(self, self.type) | ({} if self.data is None else {"data": self.data})
        return super().receipt() | {"error": error} | ({} if self.retryable else {"retryable": False})


class Retry(Failure):
    """The attempt failed, and is to be made again after `after`."""

    def __init__(self, message: str = "is to be tried again", *, after: Wait, limits: Limits | None = None) -> None:
        super().__init__(message, after=after, limits=limits)


class Fatal(Failure):
    """The job is dead: to try it again would not help."""

    def __init__(self, message: str, *, type: str = "", data: object = None) -> None:  # noqa: A002 - as above
        super().__init__(message, retryable=False, type=type, data=data)


class Snooze(Ending):
    """Call again after `after`; no attempt is spent."""

    status = "snooze"

    def __init__(self, *, after: Wait, limits: Limits | None = None) -> None:
        super().__init__(f"snoozed for {after}", after=after, limits=limits)


class Throttled(Ending):
    """An API asked for a pause: as `Snooze`, and all jobs of the same key wait too."""

    status = "throttled"


class Cancelled(Ending):
    """The function stopped because it was asked to."""

    status = "cancelled"


class HeartbeatError(RuntimeError):
    """The coordinator refused a heartbeat, or there is no address of it that may be trusted."""


class Heartbeat(NamedTuple):
    """What is known after a heartbeat; `delivered` is false if the coordinator could not be reached."""

    cancel_requested: bool
    delivered: bool


class Beat(TypedDict, total=False):
    """What a heartbeat tells: `progress` in percent; `extend`: the attempt may take so much longer, from now on."""

    progress: float
    message: str
    extend: Wait


class Attempt:
    """What `Job` and `AsyncJob` have in common. `deadline` is as this machine's own clock counts, however wrong."""

    def __init__(self, call: Mapping[str, Any], line: _Line) -> None:
        self.id: str = call["jobId"]
        self.worker: str = call["worker"]
        self.args: Any = call["args"]
        self.attempt: int = call["attempt"]
        self.max_attempts: int = call["maxAttempts"]
        self.is_last_attempt = self.attempt >= self.max_attempts
        self.queue: str = call["queue"]
        self.key: str | None = call.get("key")
        self.meta: dict[str, Any] = call.get("meta") or {}
        self.scheduled_for = _instant(call["scheduledFor"]) if call.get("scheduledFor") else None
        self.schedule_id: str | None = call.get("scheduleId")
        self.deadline = line.local(call["deadline"])
        self._path = f"/job/{quote(self.id, safe=':')}"
        self._own = {name: call[name] for name in ("token", "attempt") if call.get(name) is not None}
        self._line = line
        self._stopped: Stop = ""
        self._limits: Limits | None = None

    @property
    def cancelled(self) -> Stop:
        """Why the function should stop; "" if it should not.

        `requested`: somebody cancelled the job; `superseded`: this attempt is not the current one any more. Both are
        told by heartbeats. `deadline`: the attempt's time is over.
        """
        return self._stopped or ("deadline" if self._line.is_past(self.deadline) else "")

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if the function should stop; after the deadline `Failure`."""
        if self.cancelled == "deadline":
            raise Failure(f"the deadline of attempt {self.attempt} has passed", type="DeadlinePassed")
        if self.cancelled:
            raise Cancelled(self.cancelled)

    def limits(self, seen: Limits) -> None:
        """Tell what an API said of its limits: it goes into the receipt, and the queue keeps to it."""
        self._limits = seen

    def _beat(
        self, *, progress: float | None = None, message: str | None = None, extend: Wait | None = None
    ) -> Heartbeat:
        # A number is in seconds everywhere in this module; a duration of the coordinator is in ms.
        longer = round(extend * 1000) if isinstance(extend, int | float) else extend
        told = {"progress": progress, "message": message, "extend": longer}
        body = {name: value for name, value in told.items() if value is not None} | self._own
        status, answer = self._line.post(f"{self._path}/heartbeat", body, tries=2)
        if status == http.client.CONFLICT:
            self._stopped = "superseded"
        elif status >= 300:
            raise HeartbeatError(f"the coordinator answered {status}: {answer.get('detail', answer)}")
        elif answer.get("cancelRequested"):
            self._stopped = self._stopped or "requested"
        if answer.get("deadline"):
            self.deadline = self._line.local(answer["deadline"])
        return Heartbeat(bool(self._stopped), delivered=status > 0)


class Job(Attempt):
    """One attempt of a job, as a plain function gets it."""

    def heartbeat(self, **beat: Unpack[Beat]) -> Heartbeat:
        """Tell that it goes on. May raise `HeartbeatError`.

        That the coordinator cannot be reached raises nothing: the work is not to fail for it.
        """
        return self._beat(**beat)

    def progress(self, percent: float, message: str | None = None) -> Heartbeat:
        """A heartbeat that tells how far it is."""
        return self._beat(progress=percent, message=message)


class AsyncJob(Attempt):
    """One attempt of a job, as an `async def` gets it. What is sent is sent beside the loop."""

    async def heartbeat(self, **beat: Unpack[Beat]) -> Heartbeat:
        """As `Job.heartbeat`."""
        return await _in_thread(_POSTS, functools.partial(self._beat, **beat))

    async def progress(self, percent: float, message: str | None = None) -> Heartbeat:
        """A heartbeat that tells how far it is."""
        return await _in_thread(_POSTS, functools.partial(self._beat, progress=percent, message=message))


class Options(TypedDict, total=False):
    """What `wrap` and `Workers` take.

    `secret`: `whsec_…`, or several while one is replaced; left out: the variable `COORDINATOR_SECRET`, which may hold
    several, separated by spaces or commas. `unsigned`: calls are taken from anybody, without a signature.
    `url`: of the coordinator, for heartbeats and receipts; left out: `COORDINATOR_URL`, else what a signed call says.
    `report`: whether receipts are posted before they are answered; `auto`: if the function took 10 s or longer.
    `tolerance`: how many seconds a call may be old. `clock`: Unix seconds.
    """

    secret: str | Sequence[str] | None
    unsigned: bool
    url: str | None
    report: Literal["auto", "always", "never"]
    tolerance: float
    clock: Callable[[], float]


class Trial(NamedTuple):
    """What `.test` came to: the receipt that the coordinator would get, and the heartbeats before it."""

    receipt: Receipt
    heartbeats: list[dict[str, Any]]


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Service:
    """Answers calls with receipts, on any platform. Made by `wrap` and `Workers`."""

    def __init__(self, **options: Unpack[Options]) -> None:
        self._settings = _Settings(**options)
        self.asgi = _ASGI(self)

        # functions-framework takes what is a function, and no other callable.
        def gcp(request: Any) -> tuple[bytes, int, dict[str, str]]:  # noqa: ANN401 - Flask's, which is not imported
            answer = self.handle(request.method, request.headers, request.get_data(cache=True))
            return answer.body, answer.status, answer.headers

        self.gcp = gcp

    def handle(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request: what all platforms come to. For `async def` views there is `handle_async`."""
        return self._handle(method, headers, body, asyncio.run)

    def _handle(self, method: str, headers: Mapping[str, str], body: bytes, run: _Run) -> Answer:
        call = self._read(method, headers, body)
        if isinstance(call, Answer):
            return call
        receipts = call.run(run)
        if call.is_to_post(is_gone=False):
            call.post(receipts)
        return call.answer(receipts)

    async def handle_async(
        self, method: str, headers: Mapping[str, str], body: bytes, *, is_gone: Callable[[], bool] = lambda: False
    ) -> Answer:
        """The same on a loop. `is_gone` tells whether the caller has hung up, and no answer can reach it."""
        call = self._read(method, headers, body)
        if isinstance(call, Answer):
            return call
        receipts = await call.run_async()
        if call.is_to_post(is_gone=is_gone()):
            await _in_thread(_POSTS, call.post, receipts)
        return call.answer(receipts)

    def wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        """The WSGI application."""
        # Without a length nothing may be read, unless the server ends the input by itself (chunked bodies).
        given, most = environ.get("CONTENT_LENGTH") or "", BODY_LIMIT_BYTES + 1
        length = int(given) if given.isdecimal() else most if environ.get("wsgi.input_terminated") else 0
        body = environ["wsgi.input"].read(min(length, most))
        headers = {name[5:].replace("_", "-"): environ[name] for name in environ if name.startswith("HTTP_")}
        answer = self.handle(environ["REQUEST_METHOD"], headers, body)
        start_response(f"{answer.status} {http.client.responses[answer.status]}", list(answer.headers.items()))
        return [answer.body]

    def aws_lambda(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG002 - Lambda's
        """The Lambda handler: for function URLs, HTTP and REST APIs, and load balancers."""
        many: Mapping[str, list[str]] = event.get("multiValueHeaders") or {}
        headers = event.get("headers") or {name: values[-1] for name, values in many.items() if values}
        # The first is of the older formats, the second of payload format 2.0.
        request = (event.get("requestContext") or {}).get("http") or {}
        method = event.get("httpMethod") or request.get("method", "an event that is no request")
        body: str = event.get("body") or ""
        try:
            raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        except ValueError:
            raw = b""
        answer = self._handle(method, headers, raw, _run_on_kept_loop)
        told = {"statusCode": answer.status, "body": answer.body.decode(), "isBase64Encoded": False}
        if event.get("headers") or not many:
            return told | {"headers": answer.headers}
        return told | {"multiValueHeaders": {name: [value] for name, value in answer.headers.items()}}

    def test(self, args: object = None, **job: Any) -> Trial:  # noqa: ANN401 - of any field
        """Run the function as for the coordinator, without signature and network.

        `job`: fields of the job, such as `worker="thumb"`, `attempt=2`, `max_attempts=3`, `meta={…}`; and
        `on_heartbeat`, which is called at each heartbeat: True says that the job has been cancelled.
        """
        call, heartbeats = self._trial(args, **job)
        return Trial(call.run()[0], heartbeats)

    async def test_async(self, args: object = None, **job: Any) -> Trial:  # noqa: ANN401 - as above
        """The same, where a loop runs already."""
        call, heartbeats = self._trial(args, **job)
        return Trial((await call.run_async())[0], heartbeats)

    def _trial(
        self, args: object, on_heartbeat: Callable[[Receipt], object] = lambda _: None, **fields: object
    ) -> tuple[_Call, list[Receipt]]:
        heartbeats: list[Receipt] = []

        def keep(_: str, body: bytes) -> tuple[int, Receipt]:
            heartbeats.append({name: value for name, value in json.loads(body).items() if name != "attempt"})
            return 200, {"cancelRequested": on_heartbeat(heartbeats[-1]) is True}

        deadline = datetime.fromtimestamp(self._settings.clock() + 900, timezone.utc).isoformat()
        job: dict[str, Any] = {"jobId": "test", "worker": "test", "attempt": 1, "maxAttempts": 10, "queue": "default"}
        job |= {"key": None, "meta": {}, "scheduledFor": None, "scheduleId": None, "deadline": deadline}
        given = {re.sub("_(.)", lambda found: found[1].upper(), name): value for name, value in fields.items()}
        if unknown := given.keys() - job.keys():
            raise TypeError(f"a job has no {', '.join(sorted(unknown))}; it has {', '.join(job)}")
        # Through JSON, as all that comes from the coordinator.
        job |= json.loads(json.dumps({"args": args} | given))
        return self._call(job, _Line(self._settings, "http://test", exchange=keep)), heartbeats

    def _read(self, method: str, headers: Mapping[str, str], body: bytes) -> _Call | Answer:
        try:
            return self._let_in(method, {name.lower(): value for name, value in headers.items()}, body)
        except _RefusedError as why:
            # Whoever looks whether the function is there sends a GET, again and again.
            level = logging.DEBUG if why.status == http.client.METHOD_NOT_ALLOWED else logging.WARNING
            _log.log(level, "a call was answered %s %s: %s", why.status, why.code, why.error)
            return _answer(why.status, {"code": why.code, "error": why.error}, **why.headers)

    def _let_in(self, method: str, headers: Mapping[str, str], body: bytes) -> _Call | Answer:
        if method != "POST":
            raise _RefusedError(405, "method_not_allowed", f"{method} is no call; calls are POSTed", allow="POST")
        if len(body) > BODY_LIMIT_BYTES:
            raise _RefusedError(413, "payload_too_large", f"the body is over {BODY_LIMIT_BYTES} bytes")
        is_signed = _verify(self._settings, headers, body)
        try:
            call = json.loads(body)
            if call.get("ping") is True:
                return _answer(200, {"pong": True, "sdk": f"python {VERSION}", "workers": self._names()})
            # An unsigned body must not make us send requests to anywhere.
            told = call["jobs"][0] if "jobs" in call else call
            url = str(told.get("receiptUrl")).rpartition("/job/")[0] if is_signed else ""
            sent_at = headers.get("webhook-timestamp", "")
            late_s = self._settings.clock() - int(sent_at) if _UNIX_TIME.fullmatch(sent_at) else 0.0
            # It is in whole seconds: a little late is a clock that is right.
            return self._call(call, _Line(self._settings, url, 0.0 if 0 <= late_s < 2 else late_s))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as why:
            problem = f"this is no call of a coordinator: {why!r:.200}"
            raise _RefusedError(400, "invalid_call", problem) from None

    def _call(self, call: Mapping[str, Any], line: _Line) -> _Call:
        worker = self._find(call["worker"])
        kind = AsyncJob if worker.is_async else Job
        jobs = [kind(job, line) for job in call.get("jobs", [call])]
        return _Call(self._settings, worker, jobs, line, is_batch="jobs" in call)

    def _find(self, name: str) -> _Worker:
        """The function of that name. Raises `_RefusedError`."""
        raise NotImplementedError

    def _names(self) -> list[str] | None:
        """Of all functions; None if any name is served."""
        raise NotImplementedError


class Wrapped(Service, Generic[P, R]):
    """A function that can be called as before, and is a cloud function beside."""

    def __init__(self, function: Callable[P, R], **options: Unpack[Options]) -> None:
        super().__init__(**options)
        # A function's own attributes stay there: of one that is wrapped already they would replace ours.
        functools.update_wrapper(self, function, updated=())
        self._function, self._worker = function, _Worker(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """As if it was not wrapped."""
        return self._function(*args, **kwargs)

    def _find(self, name: str) -> _Worker:  # noqa: ARG002 - every name
        return self._worker

    def _names(self) -> None:
        return None


class Workers(Service):
    """Several functions behind one URL, told apart by the name of the worker."""

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._workers: dict[str, _Worker] = {}

    def worker(self, name: str, *, batch: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register what follows. With `batch` it gets a list of jobs, and returns a list of results or exceptions."""

        def register(function: Callable[P, R]) -> Callable[P, R]:
            if name in self._workers:
                raise ValueError(f"there are two functions for the worker {name!r}")
            self._workers[name] = _Worker(function, is_batch=batch)
            return function

        return register

    def _find(self, name: str) -> _Worker:
        if name in self._workers:
            return self._workers[name]
        problem = f"no worker {name[:128]!r} is deployed here; deployed are: {', '.join(self._names()) or 'none'}"
        raise _RefusedError(404, "worker_not_deployed", problem)

    def _names(self) -> list[str]:
        return sorted(self._workers)


@overload
def wrap(function: Callable[P, R], /, **options: Unpack[Options]) -> Wrapped[P, R]: ...
@overload
def wrap(**options: Unpack[Options]) -> Callable[[Callable[P, R]], Wrapped[P, R]]: ...
def wrap(function: Callable[P, R] | None = None, /, **options: Unpack[Options]) -> object:
    """Make a cloud function of `function(args, job)` or `function(args)`. Raises `ValueError` for a wrong option."""
    if function is not None:
        return Wrapped(function, **options)
    return lambda function: Wrapped(function, **options)


# How it is done.


class _RefusedError(Exception):
    """No function is run, and this is answered."""

    def __init__(self, status: int, code: str, error: str, **headers: str) -> None:
        super().__init__(error)
        self.status, self.code, self.error, self.headers = status, code, error, headers


@dataclass(frozen=True)
class _Settings:
    """`Options` with their defaults. Raises `ValueError`."""

    secret: str | Sequence[str] | None = None
    unsigned: bool = False
    url: str | None = None
    report: Literal["auto", "always", "never"] = "auto"
    tolerance: float = 300.0
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.secret is not None and not self.keys():
            raise ValueError("secret is empty; leave it out to use the variable COORDINATOR_SECRET")
        if self.report not in {"auto", "always", "never"}:
            raise ValueError(f"report is {self.report!r}; use 'auto', 'always' or 'never'")

    def keys(self) -> list[bytes]:
        """Of the secrets; none if there is no secret. Raises `ValueError`."""
        given = os.environ.get("COORDINATOR_SECRET", "") if self.secret is None else self.secret
        return [_key_of(text) for text in (re.split(r"[\s,]+", given) if isinstance(given, str) else given) if text]


class _Worker:
    """A function, and how it is called."""

    def __init__(self, function: Callable[..., Any], *, is_batch: bool = False) -> None:
        self.function, self.is_batch = function, is_batch
        called = function if inspect.isroutine(function) else type(function).__call__
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
        signature = inspect.signature(function)
        given = [one for one in signature.parameters.values() if one.kind not in {one.KEYWORD_ONLY, one.VAR_KEYWORD}]
        second = [one for one in given if one.kind is one.VAR_POSITIONAL] or given[1:2]
        # One with a default is the function's own, unless it is called so.
        self.takes_job = not is_batch and any(one.default is one.empty or one.name == "job" for one in second)
        try:
            signature.bind(*[None] * (1 + self.takes_job))
        except TypeError as why:
            wanted = "(jobs)" if is_batch else "(args, job) or (args)"
            raise TypeError(f"{function!r} has to take {wanted}: {why}") from None

    def call(self, jobs: Sequence[Attempt]) -> Any:  # noqa: ANN401 - what a user's function returns
        """The result, or what is to be awaited for it."""
        if self.is_batch:
            return self.function(list(jobs))
        return self.function(jobs[0].args, jobs[0]) if self.takes_job else self.function(jobs[0].args)


class _Call:
    """A call that was let in. Its jobs are run in groups: a batch at once, or each alone."""

    def __init__(
        self, settings: _Settings, worker: _Worker, jobs: Sequence[Attempt], line: _Line, *, is_batch: bool
    ) -> None:
        self._settings, self._worker, self._jobs, self._line, self._is_batch = settings, worker, jobs, line, is_batch
        self._groups = [jobs] if worker.is_batch else [[job] for job in jobs]
        self._began = settings.clock()

    def run(self, run: _Run = asyncio.run) -> list[Receipt]:
        """The receipts of all jobs, in their order. `run` is for what has to run on a loop."""
        if self._worker.is_async:
            return run(self.run_async())
        if len(self._groups) == 1:
            return self._run_group(self._groups[0])
        with ThreadPoolExecutor(min(len(self._groups), 32), "coordinator-batch") as pool:
            runs = [pool.submit(contextvars.copy_context().run, self._run_group, group) for group in self._groups]
            return [receipt for run in runs for receipt in run.result()]

    async def run_async(self) -> list[Receipt]:
        """The same on a loop."""
        if not self._worker.is_async:
            return await _in_thread(_FUNCTIONS, self.run)
        ended = await asyncio.gather(*(self._run_group_async(group) for group in self._groups))
        return [receipt for receipts in ended for receipt in receipts]

    def answer(self, receipts: Sequence[Receipt]) -> Answer:
        """With the receipt, or the receipts of a batch."""
        return _answer(200, {"receipts": self._named(receipts)} if self._is_batch else receipts[0])

    def is_to_post(self, *, is_gone: bool) -> bool:
        """Whether the answer may get lost, so that the receipts are to be posted before."""
        took_s = self._settings.clock() - self._began
        is_at_risk = is_gone or took_s >= REPORT_AFTER_S
        return self._settings.report == "always" or (self._settings.report == "auto" and is_at_risk)

    def post(self, receipts: Sequence[Receipt]) -> None:
        """Post them to the coordinator. Raises nothing."""
        told = [one | job._own for job, one in zip(self._jobs, receipts, strict=True)]  # noqa: SLF001 - of this module
        body = {"receipts": self._named(told)} if self._is_batch else told[0]
        path = "/receipt" if self._is_batch else f"{self._jobs[0]._path}/receipt"  # noqa: SLF001
        try:
            status, _ = self._line.post(path, body, tries=3)
        except HeartbeatError as why:
            _log.info("receipts are answered, and not posted: %s", why)
        else:
            if not 200 <= status < 300:
                _log.warning("POST %s was answered %s; what is answered here counts", path, status or "nothing")

    def _named(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        return [{"jobId": job.id, **one} for job, one in zip(self._jobs, receipts, strict=True)]

    def _run_group(self, jobs: Sequence[Attempt]) -> list[Receipt]:
        try:
            result = self._worker.call(jobs)
        # Whatever a user's function raises is its own failure; sys.exit() in it must not end the server.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return [_raised(job, error) for job in jobs]
        return self._returned(jobs, result)

    async def _run_group_async(self, jobs: Sequence[Attempt]) -> list[Receipt]:
        try:
            result = await self._worker.call(jobs)
        except asyncio.CancelledError as error:
            # It is the function's own end unless this task is cancelled, which Python 3.10 cannot tell.
            if getattr(asyncio.current_task(), "cancelling", lambda: 1)():
                raise
            return [_raised(job, Cancelled() if job.cancelled == "requested" else error) for job in jobs]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            return [_raised(job, error) for job in jobs]
        return self._returned(jobs, result)

    def _returned(self, jobs: Sequence[Attempt], result: object) -> list[Receipt]:
        if not self._worker.is_batch:
            return [_receipt(jobs[0], {"status": "success", "result": result})]
        if not isinstance(result, list | tuple) or len(result) != len(jobs):
            given = f"{len(result)} entries" if isinstance(result, list | tuple) else f"a {type(result).__name__}"
            problem = f"the function returned {given} for {len(jobs)} jobs; it has to return a list, one entry for each"
            return [_raised(job, Failure(problem, type="InvalidBatchResult")) for job in jobs]
        return [
            _raised(job, one) if isinstance(one, BaseException) else _receipt(job, {"status": "success", "result": one})
            for job, one in zip(jobs, result, strict=True)
        ]


class _Line:
    """The way back to the coordinator, whose clock is `ahead_s` behind ours. `url`: what the call said of it."""

    def __init__(
        self, settings: _Settings, url: str, ahead_s: float = 0, exchange: Callable[..., tuple[int, Any]] | None = None
    ) -> None:
        self._url = (settings.url or os.environ.get("COORDINATOR_URL") or url).rstrip("/")
        self._clock = settings.clock
        self._ahead = timedelta(seconds=ahead_s)
        self._exchange = exchange or self._send

    def local(self, instant: str) -> datetime:
        """An instant of the coordinator's clock on ours."""
        return _instant(instant) + self._ahead

    def is_past(self, instant: datetime) -> bool:
        """Whether it is later than `instant`."""
        return self._clock() >= instant.timestamp()

    def post(self, path: str, body: Receipt, *, tries: int) -> tuple[int, Receipt]:
        """Status and body of the answer; 0 if there was none in all tries. Raises `HeartbeatError` for no address."""
        if not self._url.startswith(("http://", "https://")):
            given = f"{self._url!r} is no http(s) address" if self._url else "no address of the coordinator is known"
            raise HeartbeatError(f"{given}: set COORDINATOR_URL or url=…; that of a call counts only if it is signed")
        for wait_s in TRY_WAITS_S[:tries]:
            time.sleep(wait_s)
            try:
                status, told = self._exchange(path, json.dumps(body).encode())
            # ValueError: no JSON, a port or a host that cannot be. Nothing here may fail the work.
            except (OSError, http.client.HTTPException, ValueError) as why:
                _log.info("POST %s: %r", path, why)
                continue
            if status < 500 and status != http.client.TOO_MANY_REQUESTS:
                return status, told if isinstance(told, dict) else {}
        return 0, {}

    def _send(self, path: str, body: bytes) -> tuple[int, Any]:
        # By hand: urllib would ask the environment for proxies, and follow redirects with the token of the call.
        url = urlsplit(self._url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        headers = {"content-type": "application/json", "user-agent": f"coordinator-functions-python/{VERSION}"}
        connection = kind(url.hostname or "", url.port, timeout=POST_TIMEOUT_S)
        try:
            connection.request("POST", url.path + path, body, headers)
            answer = connection.getresponse()
            status, raw = answer.status, answer.read()
        finally:
            connection.close()
        try:
            return status, json.loads(raw)
        except ValueError:
            # A proxy may refuse in words of its own; to agree so is nothing that can be relied on.
            if status < 300:
                raise
            return status, None


class _ASGI:
    """The ASGI application. An object, because Starlette takes functions and methods for views of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as the server has them
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        if scope["type"] != "http":
            raise ValueError(f"this serves http, and no {scope['type']}")
        body, more = bytearray(), True
        while more and len(body) <= BODY_LIMIT_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # The next message is that the caller has hung up. The function goes on, and its receipt is posted.
        gone = asyncio.ensure_future(receive())
        try:
            answer = await self._service.handle_async(scope["method"], headers, bytes(body), is_gone=gone.done)
        finally:
            gone.cancel()
        told = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": told})
        await send({"type": "http.response.body", "body": answer.body})


_UNIX_TIME = re.compile(r"\d{1,12}", re.ASCII)


def _verify(settings: _Settings, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the call is signed as it should, by Standard Webhooks 1.0; False if it need not be. Raises 401 or 500."""
    if settings.unsigned:
        return False
    try:
        keys = settings.keys()
    except ValueError as why:
        raise _RefusedError(500, "no_secret", f"COORDINATOR_SECRET: {why}") from None
    if not keys:
        problem = "set COORDINATOR_SECRET, or to take unsigned calls while trying things pass unsigned=True"
        raise _RefusedError(500, "no_secret", problem)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    given = [headers.get(name, "") for name in names]
    if missing := [name for name, value in zip(names, given, strict=True) if not value]:
        problem = f"without {', '.join(missing)}; give the worker its secret, with PUT /worker/<name>"
        raise _RefusedError(401, "invalid_signature", problem)
    message_id, sent_at, signatures = given
    if not _UNIX_TIME.fullmatch(sent_at):
        raise _RefusedError(401, "invalid_signature", "webhook-timestamp is not in Unix seconds")
    off_s = settings.clock() - int(sent_at)
    if abs(off_s) > settings.tolerance:
        problem = f"webhook-timestamp is {abs(off_s):.0f} s {'old' if off_s > 0 else 'ahead'}; set both clocks right"
        raise _RefusedError(401, "invalid_signature", problem)
    signed = f"{message_id}.{sent_at}.".encode(errors="replace") + body
    told = [entry.encode(errors="replace") for entry in signatures.split()]
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    if not any(hmac.compare_digest(one, other) for one in told for other in wanted):
        problem = "webhook-signature is of another secret or another body; the worker's secret has to be one of ours"
        raise _RefusedError(401, "invalid_signature", problem)
    return True


def _key_of(secret: str) -> bytes:
    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if encoded == secret or not 24 <= len(key) <= 64:
        # The secret itself is not shown.
        raise ValueError("a secret is whsec_ and then 24 to 64 bytes in base64: whsec_$(openssl rand -base64 32)")
    return key


def _receipt(job: Attempt, receipt: Receipt) -> Receipt:
    """The receipt with the limits that were seen, if JSON can hold it."""
    seen = receipt.get("limits") or job._limits  # noqa: SLF001 - of this module
    if seen and receipt["status"] != "cancelled":
        receipt["limits"] = seen
    try:
        size = len(_json(receipt.get("result")))
        _json(receipt)
    except (TypeError, ValueError, RecursionError) as why:
        problem = f"what the function gave cannot be told in JSON: {why}; return texts, numbers, lists and dicts"
        return Failure(problem[:MESSAGE_LIMIT], retryable=False, type="UnserializableResult").receipt()
    if size > RESULT_LIMIT_BYTES:
        # As the coordinator would cut it, which refuses it in a post.
        receipt["result"] = {"tooLarge": size, "limit": RESULT_LIMIT_BYTES}
    return receipt


def _raised(job: Attempt, error: BaseException) -> Receipt:
    if isinstance(error, Ending):
        limits: Receipt = {"limits": error.limits} if error.limits else {}
        return _receipt(job, error.receipt() | limits)
    _log.error("job %s, worker %s, attempt %s failed", job.id, job.worker, job.attempt, exc_info=error)
    return _receipt(job, {"status": "failure", "error": _error_of(error)})


def _error_of(error: BaseException, kind: str = "") -> dict[str, Any]:
    told = {"type": kind or type(error).__name__, "message": _clean(error)[:MESSAGE_LIMIT]}
    frames = error.__traceback__
    if frames is None:
        return told
    while frames.tb_next and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    # The end tells most.
    return told | {"stack": _clean("".join(traceback.format_exception(type(error), error, frames)))[-STACK_LIMIT:]}


def _clean(value: object) -> str:
    """As text, without what UTF-8 cannot hold."""
    try:
        return str(value).encode(errors="replace").decode()
    # A `__str__` of the user's may raise anything.
    except Exception:  # noqa: BLE001
        return f"a {type(value).__name__} that cannot be shown"


def _answer(status: int, body: Mapping[str, Any], **headers: str) -> Answer:
    raw = _json(body)
    return Answer(status, {"content-type": "application/json", "content-length": str(len(raw)), **headers}, raw)


def _json(value: object) -> bytes:
    # NaN is no JSON, and half of a surrogate pair no UTF-8: both raise ValueError.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _instant(text: str) -> datetime:
    # Before Python 3.11 a Z was not read.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _run_on_kept_loop(work: Coroutine[Any, Any, R]) -> R:
    """For Lambda, whose calls come one by one: the clients that a function keeps belong to the loop of the first."""
    if not hasattr(_KEPT, "loop"):
        _KEPT.loop = asyncio.new_event_loop()
    result: R = _KEPT.loop.run_until_complete(work)
    return result


async def _in_thread(pool: Executor, function: Callable[..., R], *args: object) -> R:
    run = functools.partial(contextvars.copy_context().run, function, *args)
    return await asyncio.get_running_loop().run_in_executor(pool, run)
