"""API tokens in Redis: one hash for all, a JSON record each, and one for when they were last used. Of no shard."""

import logging

import msgspec

from coordinator.domain.tokens import Token
from coordinator.store.connection import Connection

log = logging.getLogger(__name__)

_CLOSED = "closed"
"""The field of `<prefix>:meta` that says that a token was made."""

_decoder = msgspec.json.Decoder(Token)


class TokenStore:
    """The tokens that were made, not those of the settings. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """`<prefix>:tokens` and `<prefix>:tokens_used` are the keys, and of `<prefix>:meta` one field."""
        self._connection = connection
        self._key = f"{connection.prefix}:tokens"
        self._used = f"{connection.prefix}:tokens_used"
        self._meta = f"{connection.prefix}:meta"

    async def put(self, token_id: str, token: Token) -> None:
        """Keep a token under its id."""
        await self._connection.run("put_record", self._key, name=token_id, record=msgspec.json.encode(token))

    async def close_door(self) -> None:
        """Have nobody come in without a token from now on, also when there is none any more."""
        if not await self.is_door_closed():
            await self._connection.run("put_record", self._meta, name=_CLOSED, record="1")

    async def is_door_closed(self) -> bool:
        """Whether a token was ever made."""
        return await self._connection.call("HGET", self._meta, _CLOSED) is not None

    async def read_all(self) -> dict[str, Token]:
        """Every token by its id. One that cannot be read, because another version made it, opens nothing."""
        tokens: dict[str, Token] = {}
        for token_id, record in (await self._connection.pairs(self._key)).items():
            try:
                tokens[token_id.decode()] = _decoder.decode(record)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                told = {"token": token_id.decode(), "error": str(error)}
                log.warning("a token cannot be read", extra={"event": "token.unreadable", **told})
        return tokens

    async def has(self, token_id: str) -> bool:
        """Whether there is such a token, also one that cannot be read."""
        return bool(await self._connection.call("HEXISTS", self._key, token_id))

    async def delete(self, token_id: str) -> bool:
        """Revoke a token. Returns whether there was one."""
        _, known = await self._connection.run("drop_record", self._key, name=token_id)
        await self._connection.run("drop_record", self._used, name=token_id)
        return bool(known)

    async def note_use(self, token_id: str, at: int) -> None:
        """Keep when a token was used (Unix ms)."""
        await self._connection.run("put_record", self._used, name=token_id, record=str(at))

    async def last_uses(self) -> dict[str, int]:
        """When tokens were last used, by their ids."""
        pairs = await self._connection.pairs(self._used)
        return {token_id.decode(): int(at) for token_id, at in pairs.items()}
