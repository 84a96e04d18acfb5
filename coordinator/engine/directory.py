"""Where the workers are and what queues say of their jobs, kept in memory and read anew when told to, or soon."""

import asyncio
import logging
import time
from weakref import WeakValueDictionary

from coordinator.domain.queue import QueueDefaults
from coordinator.domain.worker import ENTRY_POINT, Worker
from coordinator.errors import StoreUnavailable
from coordinator.store.queues import QueueStore
from coordinator.store.workers import WorkerStore

log = logging.getLogger(__name__)

_QUEUES_LIMIT = 10_000
"""Of which something is kept; names come from callers."""

_FRESH_S = 5
"""A replica that missed the message about a change follows within this time."""


class Directory:
    """Routes worker names. `entry_point` serves the names that nothing else does."""

    def __init__(self, workers: WorkerStore, queues: QueueStore, entry_point: Worker | None) -> None:
        """The first look reads the store."""
        self._workers = workers
        self._queues = queues
        self._defaults: dict[str, tuple[float, QueueDefaults]] = {}
        self._default = entry_point
        self._known: dict[str, Worker] | None = None
        self._read_at = float("-inf")
        self._changes = 0
        self._lock = asyncio.Lock()
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def find(self, name: str) -> Worker | None:
        """The worker that serves this name, None if none does. Raises `StoreUnavailable` before the first read."""
        if time.monotonic() - self._read_at > _FRESH_S:
            await self._refresh()
        known = self._known or {}
        return known.get(name) or known.get(ENTRY_POINT) or self._default

    async def defaults_of(self, queue: str) -> QueueDefaults:
        """What jobs of this queue have that name none themselves. Raises `StoreUnavailable` before its first read."""
        known = self._defaults.get(queue)
        if known is None or time.monotonic() - known[0] > _FRESH_S:
            # A queue whose server does not answer holds up those who ask for it, and nobody else.
            async with self._reading.setdefault(queue, asyncio.Lock()):
                known = self._defaults.get(queue)
                if known is None or time.monotonic() - known[0] > _FRESH_S:
                    known = await self._read_defaults(queue)
        return known[1]

    def forget(self) -> None:
        """Something was registered or removed: read before the next use."""
        self._read_at = float("-inf")
        self._defaults.clear()
        self._changes += 1

    async def _read_defaults(self, queue: str) -> tuple[float, QueueDefaults]:
        changes = self._changes
        read = (time.monotonic(), (await self._queues.read(queue)).settings.defaults)
        if changes == self._changes:
            if len(self._defaults) >= _QUEUES_LIMIT:
                self._defaults.clear()
            self._defaults[queue] = read
        return read

    async def _refresh(self) -> None:
        async with self._lock:
            if time.monotonic() - self._read_at <= _FRESH_S:
                return
            changes = self._changes
            try:
                self._known = await self._workers.read_all()
            except StoreUnavailable as error:
                # Before the first read nobody knows which names have a URL of their own.
                if self._known is None:
                    raise
                told = {"error": error.code}
                log.warning(
                    "the workers could not be read anew; the known ones are used",
                    extra={"event": "directory.stale", **told},
                )
            if changes == self._changes:
                self._read_at = time.monotonic()
