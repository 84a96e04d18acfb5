"""Who may come in, with what, and what may be asked in the query.

Without tokens the server listens on loopback only, and then a web page in a browser on this machine is the one who
might reach it uninvited. It can neither send JSON to a foreign origin without being asked back (which we never allow),
nor, with a DNS name of its own that leads to 127.0.0.1, hide that name: both are refused.
"""

import contextlib
import difflib
import re
import time
from ipaddress import ip_address

from litestar.handlers.base import BaseRouteHandler

from coordinator.api.audit import mark
from coordinator.api.context import Connection, bearer_of, remember_session, replica_of, session_in
from coordinator.api.cookies import check_page, check_sign_in, cookie_in, is_ours
from coordinator.api.operations import OPERATIONS
from coordinator.api.permissions import check_permission, hold_to_chosen, permission_of
from coordinator.api.rate_limit import Shedding
from coordinator.api.reading import plain_name
from coordinator.domain.receipt_token import is_receipt_token
from coordinator.domain.tokens import EVERYTHING, Grant
from coordinator.errors import (
    Forbidden,
    Invalid,
    RateLimited,
    Refusal,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    joined,
)

PUBLIC = {"public": True}
"""The options of a route that needs no token."""

SIGN_IN = PUBLIC | {"signs_in": True}
"""The options of a route that is shown one in its body."""

RENEWED_EACH_S = 1.0
"""Between two looks at who is answered at length: as soon as what is known of tokens is read anew."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded"})

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:@]+)(:\d*)?", re.ASCII)


async def check_request(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse what has no token or one that is for other things, the wrong type, or unknown parameters.

    Raises `Unauthenticated`, `RateLimited`, `Forbidden`, `UnsupportedMediaType`, `Invalid`, `StoreUnavailable`.
    """
    # One guard for all, because the framework copies the connection for each.
    if handler.opt.get("signs_in"):
        check_sign_in(connection)
        _check_media_type(connection, takes_forms=False)
    elif not handler.opt.get("public"):
        await _check_caller(connection, handler)
        if connection.scope.get("method") in _WITH_BODY:
            # A header that opens something cannot be had by a page of others, a cookie can.
            has_token = "authorization" in connection.headers and session_in(connection.scope) is None
            _check_media_type(connection, takes_forms=has_token)
    _check_query(connection, handler)


async def grant_of_token(connection: Connection, given: str) -> Grant:
    """What a token allows that was shown otherwise than as a bearer.

    Raises `Unauthenticated`, `RateLimited`, `StoreUnavailable`.
    """
    grant = await replica_of(connection).tokens.find(given)
    if grant is None:
        raise _unknown(connection, given, "There is no such token, or it has expired or was revoked.")
    _shedding_of(connection).admit(grant.token, connection.route_handler.handler_name)
    return grant


class Admission:
    """The right to go on with an answer that may take longer than its token lives, or its session."""

    def __init__(self, connection: Connection, queue: str | None, named: str) -> None:
        """It was just given, for this queue; `named` is where one is named."""
        self._connection = connection
        self._queue = queue
        self._named = named
        self._looked_at = time.monotonic()

    async def renew(self) -> None:
        """Look again if a second has passed. While Redis is away, what was known counts.

        Raises `Unauthenticated`, `RateLimited`, `Forbidden`.
        """
        if time.monotonic() - self._looked_at < RENEWED_EACH_S:
            return
        self._looked_at = time.monotonic()
        with contextlib.suppress(StoreUnavailable):
            grant = await _identify(self._connection)
            permission = permission_of(self._connection.route_handler.handler_name)
            if permission is not None:
                await check_permission(self._connection, grant, permission)
            hold_to_chosen(grant, self._queue, self._named)


async def _check_caller(connection: Connection, handler: BaseRouteHandler) -> None:
    permission = permission_of(handler.handler_name)
    if permission is not None and permission.is_by_call:
        # Whether it is let in, the handler knows when it has read the body.
        connection.scope["auth"] = await _who_may_report(connection)
        return
    grant = connection.scope["auth"] = await _identify(connection)
    if grant is not EVERYTHING:
        _shedding_of(connection).admit(grant.token, handler.handler_name)
    # What is not ours, such as the framework's answer to OPTIONS, is for all who may come in.
    if permission is not None:
        await check_permission(connection, grant, permission)
        if permission.is_audited:
            mark(connection.scope, handler.handler_name, grant)


