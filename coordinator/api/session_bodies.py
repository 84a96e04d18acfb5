"""What `/session` is asked, and what it answers."""

from typing import Annotated

import msgspec
from msgspec import Meta

from coordinator.api.reading import Body


class SessionBody(Body):
    """`POST /session`. The token is one of the API."""

    token: Annotated[str, Meta(min_length=1, max_length=1024)]


class SessionAnswer(msgspec.Struct, rename="camel"):
    """Whose token it is. All of it is null or empty where there are no tokens, and whoever is on this machine may all.

    `expires_at` is the end of the session, or of the token if that was shown itself.
    """

    token_id: str | None
    name: str | None
    scopes: list[str]
    queues: list[str]
    expires_at: str | None
    is_open: bool
