"""Who has changed what: the newest entries in one list of JSON, the newest first. Of no shard."""

import msgspec

from coordinator.store.connection import Connection

KEPT = 10_000
"""Entries; the log of each replica has them for as long as its logs are kept."""


class AuditEntry(msgspec.Struct, frozen=True, rename="camel"):
    """What was done at an instant (Unix ms): by the token of this id, over the API or with the command line."""

    at: int
    token: str
    action: str
    path: str
    status: int
    address: str


_decoder = msgspec.json.Decoder(AuditEntry)


class AuditStore:
    """Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """`<prefix>:audit` is the one key."""
        self._connection = connection
        self._key = f"{connection.prefix}:audit"

    async def add(self, entry: AuditEntry) -> None:
        """Keep an entry, in place of the oldest."""
        await self._connection.run("note_deed", self._key, entry=msgspec.json.encode(entry), kept=KEPT)

    async def page(self, skip: int, limit: int) -> list[AuditEntry]:
        """Entries, the newest first. One that another version wrote in other words is left out."""
        entries = []
        for raw in await self._connection.call("LRANGE", self._key, skip, skip + limit - 1):
            try:
                entries.append(_decoder.decode(raw))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return entries
