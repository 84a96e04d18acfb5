"""Which tokens there are, kept in memory: a request costs no trip to Redis to find out who it is from.

What is made or revoked is told to all replicas. One that missed the message knows within a second, because what it
knows is read anew when it is older than that and somebody asks; so an idle replica reads nothing.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coordinator.domain.tokens import (
    Grant,
    Token,
    digest_of,
    grant_of,
    id_in,
    is_same,
    token_of_setting,
    token_text,
)
from coordinator.engine.aside import Aside
from coordinator.errors import Conflict, NotFound, StoreUnavailable
from coordinator.store.tokens import TokenStore

log = logging.getLogger(__name__)

TOKENS_CHANGED = "tokens"
"""What replicas tell each other."""

TOKENS_LIMIT = 1000

_FRESH_S = 1.0
_BELIEVED_S = 60.0
"""While Redis is away, what was known counts so long: receipts and jobs of other shards must go on meanwhile."""

_FAILURE_KEPT_S = 1.0
"""While Redis is away, one request in this time waits to find that out, and not one after the other."""

_USE_NOTED_EACH_MS = 3_600_000

_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH = 8
_NOBODY = digest_of("")


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token as it is listed. Those of the settings cannot be revoked here."""

    id: str
    token: Token
    last_used_at: int | None
    is_setting: bool = False


class Tokens:
    """The tokens of the settings, and those that were made."""

    def __init__(self, store: TokenStore, written: Sequence[str], *, tell: Callable[[str], None]) -> None:
        """`written` are those of the settings; `tell` is how other replicas hear of a change."""
        self._store = store
        self._settings = dict(token_of_setting(text, number) for number, text in enumerate(written, 1))
        self._tell = tell
        self._made: Mapping[str, Token] | None = None
        self._is_closed = False
        self._read_at = self._asked_at = float("-inf")
        self._failed: tuple[float, StoreUnavailable] | None = None
        self._changes = 0
        self._lock = asyncio.Lock()
        self._uses: dict[str, int] = {}
        self._noting = Aside()

    async def are_wanted(self) -> bool:
        """Whether nobody is to come in without one: there is one, or was. Raises `StoreUnavailable`."""
        return bool(self._settings) or bool(await self._known()) or self._is_closed

    async def find(self, text: str) -> Grant | None:
        """What a token allows; None if there is no such token (any more). Raises `StoreUnavailable`."""
        digest = digest_of(text)
        # All are compared, so the time taken tells nothing of which one was near.
        matching = [token_id for token_id, token in self._settings.items() if is_same(token.digest, digest)]
        if matching:
            return self.granted(matching[0], self._settings[matching[0]])
        token_id = id_in(text)
        if token_id is None:
            return None
        token = (await self._known()).get(token_id)
        if not is_same(_NOBODY if token is None else token.digest, digest) or token is None or _is_over(token):
            return None
        return self.granted(token_id, token)

    async def named(self, token_id: str) -> Token | None:
        """The token of this id; None if there is none (any more). Raises `StoreUnavailable`."""
        token = self._settings.get(token_id) or (await self._known()).get(token_id)
        return None if token is None or _is_over(token) else token

    def granted(self, token_id: str, token: Token) -> Grant:
        """What a valid token allows, now that it is used."""
        now = time.time_ns() // 1_000_000
        if token_id not in self._settings and now - self._uses.get(token_id, 0) >= _USE_NOTED_EACH_MS:
            self._uses[token_id] = now
            self._noting.begin(self._note_use(token_id, now))
        return grant_of(token_id, token)

    async def make(self, token: Token) -> tuple[str, str]:
        """A new token: its id and its text, which is never to be had again. `token` has all but the digest.

        Raises `StoreUnavailable`, `Conflict`.
        """
        known = await self._store.read_all()
        if len(known) >= TOKENS_LIMIT:
            raise Conflict("limit_reached", f"There are {TOKENS_LIMIT} tokens; revoke some that are not used any more.")
        token_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        text = token_text(token_id, secrets.token_urlsafe(32))
        kept = Token(token.name, digest_of(text), token.scopes, token.queues, token.created_at, token.expires_at)
        # First: revoking the last token must not open the door that the first one closed.
        await self._store.close_door()
        await self._store.put(token_id, kept)
        self._tell(TOKENS_CHANGED)
        return token_id, text

    async def revoke(self, token_id: str) -> None:
        """Have a token open nothing more, on any replica. Raises `StoreUnavailable`, `NotFound`, `Conflict`."""
        if token_id in self._settings:
            raise Conflict("invalid_state", "This token is in COORDINATOR_TOKENS; take it out there, and restart.")
        known = await self._store.has(token_id)
        if known:
            # Before it is gone, lest the last one open the door; not for a slip of the pen, which would lock all out.
            await self._store.close_door()
            known = await self._store.delete(token_id)
            self._tell(TOKENS_CHANGED)
        if not known:
            raise NotFound("token_not_found", f"There is no token {token_id[:80]!r}.")

    async def all(self) -> list[KnownToken]:
        """Every token, those of the settings first, then by the time they were made. Raises `StoreUnavailable`."""
        uses = await self._store.last_uses()
        made = sorted((await self._store.read_all()).items(), key=lambda pair: (pair[1].created_at, pair[0]))
        written = [KnownToken(name, token, None, is_setting=True) for name, token in self._settings.items()]
        return [*written, *(KnownToken(name, token, uses.get(name)) for name, token in made)]

    def forget(self) -> None:
        """Something was made or revoked: read before the next use."""
        self._read_at = self._asked_at = float("-inf")
        self._changes += 1

    async def drain(self) -> None:
        """Wait for what is being written."""
        await self._noting.drain()

    async def _note_use(self, token_id: str, now: int) -> None:
        try:
            await self._store.note_use(token_id, now)
        except StoreUnavailable as error:
            log.debug(
                "when a token was used could not be kept",
                extra={"event": "token.unnoted", "token": token_id, "error": error.code},
            )

    async def _known(self) -> Mapping[str, Token]:
        if self._made is None or time.monotonic() - self._asked_at > _FRESH_S:
            async with self._lock:
                if self._made is None or time.monotonic() - self._asked_at > _FRESH_S:
                    self._refuse_if_just_failed()
                    self._made = await self._read()
        return self._made

    def _refuse_if_just_failed(self) -> None:
        if self._failed is not None and time.monotonic() - self._failed[0] <= _FAILURE_KEPT_S:
            why = self._failed[1]
            raise StoreUnavailable(why.code, why.detail, why.retry_after_s)

    async def _read(self) -> Mapping[str, Token]:
        changes, began = self._changes, time.monotonic()
        try:
            made = await self._store.read_all()
            self._is_closed = bool(made) or await self._store.is_door_closed()
        except StoreUnavailable as error:
            # What was revoked must not be believed: after a message about a change there is nothing to fall back on.
            if self._made is None or time.monotonic() - self._read_at > _BELIEVED_S:
                self._failed = time.monotonic(), error
                raise
            self._asked_at = time.monotonic()
            return self._made
        if changes == self._changes:
            self._read_at = self._asked_at = began
        self._uses = {token_id: at for token_id, at in self._uses.items() if token_id in made}
        return made


def _is_over(token: Token) -> bool:
    return token.expires_at is not None and token.expires_at <= time.time_ns() // 1_000_000
