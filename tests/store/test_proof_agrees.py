"""The scripts do what the model of tests/proof says: to every job that it knows, each script, by each way to name it.

A search of a model proves nothing of Lua that does otherwise. So a real job is led along every step that the model has
for it, on a real server, and compared after each; and what the model refuses is tried on it in every state.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from coordinator.domain.job import Attempt, Tally
from coordinator.domain.outcome import Beat
from coordinator.domain.settlement import Settlement
from coordinator.store.records import Ended
from tests.proof.mutants import MUTANTS
from tests.proof.protocol import FINISHED, IN_RETRYING, IN_RUNNING, IN_WAITING, RUNNING, WAITING, Job, Scripts, Token
from tests.proof.world import LAPSES, SAYINGS

HOUR_MS = 3_600_000
OTHER = 99
"""A nonce that is not the current one's, which is always 1 here."""

OUTCOMES = {"snooze": "snoozed", "stop": "cancelled", "failure for good": "failure"}


class Act(NamedTuple):
    """A script, and of which attempt it is called; `said` is what settle_jobs is told."""

    script: str
    token: Token = (0, 0)
    said: str = ""
    holder: int = 1


def acts_on(job: Job) -> Iterator[Act]:
    """All that can be tried on it. Jobs that are snoozed for ever are bounded."""
    yield from (Act(script) for script in ("claim", "claim again", "lease", "deadline", "expired", "cancel", "retry"))
    sayings = [said for said in SAYINGS if said != "snooze" or job.spares == 0]
    for token in ((job.attempt, 1), (job.attempt, OTHER), (job.attempt - 1, OTHER), (job.attempt + 1, 1)):
        yield from (Act(script, token) for script in ("detach", "release", "renew", "beat", "extend"))
        yield Act("renew", token, holder=2)
        yield from (Act("settle", token, said) for said in sayings)
        yield from (Act("lapsed", token, kind) for kind in LAPSES)


def applied(scripts: Scripts, job: Job, act: Act) -> Job:
    """What the model says comes of it."""
    match act.script:
        case "claim" | "claim again":
            return scripts.claim(job, is_known=act.script != "claim", holder=1, request=1)[0]
        case "renew":
            return scripts.renew(job, act.token, act.holder)
        case "beat" | "extend":
            return scripts.beat(job, act.token, extend=act.script == "extend")
        case "settle" | "lapsed":
            return scripts.settle(job, act.token, act.said, lapsed=act.script == "lapsed")
        case "lease":
            return job._replace(is_due=True) if job.holder else job
        case "deadline":
            return job._replace(is_due=True, is_late=True) if job.state == RUNNING else job
        case "expired":
            return scripts.expired(job)[0] if job.is_due else job
        case "cancel" | "retry":
            after: Job = getattr(scripts, act.script)(job)
            return after
    moved: Job = getattr(scripts, act.script)(job, act.token)
    return moved


def shown(job: Job) -> Job:
    """As far as Redis can tell."""
    return job._replace(was_spared=job.was_spared and job.state == WAITING, failures=0, losses=0)


