"""All scripts of jobs together against a small model, in any order, with a clock that jumps forward and back.

After every step the whole keyspace is compared: each job in exactly the indexes that its hash names, with the right
scores; and no wheel later than the instant from which there is something to do. Where the clock stepped back, a wheel
may be as late as the latest instant that there was: then its time has come again.

Beside the plain rules there are directed ones, which play a whole scene: what plain ones hardly ever come to by chance
(a replica that was paused, and acts for an attempt that is another's by now) is where fences matter.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.store.acts import Acts
from tests.store.model import FINAL, LANES, QUEUES, purge_at
from tests.store.strategies import ENDINGS, HOLDS, acts, delays, endings, guards, holders, lanes, limits, traits

STEPS = 40


def named(number, nonce, guard):
    """How an attempt is named: rightly or wrongly, in full or not."""
    match guard:
        case "both":
            return number, nonce
        case "number":
            return number, ""
        case "none":
            return None, ""
        case "shifted":
            return number + 1, nonce
    return number, guard


class StoreMachine(Acts, RuleBasedStateMachine):
    """The rules. `new_shard` and `runner` are the fixtures."""

    new_shard: Callable[[], Any]
    runner: asyncio.Runner

    @initialize(data=st.data())
    def open(self, data):
        self.shard = self.new_shard()
        self.now = self.horizon = self.shard.start
        self.jobs, self.issued, self.claims, self.settings, self.blocked = {}, [], {}, {}, {}
        self.paused, self.unique, self.outbox, self.held = set(), {}, {}, None
        self.requests = 0
        self.version, self.tick = 1, self.now
        self.is_sound = True  # Between the steps: a step that fails is not followed by what teardown does.
        # Others before it are over; a dump looks through all keys of the server.
        self.do(self.shard.call("FLUSHDB"))
        self.do(self.shard.set_clock(self.now))
        once = {"name": "", "idempotency": "", "fingerprint": "", "idempotency_ms": 1}
        self.do(self.shard.run("put_schedule", id="s", version=0, record="{}", next_at=self.tick, paused="", **once))
        for queue in QUEUES:
            self.configure(queue, **(data.draw(limits) if data.draw(st.booleans()) else {}))

    def do(self, coroutine):
        self.is_sound = False
        return self.runner.run(coroutine)

    def one_of(self, data, kind="any"):
        """The id of a job, if there is one of the kind: any, live or final."""
        chosen = {"any": lambda job: True, "live": lambda job: not job.is_final, "final": lambda job: job.is_final}[
            kind
        ]
        ids = sorted(job_id for job_id, job in self.jobs.items() if chosen(job))
        return data.draw(st.sampled_from(ids)) if ids else None

    def act(self, what, job_id, number, nonce, holder):
        """Whatever may be said of an attempt."""
        if what in ENDINGS:
            self.settle(job_id, number, nonce, what)
        elif what == "beat":
            self.beat(job_id, number, nonce, "50", 90_000)
        else:
            self.hold(what, job_id, "" if number is None else number, nonce, holder)

    # Jobs come, are called, and end.

    @rule(lane=lanes, count=st.sampled_from([1, 1, 2, 8]), delay_ms=delays, traits=traits, is_short=st.booleans())
    def a_user_enqueues(self, lane, count, delay_ms, traits, is_short):
        self.enqueue(lane, count, delay_ms, 3000 if is_short else 60_000, traits)

    @rule(lane=lanes, delay_ms=delays, handle=st.sampled_from("hi"), guards=guards, is_called=st.booleans())
    def a_user_enqueues_what_is_to_be_unique(self, lane, delay_ms, handle, guards, is_called):
        self.enqueue(lane, 1, delay_ms, 60_000, f"unique {handle}", guards)
        if is_called:
            self.claim("r1", 8)
        self.enqueue(lane, 1, 0, 60_000, f"unique {handle}", guards)

    @rule(holder=holders, limit=st.integers(1, 8))
    def a_replica_claims(self, holder, limit):
        self.claim(holder, limit)

    @rule(holder=holders)
    def a_replica_claims_all_it_can(self, holder):
        for _ in range(len(self.jobs) + 20):
            if self.claim(holder, 8)[1] != 0:
                return
        raise AssertionError("the wheel says for ever that something is due")

    @rule(holder=holders)
    def a_claim_is_repeated(self, holder):
        if holder in self.claims:
            claimed, _ = self.ask(holder, self.claims[holder], 8)
            of_it = ("running", self.claims[holder])
            assert {one for one, *_ in claimed} == {
                i for i, job in self.jobs.items() if (job.state, job.nonce) == of_it
            }

    @rule(
        data=st.data(),
        endings=st.lists(endings, min_size=1, max_size=6),
        guard=st.sampled_from(["both", "both", "number", "none", "forged", "shifted"]),
        lapsed=st.sampled_from([False, False, True]),
    )
    def attempts_end(self, data, endings, guard, lapsed):
        """Of those that run, and of any that was ever issued."""
        live = [(job_id, job.attempt, job.nonce) for job_id, job in self.jobs.items() if job.state == "running"]
        for ending in endings:
            if not self.issued:
                return
            job_id, number, nonce = data.draw(st.sampled_from(live or self.issued) | st.sampled_from(self.issued[-9:]))
            number, nonce = named(number, nonce, guard)
            self.settle(job_id, number, nonce, ending, lapsed=lapsed)

    @rule(ending=endings)
    def a_job_that_may_never_have_run_is_settled(self, ending):
        if self.jobs:
            self.settle(min(self.jobs), None, "", ending)

    @rule(
        data=st.data(),
        script=st.sampled_from(HOLDS),
        holder=holders,
        guard=st.sampled_from(["both", "both", "forged", "shifted"]),
    )
    def a_replica_tells_of_an_attempt(self, data, script, holder, guard):
        if self.issued:
            job_id, number, nonce = data.draw(st.sampled_from(self.issued[-6:]) | st.sampled_from(self.issued))
            number, nonce = named(number, nonce, guard)
            self.hold(script, job_id, number, nonce, holder)

    @rule(
        data=st.data(),
        guard=st.sampled_from(["both", "both", "none", "forged", "shifted"]),
        progress=st.sampled_from(["", "40"]),
        extend_ms=st.sampled_from(["", 1000, 90_000]),
    )
    def a_function_tells_that_it_goes_on(self, data, guard, progress, extend_ms):
        if self.issued:
            job_id, number, nonce = data.draw(st.sampled_from(self.issued[-6:]) | st.sampled_from(self.issued))
            number, nonce = named(number, nonce, guard)
            self.beat(job_id, number, nonce, progress, extend_ms)

    # What the leader does.

    @rule()
    def the_leader_expires(self):
        self.expire()

    @rule()
    def the_leader_gives_up_what_is_too_old(self):
        self.give_up()

    @rule()
    def the_leader_purges(self):
        purged = self.do(self.shard.jobs.purge(0))
        dump = self.do(self.shard.dump())
        left = {
            key.removeprefix("job:") for key, value in dump.items() if key[:4] == "job:" and "is_erased" not in value
        }
        for job_id, job in sorted(self.jobs.items()):
            if job_id not in left and not job.is_erased:
                keep = self.retention(job.state, job.queue)
                assert (
                    job.finished_at + keep.age_ms <= self.now or len(self.finished(job.state, job.queue)) > keep.count
                )
        for job_id, job in list(self.jobs.items()):
            if job_id not in left and not job.is_erased:
                self.erase(job_id)
            elif job.is_final and not job.is_erased and self.now >= self.horizon and purged < 100:
                assert purge_at(job.finished_at, self.retention(job.state, job.queue).age_ms) > self.now

    @rule(limit=st.integers(1, 9), is_late=st.sampled_from([False, False, True]))
    def others_are_told_of_what_has_ended(self, limit, is_late):
        self.tell(limit, is_late=is_late)

    @rule(overlap=st.sampled_from(["allow", "skip", "queue", "queue", "cancel"]), lane=lanes, count=st.integers(1, 2))
    def a_schedule_fires(self, overlap, lane, count):
        self.fire(overlap, lane, count)

    # What people do.

    @rule(queue=st.sampled_from(QUEUES), wanted=limits)
    def an_operator_configures(self, queue, wanted):
        self.configure(queue, **wanted)

    @rule(lane=lanes, action=st.sampled_from(["pause", "resume", "resume", "reset"]))
    def an_operator_configures_a_key(self, lane, action):
        self.configure_lane(lane, action)

    @rule(
        data=st.data(),
        verb=st.sampled_from(["cancel", "delete", "retry", "run"]),
        kind=st.sampled_from(["live", "final", "any"]),
        times=st.sampled_from([1, 1, 2]),
    )
    def a_user_changes_a_job(self, data, verb, kind, times):
        """The same request may come twice, because the reply to the first was lost."""
        job_id = self.one_of(data, kind)
        if job_id:
            self.requests += 1
            for _ in range(times):
                self.change(verb, job_id, f"u{self.requests}")

    @rule(
        data=st.data(),
        lane=lanes,
        delay_ms=st.sampled_from(["", "", 0, 5000]),
        wanted=st.sampled_from(["", "priority 0", "priority 9 tags b,c"]),
        is_late=st.sampled_from([False, False, False, True]),
    )
    def a_user_edits_a_job(self, data, lane, delay_ms, wanted, is_late):
        job_id = self.one_of(data, "live")
        if job_id:
            job = self.jobs[job_id]
            lane = lane if lane.startswith(job.queue) else job.lane
            self.edit(job_id, job.edits + is_late, lane, delay_ms, wanted)

    # Time.

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

    # Scenes.

    @rule(lane=lanes, traits=traits, endings=st.lists(endings, min_size=1, max_size=8))
    def jobs_come_are_called_and_end(self, lane, traits, endings):
        self.enqueue(lane, 8, 0, 60_000, traits)
        claimed, _ = self.claim("r1", 8)
        for job_id, ending in zip(claimed, endings, strict=False):
            self.settle(job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, ending)

    @rule(lane=lanes, traits=traits, late=acts, other=holders, is_beaten=st.booleans())
    def a_replica_pauses_and_comes_back_too_late(self, lane, traits, late, other, is_beaten):
        """Its lease lapses, the job is claimed anew, and then it acts for the attempt that it thinks it has."""
        self.enqueue(lane, 2, 0, 60_000, traits)
        held, _ = self.claim("r1", 8)
        attempts = self.issued[len(self.issued) - len(held) :]
        for attempt in attempts[:1] if is_beaten else ():
            self.beat(*attempt, "", "")
        self.set_clock(max([self.now, *(self.jobs[job_id].score for job_id in held)]))
        self.expire()
        self.claim(other, 8)
        self.set_clock(self.now + 300)
        for attempt in attempts:
            self.act(late, *attempt, "r1")

    @rule(
        lane=lanes,
        trait=st.sampled_from(["", "heartbeat_ms 2000", "retry_ms 6000"]),
        what=acts,
        guard=st.sampled_from(["both", "forged", "shifted", "number", "none"]),
    )
    def an_attempt_is_named_in_some_way(self, lane, trait, what, guard):
        self.enqueue(lane, 1, 0, 60_000, trait)
        claimed, _ = self.claim("r1", 8)
        self.set_clock(self.now + 300)
        for job_id in claimed:
            number, nonce = named(self.jobs[job_id].attempt, self.jobs[job_id].nonce, guard)
            self.act(what, job_id, number, nonce, "r1")

    @rule(lane=lanes, is_paused=st.booleans())
    def a_key_has_to_wait(self, lane, is_paused):
        self.enqueue(lane, 2, 0, 60_000)
        if is_paused:
            self.configure_lane(lane, "pause")
        else:
            for job_id in self.claim("r1", 1)[0]:
                self.settle(job_id, None, "", "throttle")
        self.claim("r2", 8)
        self.configure_lane(lane, "resume")

    @rule(lane=lanes, verb=st.sampled_from(["cancel", "cancel", "delete"]), what=acts)
    def a_call_is_made_that_somebody_wants_to_stop(self, lane, verb, what):
        self.enqueue(lane, 1, 0, 60_000, "expires_ms 3000 notify 1")
        for job_id in self.claim("r1", 8)[0]:
            self.requests += 1
            self.change(verb, job_id, f"u{self.requests}")
            self.act(what, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")

    @rule(
        lane=lanes,
        delay_ms=st.sampled_from([0, 0, 2000]),
        before=st.sampled_from(["nothing", "release_jobs", "snooze"]),
        is_claimed=st.booleans(),
    )
    def a_job_comes_too_late_to_be_called(self, lane, delay_ms, before, is_claimed):
        """It is given up, unless it has been called before, by whoever sees it first."""
        self.enqueue(lane, 2, delay_ms, 60_000, "expires_ms 3000")
        if before != "nothing":
            for job_id in self.claim("r1", 8)[0]:
                self.act(before, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")
        self.set_clock(self.now + delay_ms + 7000)
        if is_claimed:
            self.claim("r1", 8)
        else:
            self.give_up()

    @rule(
        lane=lanes,
        trait=st.sampled_from(["notify 1", "retry_ms 60000", "schedule s", "cost 2"]),
        ending=st.sampled_from(["die", "cancel", "succeed", "retry"]),
        is_told=st.booleans(),
        other=st.sampled_from(["none", "lives", "ended"]),
        verb=st.sampled_from(["retry", "retry", "delete"]),
    )
    def a_job_that_has_ended_is_changed(self, lane, trait, ending, is_told, other, verb):
        """Others may be told of it already, and another job may have its handle by now."""
        unique = "unique h", "unique_states incomplete on_conflict keep"
        self.enqueue(lane, 1, 0, 60_000, f"{trait} {unique[0]}", unique[1])
        for job_id in self.claim("r1", 8)[0]:
            self.settle(job_id, None, "", ending)
            self.requests += 2
            if job_id in self.jobs and self.jobs[job_id].state == "waiting":
                self.change("cancel", job_id, f"u{self.requests - 1}")
            if is_told:
                self.tell(99, is_late=False)
            if other != "none":
                self.enqueue(lane, 1, 0, 60_000, *unique)
            if other == "ended" and (rival := self.unique.get((lane.partition("#")[0], "h"))):
                self.change("cancel", rival, f"u{self.requests - 1}")
            self.change(verb, job_id, f"u{self.requests}")

    @rule(lane=lanes, ending=st.sampled_from(["succeed", "die", "cancel"]))
    def jobs_that_have_ended_grow_old(self, lane, ending):
        self.enqueue(lane, 3, 0, 60_000)
        for job_id in self.claim("r1", 8)[0]:
            self.set_clock(self.now + 700)
            self.settle(job_id, None, "", ending)
        purges = self.do(self.shard.dump()).get("purges", {})
        self.set_clock(max(self.now, int(min(purges.values(), default=0))))
        self.the_leader_purges()

    # What holds after every step.

    @invariant()
    def every_job_is_in_its_indexes_and_no_wheel_is_late(self):
        dump = self.do(self.shard.dump())
        self.check_indexes(dump)
        self.check_lanes(dump)
        self.check_wheels(dump)
        self.is_sound = True

    def teardown(self):
        """Whatever happened, every job can still be brought to its end."""
        if not self.is_sound:
            return
        self.set_clock(self.horizon + 100_000)
        for queue in QUEUES:
            self.configure(queue)
        for lane in LANES:
            self.configure_lane(lane, "resume")
        self.expire()
        for _ in range(2 * len(self.jobs) + 20):
            claimed, due_in_ms = self.claim("r1", 100)
            for job_id in claimed:
                self.settle(job_id, None, "", "succeed")
            if due_in_ms == -1 and not claimed:
                break
            self.set_clock(self.now + max(0, due_in_ms))
        assert {job.state for job in self.jobs.values()} <= set(FINAL.values())
        self.every_job_is_in_its_indexes_and_no_wheel_is_late()


def run_machine(new_shard, runner, wanted):
    """Have the machine play, with these settings of Hypothesis; fails with what it found."""
    machine = type("Machine", (StoreMachine,), {"new_shard": staticmethod(new_shard), "runner": runner})
    quiet = settings(
        wanted, stateful_step_count=STEPS, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=quiet)
