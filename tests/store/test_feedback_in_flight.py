"""Shops with less than the queue is set to, called without any bound on how many at once, in a time of the test's own.

Whatever is under way when the first report comes may be refused: nobody could know. Whatever begins later is not.
"""

import dataclasses
import heapq
import itertools
import math
from random import Random

import pytest

from coordinator.domain.outcome import Limits
from coordinator.domain.queue import KeyLimits, Rate
from coordinator.store.records import Ended

SETTINGS = Rate(100, 1000, 2000)
COSTS = [10, 30, 60, 100]
RUN_MS = 120_000


@dataclasses.dataclass
class Shop:
    """Points that come back with time, `left` of `whole` at first."""

    whole: float
    rate: float
    left: float
    at: int
    granted: float = 0
    refused: int = 0

    def __post_init__(self):
        self.allowance = self.left

    def flow(self, now):
        self.left = min(self.whole, self.left + (now - self.at) * self.rate / 1000)
        self.at = now

    def take(self, cost, now):
        self.flow(now)
        is_granted = self.left >= cost
        if is_granted:
            self.left -= cost
            self.granted += cost
        return is_granted


class Run:
    """One key's calls: each takes some time to the shop and some back, and its receipt tells what the shop told."""

    def __init__(self, shard, clock, shop, random, *, tells_rate, travel_ms):
        self.shard, self.clock, self.shop, self.random = shard, clock, shop, random
        self.tells_rate, self.travel_ms = tells_rate, travel_ms
        self.events, self.numbers, self.claim_at = [], itertools.count(), None
        self.heard_at = None
        self.late_refusals = 0

    def at(self, delay_ms, act, *what):
        heapq.heappush(self.events, (self.clock.now + delay_ms, next(self.numbers), act, what))

    def travel(self):
        return self.random.randint(*self.travel_ms)

    async def go(self):
        self.wake(0)
        end = self.clock.now + RUN_MS
        while self.events[0][0] <= end:
            due, _, act, what = heapq.heappop(self.events)
            if due > self.clock.now:
                await self.clock.set(due)
            await act(*what)
        self.shop.allowance += self.shop.rate * RUN_MS / 1000

    def wake(self, due_in_ms):
        """Claim then, unless that is to be done sooner."""
        due = self.clock.now + (math.inf if due_in_ms is None else due_in_ms)
        if due < (self.claim_at or math.inf):
            self.claim_at = due
            self.at(due_in_ms, self.claim, due)

    async def claim(self, due):
        if due != self.claim_at:
            return
        self.claim_at = None
        claim = await self.shard.claim(100)
        for attempt in claim.attempts:
            self.at(self.travel(), self.arrive, attempt, self.clock.now)
        self.wake(claim.due_in_ms)

    async def arrive(self, attempt, begun_at):
        cost = attempt.spec.cost
        is_granted = self.shop.take(cost, self.clock.now)
        if not is_granted:
            self.shop.refused += 1
            self.late_refusals += self.heard_at is not None and begun_at > self.heard_at
        used = self.random.choice([0.5, 0.8, 1]) * cost
        self.at(self.travel(), self.answer, attempt, is_granted, used)

    async def answer(self, attempt, is_granted, used):
        shop, now = self.shop, self.clock.now
        shop.flow(now)
        if is_granted:
            shop.left = min(shop.whole, shop.left + attempt.spec.cost - used)
            shop.granted -= attempt.spec.cost - used
        rate = shop.rate if self.tells_rate else None
        limits = Limits(
            remaining=int(shop.left), maximum=shop.whole, restore_rate=rate, cost=used if is_granted else None
        )
        wait_ms = 1000 + int(max(0, attempt.spec.cost - shop.left) / shop.rate * 1000)
        settlement = (
            dataclasses.replace(self.shard.succeed, result=b"", limits=limits)
            if is_granted
            else dataclasses.replace(self.shard.throttle, delay_ms=wait_ms, limits=limits)
        )
        self.at(self.travel(), self.settle, Ended(attempt.job_id, settlement, attempt.tally.attempt, attempt.nonce))

    async def settle(self, ended):
        _, due_in_ms = await self.shard.settle([ended])
        self.heard_at = self.heard_at or self.clock.now
        self.wake(due_in_ms)


@pytest.mark.parametrize("travel_ms", [(5, 40), (50, 300)])
@pytest.mark.parametrize(
    ("whole", "rate", "left", "tells_rate"),
    [
        (2000, 100, 2000, True),
        (2000, 100, 300, True),
        (1000, 50, 1000, True),
        (1000, 50, 1000, False),
        (300, 15, 300, False),
    ],
)
async def test_no_call_that_begins_after_the_first_report_is_refused_and_the_shop_is_used_to_the_full(
    real_shard, clock, travel_ms, whole, rate, left, tells_rate
):
    await real_shard.configure("shop", per_key=KeyLimits(rate=SETTINGS))
    for cost in COSTS * 30:
        await real_shard.add(10, "shop", key="a", cost=cost)
    shop = Shop(whole, rate, left, clock.now)
    run = Run(real_shard, clock, shop, Random(whole + left), tells_rate=tells_rate, travel_ms=travel_ms)

    await run.go()

    assert run.late_refusals == 0
    assert shop.granted >= 0.95 * shop.allowance