class RealJob:
    """A job in Redis, with the nonces of its claims and a clock that is led to its lease or deadline."""

    def __init__(self, scripts: Scripts, shard: Any, job_id: str) -> None:
        self.scripts, self.shard, self.id = scripts, shard, job_id
        self.now, self.claims = shard.start, 0

    async def attempt(self, token):
        number, nonce = token
        spec = self.shard.spec(timeout_ms=HOUR_MS)
        return Attempt(self.id, f"n{self.claims}" if nonce == 1 else "other", 0, Tally(number), spec)

    async def score(self):
        return int(await self.shard.call("ZSCORE", f"{self.shard.root}:running:default", self.id))

    async def deadline(self):
        return int(await self.shard.call("HGET", f"{self.shard.root}:job:{self.id}", "deadline_at"))

    async def wait_until(self, instant):
        self.now = max(self.now, instant)
        await self.shard.set_clock(self.now)

    async def seen(self) -> Job:
        """The job as the model would have it."""
        dump = await self.shard.dump()
        field = dump[f"job:{self.id}"]
        score = dump.get("running:default", {}).get(self.id)
        places = {"waiting": IN_WAITING, "retrying": IN_RETRYING, "running": IN_RUNNING, **FINISHED}
        return Job(
            state=field["state"],
            attempt=int(field["attempt"]),
            nonce=int(field.get("nonce") == f"n{self.claims}" and self.claims > 0),
            holder=int(field.get("holder", "r0")[1:]),
            is_due=score is not None and score <= self.now,
            is_late=int(field.get("deadline_at", self.now + 1)) <= self.now,
            heard="heard" in field,
            lost=int(field.get("lost", 0)),
            spares=int(field.get("snoozes", 0)),
            was_spared=field["state"] == WAITING and field.get("outcome") == "snoozed",
            cancel_requested="cancel_requested" in field,
            places=sum(bit for name, bit in places.items() if self.id in dump.get(f"{name}:default", {})),
        )

    async def do(self, before: Job, act: Act) -> None:
        """Call the script."""
        shard, jobs = self.shard, self.shard.jobs
        attempt = await self.attempt(act.token)
        match act.script:
            case "claim" | "claim again":
                await self.claim(before, act)
            case "lease":
                await (self.wait_until(await self.score()) if before.holder else self.wait_until(0))
            case "deadline":
                await (self.wait_until(await self.deadline()) if before.state == RUNNING else self.wait_until(0))
            case "expired":
                kind = self.scripts.expired(before)[1] if before.is_due else ""
                assert [found.kind for found in await jobs.expired(0)] == [kind] * bool(kind)
            case "cancel" | "retry":
                await shard.change(act.script, self.id)
            case "renew":
                await shard.renew(0, [attempt], holder=f"r{act.holder}", lease_ms=shard.lease_ms)
            case "beat" | "extend":
                beat = Beat(extend_ms=HOUR_MS if act.script == "extend" else None)
                await jobs.beat(self.id, act.token[0], attempt.nonce, beat)
            case "settle" | "lapsed":
                verb: Any = self.scripts.decide(before, act.said)
                settlement = Settlement(verb, OUTCOMES.get(act.said, act.said))
                ended = Ended(self.id, settlement, act.token[0], attempt.nonce, act.script == "lapsed")
                await jobs.settle(0, [ended])
            case script:
                await getattr(jobs, script)(0, [attempt])

    async def claim(self, before: Job, act: Act) -> None:
        """By a request of its own, or by that of the last claim again, which is never forgotten here."""
        if act.script == "claim again" and self.claims == 0:
            return
        self.claims += act.script == "claim" and before.state == WAITING
        request = f"n{self.claims}" if before.state == WAITING or act.script == "claim again" else "in vain"
        claimed = (await self.shard.claim(request=request)).attempts
        await self.shard.call("PERSIST", f"{self.shard.root}:claim:r1")
        is_taken = before.state == (WAITING if act.script == "claim" else RUNNING)
        assert [one.job_id for one in claimed] == [self.id] * is_taken


async def new_job(scripts: Scripts, open_shard: Callable[[], Any]) -> RealJob:
    shard = open_shard()
    await shard.set_clock(shard.start)
    return RealJob(scripts, shard, await shard.add_one(timeout_ms=HOUR_MS))


class Map(dict[Job, dict[Act, Job]]):
    """Every job of the model, and what each act makes of it."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts
        unseen = [Job()]
        while unseen:
            job = unseen.pop()
            self[job] = {act: shown(applied(scripts, job, act)) for act in acts_on(job)}
            unseen += {after for after in self[job].values() if after not in self and after not in unseen}

    def way(self, start: Job, open_acts: dict[Job, list[Act]]) -> list[Act]:
        """The shortest way to a job of which something is still to be tried; it ends with that."""
        queue, came = deque([start]), {start: []}
        while queue:
            job = queue.popleft()
            if open_acts.get(job):
                return [*came[job], open_acts[job].pop()]
            for act, after in self[job].items():
                if after not in came:
                    came[after] = [*came[job], act]
                    queue.append(after)
        return []


async def follow(graph: Map, open_shard: Callable[[], Any]) -> tuple[int, int]:
    """Lead real jobs along every step. Returns how many steps there are, and how many jobs it took."""
    moves = {job: [act for act, after in acts.items() if after != job] for job, acts in graph.items()}
    refused = {job: [act for act, after in acts.items() if after == job] for job, acts in graph.items()}
    steps, jobs = sum(map(len, graph.values())), 0
    while any(moves.values()):
        real, job = await new_job(graph.scripts, open_shard), Job()
        jobs += 1
        while way := graph.way(job, moves):
            for act in way:
                await try_all(real, job, refused.pop(job, []))
                after = graph[job][act]
                await real.do(job, act)
                assert await real.seen() == after, f"{act} on {job}"
                job = after
            await try_all(real, job, refused.pop(job, []))
    assert not refused
    return steps, jobs


async def try_all(real: RealJob, job: Job, acts: list[Act]) -> None:
    """Try what the model refuses: the job stays as it is. Looked at once for all, which takes a third of the time."""
    for act in acts:
        await real.do(job, act)
    assert await real.seen() == job, f"one of {acts} on {job}"


def test_every_script_does_to_every_job_what_the_model_says(new_shard, runner):
    graph = Map(Scripts())

    steps, jobs = runner.run(follow(graph, new_shard))

    sys.stdout.write(f"\n{len(graph)} jobs of the model, {steps} steps, tried on {jobs} real jobs\n")
    assert len(graph) > 100


@pytest.mark.parametrize(
    "name", ["release hides a success", "release leaves heard", "heard not asked again", "holder kept"]
)
def test_a_model_that_says_otherwise_is_contradicted(new_shard, runner, name):
    scripts = MUTANTS[name].wrong
    assert issubclass(scripts, Scripts)

    with pytest.raises(AssertionError, match=" on Job"):
        runner.run(follow(Map(scripts()), new_shard))
