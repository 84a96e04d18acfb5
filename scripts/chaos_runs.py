"""The runs of chaos.py in which Redis stays: what each breaks, and what it expects beyond what must always hold."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from chaos_function import HONEST, LONG, LYING, TALKING, Deeds
from chaos_proxy import Proxy
from chaos_replicas import LEASE_MS
from chaos_verdict import Verdict, count_calls
from chaos_world import World

from coordinator.store.embedded import EmbeddedServer

LEASE_S = LEASE_MS / 1000

UNHURRIED: Mapping[str, object] = MappingProxyType({"lease_ms": 10_000, "leader_ttl_ms": 10_000})
"""Where no lease is to lapse, a busy machine must not make it."""


class Run:
    """Jobs are enqueued, things are broken until the last is accepted, and everything comes to its end."""

    servers: ClassVar[str] = "one"
    replicas: ClassVar[int] = 2
    deeds: ClassVar[Deeds] = HONEST
    settings: ClassVar[Mapping[str, object]] = {}
    rolls_back: ClassVar[bool] = False
    may_lose: ClassVar[bool] = False
    purges: ClassVar[bool] = False

    async def prepare(self, world: World) -> None:
        """Before the replicas start."""

    async def load(self, world: World) -> None:
        """Enqueue all."""
        await world.load.run(range(world.plan.jobs), world.plan.seconds, f"{world.plan.seed}-{world.plan.name}")

    async def faults(self, world: World) -> None:
        """Break things until the callers are done, and leave nothing broken."""

    async def expect(self, world: World, verdict: Verdict) -> None:
        """What this run is for."""


class Kill(Run):
    """One of three replicas is killed at a time, now and then all of them; each is started anew."""

    replicas = 3

    async def faults(self, world: World) -> None:
        """The next when the one before is back: a busy machine must not leave too little to work with."""
        async for number in world.every(world.plan.period_s):
            dying = list(world.replicas.names) if number % 6 == 5 else [world.rng.choice(world.replicas.names)]
            for replica in dying:
                await world.replicas.kill(replica)
            await asyncio.gather(*(world.replicas.start(replica) for replica in dying))


class Pause(Run):
    """One replica is stopped at a time, for half a lease up to three of them."""

    replicas = 3

    async def faults(self, world: World) -> None:
        """It goes on as if nothing had happened."""
        async for _ in world.every(world.plan.period_s / 2):
            await world.replicas.pause(world.rng.choice(world.replicas.names), LEASE_S * world.rng.uniform(0.5, 3))


class Deploy(Run):
    """All replicas are asked to end and started anew, one after the other, five times."""

    replicas = 3
    deeds = LONG
    settings = UNHURRIED

    async def load(self, world: World) -> None:
        """Each replica ends amid a share of the jobs, however long it takes to start it anew."""
        plan = world.plan
        steps = [name for _ in range(5 if plan.jobs > 1000 else 1) for name in world.replicas.names]
        seconds = plan.seconds / len(steps)
        for at, replica in enumerate(steps):
            part = range(plan.jobs * at // len(steps), plan.jobs * (at + 1) // len(steps))
            async with asyncio.TaskGroup() as both:
                both.create_task(world.load.run(part, seconds, f"{plan.seed}-{plan.name}"))
                await asyncio.sleep(seconds / 2)
                await world.replicas.terminate(replica)
                await world.replicas.start(replica)

    async def expect(self, world: World, verdict: Verdict) -> None:
        """Calls are shorter than the grace: none is made twice."""
        if extra := count_calls(world.record)[1]:
            verdict.wrong.append(f"{extra} calls were made again because of a deploy")


class Lying(Run):
    """Functions tell things twice, late, against one another, with tokens that are not theirs, or not at all."""

    deeds = LYING
    settings = UNHURRIED

    async def expect(self, world: World, verdict: Verdict) -> None:
        """Much of it must have been refused, or nobody lied."""
        told = [receipt for calls in world.record.calls.values() for call in calls for receipt in call.receipts]
        if not any("409" in receipt for receipt in told):
            verdict.wrong.append("no receipt was refused")


class Cuts(Run):
    """Between each replica and Redis requests are cut off, before, after and in the middle, or take a second.

    Every script may be repeated, so a cut has no further call as its consequence as long as leases and deadlines leave
    the time for it. Functions always say something here, and nothing else is a cause.
    """

    deeds = TALKING
    settings = UNHURRIED
    chance: ClassVar[float] = 0.05

    async def prepare(self, world: World) -> None:
        """Each replica has a way of its own."""
        world.load.timeout_s = 60
        server = world.servers
        assert isinstance(server, EmbeddedServer)
        self._proxies = [
            Proxy(world.record, name, server.port, self.chance, world.rng) for name in world.replicas.names
        ]
        for replica, proxy in zip(world.replicas.names, self._proxies, strict=True):
            await proxy.start()
            world.closing.push_async_callback(proxy.stop)
            world.replicas.url_of[replica] = f"redis://127.0.0.1:{proxy.port}"

    async def faults(self, world: World) -> None:
        """All the time."""
        for proxy in self._proxies:
            proxy.is_on = True
        await world.is_over.wait()
        for proxy in self._proxies:
            proxy.is_on = False
            world.record.refusals.update({f"cut {cut}": number for cut, number in proxy.made.items()})
