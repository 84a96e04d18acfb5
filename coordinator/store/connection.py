"""One connection pool to Redis, and the one place where its failures are handled.

redis-py is told to repeat nothing: by default it would run a slow script eleven times. We repeat ourselves, a few
times and briefly, because every script of ours may be repeated with the same arguments; what still fails is a
`StoreUnavailable` that becomes a 503.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from coordinator.errors import StoreUnavailable
from coordinator.store.scripts import Argument, Row, load

log = logging.getLogger(__name__)

_PAUSES_S = (0.05, 0.2, 0.5)
"""Between tries; in sum less than a caller's patience, more than a failover's first hiccup."""

TRY_LIMIT_S = 2.0
"""For one try of a command, its wait for a free connection included; what takes longer has lost its server."""

RUN_LIMIT_S = 4.0
"""For all tries together: a caller is told soon, also by a server that hangs instead of refusing."""

SCAN_STEP = 500
"""Keys that the server looks at in one step of a scan: a tenth of a millisecond."""

_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError)
_BUSY = ("NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "LOADING", "TRYAGAIN", "READONLY", "BUSY")
_SCRIPT_LINE = re.compile(r"user_script:(\d+)")

Reply = list[Any]
"""What a script answers: the reply word first (bytes), then whatever its header says."""


class Connection:
    """Runs scripts. `prefix` starts every key; `shards` is the number of slices of the keyspace."""

    def __init__(
        self, client: "Redis", *, prefix: str, shards: int, in_process: bool = False, test_clock: bool = False
    ) -> None:
        """`in_process` says that the server is an imitation which does not know script flags."""
        self.client = client
        self.prefix = prefix
        self.shards = shards
        self.in_process = in_process
        self._command: Callable[..., Awaitable[Any]] = client.execute_command
        self._scripts = load(with_flags=not in_process, test_clock=test_clock)

    def root(self, shard: int) -> str:
        """The beginning of all keys of a shard; the braces keep them in one Redis Cluster slot."""
        return f"{self.prefix}:{{{shard}}}"

    async def run(self, script: str, root: str, rows: Sequence[Row] = (), /, **values: Argument) -> Reply:
        """Run a script, repeating it while Redis is away for a moment.

        Raises `StoreUnavailable` when Redis stays away or is full.
        """
        linked = self._scripts[script]
        argv = linked.pack(rows, values)
        until = time.monotonic() + RUN_LIMIT_S
        pauses = iter(_PAUSES_S)
        while True:
            try:
                return await self._evaluate(linked.sha, linked.text, root, argv)
            except (RedisError, OSError) as error:
                place = _SCRIPT_LINE.search(str(error))
                if place:
                    error.add_note(f"{script}: {linked.place(int(place[1]))}")
                pause = next(pauses, None)
                if pause is None or time.monotonic() + pause >= until or not _is_passing(error):
                    raise _unavailable(error) from error
                if isinstance(error, ReadOnlyError):
                    # A demoted primary keeps its connections: the next one may lead to the new primary.
                    await self.client.connection_pool.disconnect()
            await asyncio.sleep(pause)

    async def _execute(self, *command: Argument) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        async with asyncio.timeout(TRY_LIMIT_S):
            return await self._command(*command)

    async def _evaluate(self, sha: str, text: str, root: str, argv: list[Argument]) -> Reply:
        try:
            reply: Reply = await self._execute("EVALSHA", sha, 1, root, *argv)
        except NoScriptError:
            # A restart or failover empties the script cache.
            reply = await self._execute("EVAL", text, 1, root, *argv)
        return reply

    async def call(self, *command: Argument) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        """Run one plain command, for the few keys that belong to no shard. Not repeated."""
        try:
            return await self._execute(*command)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def count_keys(self) -> int:
        """How many keys the server holds, those of others included."""
        return int(await self.call("DBSIZE"))

    async def scan(self, pattern: str) -> AsyncIterator[list[bytes]]:
        """All keys of a pattern, some at a time. What is there all the while comes at least once."""
        cursor = 0
        while True:
            cursor, keys = await self.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_STEP)
            if keys:
                yield keys
            if int(cursor) == 0:
                return

    async def info(self) -> dict[str, Any]:
        """What the server says of itself."""
        try:
            async with asyncio.timeout(TRY_LIMIT_S):
                info: dict[str, Any] = await self.client.info()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return info

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[PubSub]:
        """A subscription on a connection of its own."""
        async with self.client.pubsub() as pubsub:
            try:
                async with asyncio.timeout(TRY_LIMIT_S):
                    await pubsub.subscribe(channel)
            except (RedisError, OSError) as error:
                raise _unavailable(error) from error
            yield pubsub

    async def next_message(self, pubsub: PubSub) -> str | None:
        """The next message of a subscription, None if a minute passed without one.

        The first is empty: the server confirms the subscription, and from here on nothing is missed.
        """
        try:
            message = await pubsub.get_message(timeout=60)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        if message is None:
            return None
        return message["data"].decode() if message["type"] == "message" else ""

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()


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


def open_client(url: str, *, connections: int = 16) -> "Redis":
    """A client for `redis://`, `rediss://` or `unix://` URLs. Connects on first use.

    The pool waits for a free connection instead of failing: a burst of requests queues for milliseconds.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        protocol=2,
        max_connections=connections,
        timeout=5,
        # With a time-out of its own redis-py sends through asyncio.wait_for, which makes a task of every command and,
        # before Python 3.12, swallows the cancellation of whoever waits. Ours is around the whole command.
        socket_timeout=None,
        socket_connect_timeout=2,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        client_name="coordinator",
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
    )
    return Redis.from_pool(pool)
