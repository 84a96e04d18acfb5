"""Refusals and errors as `application/problem+json` (RFC 9457), each with a stable `code`."""

import logging
from http import HTTPStatus

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from coordinator.api.context import Request
from coordinator.errors import Refusal, StoreUnavailable, Unauthenticated

log = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}


def refuse(_: Request, refusal: Refusal) -> Response[bytes]:
    """A refusal of ours knows its own status and code."""
    headers = {}
    if isinstance(refusal, StoreUnavailable):
        headers["Retry-After"] = str(refusal.retry_after_s)
    if isinstance(refusal, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    body = {"title": refusal.title, "status": refusal.status, "code": refusal.code, "detail": refusal.detail}
    return _problem(refusal.status, body | refusal.extra, headers)


def refuse_http(_: Request, error: HTTPException) -> Response[bytes]:
    """What the framework refuses: an unknown path, a wrong method, a body over the limit."""
    status = error.status_code
    body = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_")),
        "detail": error.detail,
    }
    return _problem(status, body, dict(error.headers or {}))


def fail(request: Request, error: Exception) -> Response[bytes]:
    """A fault of ours: logged in full, told in brief."""
    log.error("%s %s failed by a fault of ours", request.method, request.url.path, exc_info=error)
    body = {
        "title": "Internal error",
        "status": 500,
        "code": "internal_error",
        "detail": "This is a fault of the coordinator; its log has the details.",
    }
    return _problem(500, body, {})


def _problem(status: int, body: dict[str, object], headers: dict[str, str]) -> Response[bytes]:
    return Response(
        msgspec.json.encode({"type": "about:blank"} | body),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )
