"""How handlers reach the replica that they are part of, and whom they work for."""

from typing import Any

import litestar
from litestar.connection import ASGIConnection
from litestar.types import Scope

from coordinator.calling.egress import EgressGuard
from coordinator.domain.receipt_token import is_receipt_token
from coordinator.domain.session import Session
from coordinator.domain.tokens import Grant
from coordinator.engine.replica import Replica
from coordinator.errors import Refusal

Request = litestar.Request[Any, Any, Any]
"""A request; we use neither the framework's users nor its sessions."""

Connection = ASGIConnection[Any, Any, Any, Any]
"""The same before its body is read."""


def replica_of(connection: Connection) -> Replica:
    """The replica of this process."""
    replica: Replica = connection.app.state["replica"]
    return replica


def egress_of(connection: Connection) -> EgressGuard:
    """What judges where workers are."""
    guard: EgressGuard = connection.app.state["egress"]
    return guard


def takes_literals(request: Request) -> bool:
    """Whether workers may be registered with secrets that are no references."""
    return bool(request.app.state["takes_literal_secrets"])


def grant_of(connection: Connection) -> Grant:
    """What the sender may do. Raises the refusal where the guard left it to the handler."""
    who: Grant | Refusal = connection.scope["auth"]
    if isinstance(who, Refusal):
        raise who
    return who


_SESSION = "coordinator.session"


def remember_session(scope: Scope, session: Session) -> None:
    """This request is let in by the right of a session."""
    scope["state"][_SESSION] = session


def session_in(scope: Scope) -> Session | None:
    """The session that a request was let in by, if not by a token itself."""
    session: Session | None = scope["state"].get(_SESSION)
    return session


def bearer_of(connection: Connection) -> str | None:
    """The token that was sent as `Authorization: Bearer …`."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def receipt_token_of(connection: Connection) -> str | None:
    """The token of a call, where it comes in a header: some platforms take `Authorization` for themselves."""
    bearer = bearer_of(connection) or ""
    return bearer if is_receipt_token(bearer) else connection.headers.get("x-receipt-token")
