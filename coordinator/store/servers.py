"""Which server has a key: one server, the primary that Sentinel names, or the primaries of a Redis Cluster.

```
redis://[user:password@]host:6379[/db]                  one server, or one that is managed
redis+sentinel://[user:password@]host:26379,…/name[/db] whatever its sentinels call the primary of that name
redis+cluster://[user:password@]host:6379,…             a cluster, by any of its nodes
rediss…                                                 the same over TLS
unix:///path/to/socket
```

Why not redis-py's own cluster client: it follows `ASK`. While a slot moves key by key, half of its keys are on either
node; a script that was let in by `ASKING` would see the other half only, and write beside it. Here `ASK` means "not
now": the shard waits until its slot has moved whole, which keeps every script atomic. Beyond that the cluster client
would send what belongs together on different connections, and refuse instead of wait when its connections are used up.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

Address = tuple[str, int]

_CONNECTIONS = 16
"""Per server. A burst of requests queues for a free one for milliseconds, instead of failing."""

_LOOK_LIMIT_S = 1.0
"""For one node of a cluster to tell who has which slots; then another one is asked."""

_LOOK_AGAIN_S = 1.0
"""After a slot has moved, all are looked up anew, no more often than this."""

_PORTS = {"cluster": 6379, "sentinel": 26379}


@dataclass(frozen=True, slots=True)
class Access:
    """What a URL leaves out: who we are, and how the servers prove who they are. Files are paths of PEM."""

    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Servers(Protocol):
    """Finds the server of a key."""

    publish: str
    """The command that reaches all who listen."""

    async def having(self, key: str) -> "Redis":
        """A client of the primary that has this key. Raises `RedisError`."""

    async def primaries(self) -> list["Redis"]:
        """Clients of all primaries. Raises `RedisError`."""

    async def listen(self, pubsub: PubSub, channel: str) -> None:
        """Subscribe to what `publish` sends. Raises `RedisError`."""

    async def heed(self, error: Exception, client: "Redis | None") -> bool:
        """Learn from what a server answered. True if the same is to be tried at once, elsewhere."""

    async def close(self) -> None:
        """Close all connections."""


def ask(client: "Redis", *command: str | bytes | float) -> Awaitable[Any]:
    """What a server answers, as it is: redis-py changes the answers of the commands that it knows by one word only."""
    execute: Callable[..., Awaitable[Any]] = client.execute_command
    return execute(*command)


class OneServer:
    """All keys are on one server. With Sentinel it is whatever its pool finds to be the primary."""

    publish = "PUBLISH"

    def __init__(self, client: "Redis", sentinel: "Sentinel | None" = None) -> None:
        """`sentinel` is who names the primary, if somebody does."""
        self._client = client
        self._sentinel = sentinel

    async def having(self, key: str) -> "Redis":
        """The one."""
        del key
        return self._client

    async def primaries(self) -> list["Redis"]:
        """The one."""
        return [self._client]

    async def listen(self, pubsub: PubSub, channel: str) -> None:
        """By the plain command."""
        await pubsub.subscribe(channel)

    async def heed(self, error: Exception, client: "Redis | None") -> bool:
        """A demoted primary keeps its connections: the next one may lead to the new primary."""
        del client
        if isinstance(error, ReadOnlyError):
            await self._client.connection_pool.disconnect()
        return False

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose(close_connection_pool=True)
        if self._sentinel:
            await self._sentinel.aclose()


class Cluster:
    """Each slot has a primary of its own, and may move to another at any time."""

    # The plain one would go to every node of the cluster.
    publish = "SPUBLISH"

    def __init__(self, seeds: Sequence[Address], options: Mapping[str, Any]) -> None:
        """`seeds` are asked first which nodes there are. Connects on first use."""
        self._options = options
        self._seeds = list(seeds)
        self._clients: dict[Address, Redis] = {}
        self._nodes: list[Address] = []
        self._ranges: list[tuple[int, int, Address]] = []
        self._moved: dict[int, Address] = {}
        self._is_known = False
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def having(self, key: str) -> "Redis":
        """The primary of the key's slot. Raises `RedisError`."""
        if not self._is_known:
            await self._look()
        slot = key_slot(key.encode())
        address = self._moved.get(slot) or next((at for low, high, at in self._ranges if low <= slot <= high), None)
        if address is None:
            self._is_known = False
            raise ClusterDownError(f"slot {slot} is served by no node")
        return self._client(address)

    async def primaries(self) -> list["Redis"]:
        """Every node that has slots."""
        if not self._is_known:
            await self._look()
        return [self._client(address) for address in sorted({address for *_, address in self._ranges})]

    async def listen(self, pubsub: PubSub, channel: str) -> None:
        """By the sharded command."""
        await pubsub.ssubscribe(channel)

    async def heed(self, error: Exception, client: "Redis | None") -> bool:
        """Who tells where a slot has gone to is believed; who cannot be reached may have been replaced."""
        if isinstance(error, MovedError):
            # Without a host it is the one that answered.
            host = error.host or (client.connection_pool.connection_kwargs["host"] if client else "")
            self._moved[error.slot_id] = (host, error.port)
            # Where one slot has gone others may follow, to a node that is not known yet.
            self._is_known = time.monotonic() - self._looked_at < _LOOK_AGAIN_S
            return True
        if isinstance(error, (RedisConnectionError, RedisTimeoutError, ClusterDownError, OSError)):
            self._is_known = False
        return False

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose(close_connection_pool=True)

    def _client(self, address: Address) -> "Redis":
        if address not in self._clients:
            self._clients[address] = _open_one({**self._options, "host": address[0], "port": address[1]})
        return self._clients[address]

    async def _look(self) -> None:
        """Ask one node after the other who has which slots."""
        async with self._looking:
            if self._is_known:
                return
            # Any other than the last time first: that one may be the one that does not answer.
            nodes = random.sample(self._nodes, len(self._nodes))
            reasons = []
            for address in dict.fromkeys([*nodes, *self._seeds]):
                try:
                    async with asyncio.timeout(_LOOK_LIMIT_S):
                        rows = await ask(self._client(address), "CLUSTER", "SLOTS")
                except (RedisError, OSError) as error:
                    reasons.append(f"{address[0]}:{address[1]}: {type(error).__name__} {error}")
                else:
                    await self._learn(address, rows)
                    return
            raise RedisConnectionError(f"no node of the cluster tells of its slots; {'; '.join(reasons)}")

    async def _learn(self, told_by: Address, rows: list[list[Any]]) -> None:
        """`rows` are [first slot, last slot, [host, port, …] of the primary, the same of each replica …]."""

        def address_of(node: list[Any]) -> Address:
            host = node[0].decode() if isinstance(node[0], bytes) else node[0]
            return host or told_by[0], int(node[1])

        self._ranges = [(first, last, address_of(primary)) for first, last, primary, *_ in rows]
        self._nodes = list(dict.fromkeys(address_of(node) for _, _, *nodes in rows for node in nodes))
        self._moved.clear()
        self._is_known = True
        self._looked_at = time.monotonic()
        for gone in [self._clients.pop(address) for address in self._clients.keys() - {*self._nodes, *self._seeds}]:
            await gone.aclose(close_connection_pool=True)


