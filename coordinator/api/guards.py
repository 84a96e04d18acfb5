"""Who may come in, with what, and what may be asked in the query.

Without tokens the server listens on loopback only, and then a web page in a browser on this machine is the one who
might reach it uninvited. It can neither send JSON to a foreign origin without being asked back (which we never allow),
nor, with a DNS name of its own that leads to 127.0.0.1, hide that name: both are refused.
"""

import difflib
import hmac
import re
from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from coordinator.api.operations import OPERATIONS
from coordinator.api.rate_limit import Shedding
from coordinator.errors import Forbidden, Invalid, Unauthenticated, UnsupportedMediaType, joined

PUBLIC = {"public": True}
"""The options of a route that needs no token."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded"})

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:@]+)(:\d*)?", re.ASCII)

Connection = ASGIConnection[Any, Any, Any, Any]


async def check_request(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse what has no token, the wrong type or unknown parameters.

    Raises `Unauthenticated`, `RateLimited`, `Forbidden`, `UnsupportedMediaType`, `Invalid`.
    """
    # Async although it awaits nothing: the framework would run it in a thread. One guard for all, because the framework
    # copies the connection for each.
    if not handler.opt.get("public"):
        _check_caller(connection, handler)
    _check_query(connection, handler)


def _check_caller(connection: Connection, handler: BaseRouteHandler) -> None:
    tokens: tuple[str, ...] = connection.app.state["tokens"]
    if tokens:
        caller = _check_token(connection, tokens)
        _shedding_of(connection).admit(caller, handler.handler_name)
    else:
        _check_origin(connection)
    if connection.scope.get("method") in _WITH_BODY:
        _check_media_type(connection, has_token=bool(tokens))


def _check_query(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse parameters that the route does not take: a `dryRun` that is ignored does what was only to be planned.

    Raises `Invalid`.
    """
    told = OPERATIONS.get(handler.handler_name)
    if told is None:
        # Not ours: the framework's answer to OPTIONS, or a function that is served beside us.
        return
    known = told.query.__struct_encode_fields__ if told.query else ()
    for name in connection.query_params:
        # `error~=text` has the tilde in the name.
        if name.removesuffix("~") in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        choices = f"these are: {joined(known)}" if known else "there are none"
        raise Invalid(name[:80], f"is not a parameter here; {f'did you mean {near[0]}?' if near else choices}")


def _check_token(connection: Connection, tokens: tuple[str, ...]) -> str:
    """Which token it is."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    # Every token is compared, so the time taken tells nothing of which one was near.
    matches = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens]
    if scheme.lower() != "bearer" or not any(matches):
        if scheme.lower() == "bearer" and given.strip():
            _shedding_of(connection).count_wrong_token(connection.client.host if connection.client else "")
        detail = "Send a token of COORDINATOR_TOKENS as 'Authorization: Bearer <token>'."
        raise Unauthenticated("unauthenticated", detail)
    return str(matches.index(True))


def _shedding_of(connection: Connection) -> Shedding:
    shedding: Shedding = connection.app.state["shedding"]
    return shedding


def _check_origin(connection: Connection) -> None:
    site = connection.headers.get("sec-fetch-site", "none")
    if site not in {"none", "same-origin"} or not _is_local(connection.headers.get("host", "localhost")):
        raise Forbidden("forbidden", "Without COORDINATOR_TOKENS only local programs may call; web pages may not.")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine. An address cannot be anybody's DNS name, a name can."""
    found = _HOST.fullmatch(host)
    name = found["name"].lower() if found else ""
    try:
        return name == "localhost" or ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_media_type(connection: Connection, *, has_token: bool) -> None:
    given = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == "application/json" or (has_token and given in _FORM_TYPES):
        return
    has_no_body = connection.headers.get("content-length", "0") == "0" and "transfer-encoding" not in connection.headers
    if not (given == "" and has_no_body):
        detail = f"The content type is {given or 'missing'}; send JSON as 'Content-Type: application/json'."
        raise UnsupportedMediaType("unsupported_media_type", detail)
