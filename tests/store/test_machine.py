"""All scripts together against a small model, in any order, with a clock that jumps forward and back.

After every step the whole keyspace is compared: each job in exactly the index that its state names, with the right
score; and no wheel later than the instant from which there is something to do. Where the clock stepped back, a wheel
may be as late as the latest instant that there was: then its time has come again.

`STORE_EXAMPLES=2000` runs it longer; `STORE_SHRINK=1` takes its minutes to make a failing run short.
"""

import asyncio
import math
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from coordinator.domain.queue import KeyLimits, Rate, Retention
from tests.store.model import FINAL, HOLDERS, LANES, QUEUES, SPARED, Job, Model, purge_at

EXAMPLES = int(os.environ.get("STORE_EXAMPLES", "150"))
STEPS = 40

ENDINGS = ["succeed", "retry", "lost", "snooze", "throttle", "die", "cancel"]
SPEC = '{"worker":"w","args":1}'

rates = st.builds(Rate, limit=st.integers(1, 5), period_ms=st.sampled_from([100, 1000, 7000]), burst=st.integers(1, 6))
retentions = st.builds(Retention, age_ms=st.sampled_from([5000, 60_000]), count=st.sampled_from([0, 3, 100]))
limits = st.fixed_dictionaries(
    {"paused": st.sampled_from([False, False, True]), "concurrency": st.sampled_from([None, 1, 3])},
    optional={
        "rate": rates,
        "per_key": st.builds(KeyLimits, concurrency=st.sampled_from([None, 1, 2]), rate=st.none() | rates),
        "retention": st.dictionaries(st.sampled_from(list(FINAL.values())), retentions),
    },
)


