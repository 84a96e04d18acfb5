"""Refusals and errors as `application/problem+json` (RFC 9457), each with a stable `code`."""

import logging
from http import HTTPStatus

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from coordinator.api.context import Request
from coordinator.api.reading import BODY_LIMIT_BYTES
from coordinator.errors import RateLimited, Refusal, StoreUnavailable, TooLarge, TooMany, Unauthenticated

log = logging.getLogger(__name__)

_FAULT: dict[str, object] = {
    "title": "Internal error",
    "status": 500,
    "code": "internal_error",
    "detail": "This is a fault of the coordinator; its log has the details.",
}
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}


def refuse(_: Request, refusal: Refusal) -> Response[bytes]:
    """A refusal of ours knows its own status and code."""
    headers = {}
    if isinstance(refusal, StoreUnavailable | TooMany):
        headers["Retry-After"] = str(refusal.retry_after_s)
    if isinstance(refusal, RateLimited):
        told = {"Limit": refusal.limit, "Remaining": 0, "Reset": refusal.retry_after_s}
        headers |= {f"RateLimit-{name}": str(value) for name, value in told.items()}
    if isinstance(refusal, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return _problem(refusal.status, _told(refusal), headers)


def refuse_http(request: Request, error: HTTPException) -> Response[bytes]:
    """What the framework refuses: an unknown path, a wrong method, a body over the limit."""
    status, headers = error.status_code, dict(error.headers or {})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and "client disconnected" not in error.detail:
        return fail(request, error)
    body: dict[str, object] = {
        "title": TooLarge.title if status == TooLarge.status else HTTPStatus(status).phrase.capitalize(),
        "status": status,
        "code": _CODES.get(status, "bad_request"),
        "detail": error.detail,
    }
    match status:
        case HTTPStatus.NOT_FOUND:
            body["detail"] = "There is nothing at this path; GET /openapi.json says what there is."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            body["detail"] = f"{request.method} is not answered here; these are: {headers.get('allow', 'none')}."
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            body |= {"detail": f"The body is over {BODY_LIMIT_BYTES} bytes.", "limitBytes": BODY_LIMIT_BYTES}
    return _problem(status, body, headers)


def fail(request: Request, error: Exception) -> Response[bytes]:
    """A fault of ours: logged in full, told in brief."""
    _log_fault(request, error, "")
    return _problem(500, _FAULT, {})


def problem_in_stream(request: Request, error: Exception) -> dict[str, object]:
    """What is told of an error where the answer has begun, and its status can be no other any more."""
    if isinstance(error, Refusal):
        return {"type": "about:blank"} | _told(error)
    _log_fault(request, error, ", half-way")
    return {"type": "about:blank"} | _FAULT


def _log_fault(request: Request, error: Exception, when: str) -> None:
    log.error(
        "%s %s failed by a fault of ours%s",
        request.method,
        request.url.path,
        when,
        exc_info=error,
        extra={"event": "http.error", "path": request.url.path, "error": type(error).__name__},
    )


def _told(refusal: Refusal) -> dict[str, object]:
    body = {"title": refusal.title, "status": refusal.status, "code": refusal.code, "detail": refusal.detail}
    return body | refusal.extra


def _problem(status: int, body: dict[str, object], headers: dict[str, str]) -> Response[bytes]:
    return Response(
        msgspec.json.encode({"type": "about:blank"} | body),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )
