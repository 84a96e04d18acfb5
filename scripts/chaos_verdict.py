"""What came of a run of chaos.py: whether all that must hold does, and why functions were called more than once.

A call beyond a job's first is explained by what became of the call before it, by one of these, the first that applies:

- the function itself was at fault: it failed, fell silent, or was late, because the machine is busy or on purpose;
- the process that held that call was killed, stopped or told to end, from shortly before the call arrived until shortly
  after it was answered;
- that process did not get to run for a while, because the machine is busy: nobody did that on purpose, and leases are
  short here; it is counted apart;
- Redis was away or lost what it knew, or who should have taken its receipt was down, from shortly before it arrived
  until shortly after its last receipt.

Calls are ordered by their number, not by their arrival: a replica that was stopped between its claim and its call makes
it after those that followed.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from chaos_function import IS_CALLED_AGAIN
from chaos_record import FINAL, Call, Fault, Record
from chaos_replicas import LEASE_MS, SLOW, Process
from chaos_world import World

CLAIM_MARGIN_S = 1.0
"""From a claim to the arrival of its call, on a busy machine."""

SETTLE_MARGIN_S = 2.0
"""From an answer to its being settled, likewise."""

DEADLINE_MARGIN_S = 1.0
"""From the deadline of a call back to what was said too late for it, likewise."""

CONNECTIONS = 16
"""That a replica may open to a server of Redis, beyond those that it had when it began."""

SHOWN = 20
"""Of what is wrong; the rest is counted."""


class Verdict:
    """Made once, when everything has ended."""

    def __init__(self, world: World, *, rolls_back: bool, may_lose: bool, purges: bool) -> None:
        """`rolls_back`: Redis may forget what nobody was told; `may_lose`: also what somebody was told.

        `purges`: jobs of which somebody was told that they have ended are gone.
        """
        self._world, self._record = world, world.record
        self._rolls_back, self._may_lose, self._purges = rolls_back, may_lose, purges
        self.wrong: list[str] = world.record.wrong
        self.causes: Counter[str] = Counter()
        self.explained: list[list[object]] = []
        self.lost: list[str] = []
        self.states: Counter[str] = Counter()
        self.recovery_s = 0.0
        """The longest from a replica's death to the next call of a job that it had."""
        self.doctor: list[Any] = []

    async def reach(self) -> None:
        """Look at everything."""
        await self._judge_jobs()
        for job, calls in self._record.calls.items():
            self._judge_calls(job, sorted(calls, key=lambda call: (call.number, call.arrived)))
        self._judge_numbers()
        await self._judge_keys()
        self._judge_replicas()
        self.doctor = await asyncio.to_thread(self._ask_doctor)

    async def _judge_jobs(self) -> None:
        ids = list(self._record.accepted)
        for start in range(0, len(ids), 200):
            some = ids[start : start + 200]
            for job, found in zip(some, await asyncio.gather(*map(self._world.read_surely, some)), strict=True):
                self._judge_job(job, *found)

    def _judge_job(self, job: str, state: str | None, reason: str | None) -> None:
        if state is None and self._purges and job in self._record.acknowledged:
            self.states["purged"] += 1
            return
        if state is None:
            self.lost.append(job)
            if not self._may_lose:
                self._blame(job, "was accepted and is lost")
            return
        self.states[state] += 1
        calls = self._record.calls.get(job, [])
        acknowledged = self._record.acknowledged.get(job)
        if state not in FINAL:
            self._blame(job, f"is {state} and has not ended")
        if state == "succeeded" and not any(call.said_success for call in calls):
            self._blame(job, "succeeded, and no call of it did")
        if state == "dead" and reason == "non_retryable" and not any(call.said_final for call in calls):
            self._blame(job, "is dead for good, and no call of it said so")
        if state == "dead" and reason != "non_retryable":
            self._blame(job, f"is dead: {reason}")
        if self._may_lose:
            return
        if acknowledged is not None and acknowledged != state:
            self._blame(job, f"was acknowledged as {acknowledged} and is {state}")
        if not self._rolls_back and self._record.sampled.get(job, state) != state:
            self._blame(job, f"was seen as {self._record.sampled[job]} and is {state}")

    def _judge_calls(self, job: str, calls: list[Call]) -> None:
        if len({(call.number, call.token) for call in calls}) < len(calls):
            self._blame(job, "was called twice under one id")
        # A success that names an attempt which another has followed counts whatever its nonce, which is not kept.
        if calls[-1].was_believed:
            self._blame(job, "was settled by a receipt with a wrong token")
        for before, call in itertools.pairwise(calls):
            fault = self._fault_of(before, call)
            # A claim that Redis has forgotten is made again under its number.
            if call.number == before.number and not (self._rolls_back and fault):
                self._blame(job, f"call {call.number} was made twice")
            if before.deed in IS_CALLED_AGAIN and call.number != before.number:
                kind, shown = f"function: {before.deed}", before.deed
            elif (before.done or before.arrived) - before.arrived > before.limit_s - DEADLINE_MARGIN_S and not fault:
                kind, shown = "function: slow", f"function: slow, {before.done} - {before.arrived}"
            elif fault:
                kind, shown = fault.kind, fault.shown()
                if fault.kind == "replica killed":
                    self.recovery_s = max(self.recovery_s, call.arrived - fault.began)
            else:
                kind, shown = "none", "none"
                self._blame(job, f"call {call.number} has no cause")
            self.causes[kind] += 1
            self.explained.append([job, call.number, shown])

    def _fault_of(self, call: Call, following: Call) -> Fault | None:
        # A call that comes late was claimed a lease before the one that follows it, or its lease would not have lapsed.
        begun = min(call.arrived, following.arrived - LEASE_MS / 1000) - CLAIM_MARGIN_S
        held = (call.arrived if call.answered is None else call.answered) + SETTLE_MARGIN_S
        told = max(held, (call.done or call.arrived) + SETTLE_MARGIN_S)
        # What was done on purpose before what the machine did.
        for fault in sorted(self._record.faults, key=lambda one: one.kind == SLOW):
            until = held if fault.who == call.by else told if fault.who == "*" or fault.who in call.via else None
            if until is not None and fault.began <= until and (fault.ended is None or fault.ended >= begun):
                return fault
        return None

    def _judge_numbers(self) -> None:
        """One request makes one job, however often it is sent."""
        for number, jobs in self._record.jobs_of.items():
            if len(jobs) > 1 and not self._rolls_back:
                self.wrong.append(f"request {number} made several jobs: {', '.join(sorted(jobs))}")

    async def _judge_keys(self) -> None:
        """Every job that there is has ended, and is in the index of its state; no other index has anything left."""
        kinds: Counter[str] = Counter()
        members = 0
        for client in await self._world.store.connection.servers.primaries():
            # While its table shrinks, a server may show a key twice.
            for key in {key async for key in client.scan_iter(match="co:{*", count=1000)}:
                kind = key.decode().split(":")[2]
                kinds[kind] += 1
                if kind in FINAL:
                    members += await client.zcard(key)
        left = {kind: count for kind, count in kinds.items() if kind.startswith(("waiting", "running", "busy"))}
        left |= {kind: kinds[kind] for kind in ("retrying", "spread", "expiries", "outbox") if kinds[kind]}
        if left:
            self.wrong.append(f"indices are not empty: {left}")
        if kinds["job"] != members:
            self.wrong.append(f"there are {kinds['job']} jobs, and {members} of them in the indices of final states")

    def _judge_replicas(self) -> None:
        replicas = self._world.replicas
        for process in [*replicas.ended, *replicas.all.values()]:
            text = process.log.read_text(errors="replace")
            if "Traceback" in text or '"level":"error"' in text or '"level": "error"' in text:
                at = max(text.find("Traceback"), 0)
                self.wrong.append(f"{process.name} logged an error: {text[max(0, at - 300) : at + 1500]}")
        self.wrong.extend(f"a replica ended with {code}" for code in replicas.exits if code)
        self.wrong.extend(_leaks(replicas.all.values(), self._world.server_count))

    def _ask_doctor(self) -> list[Any]:
        """It finds nothing; where acknowledged writes were lost, it mends what it finds, and then finds nothing."""
        found = self._run_doctor()
        if found[0] == 0 or not self._may_lose:
            told = found
        else:
            self._run_doctor("--repair")
            told = self._run_doctor()
        if told[0] != 0:
            self.wrong.append(f"doctor ended with {told[0]}: {told[1]}")
        return found[1]

    def _run_doctor(self, *options: str) -> tuple[int, list[Any]]:
        """Its exit code and what it tells, the summary last."""
        command = [sys.executable, "-m", "coordinator", "doctor", "--json", *options]
        environment = os.environ | {"COORDINATOR_REDIS_URL": self._world.servers.url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, lines or [done.stderr[-2000:]]

    def _blame(self, job: str, what: str) -> None:
        self.wrong.append(f"{job} {what}")
        if len(self.wrong) <= SHOWN:
            self.wrong.extend(f"    {line}" for line in self.history(job))

    def history(self, job: str) -> list[str]:
        """All that is known of a job, and the faults of its time."""
        calls = sorted(self._record.calls.get(job, []), key=lambda call: call.arrived)
        begun, ended = (calls[0].arrived - 5, (calls[-1].done or calls[-1].arrived) + 5) if calls else (0.0, 0.0)
        faults = [one for one in self._record.faults if one.began <= ended and (one.ended or ended) >= begun]
        told = f"number {self._record.accepted.get(job)}, acknowledged {self._record.acknowledged.get(job)}"
        return [told, *(call.shown() for call in calls), *(fault.shown() for fault in faults)]


def _leaks(processes: Iterable[Process], servers: int) -> list[str]:
    found = [(process, process.count_fds()) for process in processes if process.is_running]
    return [
        f"{process.name} has {now} files open, and had {process.fds} when it began"
        for process, now in found
        if now > process.fds + CONNECTIONS * servers
    ]


def shown_faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [{"kind": one.kind, "who": one.who, "began": one.began, "ended": one.ended} for one in faults]


def count_calls(record: Record) -> tuple[int, int]:
    """All calls, and those beyond the first of each job."""
    calls = sum(map(len, record.calls.values()))
    return calls, calls - len(record.calls)
