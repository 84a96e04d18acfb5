"""Break replicas, Redis and the network between them under load, and explain every call that was made twice.

Usage:    scripts/chaos [--jobs 100000] [--seed 1] [--at-once 1] [--server PATH] [--out report.json] [run ...]
Example:  scripts/chaos --jobs 10000 kill cluster

{runs}

The server is the Valkey that comes along, else the one that is installed, or the one that is named.
--jobs is for all runs together; each has its share of it, also when it runs alone. Everything is on this machine, and
every process that is started here is ended here. The exit code is 0 if all that must hold did hold.
"""

import argparse
import asyncio
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos_cron import Cron
from chaos_redis import Cluster, ClusterReplicated, Oom, Restart, RestartFsync, Sentinel, SentinelReplicated
from chaos_replicas import SLOW
from chaos_runs import Cuts, Deploy, Kill, Lying, Pause, Run
from chaos_verdict import SHOWN, Verdict, count_calls, shown_faults
from chaos_world import Plan, World

from coordinator.store.embedded import Program, bundled_program, find_program, identify

RUNS: dict[str, tuple[type[Run], float]] = {
    "kill": (Kill, 0.16),
    "pause": (Pause, 0.12),
    "redis": (Restart, 0.07),
    "redis-fsync": (RestartFsync, 0.05),
    "cluster": (Cluster, 0.09),
    "cluster-replicated": (ClusterReplicated, 0.09),
    "sentinel": (Sentinel, 0.07),
    "sentinel-replicated": (SentinelReplicated, 0.07),
    "cuts": (Cuts, 0.08),
    "lying": (Lying, 0.06),
    "deploy": (Deploy, 0.10),
    "oom": (Oom, 0.03),
    "cron": (Cron, 0.01),
}
"""By name, with the share of all jobs."""

RATE_PER_S = 300
SECONDS = (3.0, 60.0)
"""A run's callers take at least and at most so long."""

RUN_LIMIT_S = 600
"""For one run, with all its servers started and ended."""


def plan_of(name: str, jobs: int, seed: int) -> Plan:
    """A run's share."""
    count = max(20, round(jobs * RUNS[name][1]))
    return Plan(name, count, min(SECONDS[1], max(SECONDS[0], count / RATE_PER_S)), seed)


async def perform(plan: Plan, program: Program) -> dict[str, Any]:
    """One run. Returns its report."""
    run = RUNS[plan.name][0]()
    world = World(plan, run.servers, program, run.deeds)
    world.replicas.names = tuple(f"r{number + 1}" for number in range(run.replicas))
    world.record.may_forget = run.may_lose
    report: dict[str, Any] = {"run": plan.name, "seed": plan.seed, "server": program.name, "verdict": "broken off"}
    is_well = False
    try:
        async with asyncio.timeout(RUN_LIMIT_S):
            report |= await _play(run, world)
        is_well = report["verdict"] == "ok"
    except Exception as error:  # noqa: BLE001 - the runs that follow are not to blame
        report["broken_off"] = "".join(traceback.format_exception(error))
        report["faults"] = shown_faults(world.record.faults)
    finally:
        await world.stop(keep=not is_well)
        if not is_well:
            report["logs"] = str(world.directory)
    return report


async def perform_all(plans: Sequence[Plan], program: Program, at_once: int, out: Path | None) -> list[dict[str, Any]]:
    """So many runs at a time. Each report is shown, and all are written, as soon as it is there."""
    reports: list[dict[str, Any]] = []
    places = asyncio.Semaphore(at_once)

    async def take_part(plan: Plan) -> None:
        async with places:
            reports.append(await perform(plan, program))
        show(reports[-1])
        if out:
            out.write_text(json.dumps(reports, indent=1))

    async with asyncio.TaskGroup() as all_runs:
        for plan in plans:
            all_runs.create_task(take_part(plan))
    return reports


