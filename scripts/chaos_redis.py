"""The runs of chaos.py in which Redis fails: it restarts, a replica of it takes over, or its memory is full."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from types import MappingProxyType
from typing import ClassVar

from chaos_function import POSTED
from chaos_runs import UNHURRIED, Run
from chaos_verdict import Verdict
from chaos_world import KEPT, World

from coordinator.errors import StoreUnavailable
from coordinator.store.embedded import EmbeddedServer
from tests.servers import ClusterSet, SentinelSet, wait_until


class Restart(Run):
    """Redis is killed or shut down, and comes back with its append-only file; its scripts are forgotten meanwhile.

    While the disk is slow, a server that writes its file through once a second puts off the writing itself, for two
    seconds at the most, and answers all the same: a crash loses that.
    """

    rolls_back = True
    may_lose = True
    put_off_s: ClassVar[float] = 2.5

    async def faults(self, world: World) -> None:
        """Away for a moment, or for more than a lease."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._flush(world))
            async for number in world.every(world.plan.period_s * 1.5):
                seconds = world.rng.choice([0.0, 0.3, 1.0, 2.5])
                await self._restart(world, is_graceful=number % 4 == 3, seconds=seconds)

    async def _restart(self, world: World, *, is_graceful: bool, seconds: float) -> None:
        server = world.servers
        assert isinstance(server, EmbeddedServer)
        with world.record.fault("redis shut down" if is_graceful else "redis killed", "*"):
            await asyncio.to_thread(server.stop if is_graceful else server.kill)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(server.start)

    async def _flush(self, world: World) -> None:
        async for _ in world.every(2):
            with suppress(StoreUnavailable):
                await world.store.connection.call("SCRIPT", "FLUSH")

    async def expect(self, world: World, verdict: Verdict) -> None:
        """Nothing older than that, and nothing at all without a crash."""
        crashes = [fault for fault in world.record.faults if fault.kind == "redis killed"]
        for job in verdict.lost:
            at = world.record.accepted_at[job]
            # An answer that was under way at the crash is noted during it.
            if not any(crash.began - self.put_off_s <= at <= (crash.ended or at) for crash in crashes):
                verdict.wrong.append(f"{job} was accepted at {at:.2f}, long before the next crash, and is lost")


class RestartFsync(Restart):
    """The same; what is acknowledged, is on the disk."""

    settings = MappingProxyType({"durability": "fsync"})
    may_lose = False


class Failover(Run):
    """A primary is killed, its replica is promoted, and it comes back as the replica."""

    rolls_back = True
    lag_s: ClassVar[float] = 0.4

    async def faults(self, world: World) -> None:
        """One at a time: the next when all are whole again. Every other time the replica had a lag."""
        async for number in world.every(world.plan.period_s):
            lag_s = self.lag_s if number % 2 == 0 else 0.0
            with world.record.fault("primary killed", "*"):
                await asyncio.to_thread(self.fail_over, world, lag_s)

    def fail_over(self, world: World, lag_s: float) -> None:
        """Returns when all is whole again."""
        raise NotImplementedError


def crash(nodes: ClusterSet | SentinelSet, primary: int, replica: int, lag_s: float) -> None:
    """Kill a primary. With a lag, its replica does not hear of what is written for a moment before."""
    if lag_s == 0:
        nodes.nodes[primary].kill()
        return
    os.kill(nodes.nodes[replica].pid, signal.SIGSTOP)
    try:
        # Or it would read what was sent, from its socket, as soon as it is continued.
        nodes.ask(primary, "CLIENT", "KILL", "TYPE", "replica")
        time.sleep(lag_s)
        nodes.nodes[primary].kill()
    finally:
        os.kill(nodes.nodes[replica].pid, signal.SIGCONT)


