"""One replica: all parts, started and stopped together."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Coroutine, Iterable

from coordinator import __version__
from coordinator.calling.caller import Caller
from coordinator.domain.ids import shard_of_queue
from coordinator.domain.keyring import read_keyring
from coordinator.domain.worker import Worker
from coordinator.engine.aside import Aside
from coordinator.engine.calls import Desk
from coordinator.engine.directory import Directory
from coordinator.engine.dispatcher import Dispatcher, Limits
from coordinator.engine.headroom import Headroom
from coordinator.engine.intake import Intake
from coordinator.engine.leadership import CHANGED, Leadership
from coordinator.engine.leases import Leases
from coordinator.engine.outbox import Outbox
from coordinator.engine.passes import Passes
from coordinator.engine.pings import Pinged, ping
from coordinator.engine.poller import Poller
from coordinator.engine.receipt_tokens import ReceiptTokens
from coordinator.engine.schedules import Schedules
from coordinator.engine.sessions import Sessions
from coordinator.engine.settler import Settler
from coordinator.engine.shared_keys import SharedKeys
from coordinator.engine.survey import Surveyor
from coordinator.engine.tokens import TOKENS_CHANGED, Tokens
from coordinator.engine.watch import Watch
from coordinator.engine.witness import Witness
from coordinator.errors import StoreUnavailable
from coordinator.settings import Settings
from coordinator.store.open import Store
from coordinator.telemetry.metrics import Metrics, Vitals
from coordinator.telemetry.traces import Tracing

log = logging.getLogger(__name__)

DIRECTORY_CHANGED = "workers"
SCHEDULES_CHANGED = "schedules"
_CLAIM = "claim "


class Replica:
    """Takes part in the work on one store. Any number may; each is told of the others by Redis alone."""

    def __init__(self, store: Store, caller: Caller, settings: Settings, tracing: Tracing | None = None) -> None:
        """Nothing runs before `start`."""
        self.id = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.store = store
        self._caller = caller
        self._settings = settings
        self.is_stopping = False
        self._loops: list[asyncio.Task[None]] = []
        self._publishing = Aside()
        self._backlog_told: dict[int, float] = {}
        self.directory = Directory(store.workers, store.queues, _entry_point(settings))
        self._headroom = Headroom(store.capacity.fills, settings.memory_percent)
        vitals = Vitals(__version__, settings.max_calls, lambda: self._dispatcher.in_flight, lambda: len(self.led))
        self.metrics = Metrics(vitals)
        self.surveyor = Surveyor(store)
        self._tracing = tracing
        witness = Witness(self.metrics, tracing, shows_errors=store.sealer.newest is None)
        self.intake = Intake(store, self.wake, self._headroom, witness)
        self.schedules = Schedules(store, self.intake, lambda: self.tell(SCHEDULES_CHANGED))
        self.settler = Settler(store.jobs, self.wake, Outbox(store, self.wake), witness)
        self._leases = Leases(store.jobs, self.id, settings.lease_ms)
        self._leadership = Leadership(store.leadership, self.id, store.shards, settings.leader_ttl_ms)
        self.tokens = Tokens(store.tokens, settings.token_list, tell=self.tell)
        keys = SharedKeys(store.leadership, read_keyring(settings.keys))
        self.sessions = Sessions(self.tokens, keys)
        self.receipt_tokens = ReceiptTokens(keys)
        desk = Desk(settings.own_url, self.receipt_tokens.of)
        limits = Limits(self.id, settings.max_calls, settings.lease_ms, desk, witness)
        self._dispatcher = Dispatcher(store.jobs, caller, self.settler, self.directory, self._leases, limits)
        self._dispatcher.leads = self._leadership.led.__contains__
        self._dispatcher.lacks_key = self.settler.outbox.lacks_key = keys.lacks
        self._dispatcher.on_backlog = self._tell_backlog
        self._poller = Poller(store, self._leadership, self.settler, self._dispatcher, settings, witness)
        self.watch = Watch(store.events, store.shards)
        self.passes = Passes(self._poller, self._dispatcher, store)

    @property
    def led(self) -> frozenset[int]:
        """The shards that this replica polls for."""
        return frozenset(self._leadership.led)

    async def start(self) -> None:
        """Join the others. Raises `StoreUnavailable`, `SettingsError`."""
        await self.store.agree()
        await self.receipt_tokens.agree()
        for loop in (self._leadership.run, self._poller.run, self._headroom.run, self._listen, self._leases.run):
            self._loops.append(asyncio.create_task(_outlive(loop)))
        self._claiming = asyncio.create_task(_outlive(self._dispatcher.run))
        log.info("this replica has started", extra={"event": "replica.started", "replica": self.id})

    async def stop(self) -> None:
        """Claim nothing more, hand over, let the calls in flight end within the grace, and leave the rest."""
        if self.is_stopping or not self._loops:
            return
        self.is_stopping = True
        await self.watch.stop()
        *helpers, leases = self._loops
        await _end(helpers)
        self._dispatcher.stop_claiming()
        # Not cancelled: a claim that is under way would be made and never heard of.
        await asyncio.gather(self._claiming, return_exceptions=True)
        await self._leadership.stop()
        await self._dispatcher.finish(self._settings.shutdown_grace_ms / 1000)
        await _end([leases])
        await self.settler.drain()
        await self.settler.outbox.drain()
        await self._publishing.drain()
        await self.tokens.drain()
        await self._caller.close()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        log.info("this replica has stopped", extra={"event": "replica.stopped", "replica": self.id})

    async def ping(self, worker: str) -> Pinged | None:
        """Try whoever serves this name, with no job; None if nobody does. Raises `StoreUnavailable`."""
        found = await self.directory.find(worker)
        return None if found is None else await ping(self._caller, worker, found)

    def tell(self, message: str) -> None:
        """Tell the other replicas, and this one, that something changed."""
        self._heed(message)
        self._publish(message)

    def shard_of(self, queue: str) -> int:
        """Where a queue lives."""
        return shard_of_queue(queue, self.store.shards)

    def wake(self, shard: int, due_in_ms: int | None) -> None:
        """Tell that a shard has something to claim in so many ms; None is nothing new."""
        # Beyond the next look of the leader it is the leader's to wait for.
        if due_in_ms is not None and due_in_ms <= self._settings.poll_interval_ms:
            self._dispatcher.wake(shard, due_in_ms)

    def _tell_backlog(self, shard: int) -> None:
        """More is due than this replica can take: one message to the others per poll interval."""
        now = time.monotonic()
        if now - self._backlog_told.get(shard, float("-inf")) >= self._settings.poll_interval_ms / 1000:
            self._backlog_told[shard] = now
            self._publish(f"{_CLAIM}{shard}")

    def _publish(self, message: str) -> None:
        self._publishing.begin(self._try_to_publish(message))

    async def _try_to_publish(self, message: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # The others find out by themselves, a little later.
            await self.store.leadership.publish(message)

    async def _listen(self) -> None:
        """Heed what other replicas say."""
        while True:
            try:
                async for message in self.store.leadership.messages():
                    self._heed(message)
            except StoreUnavailable:
                await asyncio.sleep(self._settings.poll_interval_ms / 1000)

    def _heed(self, message: str) -> None:
        # What was said before the subscription began is not known: all of it may have been.
        if message in (CHANGED, ""):
            self._leadership.look_again()
        if message in (DIRECTORY_CHANGED, ""):
            self.directory.forget()
        if message in (TOKENS_CHANGED, ""):
            self.tokens.forget()
        if message == SCHEDULES_CHANGED:
            self._poller.wake()
        if message.startswith(_CLAIM) and message.removeprefix(_CLAIM).isdigit():
            self._dispatcher.wake(int(message.removeprefix(_CLAIM)))


def _entry_point(settings: Settings) -> Worker | None:
    if not settings.worker_url:
        return None
    secret, previous, *_ = (*settings.worker_secrets, None, None)
    return Worker(settings.worker_url, secret=secret, previous_secret=previous)


async def _outlive(loop: Callable[[], Coroutine[None, None, None]]) -> None:
    """A loop must not end: a fault of ours in one of them would leave a replica that looks well and does nothing."""
    while True:
        try:
            return await loop()
        except Exception:
            log.exception("%s met a fault of ours; it begins anew", loop.__qualname__, extra={"event": "fault"})
            await asyncio.sleep(1)


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel, and ask again: before Python 3.12 `asyncio.wait_for`, in whatever library, may swallow it once."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)
