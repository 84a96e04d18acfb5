"""`/session`: who asks, and how the dashboard in a browser comes to be somebody without keeping a token."""

from litestar import Response, delete, get, post
from litestar.params import RawBody

from coordinator.api.answers import json_response
from coordinator.api.context import Connection, Request, grant_of, replica_of, session_in
from coordinator.api.cookies import cookie_header, no_cookie_header
from coordinator.api.guards import SIGN_IN, grant_of_token
from coordinator.api.reading import decode
from coordinator.api.session_bodies import SessionAnswer, SessionBody
from coordinator.domain.instants import format_instant
from coordinator.domain.session import Session
from coordinator.domain.tokens import Grant
from coordinator.errors import Unauthenticated


@post("/session", opt=SIGN_IN)
async def open_session(request: Request, body: RawBody) -> Response[bytes]:
    """Show a token once, and be known by a cookie for eight hours, or until the token ends."""
    grant = await grant_of_token(request, decode(body, SessionBody).token)
    begun = await replica_of(request).sessions.begin(grant.token)
    if begun is None:
        raise Unauthenticated("unauthenticated", "This token has just expired.")
    session, cookie = begun
    headers = {"Set-Cookie": cookie_header(request, session, cookie)}
    return json_response(await _answer(request, grant, session), 201, headers)


@get("/session")
async def read_session(request: Request) -> Response[bytes]:
    """Whose token, or session, it is that this is asked with."""
    return json_response(await _answer(request, grant_of(request), session_in(request.scope)))


@delete("/session", status_code=204)
async def close_session(request: Request) -> Response[None]:
    """Have the browser forget the session. Its token stays as it is."""
    return Response(None, status_code=204, headers={"Set-Cookie": no_cookie_header(request)})


async def _answer(connection: Connection, grant: Grant, session: Session | None) -> SessionAnswer:
    token = await replica_of(connection).tokens.named(grant.token)
    ends_at = session.ends_at_s * 1000 if session else token.expires_at if token else None
    return SessionAnswer(
        token_id=grant.token or None,
        name=token.name if token else None,
        scopes=sorted(grant.scopes),
        queues=list(grant.queues),
        expires_at=format_instant(ends_at),
        is_open=not grant.token,
    )
