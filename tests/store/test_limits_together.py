"""Rates and concurrency of a queue and of each of its keys at once, whoever claims: no more than allowed, and no less.

`STORE_EXAMPLES=2000` runs it longer.
"""

import asyncio
import dataclasses
import os
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.domain.outcome import Limits
from coordinator.domain.queue import KeyLimits, Rate
from tests.store.together import Call, Line

EXAMPLES = int(os.environ.get("STORE_EXAMPLES", "100"))
HOLDERS = ["r1", "r2", "r3"]
KEYS = ["", "a", "b", "c"]

rates = st.none() | st.builds(
    Rate, limit=st.integers(1, 5), period_ms=st.sampled_from([100, 1000, 7000]), burst=st.integers(1, 6)
)
limits = st.fixed_dictionaries(
    {
        "rate": rates,
        "concurrency": st.sampled_from([None, None, 1, 4]),
        "per_key": st.builds(KeyLimits, concurrency=st.sampled_from([None, 1, 3]), rate=rates),
    }
)
arrivals = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sampled_from([1, 1, 1, 0.5, 2, 3, 8]), st.sampled_from([0, 0, 0, 1, 900])),
    min_size=1,
    max_size=12,
)
claims = st.lists(st.tuples(st.sampled_from(HOLDERS), st.integers(1, 6)), min_size=1, max_size=3)
endings = st.sampled_from(["succeed", "succeed", "succeed", "retry", "throttle", "snooze"])
claims = st.lists(st.tuples(st.sampled_from(HOLDERS), st.integers(1, 6)), min_size=1, max_size=3)
endings = st.sampled_from(["succeed", "succeed", "succeed", "retry", "throttle", "snooze"])
steps = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1, 1, 20, 99, 500, 3000])),
    st.tuples(st.just("claim"), claims),
    st.tuples(st.just("claim_all"), st.sampled_from(HOLDERS)),
    st.tuples(st.just("arrive"), arrivals),
    st.tuples(st.just("settle"), st.tuples(st.integers(0, 99), endings)),
    st.tuples(st.just("release"), st.integers(0, 99)),
    st.tuples(st.just("lose"), st.none()),
)


tellings = st.tuples(
    st.just("tell"),
    st.tuples(
        st.integers(0, 99),
        st.builds(
            Limits,
            remaining=st.none() | st.sampled_from([0, 1, 3, 100]),
            maximum=st.none() | st.sampled_from([0.5, 1, 2, 100]),
            restore_rate=st.none() | st.sampled_from([0.001, 1, 100]),
        ),
    ),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(limits=limits, first=arrivals, walk=st.lists(steps, min_size=5, max_size=40))
def test_no_more_starts_than_all_limits_allow_and_no_less_and_all_is_run_in_the_end(
    new_shard, runner, limits, first, walk
):
    runner.run(Walk(new_shard(), limits).go(first, walk))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(limits=limits, first=arrivals, walk=st.lists(steps | tellings, min_size=5, max_size=40))
def test_whatever_functions_tell_no_more_starts_than_was_set_and_all_is_run_in_the_end(
    new_shard, runner, limits, first, walk
):
    runner.run(Walk(new_shard(), limits).go(first, walk))


class Walk:
    """What several replicas do to one queue, beside a model of it."""

    def __init__(self, shard, limits):
        self.shard = shard
        self.limits = limits
        self.line = Line(limits["rate"], limits["concurrency"], limits["per_key"], shard.start)
        self.is_told = False  # Then it may have to wait longer than the model knows.

    async def go(self, first, walk):
        await self.shard.set_clock(self.shard.start)
        # Before there are limits, so that some cost more than the bursts.
        await self.arrive(first)
        await self.shard.configure("shop", **self.limits)
        for name, what in walk:
            await getattr(self, name)(what)
            self.line.check_bounds()
        await self.drain()

    async def advance(self, ms):
        self.line.now += ms
        await self.shard.set_clock(self.line.now)

    async def arrive(self, arrivals):
        rate, key_rate = self.limits["rate"], self.limits["per_key"].rate
        is_limited = bool(self.line.calls)
        for key, wanted, delay_ms in arrivals:
            bounds = [rate.burst] if rate else []
            bounds += [key_rate.burst] if key and key_rate else []
            cost = min([wanted, *bounds]) if is_limited else wanted
            fields = {"key": key} if key else {}
            job = self.shard.new_job("shop", cost=cost, delay_ms=delay_ms, **fields)
            (accepted,) = (await self.shard.jobs.enqueue(0, [job])).accepted
            if accepted.reply == "created":
                self.line.calls[job.id] = Call(job.id, key, Fraction(cost), self.line.now + delay_ms)
            else:
                assert (accepted.reply, self.is_told) == ("cost_exceeds_burst", True)

    async def claim(self, asked):
        claims = await asyncio.gather(*(self.shard.claim(limit, holder=holder) for holder, limit in asked))
        for claim in claims:
            for attempt in claim.attempts:
                self.line.start(attempt)
        return claims[-1].due_in_ms

    async def claim_all(self, holder):
        for _ in range(len(self.line.calls) + 20):
            due_in_ms = await self.claim([(holder, 4)])
            if due_in_ms != 0:
                if not self.is_told:
                    self.line.check_nothing_waits_in_vain()
                return due_in_ms
        raise AssertionError("it says for ever that something is due")

    async def settle(self, what):
        at, ending = what
        call = self.one_running(at)
        if call:
            settlement = getattr(self.shard, ending)
            assert (await self.shard.end(call.attempt, settlement))[0] == "ok"
            self.line.end(call, settlement)

    async def tell(self, what):
        at, told = what
        call = self.one_running(at)
        if call:
            self.is_told = True
            for bucket in self.line.buckets(call.key):
                bucket.least = min(bucket.least, Fraction(told.maximum or bucket.least))
            settlement = dataclasses.replace(self.shard.succeed, limits=told)
            assert (await self.shard.end(call.attempt, settlement))[0] == "ok"
            self.line.end(call, settlement)

    async def release(self, at):
        call = self.one_running(at)
        if call:
            await self.shard.jobs.release(0, [call.attempt])
            self.line.release(call)

    async def lose(self, _):
        """No replica renews its leases."""
        await self.advance(self.shard.lease_ms)
        for one in await self.shard.jobs.expired(0):
            assert (await self.shard.end(one.attempt, self.shard.lost, lapsed=True))[0] == "ok"
            self.line.end(self.line.calls[one.attempt.job_id], self.shard.lost)

    async def drain(self):
        """All is run, and no wait is longer than it was told."""
        for _ in range(20 * len(self.line.calls) + 20):
            due_in_ms = await self.claim_all("r1")
            self.line.check_bounds()
            if self.line.running():
                for _ in self.line.running():
                    await self.settle((0, "succeed"))
            elif due_in_ms is None:
                break
            else:
                await self.advance(due_in_ms)
        assert {call.state for call in self.line.calls.values()} == {"succeeded"}

    def one_running(self, at):
        running = self.line.running()
        return running[at % len(running)] if running else None
