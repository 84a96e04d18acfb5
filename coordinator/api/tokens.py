"""`/token`: who may do what. A token's text is in one answer only, that to its making."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from msgspec import Meta

from coordinator.api import audit
from coordinator.api.answers import json_response
from coordinator.api.context import Request, replica_of
from coordinator.api.reading import Body, Duration, Instant, decode
from coordinator.domain.durations import DURATION_MAX_MS, parse_duration
from coordinator.domain.instants import format_instant, parse_instant
from coordinator.domain.tokens import Scope, Token, pattern_problem
from coordinator.engine.tokens import KnownToken
from coordinator.errors import Invalid

QUEUES_LIMIT = 100


class TokenBody(Body):
    """`POST /token`. Without `queues` it is for all of them, without an end it is valid until it is revoked."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    queues: Annotated[list[str], Meta(max_length=QUEUES_LIMIT)] = msgspec.field(default_factory=list)
    expires_in: Duration | None = None
    expires_at: Instant | None = None


@get("/token")
async def list_tokens(request: Request) -> Response[bytes]:
    """Every token, those of the settings first."""
    return json_response({"items": [token_answer(known) for known in await replica_of(request).tokens.all()]})


@post("/token")
async def make_token(request: Request, body: RawBody) -> Response[bytes]:
    """Make a token. `token` is in this answer only: of it nothing but a digest is kept."""
    replica = replica_of(request)
    token = token_of(decode(body, TokenBody), await replica.store.schedules.now())
    token_id, text = await replica.tokens.make(token)
    audit.name(request.scope, token_id)
    return json_response({"token": text} | token_answer(KnownToken(token_id, token, None)), 201)


@delete("/token/{token_id:str}", status_code=204)
async def revoke_token(request: Request, token_id: FromPath[str]) -> None:
    """Have a token open nothing more; all replicas know within a second."""
    await replica_of(request).tokens.revoke(token_id)


def token_of(asked: TokenBody, now: int) -> Token:
    """What is asked for, without a text yet. Raises `Invalid`."""
    if "admin" in asked.scopes and asked.queues:
        raise Invalid("queues", "cannot be with the scope admin, which is for what all queues share")
    for at, pattern in enumerate(asked.queues):
        if problem := pattern_problem(pattern):
            raise Invalid(f"queues[{at}]", problem)
    return Token(asked.name, "", tuple(dict.fromkeys(asked.scopes)), tuple(asked.queues), now, _end_of(asked, now))


def token_answer(known: KnownToken) -> dict[str, object]:
    """A token as people see it. `lastUsedAt` is up to an hour late."""
    token = known.token
    return {
        "id": known.id,
        "name": token.name,
        "scopes": token.scopes,
        "queues": token.queues,
        "createdAt": format_instant(token.created_at or None),
        "expiresAt": format_instant(token.expires_at),
        "lastUsedAt": format_instant(known.last_used_at),
        "isSetting": known.is_setting,
    }


def _end_of(asked: TokenBody, now: int) -> int | None:
    if asked.expires_in is not None and asked.expires_at is not None:
        raise Invalid("expiresAt", "stands beside expiresIn; give one of them")
    if asked.expires_in is not None:
        return now + parse_duration(asked.expires_in, "expiresIn", least_ms=1000, most_ms=DURATION_MAX_MS)
    if asked.expires_at is None:
        return None
    end = parse_instant(asked.expires_at, "expiresAt", "UTC")
    if end <= now:
        raise Invalid("expiresAt", "has passed; give an instant to come")
    return end