class StoreMachine(Model, RuleBasedStateMachine):
    """The rules; the test gives it `new_shard` and `runner`."""

    new_shard: Callable[[], Any]
    runner: asyncio.Runner

    @initialize(data=st.data())
    def open(self, data):
        self.shard = self.new_shard()
        self.now = self.horizon = self.shard.start
        self.jobs, self.issued, self.claims, self.settings, self.blocked = {}, [], {}, {}, {}
        self.requests = 0
        self.is_sound = True  # Between the steps: a step that fails is not followed by what teardown does.
        self.do(self.shard.set_clock(self.now))
        for queue in QUEUES:
            self.configure(queue, **(data.draw(limits) if data.draw(st.booleans()) else {}))

    def do(self, coroutine):
        self.is_sound = False
        return self.runner.run(coroutine)

    # What is done, each with what must come of it.

    def enqueue(self, lane, count, delay_ms, timeout_ms, traits=""):
        rows = [(self.shard.new_id(), lane, 0, delay_ms, timeout_ms, traits, "", SPEC) for _ in range(count)]
        made = {"retention": self.shard.retention, "idempotency_ms": 1000, "all_or_none": ""}
        *_, replies = self.do(self.shard.run("enqueue_jobs", rows, **made))
        named = traits.split()
        told: dict[str, Any] = dict(zip(named[::2], named[1::2], strict=True))
        told |= {name: int(told[name]) for name in ("priority", "cost") if name in told}
        told["tags"] = tuple(filter(None, told.get("tags", "").split(",")))
        rates = [self.settings[lane.partition("#")[0]].get("rate"), self.per_key(lane).rate]
        least = min([rate.burst for rate in rates if rate], default=math.inf)
        is_too_dear = told.get("cost", 1) > least
        assert {reply[0] for reply in replies} == {b"cost_exceeds_burst" if is_too_dear else b"created"}
        if not is_too_dear:
            told |= {"created_at": self.now, "began_at": self.now}
            self.jobs |= {row[0]: Job(lane, self.now + delay_ms, timeout_ms, **told) for row in rows}

    def claim(self, holder, limit):
        self.requests += 1
        request = f"n{self.requests}"
        before = self.do(self.shard.dump())
        claimed, due_in_ms = self._claim(holder, request, limit)
        assert len(claimed) <= limit
        taken = defaultdict(list)
        for job_id, number, deadline_at in claimed:
            job = self.jobs[job_id]
            assert (job.state, job.attempt + 1, job.run_at <= self.now) == ("waiting", number, True)
            assert deadline_at == self.now + job.timeout_ms
            taken[job.lane].append((job.priority, job.run_at, job_id))
        for lane, entries in taken.items():
            due = [(job.priority, job.run_at, job_id) for job_id, job in self.waiting(lane) if job.run_at <= self.now]
            assert entries == sorted(due)[: len(entries)]
            limits = self.per_key(lane)
            assert self.blocked.get(lane, 0) <= self.now
            assert self.busy(lane) + len(entries) <= (limits.concurrency or math.inf)
            self.check_paid(before.get(f"lane:{lane}", {}), limits.rate, entries)
        for queue in {lane.partition("#")[0] for lane in taken}:
            entries = [entry for lane in taken if lane.partition("#")[0] == queue for entry in taken[lane]]
            limits = self.settings.get(queue, {})
            assert not limits.get("paused")
            assert self.running(queue) + len(entries) <= (limits.get("concurrency") or math.inf)
            self.check_paid(before.get(f"queue:{queue}", {}), limits.get("rate"), entries)
        for job_id, number, deadline_at in claimed:
            job = self.jobs[job_id]
            job.state, job.attempt, job.nonce, job.holder, job.outcome = "running", number, request, holder, None
            job.deadline_at, job.started_at = deadline_at, self.now
            job.score = min(self.now + self.shard.lease_ms, deadline_at)
            self.issued.append((job_id, number, request))
        if claimed:
            self.claims[holder] = request
        return [job_id for job_id, *_ in claimed], due_in_ms

    def check_paid(self, bucket, rate, entries):
        """The bucket could pay for these; one that costs more than it holds leaves a debt."""
        costs = [self.jobs[job_id].cost for *_, job_id in entries]
        debt = max(0, max(costs) - rate.burst) if rate else 0
        assert sum(costs) <= self.tokens(bucket, rate) + debt + 2e-6

    def _claim(self, holder, request, limit):
        _, claimed, due_in_ms = self.do(
            self.shard.run(
                "claim_jobs",
                retention=self.shard.retention,
                holder=holder,
                request=request,
                limit=limit,
                bytes_limit=1000,
                lease_ms=self.shard.lease_ms,
                circuit_open_ms=30_000,
            )
        )
        return [(row[0].decode(), row[1], row[2]) for row in claimed], due_in_ms

    def settle(self, job_id, number, nonce, ending, *, lapsed=False):
        settlement = getattr(self.shard, ending)
        job = self.jobs.get(job_id)
        wanted = job.answer(settlement, number, nonce, lapsed, self.now) if job else "job_not_found"
        reply, state = self.do(self.shard.end_as(job_id, settlement, number, nonce, lapsed=lapsed))
        assert reply == wanted
        entry = (job.last_attempt if number is None else number, settlement.outcome) if job else None
        if reply == "stale_receipt" and not lapsed and len(job.log) < 20:
            job.log.append((entry[0], "stale"))
        if reply != "ok":
            assert state == (job.state if job else "")
            return
        if settlement.outcome == "throttled":
            self.blocked[job.lane] = max(self.blocked.get(job.lane, 0), self.now + settlement.delay_ms)
        is_first = job.state == "running" and job.attempt + job.snoozes + job.throttles == 1
        if settlement.verb != "succeed" or not is_first or job.log:
            job.log = [*job.log, entry][-20:]
        job.outcome = settlement.outcome
        if settlement.verb in FINAL:
            self.finish(job, FINAL[settlement.verb])
        else:
            if settlement.verb == "spare":
                job.attempt -= 1
                counter = SPARED[settlement.outcome]
                setattr(job, counter, getattr(job, counter) + 1)
            job.lost += settlement.outcome == "lost"
            job.state, job.run_at = "waiting", self.now + settlement.delay_ms
        assert state == job.state

    def finish(self, job, state):
        job.state, job.finished_at = state, self.now
        index = sorted((other.finished_at, job_id) for job_id, other in self.finished(state, job.queue))
        excess = min(2, len(index) - self.retention(state, job.queue).count)
        for _, job_id in index[: max(0, excess)]:
            del self.jobs[job_id]

    def hold(self, script, job_id, number, nonce, holder):
        """Renew, detach or release."""
        job = self.jobs.get(job_id)
        is_current = bool(job) and job.state == "running" and job.is_named(number, nonce, job.attempt)
        if script == "renew_leases":
            rows = [(job_id, number, nonce)]
            _, gone, _ = self.do(self.shard.run(script, rows, holder=holder, lease_ms=self.shard.lease_ms))
            is_current = is_current and job.holder == holder
            assert gone == ([] if is_current else [job_id.encode()])
            if is_current:
                job.score = min(self.now + self.shard.lease_ms, job.deadline_at)
            return
        told = [""] if script == "detach_jobs" else []
        kept = {"retention": self.shard.retention} if script == "release_jobs" else {}
        _, replies, *_ = self.do(self.shard.run(script, [(job_id, number, nonce, *told)], **kept))
        assert replies == [
            (script.removesuffix("_jobs") + "ed").replace("ee", "e").encode() if is_current else b"stale"
        ]
        if is_current and script == "detach_jobs":
            job.holder, job.score = None, job.deadline_at
        elif is_current:
            job.state, job.attempt, job.nonce, job.run_at = "waiting", job.attempt - 1, "", self.now

    def expire(self):
        found = self.do(self.shard.jobs.expired(0))
        lapsed = {job_id for job_id, job in self.jobs.items() if job.state == "running" and job.score <= self.now}
        assert {one.attempt.job_id for one in found} <= lapsed
        assert len(found) == min(100, len(lapsed))
        for one in found:
            job = self.jobs[one.attempt.job_id]
            assert one.kind == ("lost" if job.holder and job.deadline_at > self.now else "timeout")
            assert (one.attempt.tally.attempt, one.attempt.nonce) == (job.attempt, job.nonce)
            ending = "lost" if one.kind == "lost" else "retry"
            self.settle(one.attempt.job_id, job.attempt, job.nonce, ending, lapsed=True)
        if len(found) == 100:
            self.expire()

    def configure(self, queue, **wanted):
        self.settings[queue] = wanted
        # A circuit puts jobs off by what became of others; test_circuits.py has it for itself.
        self.do(self.shard.configure(queue, **wanted, circuit=None))

    def set_clock(self, now):
        self.now = now
        self.horizon = max(self.horizon, now)
        self.do(self.shard.set_clock(now))

    # The rules.

    @rule(
        lane=st.sampled_from(LANES),
        count=st.sampled_from([1, 1, 2, 8]),
        delay_ms=st.sampled_from([0, 0, 0, 1, 700, 4000, 20_000]),
        timeout_ms=st.sampled_from([3000, 60_000]),
        traits=st.sampled_from(
            ["", "", "priority 0", "cost 3", "priority 9 cost 2", "tags a,b", "schedule s", "tags b schedule s"]
        ),
    )
    def a_user_enqueues(self, lane, count, delay_ms, timeout_ms, traits):
        self.enqueue(lane, count, delay_ms, timeout_ms, traits)

    @rule(holder=st.sampled_from(HOLDERS), limit=st.integers(1, 8))
    def a_replica_claims(self, holder, limit):
        self.claim(holder, limit)

    @rule(holder=st.sampled_from(HOLDERS))
    def a_replica_claims_all_it_can(self, holder):
        for _ in range(len(self.jobs) + 20):
            if self.claim(holder, 8)[1] != 0:
                return
        raise AssertionError("the wheel says for ever that something is due")

    @rule(holder=st.sampled_from(HOLDERS))
    def a_claim_is_repeated(self, holder):
        if holder in self.claims:
            claimed, _ = self._claim(holder, self.claims[holder], 8)
            mine = {
                job_id
                for job_id, job in self.jobs.items()
                if (job.state, job.nonce) == ("running", self.claims[holder])
            }
            assert {job_id for job_id, *_ in claimed} == mine

    @rule(
        data=st.data(),
        endings=st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=6),
        guard=st.sampled_from(["both", "both", "number", "none", "forged"]),
        lapsed=st.sampled_from([False, False, True]),
    )
    def attempts_end(self, data, endings, guard, lapsed):
        """Of those that run, and of any that was ever issued."""
        live = [(job_id, job.attempt, job.nonce) for job_id, job in self.jobs.items() if job.state == "running"]
        for ending in endings:
            if not self.issued:
                return
            job_id, number, nonce = data.draw(st.sampled_from(live or self.issued) | st.sampled_from(self.issued[-9:]))
            number = None if guard == "none" else number
            self.settle(job_id, number, {"both": nonce, "forged": "forged"}.get(guard, ""), ending, lapsed=lapsed)

    @rule(lane=st.sampled_from(LANES), endings=st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=8))
    def jobs_come_are_called_and_end(self, lane, endings):
        self.enqueue(lane, 8, 0, 60_000)
        claimed, _ = self.claim("r1", 8)
        for job_id, ending in zip(claimed, endings, strict=False):
            self.settle(job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, ending)

    @rule(ending=st.sampled_from(ENDINGS))
    def a_job_that_may_never_have_run_is_settled(self, ending):
        if self.jobs:
            self.settle(min(self.jobs), None, "", ending)

    @rule(
        data=st.data(),
        script=st.sampled_from(["renew_leases", "detach_jobs", "release_jobs"]),
        holder=st.sampled_from(HOLDERS),
    )
    def a_replica_tells_of_an_attempt(self, data, script, holder):
        if self.issued:
            job_id, number, nonce = data.draw(st.sampled_from(self.issued[-6:]) | st.sampled_from(self.issued))
            self.hold(script, job_id, number, nonce, holder)

    @rule()
    def the_leader_expires(self):
        self.expire()

    @rule()
    def the_leader_purges(self):
        purged = self.do(self.shard.jobs.purge(0))
        left = {key.removeprefix("job:") for key in self.do(self.shard.dump()) if key.startswith("job:")}
        gone = {job_id: job for job_id, job in self.jobs.items() if job_id not in left}
        self.jobs = {job_id: job for job_id, job in self.jobs.items() if job_id in left}
        for job in gone.values():
            keep = self.retention(job.state, job.queue)
            is_old = job.finished_at + keep.age_ms <= self.now
            assert is_old or len(self.finished(job.state, job.queue)) <= keep.count
        for job in self.jobs.values():
            if job.state in FINAL.values() and self.now >= self.horizon and purged < 100:
                assert purge_at(job.finished_at, self.retention(job.state, job.queue).age_ms) > self.now

    @rule(queue=st.sampled_from(QUEUES), wanted=limits)
    def an_operator_configures(self, queue, wanted):
        self.configure(queue, **wanted)

    @rule(data=st.data())
    def a_user_deletes(self, data):
        if self.jobs:
            job_id = data.draw(st.sampled_from(sorted(self.jobs)))
            job = self.jobs[job_id]
            reply, _ = self.do(self.shard.delete(job_id))
            if job.state == "waiting":
                job.outcome = "cancelled"
                self.finish(job, "cancelled")
            elif job.state != "running":
                del self.jobs[job_id]
            assert reply == {"running": "invalid_state", "cancelled": "cancelled"}.get(job.state, "erased") or (
                reply == "erased" and job_id not in self.jobs
            )

    @rule(data=st.data())
    def a_user_has_a_job_tried_anew(self, data):
        if self.jobs:
            job_id = data.draw(st.sampled_from(sorted(self.jobs)))
            job = self.jobs[job_id]
            reply, _ = self.do(self.shard.change("retry", job_id))
            assert reply == ("retried" if job.state in {"dead", "cancelled"} else "invalid_state")
            if reply == "retried":
                job.state, job.run_at, job.began_at = "waiting", self.now, self.now
                job.attempt = job.snoozes = job.throttles = job.lost = 0
                job.nonce, job.outcome = "", None

    @rule(ms=st.sampled_from([1, 300, 1000, 3000, 10_000, 60_000]))
    def time_passes(self, ms):
        self.set_clock(self.now + ms)

    @rule()
    def time_passes_until_something_is_due(self):
        instants = [instant for instant in self.do(self.shard.jobs.poll(0)) if instant is not None]
        self.set_clock(self.now + min(instants, default=0))

    @rule(ms=st.sampled_from([1, 500, 8000, 30_000]))
    def the_clock_steps_back(self, ms):
        self.set_clock(self.now - ms)

    @rule(
        lane=st.sampled_from(LANES), script=st.sampled_from(["renew_leases", "detach_jobs", "release_jobs", "settle"])
    )
    def a_replica_pauses_and_comes_back_too_late(self, lane, script):
        """Its lease lapses, another claims the job, and then it acts for the attempt it thinks it has."""
        self.enqueue(lane, 2, 0, 60_000)
        held, _ = self.claim("r1", 8)
        attempts = [issued for issued in self.issued[-len(held) :] if held]
        self.set_clock(max([self.now, *(self.jobs[job_id].score for job_id in held)]))
        self.expire()
        self.claim("r2", 8)
        for job_id, number, nonce in attempts:
            if script == "settle":
                self.settle(job_id, number, nonce, "die")
            else:
                self.hold(script, job_id, number, nonce, "r1")

    # What holds after every step.

    @invariant()
    def every_job_is_in_its_index_and_no_wheel_is_late(self):
        dump = self.do(self.shard.dump())
        self.check_indexes(dump)
        self.check_wheels(dump)
        self.is_sound = True

    def teardown(self):
        """Whatever happened, every job can still be brought to its end."""
        if not self.is_sound:
            return
        self.set_clock(self.horizon + 100_000)
        for queue in QUEUES:
            self.configure(queue)
        self.expire()
        for _ in range(len(self.jobs) + 20):
            claimed, due_in_ms = self.claim("r1", 100)
            for job_id in claimed:
                self.settle(job_id, None, "", "succeed")
            if due_in_ms == -1:
                break
            self.set_clock(self.now + due_in_ms)
        assert {job.state for job in self.jobs.values()} <= set(FINAL.values())
        self.every_job_is_in_its_index_and_no_wheel_is_late()


def test_all_scripts_keep_the_keyspace_whole(new_shard, runner):
    machine = type("Machine", (StoreMachine,), {"new_shard": staticmethod(new_shard), "runner": runner})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate, Phase.shrink] if "STORE_SHRINK" in os.environ else [Phase.generate],
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
