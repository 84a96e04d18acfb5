"""Open a store: from a URL to something that runs scripts, with what must hold checked once."""

import logging
from dataclasses import dataclass

from redis.asyncio import Redis

from coordinator.errors import SettingsError
from coordinator.store.batches import BatchStore
from coordinator.store.connection import Connection, open_client
from coordinator.store.embedded import OLDEST_VERSION
from coordinator.store.jobs import JobStore
from coordinator.store.leadership import LeadershipStore
from coordinator.store.queues import QueueStore
from coordinator.store.schedules import ScheduleStore
from coordinator.store.workers import WorkerStore

log = logging.getLogger(__name__)

IN_PROCESS_URL = "memory://"
"""The imitation inside this process: nothing is kept, and nobody else sees it."""


@dataclass(frozen=True)
class Store:
    """All that a replica knows of Redis."""

    connection: Connection
    jobs: JobStore
    queues: QueueStore
    batches: BatchStore
    schedules: ScheduleStore
    workers: WorkerStore
    leadership: LeadershipStore

    @property
    def shards(self) -> int:
        """How many slices the keyspace has."""
        return self.connection.shards

    async def close(self) -> None:
        """Close all connections."""
        await self.connection.close()


def open_store(url: str, *, prefix: str = "co", shards: int = 16, test_clock: bool = False) -> Store:
    """A store for `redis://`, `rediss://`, `unix://` or `memory://`. Connects on first use."""
    in_process = url == IN_PROCESS_URL
    client = _open_in_process() if in_process else open_client(url)
    connection = Connection(client, prefix=prefix, shards=shards, in_process=in_process, test_clock=test_clock)
    return Store(
        connection,
        JobStore(connection),
        QueueStore(connection),
        BatchStore(connection),
        ScheduleStore(connection),
        WorkerStore(connection),
        LeadershipStore(connection),
    )


def _open_in_process() -> "Redis":
    try:
        from fakeredis import FakeAsyncRedis  # noqa: PLC0415 - an extra that may be missing
    except ImportError:
        msg = "No store: install Redis or Valkey, or the extra: pip install 'coordinator[embedded]'."
        raise SettingsError(msg) from None
    # Without a time-out, for the same reason as a real connection.
    client: Redis = FakeAsyncRedis(socket_timeout=None)
    return client


async def check_server(store: Store) -> None:
    """Refuse a server that would lose jobs by its own settings; warn of one that may.

    Raises `SettingsError` with the remedy, `StoreUnavailable` when it cannot be reached.
    """
    if store.connection.in_process:
        return
    info = await store.connection.info()
    if info.get("role") == "slave":
        raise SettingsError("COORDINATOR_REDIS_URL leads to a read-only replica; give the primary's address.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        msg = (
            f"Redis evicts keys under memory pressure (maxmemory-policy {policy}), which would lose jobs. "
            "Run: redis-cli config set maxmemory-policy noeviction"
        )
        raise SettingsError(msg)
    version = tuple(int(part) for part in str(info.get("redis_version", "7.0")).split(".")[:2])
    if version < OLDEST_VERSION:
        raise SettingsError(f"Redis {info['redis_version']} is too old; 7.0 or later is needed.")
    if int(info.get("aof_enabled", 1)) == 0:
        log.warning(
            "Redis keeps no append-only file: a crash loses what came since its last snapshot. "
            "Run: redis-cli config set appendonly yes"
        )
