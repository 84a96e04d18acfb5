"""What both clients send, when they try again, and what an answer tells.

A request is made up to three times. What would be refused the second time is repeated only if it has surely not
arrived.
"""

import os
import random
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import httpx

TRIES = 3
RETRY_AFTER_MOST_S = 30.0

_SAFE = frozenset({"GET", "HEAD", "PUT"})
"""`DELETE` of a job that waits cancels it, and the second erases it."""


class CoordinatorError(Exception):
    """The coordinator refused a request; with the status 0 and the code `unreachable` it did not answer."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        """`errors` are the wrong fields, `{"path": …, "message": …}`; `problem` is all that was answered."""
        super().__init__(f"{status} {code}: {detail}" if status else f"{code}: {detail}")
        self.status, self.code, self.detail = status, code, detail
        self.problem = dict(problem or {})
        self.errors: list[dict[str, str]] = self.problem.get("errors", [])


class Request(NamedTuple):
    """`is_safe`: to make it twice is the same as once. `held_s`: so much longer the answer may take.

    `trace` are the headers that tell of a trace.
    """

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | bytes | None = None
    idempotency_key: str | None = None
    is_safe: bool = True
    held_s: float = 0.0
    accept: str | None = None
    trace: Mapping[str, str] = {}

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        idempotency_key: str | None = None,
    ) -> Self:
        """Any request; a `POST` is safe under a key of its own only. A body of bytes is JSON already."""
        return cls(method, path, query, body, idempotency_key, method in _SAFE or idempotency_key is not None)


class Address(NamedTuple):
    """Where requests go, and the headers that all of them have."""

    url: str
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str | None, token: str | None) -> Self:
        """What is None is in the environment. Raises `ValueError` if no address is there either."""
        url = url or os.environ.get("COORDINATOR_URL")
        token = os.environ.get("COORDINATOR_TOKEN") if token is None else token
        if not url:
            raise ValueError("give the address of the coordinator, or set COORDINATOR_URL")
        return cls(url.rstrip("/"), {"authorization": f"Bearer {token}"} if token else {})

    def to(self, request: Request, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request as the client sends it."""
        headers = {**self.headers, **request.trace} | (
            {"idempotency-key": request.idempotency_key} if request.idempotency_key else {}
        )
        if request.accept:
            headers["accept"] = request.accept
        content = request.body if isinstance(request.body, bytes) else None
        if content is not None:
            headers["content-type"] = "application/json"
        limits = client.timeout.as_dict()
        limits["read"] = limits["read"] and limits["read"] + request.held_s
        return client.build_request(
            request.method,
            self.url + request.path,
            params=request.query,
            content=content,
            json=None if content is not None else request.body,
            headers=headers,
            timeout=httpx.Timeout(**limits),
        )


def pause_before(request: Request, answer: httpx.Response | httpx.TransportError, number: int) -> float | None:
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


def successful(answer: httpx.Response | httpx.TransportError) -> httpx.Response:
    """The answer, whose body was read. Raises `CoordinatorError` for any that is none."""
    if isinstance(answer, httpx.TransportError):
        raise unreachable(answer) from answer
    if answer.is_success:
        return answer
    try:
        body = answer.json()
    except ValueError:
        body = None
    raise _error(answer, body)


def told(answer: httpx.Response | httpx.TransportError) -> Any:  # noqa: ANN401 - JSON
    """What a successful answer holds; None where it has no body by its status. Raises `CoordinatorError`."""
    answer = successful(answer)
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return None
    try:
        body = answer.json()
    except ValueError:
        body = None
    # Proxies answer whatever they like.
    if body is None:
        raise _error(answer, None)
    return body


def unreachable(why: httpx.TransportError) -> CoordinatorError:
    """It did not answer, or not to the end."""
    return CoordinatorError(0, "unreachable", f"{type(why).__name__}: {why}")


def _error(answer: httpx.Response, body: object) -> CoordinatorError:
    problem = body if isinstance(body, dict) else {}
    code, detail = problem.get("code", "http_error"), problem.get("detail", answer.text[:500])
    return CoordinatorError(answer.status_code, str(code), str(detail), problem)