def _is_whole(nodes: SentinelSet) -> bool:
    primary, *others = (nodes.primary(sentinel) for sentinel in range(len(nodes.ports)))
    if set(others) != {primary}:
        return False
    other = nodes.info(1 - primary, "replication")
    is_followed = other.get("master_port") == nodes.nodes[primary].port and other.get("master_link_status") == "up"
    return is_followed and nodes.info(primary, "replication")["role"] == "master"


class Cluster(Failover):
    """Three primaries, each with a replica; an acknowledged write may be lost with its primary."""

    servers = "cluster"
    may_lose = True

    def fail_over(self, world: World, lag_s: float) -> None:
        """Any primary."""
        nodes = world.servers
        assert isinstance(nodes, ClusterSet)
        primary = world.rng.choice(nodes.primaries())
        port = nodes.nodes[primary].port
        others = [number for number in range(len(nodes.nodes)) if number != primary]
        replica = next(other for other in others if nodes.info(other, "replication").get("master_port") == port)
        crash(nodes, primary, replica, lag_s)
        wait_until(lambda: nodes.info(replica, "replication")["role"] == "master", f"node {replica} is promoted")
        nodes.nodes[primary].start()
        nodes.await_whole()


class ClusterReplicated(Cluster):
    """The same; what is acknowledged, a replica has."""

    settings = MappingProxyType({"durability": "replicated"})
    may_lose = False


class Sentinel(Failover):
    """A primary with one replica; an acknowledged write may be lost with the primary."""

    servers = "sentinel"
    may_lose = True

    def fail_over(self, world: World, lag_s: float) -> None:
        """The one that the sentinels name."""
        nodes = world.servers
        assert isinstance(nodes, SentinelSet)
        primary = nodes.primary()
        crash(nodes, primary, 1 - primary, lag_s)
        nodes.await_primary(1 - primary)
        nodes.nodes[primary].start()
        # The sentinels would tell it too, after ten seconds or more.
        nodes.ask(primary, "REPLICAOF", "127.0.0.1", nodes.nodes[1 - primary].port)
        # Whichever it is in the end: a sentinel that heard of it late may turn them around once more.
        wait_until(lambda: _is_whole(nodes), "one follows the other", limit_s=60)
        nodes.await_replica(1 - nodes.primary())


class SentinelReplicated(Sentinel):
    """The same; what is acknowledged, a replica has."""

    settings = MappingProxyType({"durability": "replicated"})
    may_lose = False


class Oom(Run):
    """Half of the jobs run when memory is full; their receipts and the purge make room for the other half."""

    deeds = POSTED
    settings = UNHURRIED
    purges = True

    async def load(self, world: World) -> None:
        """The functions are held up until somebody was refused."""
        world.load.timeout_s = 120
        world.load.padding = "x" * 8192
        world.function.gate.clear()
        await world.configure({"retention": {"succeeded": {**KEPT, "age": "1s"}}}, is_limited=False)
        plan = world.plan
        half = plan.jobs // 2
        empty = await self._used(world)
        await world.load.run(range(half), plan.seconds / 4, f"{plan.seed}-{plan.name}")
        async with asyncio.timeout(60):
            while len(world.record.calls) < half:
                await asyncio.sleep(0.05)
        full = await self._used(world)
        limit = full + (full - empty) // 3
        with world.record.fault("memory full", "*"):
            await world.store.connection.call("CONFIG", "SET", "maxmemory", limit, key="")
            second = asyncio.create_task(
                world.load.run(range(half, plan.jobs), plan.seconds / 4, f"{plan.seed}-{plan.name}")
            )
            async with asyncio.timeout(60):
                while world.record.refusals["503 memory_limit"] < 20:
                    await asyncio.sleep(0.05)
            world.function.gate.set()
            await second

    async def _used(self, world: World) -> int:
        (info,) = (await world.store.connection.infos("memory")).values()
        return int(info["used_memory"])

    async def expect(self, world: World, verdict: Verdict) -> None:
        """A full memory refuses new jobs, and nothing that frees it."""
        verdict.wrong.extend(f"{what}: {number}" for what, number in world.record.refusals.items() if "receipt" in what)
