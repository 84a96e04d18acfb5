"""Who is alive, who polls which shard, and the channel on which replicas wake each other."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from coordinator.errors import SettingsError
from coordinator.store.connection import Connection


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

    async def receipt_key(self) -> bytes:
        """The secret that all replicas have where none is in their settings; drawn at the first start of all."""
        written = await self._connection.call("HGET", self._meta, "receipt_key")
        if written is None:
            await self._connection.call("HSETNX", self._meta, "receipt_key", secrets.token_hex(32))
            written = await self._connection.call("HGET", self._meta, "receipt_key")
        return bytes.fromhex(written.decode())

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
