"""Who is alive, who polls which shard, and the channel on which replicas wake each other."""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from coordinator.errors import SettingsError, StoreUnavailable
from coordinator.store.connection import Connection
from coordinator.store.sealing import Sealer

log = logging.getLogger(__name__)

_SEALED_WITH = "sealed_with"
"""Field of `<prefix>:meta`: the id of the key that seals, and its fingerprint."""

_FORMER_UNTIL = "receipt_key_until"
"""Another: until when (Unix s) what the stored key has signed is believed, since there are keys in the settings."""


@dataclass(frozen=True, slots=True)
class Member:
    """A replica that has said at `said_at` (Unix ms) that it lives, and the shards that it leads."""

    id: str
    said_at: int
    leads: list[int]


@dataclass(frozen=True, slots=True)
class Roster:
    """Who takes part at the instant `now`. `unled` are shards without a leader, or led by who is not listed."""

    now: int
    members: list[Member]
    unled: list[int]


class LeadershipStore:
    """The register of replicas, the shards' locks and the wakes. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """The register and the channel belong to no shard; the locks lie in their shards."""
        self._connection = connection
        self._meta = f"{connection.prefix}:meta"
        self._register = f"{connection.prefix}:replicas"
        self._channel = f"{connection.prefix}:wake"

    async def agree_on_shards(self) -> None:
        """Write the number of shards at the first start of all; refuse another number later.

        A replica that counts otherwise would look for queues where they are not.
        """
        # A full Redis takes no write, and replicas must be able to start to empty it.
        written = await self.shards_written()
        if written is None:
            await self._connection.call("HSETNX", self._meta, "shards", self._connection.shards)
            written = await self.shards_written()
        if written != self._connection.shards:
            msg = (
                f"COORDINATOR_SHARDS is {self._connection.shards}, but this Redis was set up with {written} shards. "
                f"Set it to {written}, or use another COORDINATOR_PREFIX."
            )
            raise SettingsError(msg)

    async def agree_on_key(self, sealer: Sealer) -> None:
        """Write which key seals; refuse a replica that could not open what others seal.

        It would take jobs and fail them. A store that nothing was sealed in takes any key, and none.
        """
        written = await self._connection.call("HGET", self._meta, _SEALED_WITH)
        if written is None and sealer.newest is not None:
            # Of two that start at once with different keys, one is told so.
            await self._connection.call("HSETNX", self._meta, _SEALED_WITH, _told_of(sealer))
            written = await self._connection.call("HGET", self._meta, _SEALED_WITH)
        if written is None:
            return
        key_id, _, fingerprint = written.decode().partition(" ")
        if key_id not in sealer.fingerprints:
            listed = "COORDINATOR_KEYS does not list that key" if sealer.newest else "COORDINATOR_KEYS is not set"
            raise SettingsError(
                f"what this Redis holds is sealed with the key {key_id!r}, and {listed}. Set it as the other replicas "
                f"have it. To give up sealing for good: redis-cli hdel {self._meta} {_SEALED_WITH}; what is sealed "
                "stays unreadable without its key."
            )
        if sealer.fingerprints[key_id] != fingerprint:
            raise SettingsError(
                f"the key {key_id!r} of COORDINATOR_KEYS is not the {key_id!r} that what this Redis holds is sealed "
                "with. Give the one that the other replicas have; a new key needs a new id."
            )
        if key_id != sealer.newest:
            try:
                await self._connection.call("HSET", self._meta, _SEALED_WITH, _told_of(sealer))
            except StoreUnavailable as error:
                # A full Redis takes no write, and replicas must be able to start to empty it.
                log.warning(
                    "which key seals could not be written", extra={"event": "key.unwritten", "error": error.code}
                )

    async def receipt_key(self) -> bytes:
        """The secret that all replicas have where none is in their settings; drawn at the first start of all."""
        written, until = await self._connection.call("HMGET", self._meta, "receipt_key", _FORMER_UNTIL)
        if until is not None:
            await self._connection.call("HDEL", self._meta, _FORMER_UNTIL)  # The keys were given up.
        if written is None:
            await self._connection.call("HSETNX", self._meta, "receipt_key", secrets.token_hex(32))
            written = await self._connection.call("HGET", self._meta, "receipt_key")
        return bytes.fromhex(written.decode())

    async def former_receipt_key(self, until_s: int) -> tuple[bytes | None, int]:
        """The same where keys are in the settings now: None if there never was one.

        Also until when what it signed is believed (Unix s): `until_s` as it was told at the first start with keys.
        """
        key, until = await self._connection.call("HMGET", self._meta, "receipt_key", _FORMER_UNTIL)
        if key is not None and until is None:
            await self._connection.call("HSETNX", self._meta, _FORMER_UNTIL, until_s)
            until = await self._connection.call("HGET", self._meta, _FORMER_UNTIL)
        return (None, 0) if key is None else (bytes.fromhex(key.decode()), int(until))

    async def sealing_key(self) -> str | None:
        """The id of the key that was told last to seal; None if nothing was ever sealed."""
        written = await self._connection.call("HGET", self._meta, _SEALED_WITH)
        return None if written is None else str(written.decode().partition(" ")[0])

    async def shards_written(self) -> int | None:
        """The number of shards that the store was set up with, None if it never was."""
        written = await self._connection.call("HGET", self._meta, "shards")
        return None if written is None else int(written)

    async def register(self, replica: str, ttl_ms: int) -> list[str]:
        """Say that a replica lives. Returns all that said so within the TTL, in one order for all."""
        _, living = await self._connection.run("register_replica", self._register, replica=replica, ttl_ms=ttl_ms)
        return [name.decode() for name in living]

    async def unregister(self, replica: str) -> None:
        """Say that a replica stops."""
        await self._connection.run("register_replica", self._register, replica=replica, ttl_ms=0)

    async def roster(self) -> Roster:
        """Who lives, and who leads what."""
        _, now, found = await self._connection.run("list_replicas", self._register)
        said = {name.decode(): int(at) for name, at in zip(found[::2], found[1::2], strict=True)}
        shards = range(self._connection.shards)
        leaders = await asyncio.gather(
            *(self._connection.call("GET", f"{self._connection.root(shard)}:leader") for shard in shards)
        )
        leads: dict[str, list[int]] = defaultdict(list)
        for shard, leader in zip(shards, leaders, strict=True):
            leads[leader.decode() if leader else ""].append(shard)
        members = [Member(name, at, leads.pop(name, [])) for name, at in sorted(said.items())]
        return Roster(now, members, sorted(shard for left in leads.values() for shard in left))

    async def hold(self, shard: int, replica: str, ttl_ms: int) -> bool:
        """Take or keep the lead of a shard; False while another has it."""
        reply, _ = await self._connection.run(
            "hold_leadership", self._connection.root(shard), replica=replica, ttl_ms=ttl_ms
        )
        return bool(reply == b"ok")

    async def resign(self, shard: int, replica: str) -> None:
        """Give up the lead of a shard, if it is this replica's."""
        await self._connection.run("resign_leadership", self._connection.root(shard), replica=replica)

    async def publish(self, message: str) -> None:
        """Wake the other replicas. A message may be lost: it only saves them the time to their next poll."""
        await self._connection.publish(self._channel, message)

    async def messages(self) -> AsyncIterator[str]:
        """What others publish, after an empty message that says that it begins.

        Ends with `StoreUnavailable` when Redis goes away.
        """
        async with self._connection.subscription(self._channel) as pubsub:
            while True:
                message = await self._connection.next_message(pubsub)
                if message is not None:
                    yield message


def _told_of(sealer: Sealer) -> str:
    return f"{sealer.newest} {sealer.fingerprints[sealer.newest or '']}"