def open_servers(url: str, access: Access = Access()) -> Servers:
    """What a URL leads to. Connects on first use. Raises `ValueError` for a URL that cannot be read."""
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.partition("+")
    if kind not in ("", *_PORTS):
        raise ValueError(f"{scheme}:// is none of redis, rediss or unix, with +sentinel or +cluster")
    if not kind:
        return OneServer(_open_one(_options(parse_url(url), access)))
    user, at, places = rest.rpartition("@")
    hosts, slash, path = places.partition("/")
    path, query_mark, query = path.partition("?")
    seeds = [_address(host, _PORTS[kind]) for host in hosts.split(",")]
    database = path.rpartition("/")[2] if kind == "sentinel" and "/" in path else ""
    # What remains of it is read as the URL of one server; the hosts are ours.
    parsed = parse_url(f"{transport}://{user}{at}host/{database}{query_mark}{query}")
    options = _options(parsed, access)
    if kind == "cluster":
        if slash and path:
            raise ValueError("a cluster has one database; leave out what follows the hosts")
        return Cluster(seeds, options)
    name = unquote(path.partition("/")[0])
    if not name:
        raise ValueError("the name of the primary is missing: redis+sentinel://host:26379,host:26379/<name>")
    return _open_sentinel(seeds, name, options, access)


def _address(host: str, port: int) -> Address:
    """`host`, `host:port`, `[::1]` or `[::1]:port`."""
    name, colon, number = host.rpartition(":")
    if not colon or number.endswith("]"):
        name, number = host, str(port)
    if not name or not number.isdigit():
        raise ValueError(f"{host!r} is no host:port; several are separated by commas")
    return name.strip("[]"), int(number)


def _options(parsed: Mapping[str, Any], access: Access) -> dict[str, Any]:
    """What every connection is made with; what the URL says goes before the settings."""
    options: dict[str, Any] = {
        "protocol": 2,
        # With a time-out of its own redis-py sends through asyncio.wait_for, which makes a task of every command and,
        # before Python 3.12, swallows the cancellation of whoever waits. Ours is around the whole command.
        "socket_timeout": None,
        "socket_connect_timeout": 1,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "coordinator",
    }
    if "path" not in parsed:
        options["socket_keepalive"] = True
    named = {"username": access.username, "password": access.password}
    if "connection_class" in parsed and "path" not in parsed:
        named |= {"ssl_ca_certs": access.ca_file, "ssl_certfile": access.cert_file, "ssl_keyfile": access.key_file}
    return options | {name: value for name, value in named.items() if value} | dict(parsed)


def _open_one(options: Mapping[str, Any]) -> "Redis":
    return Redis.from_pool(BlockingConnectionPool(max_connections=_CONNECTIONS, timeout=5, **options))


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """A pool of connections to the primary of the moment that waits for a free one."""


def _open_sentinel(seeds: Sequence[Address], name: str, options: dict[str, Any], access: Access) -> OneServer:
    is_tls = options.pop("connection_class", None) is not None
    for alone in ("host", "port"):
        options.pop(alone, None)
    watching = {
        name: value for name, value in options.items() if name.startswith(("socket_", "ssl_", "retry", "protocol"))
    }
    own = {"username": access.sentinel_username, "password": access.sentinel_password, "ssl": is_tls}
    sentinel: Sentinel = Sentinel(  # type: ignore[no-untyped-call]
        seeds, sentinel_kwargs=watching | {key: value for key, value in own.items() if value}
    )
    pool = _SentinelPool(  # type: ignore[no-untyped-call]
        name, sentinel, max_connections=_CONNECTIONS, timeout=5, ssl=is_tls, **options
    )
    return OneServer(Redis.from_pool(pool), sentinel)
