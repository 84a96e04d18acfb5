"""Sessions of the dashboard, the same on every replica: nothing is kept of them but in the browser."""

import time

from coordinator.domain.session import PURPOSE, Session, cookie_of, end_of_session, is_valid, read_claim
from coordinator.domain.tokens import Grant
from coordinator.engine.shared_keys import SharedKeys
from coordinator.engine.tokens import Tokens


class Sessions:
    """Begins them, and knows them again."""

    def __init__(self, tokens: Tokens, shared: SharedKeys) -> None:
        """A session is worth what its token is."""
        self._tokens = tokens
        self._shared = shared

    async def begin(self, token_id: str) -> tuple[Session, str] | None:
        """A session of this token, with its cookie; None if the token ends right now. Raises `StoreUnavailable`."""
        token = await self._tokens.named(token_id)
        if token is None:
            return None
        session = Session(token_id, end_of_session(time.time(), token.expires_at))
        key_id, key = next(iter((await self._shared.derived(PURPOSE)).items()))
        return session, cookie_of(session, token.digest, key_id, key)

    async def find(self, cookie: str) -> tuple[Session, Grant] | None:
        """A session and what it allows; None if the cookie is none of ours, or ended. Raises `StoreUnavailable`."""
        claim = read_claim(cookie)
        if claim is None:
            return None
        token = await self._tokens.named(claim.session.token)
        if token is None or not is_valid(claim, token.digest, await self._shared.derived(PURPOSE), time.time()):
            return None
        return claim.session, self._tokens.granted(claim.session.token, token)
