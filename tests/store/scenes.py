"""The directed rules of the store's machine: each plays a whole scene.

What plain rules hardly ever come to by chance is where fences matter: a replica that was paused, and acts for an
attempt that is another's by now.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from coordinator.domain.queue import KeyLimits, Rate, Retention
from tests.store.machine import PlainMachine, named
from tests.store.model import FINAL
from tests.store.strategies import acts, endings, holders, lanes, traits, ways

STEPS = 40


class StoreMachine(PlainMachine):
    """All rules."""

    def make_room(self, lane):
        """Nothing holds the lane back, so that the scene can be played."""
        queue = lane.partition("#")[0]
        self.set_clock(self.horizon)
        self.configure(queue, retention=self.settings[queue].get("retention", {}))
        self.configure_lane(lane, "resume")
        self.configure_lane(lane, "reset")

    @rule(lane=lanes, traits=traits, endings=st.lists(endings, min_size=1, max_size=8))
    def jobs_come_are_called_and_end(self, lane, traits, endings):
        self.enqueue(lane, 8, 0, 60_000, traits)
        claimed, _ = self.claim("r1", 8)
        for job_id, ending in zip(claimed, endings, strict=False):
            self.settle(job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, ending)

    @rule(lane=lanes, traits=traits, late=acts, other=holders, is_beaten=st.booleans())
    def a_replica_pauses_and_comes_back_too_late(self, lane, traits, late, other, is_beaten):
        """Its lease lapses, the job is claimed anew, and then it acts for the attempt that it thinks it has."""
        self.make_room(lane)
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
        said=st.lists(st.tuples(acts, ways, holders), min_size=1, max_size=2),
    )
    def things_are_said_of_an_attempt(self, lane, trait, said):
        """By whoever, with the right name or another."""
        self.make_room(lane)
        self.enqueue(lane, 1, 0, 60_000, trait)
        claimed, _ = self.claim("r1", 8)
        attempts = self.issued[len(self.issued) - len(claimed) :]
        for what, way, holder in said:
            self.set_clock(self.now + 300)
            for job_id, number, nonce in attempts:
                told, word = named(number, nonce, way)
                self.act(what, job_id, told, word, holder)

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
        self.make_room(lane)
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
        self.make_room(lane)
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
        self.make_room(lane)
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

    @rule(lane=lanes, verb=st.sampled_from(sorted(FINAL)), count=st.sampled_from([1, 100]))
    def jobs_that_have_ended_grow_old(self, lane, verb, count):
        self.make_room(lane)
        self.configure(lane.partition("#")[0], retention={FINAL[verb]: Retention(5000, count)})
        self.enqueue(lane, 3, 0, 60_000)
        for job_id in self.claim("r1", 8)[0]:
            self.set_clock(self.now + 700)
            self.settle(job_id, None, "", verb)
        purges = self.do(self.shard.dump()).get("purges", {})
        self.set_clock(max(self.now, int(min(purges.values(), default=0))))
        self.the_leader_purges()

    @rule(lane=lanes, overlap=st.sampled_from(["queue", "queue", "skip", "cancel"]), what=acts)
    def a_schedule_fires_while_a_run_lives(self, lane, overlap, what):
        self.make_room(lane)
        self.fire("cancel", lane, 1)
        for job_id in self.claim("r1", 8)[0]:
            self.act(what, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")
        for again in (overlap, "queue"):
            self.fire(again, lane, 1)
        for job_id in sorted(self.live()):
            self.requests += 1
            self.settle(job_id, None, "", "succeed")
            self.change("cancel", job_id, f"u{self.requests}")

    @rule(lane=lanes, burst=st.integers(1, 3), cost=st.integers(2, 3), what=acts)
    def calls_cost_more_than_there_is(self, lane, burst, cost, what):
        rate = Rate(1, 1000, burst)
        queue, _, key = lane.partition("#")
        self.make_room(lane)
        self.configure(queue, **({"per_key": KeyLimits(rate=rate)} if key else {"rate": rate}))
        self.enqueue(lane, 2, 0, 60_000, f"cost {cost}")
        for job_id in self.claim("r1", 8)[0]:
            self.act(what, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")

    @rule(lane=lanes, what=acts)
    def a_slot_is_freed(self, lane, what):
        queue, _, key = lane.partition("#")
        self.configure(queue, **({"per_key": KeyLimits(concurrency=1)} if key else {"concurrency": 1}))
        self.enqueue(lane, 2, 0, 60_000)
        for job_id in self.claim("r1", 1)[0]:
            self.act(what, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")

    @rule(lane=lanes, what=acts)
    def the_clock_steps_back_during_a_call(self, lane, what):
        self.enqueue(lane, 1, 0, 60_000)
        claimed, _ = self.claim("r1", 8)
        self.set_clock(self.now - 8000)
        for job_id in claimed:
            self.act(what, job_id, self.jobs[job_id].attempt, self.jobs[job_id].nonce, "r1")


def run_machine(new_shard, runner, wanted):
    """Have the machine play, with these settings of Hypothesis; fails with what it found."""
    machine = type("Machine", (StoreMachine,), {"new_shard": staticmethod(new_shard), "runner": runner})
    quiet = settings(
        wanted, stateful_step_count=STEPS, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=quiet)
