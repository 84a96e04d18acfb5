"""Open a store: from a URL to something that runs scripts, with what must hold checked once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.exceptions import NoPermissionError, ResponseError

from coordinator.domain.durability import Durability
from coordinator.domain.keyring import parse_keyring
from coordinator.errors import SettingsError, StoreUnavailable
from coordinator.settings import Settings
from coordinator.store.audit import AuditStore
from coordinator.store.batches import BatchStore
from coordinator.store.capacity import CapacityStore
from coordinator.store.clock import read_ahead
from coordinator.store.connection import Connection
from coordinator.store.embedded import OLDEST_VERSION, running_url
from coordinator.store.events import EventStore
from coordinator.store.jobs import JobStore
from coordinator.store.leadership import LeadershipStore
from coordinator.store.queues import QueueStore
from coordinator.store.schedules import ScheduleStore
from coordinator.store.sealing import PLAIN, Sealer
from coordinator.store.servers import Access, Cluster, OneServer, Servers, open_servers
from coordinator.store.stats import StatStore
from coordinator.store.tokens import TokenStore
from coordinator.store.workers import WorkerStore

log = logging.getLogger(__name__)

WAITAOF_VERSION = (7, 2)
"""From here on a change can wait until it is on disk."""

IN_PROCESS_URL = "memory://"
"""The imitation inside this process: nothing is kept, and nobody else sees it."""

_WRONG_URLS = {
    "unknown command 'SENTINEL'": "this is no sentinel; write it as redis://",
    "cluster support disabled": "this is no cluster; write it as redis://",
}
"""What servers answer to whoever takes them for something else, and the remedy."""


@dataclass(frozen=True)
class Store:
    """All that a replica knows of Redis."""

    connection: Connection
    jobs: JobStore
    queues: QueueStore
    batches: BatchStore
    schedules: ScheduleStore
    workers: WorkerStore
    tokens: TokenStore
    audit: AuditStore
    leadership: LeadershipStore
    capacity: CapacityStore
    stats: StatStore
    events: EventStore
    sealer: Sealer

    @property
    def shards(self) -> int:
        """How many slices the keyspace has."""
        return self.connection.shards

    async def agree(self) -> None:
        """Be set up as the other replicas are. Raises `StoreUnavailable`, `SettingsError` with the remedy."""
        await self.leadership.agree_on_shards()
        await self.leadership.agree_on_key(self.sealer)

    async def close(self) -> None:
        """Close all connections."""
        await self.connection.close()


def open_store(
    url: str,
    *,
    prefix: str = "co",
    shards: int = 16,
    durability: Durability = "local",
    access: Access | None = None,
    sealer: Sealer = PLAIN,
    test_clock: bool = False,
    dev_clock: bool = False,
) -> Store:
    """A store for a URL as told in servers.py, or `memory://`. Connects on first use.

    Raises `ValueError` for a URL that cannot be read.
    """
    in_process = url == IN_PROCESS_URL
    servers = _open_in_process() if in_process else open_servers(url, access or Access())
    connection = Connection(
        servers,
        prefix=prefix,
        shards=shards,
        durability=durability,
        in_process=in_process,
        test_clock=test_clock,
        dev_clock=dev_clock,
    )
    return store_on(connection, sealer)


def open_configured(url: str, settings: Settings, *, shards: int | None = None, dev_clock: bool = False) -> Store:
    """A store as the settings say, with another number of shards if one is told. Raises `SettingsError`.

    With `dev_clock` its time can be moved on, and is what it was moved to.
    """
    access = Access(
        settings.redis_username,
        settings.redis_password,
        settings.redis_sentinel_username,
        settings.redis_sentinel_password,
        settings.redis_ca_file,
        settings.redis_cert_file,
        settings.redis_key_file,
    )
    try:
        return open_store(
            url,
            prefix=settings.prefix,
            shards=shards or settings.shards,
            durability=cast("Durability", settings.durability),
            access=access,
            sealer=_sealer_of(settings.keys),
            dev_clock=dev_clock,
        )
    except ValueError as error:
        raise SettingsError(f"--redis-url {without_password(url)} cannot be used: {error}") from None


def _sealer_of(keys: str) -> Sealer:
    try:
        return Sealer(parse_keyring(keys)) if keys else PLAIN
    except ValueError as error:
        raise SettingsError(f"COORDINATOR_KEYS: {error}.") from None


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def store_on(connection: Connection, sealer: Sealer = PLAIN) -> Store:
    """All that is reached by one connection."""
    return Store(
        connection,
        JobStore(connection, sealer),
        QueueStore(connection),
        BatchStore(connection, sealer),
        ScheduleStore(connection, sealer),
        WorkerStore(connection, sealer),
        TokenStore(connection),
        AuditStore(connection),
        LeadershipStore(connection),
        CapacityStore(connection),
        StatStore(connection),
        EventStore(connection, sealer),
        sealer,
    )


def _open_in_process() -> Servers:
    try:
        from fakeredis import FakeAsyncRedis  # noqa: PLC0415 - an extra that may be missing
    except ImportError:
        msg = "No store: install Redis or Valkey, or the extra: pip install 'coordinator[embedded]'."
        raise SettingsError(msg) from None
    # Without a time-out, for the same reason as a real connection.
    return OneServer(FakeAsyncRedis(socket_timeout=None))


async def open_as_written(url: str, settings: Settings) -> Store:
    """A store with the number of shards that it was set up with. Raises `StoreUnavailable`, `SettingsError`."""
    store = open_configured(url, settings)
    try:
        with first_contact():
            await check_address(store)
            shards = await store.leadership.shards_written()
    finally:
        await store.close()
    if shards is None:
        raise SettingsError(f"nothing is kept under the prefix {settings.prefix!r}; --prefix names another.")
    # It may be that of a `dev`, whose time is another; in all others this clock is the server's.
    return open_configured(url, settings, shards=shards, dev_clock=True)


def find_store_url(settings: Settings, data_dir: Path) -> str:
    """The Redis of the settings, else that of a `coordinator dev` which runs. Raises `SettingsError`."""
    url = settings.redis_url or running_url(data_dir)
    if not url:
        raise SettingsError(
            "no store: set COORDINATOR_REDIS_URL or --redis-url, or start `coordinator dev`; "
            f"none runs in {data_dir} (--data-dir says where else)"
        )
    return url


@contextmanager
def first_contact() -> Iterator[None]:
    """What Redis refuses in here is a matter of the settings.

    Raises `SettingsError` with the remedy, `StoreUnavailable` when it cannot be reached.
    """
    try:
        yield
    except ResponseError as error:
        remedy = "the user of Redis may not do this; README has the rights that it needs"
        if not isinstance(error, NoPermissionError):
            remedy = _remedy_for(str(error)) or "check COORDINATOR_REDIS_URL"
        raise SettingsError(f"Redis refuses: {error}: {remedy}.") from error
    except StoreUnavailable as error:
        cause = str(error.__cause__)
        if remedy := _remedy_for(cause):
            raise SettingsError(f"{cause}: {remedy}.") from error
        if "No master found for" not in cause:
            raise
        # It may also be away for a moment, while another is promoted.
        detail = f"{error.detail} If it stays so, check the name behind the sentinels' hosts."
        raise StoreUnavailable(error.code, detail, error.retry_after_s) from error.__cause__


def _remedy_for(answer: str) -> str:
    return next((remedy for text, remedy in _WRONG_URLS.items() if text in answer), "")


async def check_address(store: Store) -> None:
    """Refuse what is no primary, or another kind of server than the URL says.

    Raises `SettingsError` with the remedy, `StoreUnavailable` when they cannot be reached.
    """
    if not store.connection.in_process:
        for info in (await store.connection.infos()).values():
            _check_place(info, is_cluster=isinstance(store.connection.servers, Cluster))


async def check_server(store: Store, *, may_forget: bool = False) -> None:
    """Refuse servers that would lose jobs by their own settings, but for one that `may_forget` all in a crash.

    And a store whose time was moved on: here it goes by the real one, and what is in it would wait unseen.

    Raises `SettingsError` with the remedy, `StoreUnavailable` when they cannot be reached.
    """
    if store.connection.in_process:
        return
    infos = await store.connection.infos()
    for info in infos.values():
        _check_place(info, is_cluster=isinstance(store.connection.servers, Cluster))
        _check_one(info, may_forget=may_forget)
        _check_durability(info, store.connection.durability)
    if ahead_ms := await read_ahead(store.connection):
        raise SettingsError(
            f"the time of this store was moved {ahead_ms / 1000:.0f} s on, by `coordinator dev`: all in it lies in the "
            "future. POST /dev/reset empties it while dev runs; --prefix or --redis-url names another store."
        )


def _check_place(info: dict[str, Any], *, is_cluster: bool) -> None:
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):  # Redis' word, and Valkey's.
        raise SettingsError(
            "COORDINATOR_REDIS_URL leads to a sentinel; write it as redis+sentinel://host:26379/<name>."
        )
    if info.get("role") == "slave":
        raise SettingsError("COORDINATOR_REDIS_URL leads to a read-only replica; give the primary's address.")
    if info.get("cluster_enabled") and not is_cluster:
        raise SettingsError("COORDINATOR_REDIS_URL leads to a node of a cluster; write it as redis+cluster://…")


def _check_one(info: dict[str, Any], *, may_forget: bool) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        msg = (
            f"Redis evicts keys under memory pressure (maxmemory-policy {policy}), which would lose jobs. "
            "Run: redis-cli config set maxmemory-policy noeviction"
        )
        raise SettingsError(msg)
    if _version(info) < OLDEST_VERSION:
        raise SettingsError(f"Redis {info['redis_version']} is too old; 7.0 or later is needed.")
    if int(info.get("aof_enabled", 1)) == 0 and not may_forget:
        raise SettingsError(
            "Redis keeps no append-only file: a crash loses what came since its last snapshot, or all without one. "
            "Run: redis-cli config set appendonly yes. If jobs may be lost, or something else keeps them, "
            "set COORDINATOR_ALLOW_VOLATILE=true"
        )


def _check_durability(info: dict[str, Any], durability: Durability) -> None:
    if durability == "fsync" and int(info.get("aof_enabled", 1)) == 0:
        raise SettingsError(
            "COORDINATOR_DURABILITY is fsync, but Redis keeps no append-only file. "
            "Run: redis-cli config set appendonly yes"
        )
    if durability == "fsync" and _version(info) < WAITAOF_VERSION:
        msg = f"COORDINATOR_DURABILITY is fsync, which needs WAITAOF of Redis 7.2; this is {info['redis_version']}."
        raise SettingsError(msg)
    if durability == "replicated" and int(info.get("connected_slaves", 0)) == 0:
        log.warning(
            "COORDINATOR_DURABILITY is replicated and no replica follows: until one does, nothing is accepted",
            extra={"event": "setup.unreplicated"},
        )


def _version(info: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in str(info.get("redis_version", "7.0")).split(".")[:2])
