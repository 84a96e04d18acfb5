"""What a run of chaos.py consists of: servers, replicas, a function, callers; started and ended together."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from chaos_function import Deeds, Function
from chaos_http import Client
from chaos_load import QUEUES, Load
from chaos_record import Record
from chaos_replicas import SETTINGS, Replicas

from coordinator.domain.ids import shard_of_id
from coordinator.errors import StoreUnavailable
from coordinator.store.embedded import EmbeddedServer, Program
from coordinator.store.open import Store, open_store
from tests.ports import free_port
from tests.servers import ClusterSet, SentinelSet

DRAIN_LIMIT_S = 90
"""For all jobs to end, once nothing is broken any more."""

UNFINISHED = ("queued", "running", "scheduled", "retrying")
KEPT = {"age": "1d", "count": 1_000_000}

Servers = EmbeddedServer | ClusterSet | SentinelSet


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of a run: `jobs` over `seconds`, broken in ways that follow from `seed`."""

    name: str
    jobs: int
    seconds: float
    seed: int

    @property
    def period_s(self) -> float:
        """Between two faults."""
        return min(2.0, max(0.5, self.seconds / 20))


def open_servers(kind: str, program: Program, directory: Path) -> Servers:
    """`one` server, a `cluster`, or a `sentinel` set. Nothing runs yet."""
    match kind:
        case "cluster":
            return ClusterSet(program, directory)
        case "sentinel":
            return SentinelSet(program, directory)
    return EmbeddedServer(program, directory, port=free_port())


class World:
    """Everything of a run. `directory` keeps the logs if it went wrong."""

    def __init__(self, plan: Plan, kind: str, program: Program, deeds: Deeds) -> None:
        """Nothing runs before `start`."""
        self.plan = plan
        self.rng = random.Random(f"{plan.seed}/{plan.name}")
        self.directory = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.name}-"))
        self.record = Record()
        self.client = Client()
        self.servers = open_servers(kind, program, self.directory / "servers")
        self.replicas = Replicas(self.record, self.client, self.directory, self.rng)
        self.function = Function(self.record, self.replicas.post, deeds, f"{plan.seed}/{plan.name}")
        self.load = Load(self.record, self.replicas, self.client, self.rng)
        self.is_over = asyncio.Event()
        self.store: Store
        self.closing = AsyncExitStack()
        """What a run has started beside all this."""
        self._watching: list[asyncio.Future[None]] = []

    @property
    def server_count(self) -> int:
        """Processes that a replica may connect to."""
        match self.servers:
            case ClusterSet():
                return len(self.servers.nodes)
            case SentinelSet():
                return len(self.servers.nodes) + len(self.servers.ports)
        return 1

    async def start(self, settings: Mapping[str, object]) -> None:
        """Start all that is not Redis; the queues keep everything."""
        await self.function.start()
        self.store = open_store(self.servers.url)
        self.replicas.function_port = self.function.port
        given = {**SETTINGS, "redis_url": self.servers.url, **settings}
        self.replicas.environment = {f"COORDINATOR_{name.upper()}": str(value) for name, value in given.items()}
        await asyncio.gather(*(self.replicas.start(replica) for replica in self.replicas.names))
        await self.configure({"retention": dict.fromkeys(("succeeded", "dead", "cancelled"), KEPT)})

    async def configure(self, settings: Mapping[str, object], *, is_limited: bool = True) -> None:
        """Have all queues so. Functions are never left alone for failing: it is what many of them are for."""
        for name, limits in QUEUES.items():
            own = limits if is_limited else {}
            await self.replicas.ask(f"PUT /queue/{name}", {"circuit": None, **settings, **own})

    def watch(self, *, is_final_for_ever: bool) -> None:
        """From now on look again and again: at some jobs, whose ends are to last, and whether replicas get to run."""
        watches = [self.replicas.watch(), *([self._watch_jobs()] if is_final_for_ever else [])]
        self._watching = [asyncio.ensure_future(watch) for watch in watches]

    async def _watch_jobs(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            known = list(self.record.accepted)
            for job in self.rng.sample(known, min(20, len(known))):
                with suppress(StoreUnavailable):
                    state = (await self.read_job(job))[0]
                    if state is not None:
                        self.record.sample(job, state)

    async def read_job(self, job: str) -> tuple[str | None, str | None]:
        """Its state, and why it is in it; None for what it does not have. Raises `StoreUnavailable`."""
        key = f"{self.store.connection.root(shard_of_id(job) or 0)}:job:{job}"
        state, reason = await self.store.connection.call("HMGET", key, "state", "reason")
        return state and state.decode(), reason and reason.decode()

    async def read_surely(self, job: str) -> tuple[str | None, str | None]:
        """The same, on a machine where nothing is broken and much is slow."""
        async with asyncio.timeout(DRAIN_LIMIT_S):
            while True:
                with suppress(StoreUnavailable):
                    return await self.read_job(job)

    async def every(self, seconds: float) -> AsyncIterator[int]:
        """Counts, once in so many seconds, until the callers are done."""
        number = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.is_over.wait()
            if self.is_over.is_set():
                return
            yield number
            number += 1

    async def heal(self) -> None:
        """Nothing is broken any more: every replica runs."""
        for name in self.replicas.names:
            if not self.replicas.all[name].is_running:
                await self.replicas.start(name)

    async def drain(self) -> float:
        """Wait until no job is unfinished. Returns the seconds that it took. Raises `TimeoutError`."""
        began = self.record.now()
        async with asyncio.timeout(DRAIN_LIMIT_S):
            while not (self.function.is_idle and await self._is_finished()):
                await asyncio.sleep(0.1)
        return self.record.now() - began

    async def _is_finished(self) -> bool:
        queues = (await self.replicas.ask("GET /queue")).body["items"]
        return not any(queue.get(state) for queue in queues for state in UNFINISHED)

    async def settle_down(self) -> None:
        """No connection is open but those that replicas have to Redis."""
        for watch in self._watching:
            watch.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self.client.close()
        self.function.hang_up()
        await asyncio.sleep(0.5)

    async def stop(self, *, keep: bool) -> None:
        """End every child; the logs stay if they are to be kept."""
        self.replicas.stop_all()
        for watch in self._watching:
            watch.cancel()
        with suppress(AttributeError):  # It was not started.
            await self.function.stop()
            await self.store.close()
        self.client.close()
        await self.closing.aclose()
        await asyncio.to_thread(self.servers.stop)
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
