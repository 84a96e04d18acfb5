"""The run of chaos.py with schedules: they tick every second while those who lead their shards are killed."""

import asyncio

from chaos_function import SUCCEED
from chaos_record import TIMEOUT_S
from chaos_runs import Kill
from chaos_verdict import Verdict
from chaos_world import World

from coordinator.domain.ids import shard_of_id


class Cron(Kill):
    """Every tick makes one job, and no tick is left out."""

    deeds = SUCCEED

    async def load(self, world: World) -> None:
        """As many schedules as it takes; half of them by the clock, half by their own interval."""
        self._ticks = max(3, int(world.plan.seconds))
        count = max(1, world.plan.jobs // self._ticks)
        self._ids: list[str] = []
        for number in range(count):
            rule = {"every": "1s"} if number % 2 else {"cron": "* * * * * *", "seconds": True}
            run = {"worker": "chaos", "queue": f"plain-{number % 6}", "timeout": TIMEOUT_S * 1000, "args": {}}
            bounds = {"maxRuns": self._ticks, "overlap": "allow", "misfire": "all"}
            made = await world.replicas.ask(f"PUT /schedule/chaos-{number}", {**run, **rule, **bounds})
            self._ids.append(made.body["id"])
        async with asyncio.timeout(self._ticks + 60):
            for schedule in self._ids:
                while (await world.replicas.ask(f"GET /job/{schedule}")).body["runs"] < self._ticks:
                    await asyncio.sleep(0.2)

        for schedule in self._ids:
            root = world.store.connection.root(shard_of_id(schedule) or 0)
            runs = await world.store.connection.call("ZRANGE", f"{root}:runs:{schedule}", 0, -1)
            for job in runs:
                world.record.accept(job.decode(), -1)

    async def expect(self, world: World, verdict: Verdict) -> None:
        """As many runs as there were to be, a second apart, and each was called."""
        for schedule in self._ids:
            jobs = [job for job in world.record.accepted if job.startswith(schedule)]
            ticks = sorted(int(job.rpartition(":")[2]) for job in jobs)
            if not ticks or ticks != list(range(ticks[0], ticks[0] + self._ticks)):
                verdict.wrong.append(f"{schedule} was to tick {self._ticks} times, a second apart, and did at {ticks}")
            verdict.wrong.extend(f"{job} was never called" for job in jobs if job not in world.record.calls)