async def _who_may_report(connection: Connection) -> Grant | Refusal:
    if is_receipt_token(bearer_of(connection) or ""):
        return Unauthenticated("unauthenticated", "This token is that of a call, and not of the API.")
    try:
        return await _identify(connection)
    except (Unauthenticated, RateLimited, Forbidden) as refusal:
        return refusal


async def _identify(connection: Connection) -> Grant:
    """Who sent it. Raises `Unauthenticated`, `RateLimited`, `Forbidden`, `StoreUnavailable`."""
    tokens = replica_of(connection).tokens
    given = bearer_of(connection)
    # A token goes before a session: whoever sends one means that one.
    grant = await _grant_of_session(connection) if given is None else await tokens.find(given)
    if grant is not None:
        return grant
    if connection.app.state["is_loopback"] and not await tokens.are_wanted():
        _check_origin(connection)
        return EVERYTHING
    raise _unknown(connection, given, "Send a valid token as 'Authorization: Bearer <token>'.")


def _unknown(connection: Connection, given: str | None, detail: str) -> Unauthenticated:
    """The refusal of whoever has shown no token, or a wrong one, wherever. Raises `RateLimited`."""
    if given:
        _shedding_of(connection).count_wrong_token(connection.client.host if connection.client else "")
    return Unauthenticated("unauthenticated", detail)


async def _grant_of_session(connection: Connection) -> Grant | None:
    cookie = cookie_in(connection)
    found = await replica_of(connection).sessions.find(cookie) if cookie else None
    if found is None:
        return None
    check_page(connection)
    session, grant = found
    remember_session(connection.scope, session)
    return grant


def _check_query(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse parameters that the route does not take, and those that are repeated.

    A `dryRun` that is ignored does what was only to be planned.

    Raises `Invalid`.
    """
    told = OPERATIONS.get(handler.handler_name)
    if told is None:
        # Not ours: the framework's answer to OPTIONS, or a function that is served beside us.
        return
    known = told.query.__struct_encode_fields__ if told.query else ()
    seen: set[str] = set()
    for name in (plain_name(given) for given, _ in connection.query_params.multi_items()):
        if name in seen:
            # Which one counts would be ours to guess, and what has judged the other one would have judged in vain.
            raise Invalid(name[:80], "is given twice; give it once")
        seen.add(name)
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        choices = f"these are: {joined(known)}" if known else "there are none"
        raise Invalid(name[:80], f"is not a parameter here; {f'did you mean {near[0]}?' if near else choices}")


def _shedding_of(connection: Connection) -> Shedding:
    shedding: Shedding = connection.app.state["shedding"]
    return shedding


def _check_origin(connection: Connection) -> None:
    site = connection.headers.get("sec-fetch-site")
    # A browser of before 2023 tells of a page by the origin alone.
    is_page = site not in {None, "none"} or (site is None and "origin" in connection.headers)
    if (is_page and not is_ours(connection)) or not _is_local(connection.headers.get("host", "localhost")):
        raise Forbidden("forbidden", "Without tokens only local programs may call; web pages may not.")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine. An address cannot be anybody's DNS name, a name can."""
    found = _HOST.fullmatch(host)
    name = found["name"].lower() if found else ""
    try:
        return name == "localhost" or ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_media_type(connection: Connection, *, takes_forms: bool) -> None:
    given = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == "application/json" or (takes_forms and given in _FORM_TYPES):
        return
    has_no_body = connection.headers.get("content-length", "0") == "0" and "transfer-encoding" not in connection.headers
    if not (given == "" and has_no_body):
        detail = f"The content type is {given or 'missing'}; send JSON as 'Content-Type: application/json'."
        raise UnsupportedMediaType("unsupported_media_type", detail)
