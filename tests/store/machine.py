"""All scripts of jobs together against a small model, in any order, with a clock that jumps forward and back.

After every step the whole keyspace is compared: each job in exactly the indexes that its hash names, with the right
scores; and no wheel later than the instant from which there is something to do. Where the clock stepped back, a wheel
may be as late as the latest instant that there was: then its time has come again.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.store.acts import Acts
from tests.store.model import FINAL, LANES, QUEUES, purge_at
from tests.store.strategies import ENDINGS, HOLDS, delays, endings, guards, holders, lanes, limits, traits


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


class PlainMachine(Acts, RuleBasedStateMachine):
    """Every act by itself. `new_shard` and `runner` are the fixtures."""

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
        elif what == "lapse":
            self.settle(job_id, number, nonce, "lost", lapsed=True)
        elif what == "beat":
            self.beat(job_id, number, nonce, "50", 90_000)
        else:
            self.hold(what, job_id, "" if number is None else number, nonce, holder)

    # Jobs come, are called, and end.

    @rule(lane=lanes, count=st.sampled_from([1, 1, 2, 8]), delay_ms=delays, traits=traits, is_short=st.booleans())
    def a_user_enqueues(self, lane, count, delay_ms, traits, is_short):
        self.enqueue(lane, count, delay_ms, 3000 if is_short else 60_000, traits)

    @rule(lane=lanes, count=st.integers(1, 2))
    def what_was_accepted_before_is_enqueued(self, lane, count):
        self.enqueue(lane, count, 0, 60_000, is_bounded=False)

    @rule(
        lane=lanes,
        handle=st.sampled_from("hi"),
        guards=guards,
        rival=st.sampled_from(["waits", "runs", "succeed", "die", "retry"]),
    )
    def a_user_enqueues_what_is_to_be_unique(self, lane, handle, guards, rival):
        self.enqueue(lane, 1, 0, 60_000, f"unique {handle}", guards)
        for job_id in self.claim("r1", 8)[0] if rival != "waits" else ():
            if rival != "runs" and self.jobs[job_id].unique:
                self.settle(job_id, None, "", rival)
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
