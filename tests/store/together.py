"""The model of test_limits_together.py: exact buckets, what runs, and what must hold of both."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from coordinator.domain.queue import Rate

ALMOST = Fraction(1, 10_000)
"""Sums of many floats, each off by less than a millionth."""


@dataclass
class Bucket:
    """A token bucket in exact numbers.

    `starts` are instants and costs of the calls that were really made; `least` is the smallest burst that was told of.
    """

    rate: Rate
    at: int
    starts: list[tuple[int, Fraction]] = field(default_factory=list)

    def __post_init__(self):
        self.burst = self.least = Fraction(self.rate.burst)
        self.per_ms = Fraction(self.rate.limit) / self.rate.period_ms
        self.tokens = self.burst

    def flow(self, now):
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_ms)
        self.at = now

    def can_pay(self, cost, margin):
        return self.tokens >= min(cost, self.burst) + margin

    def take(self, cost):
        self.tokens -= cost
        self.starts.append((self.at, cost))

    def give_back(self, cost, started_at):
        """As if never taken, but for what may have flowed over meanwhile."""
        self.starts.remove((started_at, cost))
        self.tokens = min(self.burst, self.tokens + max(0, cost - (self.at - started_at) * self.per_ms))

    def check(self):
        """In no window more than burst + rate * t; only the last may leave a debt, if it costs more than the burst."""
        for first, (since, _) in enumerate(self.starts):
            total, dearest = Fraction(0), Fraction(0)
            for at, cost in self.starts[first:]:
                total += cost
                dearest = max(dearest, cost)
                debt = max(Fraction(0), dearest - self.least)
                assert total <= self.burst + self.per_ms * (at - since) + debt + ALMOST


@dataclass
class Call:
    """A job of the model; `key` is "" for none."""

    id: str
    key: str
    cost: Fraction
    run_at: int
    state: str = "waiting"
    attempt: object = None
    started_at: int = 0


class Line:
    """One queue with its jobs."""

    def __init__(self, queue_rate, concurrency, per_key, now):
        self.per_key, self.now = per_key, now
        self.concurrency = concurrency or math.inf
        self.key_concurrency = per_key.concurrency or math.inf
        self.bucket = Bucket(queue_rate, now) if queue_rate else None
        self.key_buckets = defaultdict(lambda: Bucket(per_key.rate, now))
        self.calls: dict[str, Call] = {}
        self.blocked = defaultdict(int)

    def buckets(self, key):
        found = [self.bucket] if self.bucket else []
        if key and self.per_key.rate:
            found.append(self.key_buckets[key])
        for bucket in found:
            bucket.flow(self.now)
        return found

    def running(self, key=None):
        return [call for call in self.calls.values() if call.state == "running" and key in (None, call.key)]

    def start(self, attempt):
        call = self.calls[attempt.job_id]
        assert (call.state, call.run_at <= self.now) == ("waiting", True)
        assert self.blocked[call.key] <= self.now
        call.state, call.attempt, call.started_at = "running", attempt, self.now
        for bucket in self.buckets(call.key):
            bucket.take(call.cost)

    def release(self, call):
        call.state, call.run_at = "waiting", self.now
        for bucket in self.buckets(call.key):
            bucket.give_back(call.cost, call.started_at)

    def end(self, call, settlement):
        call.state, call.run_at = "waiting", self.now + settlement.delay_ms
        if settlement.verb == "succeed":
            call.state = "succeeded"
        if settlement.outcome == "throttled":
            self.blocked[call.key] = max(self.blocked[call.key], self.now + settlement.delay_ms)
            if call.key and self.per_key.rate:
                self.buckets(call.key)
                bucket = self.key_buckets[call.key]
                bucket.tokens = min(bucket.tokens, 0)

    def check_bounds(self):
        assert len(self.running()) <= self.concurrency
        for key in {call.key for call in self.calls.values()} - {""}:
            assert len(self.running(key)) <= self.key_concurrency
        for bucket in [*self.key_buckets.values(), *([self.bucket] if self.bucket else [])]:
            bucket.check()

    def check_nothing_waits_in_vain(self):
        """Whatever is due is held back by a limit."""
        if not self.free_heads(ALMOST) or len(self.running()) >= self.concurrency:
            return
        assert self.bucket
        self.bucket.flow(self.now)
        # What costs more than there is is waited for, so that what costs less cannot overtake it for ever.
        dearest = max(head.cost for head in self.free_heads(-ALMOST))
        assert not self.bucket.can_pay(dearest, ALMOST)

    def free_heads(self, margin):
        """The first job of each key whose own limits allow it, by that many tokens."""
        return [head for key in {call.key for call in self.calls.values()} if (head := self.free_head(key, margin))]

    def free_head(self, key, margin):
        due = [c for c in self.calls.values() if (c.state, c.key) == ("waiting", key) and c.run_at <= self.now]
        is_full = key and len(self.running(key)) >= self.key_concurrency
        if not due or is_full or self.blocked[key] > self.now:
            return None
        head = min(due, key=lambda call: (call.run_at, call.id))
        self.buckets(key)
        has_rate = key and self.per_key.rate
        return head if not has_rate or self.key_buckets[key].can_pay(head.cost, margin) else None