async def _play(run: Run, world: World) -> dict[str, Any]:
    record, plan = world.record, world.plan
    await asyncio.to_thread(world.servers.start)
    await run.prepare(world)
    await world.start(run.settings)
    # Where Redis may forget, what was seen and not acknowledged may change.
    world.watch(is_final_for_ever=not run.rolls_back)
    async with asyncio.TaskGroup() as both:
        faults = both.create_task(run.faults(world))
        began = record.now()
        await run.load(world)
        loaded_s = record.now() - began
        world.is_over.set()
        await faults
    await world.heal()
    drained_s = await world.drain()
    await world.settle_down()
    verdict = Verdict(world, rolls_back=run.rolls_back, may_lose=run.may_lose, purges=run.purges)
    await verdict.reach()
    await run.expect(world, verdict)
    calls, extra = count_calls(record)
    made = [fault for fault in record.faults if fault.kind != SLOW]
    slow = [fault for fault in record.faults if fault.kind == SLOW and not any(map(fault.meets, made))]
    return {
        "verdict": "failed" if verdict.wrong else "ok",
        "jobs": plan.jobs,
        "accepted": len(record.accepted),
        "given_up": len(record.given_up),
        "refusals": dict(record.refusals),
        "lost": len(verdict.lost),
        "states": dict(verdict.states),
        "calls": calls,
        "extra_calls": extra,
        "causes": dict(verdict.causes),
        "recovery_s": round(verdict.recovery_s, 2),
        "faults": shown_faults(made),
        "stalls": shown_faults(slow),
        "seconds": {"load": round(loaded_s, 1), "drain": round(drained_s, 1), "all": round(record.now(), 1)},
        "doctor": verdict.doctor,
        "wrong": len(verdict.wrong),
        "what_is_wrong": verdict.wrong[: SHOWN * 20],
        "explained": verdict.explained,
    }


def show(report: dict[str, Any]) -> None:
    """A line for people, and what is wrong."""
    if "calls" not in report:
        print(f"{report['run']:20} {report['verdict']}; its logs are in {report['logs']}\n{report['broken_off']}")
        return
    causes = ", ".join(f"{cause} {count}" for cause, count in sorted(report["causes"].items(), key=lambda one: -one[1]))
    print(
        f"{report['run']:20} {report['verdict']:6} {report['accepted']:,} jobs in {report['seconds']['all']} s, "
        f"{len(report['faults'])} faults, {report['lost']} lost, {report['calls']:,} calls, "
        f"{report['extra_calls']} beyond the first ({causes or 'none'}), doctor found {len(report['doctor']) - 1}",
        flush=True,
    )
    for line in report["what_is_wrong"][: SHOWN * 2]:
        print(f"    {line}")


async def main(arguments: Sequence[str]) -> int:
    """Run what was asked for. Returns the exit code."""
    runs = "\n".join(f"{name:20} {made.__doc__}" for name, (made, _) in RUNS.items())
    described = (__doc__ or "").replace("{runs}", f"Runs:\n{runs}")
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="run", help=", ".join(RUNS))
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--server")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if unknown := set(options.runs) - set(RUNS):
        parser.error(f"unknown run {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    # What is started here is ended by `finally`, also when somebody asks us to end.
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    program = identify(options.server) if options.server else bundled_program() or find_program()
    if program is None:
        parser.error("no Redis or Valkey server was found; install one, or the extra 'embedded'")
    plans = [plan_of(name, options.jobs, options.seed) for name in options.runs or RUNS]
    reports = await perform_all(plans, program, options.at_once, options.out)
    jobs, wrong = (
        sum(one.get("accepted", 0) for one in reports),
        [one["run"] for one in reports if one["verdict"] != "ok"],
    )
    print(f"{jobs:,} jobs in {len(reports)} runs, seed {options.seed}: {', '.join(wrong) or 'nothing'} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1:])))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("chaos: was asked to end, and ended all that it had started")
