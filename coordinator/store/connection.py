"""The one way to Redis, and the one place where its failures are handled.

redis-py is told to repeat nothing: by default it would run a slow script eleven times. We repeat ourselves, a few
times and briefly, because every script of ours may be repeated with the same arguments; what still fails is a
`StoreUnavailable` that becomes a 503.

What a caller is told has happened, has happened as safely as the request or `durability` says: a script whose header
says `acknowledged` is answered when a replica, or the disk, has confirmed what it wrote.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from coordinator.domain.durability import Durability, asked_durability
from coordinator.errors import NOT_CONFIRMED, StoreUnavailable
from coordinator.store.scripts import Argument, Row, Script, load
from coordinator.store.servers import Servers, ask

log = logging.getLogger(__name__)

_PAUSES_S = (0.05, 0.2, 0.5)
"""Between tries; in sum less than a caller's patience, more than a failover's first hiccup."""

TRY_LIMIT_S = 2.0
"""For one try of a command, its wait for a free connection included; what takes longer has lost its server."""

RUN_LIMIT_S = 4.0
"""For all tries together: a caller is told soon, also by a server that hangs instead of refusing."""

REDIRECTIONS = 5
"""Of one try of a command: while a cluster changes, the node that one is sent to may not know yet."""

CONFIRM_LIMIT_MS = 1000
"""For a replica or the disk to confirm a change; less than `TRY_LIMIT_S`."""

CONFIRMING_LIMIT = 8
"""Changes that wait for their confirmation at a time: each holds a connection, and claims and leases need some too."""

CONFIRMATIONS: dict[Durability, tuple[str | int, ...]] = {
    "local": (),
    "fsync": ("WAITAOF", 1, 0, CONFIRM_LIMIT_MS),
    "replicated": ("WAIT", 1, CONFIRM_LIMIT_MS),
}
"""They wait for what was last written on their own connection, and not at all if nothing was: see `_Confirmation`."""

_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    # A slot that moves is waited for (see servers.py), and one that nobody serves.
    AskError,
    TryAgainError,
    ClusterDownError,
)

SILENCE_LIMIT_S = 10.0
"""After which a server that is listened to is asked whether it is still there."""

SCAN_STEP = 500
"""Keys that the server looks at in one step of a scan: a tenth of a millisecond."""

_BUSY = ("NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "LOADING", "TRYAGAIN", "READONLY", "BUSY")
_SCRIPT_LINE = re.compile(r"user_script:(\d+)")


@dataclass(frozen=True, slots=True)
class _Confirmation:
    """What goes behind an acknowledged script on its connection: a write of ours, and the wait for it.

    The script may find that everything was written before, by a try whose reply was lost or that was not confirmed in
    time. It writes nothing then, and newer servers would wait for nothing.
    """

    mark: Script
    root: str
    wait: Sequence[Argument]


Reply = list[Any]
"""What a script answers: the reply word first (bytes), then whatever its header says."""


class Connection:
    """Runs scripts. `prefix` starts every key; `shards` is the number of slices of the keyspace."""

    def __init__(
        self,
        servers: Servers,
        *,
        prefix: str,
        shards: int,
        durability: Durability = "local",
        in_process: bool = False,
        test_clock: bool = False,
        dev_clock: bool = False,
    ) -> None:
        """`in_process` says that the server is an imitation which does not know script flags."""
        self.servers = servers
        self.prefix = prefix
        self.shards = shards
        self.durability: Durability = durability
        self.in_process = in_process
        self._confirming = asyncio.Semaphore(CONFIRMING_LIMIT)
        self._scripts = load(with_flags=not in_process, test_clock=test_clock, dev_clock=dev_clock)

    def root(self, shard: int) -> str:
        """The beginning of all keys of a shard; the braces keep them in one Redis Cluster slot."""
        return f"{self.prefix}:{{{shard}}}"

    async def run(self, script: str, root: str, rows: Sequence[Row] = (), /, **values: Argument) -> Reply:
        """Run a script, repeating it while Redis is away for a moment.

        Raises `StoreUnavailable` when Redis stays away or is full, or cannot confirm what it has done.
        """
        linked = self._scripts[script]
        argv = linked.pack(rows, values)
        wait = CONFIRMATIONS[asked_durability() or self.durability] if linked.is_acknowledged else ()
        confirm = _Confirmation(self._scripts["mark_connection"], root, wait) if wait else None
        until = time.monotonic() + RUN_LIMIT_S
        pauses = iter(_PAUSES_S)
        while True:
            try:
                return await self._evaluate(linked.sha, linked.text, root, argv, confirm)
            except (RedisError, OSError) as error:
                place = _SCRIPT_LINE.search(str(error))
                if place:
                    error.add_note(f"{script}: {linked.place(int(place[1]))}")
                pause = next(pauses, None)
                if pause is None or time.monotonic() + pause >= until or not _is_passing(error):
                    raise _unavailable(error) from error
            await asyncio.sleep(pause)

    async def _evaluate(
        self, sha: str, text: str, root: str, argv: list[Argument], confirm: _Confirmation | None = None
    ) -> Reply:
        async with self._confirming if confirm else contextlib.nullcontext():
            try:
                reply: Reply = await self._execute(root, ("EVALSHA", sha, 1, root, *argv), confirm)
            except NoScriptError:
                # A restart or failover empties the script cache.
                reply = await self._execute(root, ("EVAL", text, 1, root, *argv), confirm)
        return reply

    async def _execute(self, key: str, command: Sequence[Argument], confirm: _Confirmation | None = None) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        """Run a command where the key is, following the slots of a cluster."""
        redirections = iter(range(REDIRECTIONS))
        while True:
            client = None
            try:
                async with asyncio.timeout(TRY_LIMIT_S):
                    client = await self.servers.having(key)
                    return await (_confirmed(client, command, confirm) if confirm else ask(client, *command))
            except (RedisError, OSError) as error:
                if not await self.servers.heed(error, client) or next(redirections, None) is None:
                    raise

    async def call(self, *command: Argument, key: str | None = None) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        """Run one plain command, for the few keys that belong to no shard. Not repeated.

        `key` is told where it is not the first argument.
        """
        try:
            return await self._execute(str(command[1]) if key is None else key, command)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def pairs(self, key: str) -> dict[bytes, bytes]:
        """All of a hash that belongs to no shard."""
        pairs = await self.call("HGETALL", key)
        return pairs if isinstance(pairs, dict) else dict(zip(pairs[::2], pairs[1::2], strict=True))

    async def count_keys(self) -> int:
        """How many keys all primaries hold, those of others included."""
        return sum([int(await self._ask(client, "DBSIZE")) for client in await self._primaries()])

    async def scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        """All keys of a pattern, some at a time, from one primary after the other.

        What is there all the while, and does not move to another, comes at least once.
        """
        for client in await self._primaries():
            cursor = b"0"
            while True:
                cursor, keys = await self._ask(client, "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_STEP)
                if keys:
                    yield keys
                if int(cursor) == 0:
                    break

    async def _ask(self, client: "Redis", *command: Argument) -> Any:  # noqa: ANN401 - see `_execute`
        try:
            async with asyncio.timeout(TRY_LIMIT_S):
                return await ask(client, *command)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def infos(self, *sections: str) -> dict["Redis", dict[str, Any]]:
        """What each primary says of itself, of those that answer. Raises `StoreUnavailable` if none does."""
        clients = await self._primaries()
        told = await asyncio.gather(*(self._info(client, *sections) for client in clients), return_exceptions=True)
        errors = [info for info in told if isinstance(info, BaseException)]
        if len(errors) == len(told):
            raise errors[0]
        return {client: info for client, info in zip(clients, told, strict=True) if not isinstance(info, BaseException)}

    async def _info(self, client: "Redis", *sections: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(TRY_LIMIT_S):
                info: dict[str, Any] = await client.info(*sections)
        except (RedisError, OSError) as error:
            await self.servers.heed(error, client)
            raise _unavailable(error) from error
        return info

    async def homes(self) -> list["Redis"]:
        """The primary of each shard."""
        try:
            return [await self.servers.having(self.root(shard)) for shard in range(self.shards)]
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def _primaries(self) -> list["Redis"]:
        try:
            return await self.servers.primaries()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def publish(self, channel: str, message: str) -> None:
        """Tell all who listen on a channel."""
        await self.call(self.servers.publish, channel, message)

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[PubSub]:
        """A subscription on a connection of its own."""
        try:
            client = await self.servers.having(channel)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        async with client.pubsub() as pubsub:
            try:
                async with asyncio.timeout(TRY_LIMIT_S):
                    await self.servers.listen(pubsub, channel)
                yield pubsub
            except (RedisError, OSError) as error:
                await self.servers.heed(error, client)
                raise _unavailable(error) from error

    async def next_message(self, pubsub: PubSub) -> str | None:
        """The next message of a subscription, None after a silence. For use within `subscription`.

        The first is empty: the server confirms the subscription, and from here on nothing is missed.
        """
        message = await pubsub.get_message(timeout=SILENCE_LIMIT_S)
        if message is None:
            # A host that is gone closes no connection: it would be listened to for hours.
            await pubsub.ping()
            message = await pubsub.get_message(timeout=TRY_LIMIT_S)
            if message is None:
                raise RedisConnectionError("the server that is listened to does not answer")
        if message["type"] == "sunsubscribe":
            raise RedisConnectionError("the channel's slot has moved to another node")
        if message["type"] == "pong":
            return None
        return message["data"].decode() if message["type"] in ("message", "smessage") else ""

    async def close(self) -> None:
        """Close all connections."""
        await self.servers.close()


async def _confirmed(client: "Redis", command: Sequence[Argument], confirm: _Confirmation) -> Any:  # noqa: ANN401 - see `_execute`
    """All on one connection, in one trip. Raises `StoreUnavailable` if it is not confirmed in time."""
    mark, root, wait = confirm.mark, confirm.root, confirm.wait
    async with client.pipeline(transaction=False) as pipeline:
        for each in (command, ("EVAL", mark.text, 1, root), wait):
            pipeline.execute_command(*each)
        reply, marked, confirmed = await pipeline.execute(raise_on_error=False)
    for answer in (reply, marked):
        if isinstance(answer, Exception):
            raise answer
    if isinstance(confirmed, ResponseError):
        needs = "fsync needs Redis 7.2 and appendonly yes" if wait[0] == "WAITAOF" else "replicated needs WAIT"
        detail = f"The change was made, but this Redis cannot confirm it ({confirmed}): {needs}."
        raise StoreUnavailable(NOT_CONFIRMED, detail)
    if isinstance(confirmed, Exception):
        raise confirmed
    # WAITAOF tells of the primary and of the replicas apart.
    if (confirmed[0] if isinstance(confirmed, list) else confirmed) < 1:
        who = "the disk" if wait[0] == "WAITAOF" else "a replica"
        detail = f"The change was made, but is not safe yet: {who} has not confirmed it within {CONFIRM_LIMIT_MS} ms."
        raise StoreUnavailable(NOT_CONFIRMED, detail)
    return reply


def _is_passing(error: Exception) -> bool:
    if isinstance(error, ResponseError) and not isinstance(error, _AWAY):
        return str(error).startswith(_BUSY)
    return isinstance(error, (*_AWAY, OSError))


def _unavailable(error: Exception) -> Exception:
    """The refusal that callers are told; an error that is a fault of ours stays as it is."""
    if isinstance(error, OutOfMemoryError) or "OOM" in str(error):
        return StoreUnavailable("memory_limit", "Redis has reached its memory limit; nothing was stored.", 10)
    if _is_passing(error):
        detail = "Redis cannot be reached or is not ready; if this was a change, it may or may not have been made."
        return StoreUnavailable("redis_unavailable", detail)
    return error
