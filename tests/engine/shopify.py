"""Shops that keep the buckets which Shopify documents, by a clock of their own, and count what they refuse.

Time runs five times as fast as there: 40 calls that leak 10 a second, 2000 points that come back at 500 a second.
https://shopify.dev/docs/api/usage/limits
"""

import asyncio
import math
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

HASTE = 5
TRAVEL_S = (0.002, 0.02)
WORK_S = (0.01, 0.05)

Json = dict[str, Any]


@dataclass
class Shop:
    """`whole` is what its bucket holds, `rate` what comes back in a second, `left` what is left at first."""

    name: str
    whole: float
    rate: float
    left: float
    jobs: int
    granted: float = 0
    refused: int = 0
    refused_when_heard: int = 0
    ended_at: float = 0
    is_heard: bool = False
    begun_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """What it may be asked for, in all, begins with what is left."""
        self.at_first, self._seen_at = self.left, self.begun_at

    async def call(self, args: Json) -> Json:
        """The receipt of a function that has called it."""
        raise NotImplementedError

    def take(self, cost: float) -> bool:
        """Whether a call may be made."""
        self._flow()
        if self.left < cost:
            self.refused += 1
            return False
        self.left -= cost
        self.granted += cost
        self.ended_at = time.monotonic()
        return True

    def give_back(self, cost: float) -> None:
        """What a query was thought to cost, and did not."""
        self._flow()
        self.left = min(self.whole, self.left + cost)
        self.granted -= cost

    def use(self) -> float:
        """Which part was taken of all that could be had from the first job's arrival to the last one's start."""
        return self.granted / (self.at_first + self.rate * (self.ended_at - self.begun_at))

    def _flow(self) -> None:
        now = time.monotonic()
        self.left = min(self.whole, self.left + (now - self._seen_at) * self.rate)
        self._seen_at = now


class RestShop(Shop):
    """Calls; refused with 429 and how long to wait. Its meter is shown in whole calls, rounded up."""

    async def call(self, args: Json) -> Json:
        is_granted = self.take(1)
        await asyncio.sleep(random.uniform(*WORK_S))
        self._flow()
        limits = {"used": math.ceil(self.whole - self.left), "max": self.whole}
        if is_granted:
            return {"status": "success", "limits": limits}
        return {"status": "throttled", "retryAfter": 2.0 / HASTE, "limits": limits}


class GraphqlShop(Shop):
    """Points; a query is charged what it may cost, and gets back what it did not. Refused with 200 and THROTTLED."""

    async def call(self, args: Json) -> Json:
        requested, actual = args["requested"], args["actual"]
        is_granted = self.take(requested)
        await asyncio.sleep(random.uniform(*WORK_S))
        if is_granted:
            self.give_back(requested - actual)
        self._flow()
        limits = {"remaining": math.floor(self.left), "max": self.whole, "restoreRate": self.rate}
        if is_granted:
            return {"status": "success", "limits": limits | {"cost": actual}}
        wait_s = max(0, requested - self.left) / self.rate
        return {"status": "throttled", "retryAfter": wait_s, "limits": limits}


@dataclass
class Mall:
    """All shops, and the function that calls them."""

    shops: dict[str, Shop]

    async def answer(self, call: Json) -> Json:
        """Call the shop of a job, from somewhere: no two calls take the same time to get there."""
        shop = self.shops[call["key"]]
        was_heard = shop.is_heard
        await asyncio.sleep(random.uniform(*TRAVEL_S))
        receipt = await shop.call(call["args"])
        await asyncio.sleep(random.uniform(*TRAVEL_S))
        shop.refused_when_heard += was_heard and receipt["status"] == "throttled"
        shop.is_heard = True
        return receipt

    def refused_when_heard(self) -> int:
        """Calls that were refused though the first receipt of their shop was on its way before they came.

        What is under way by then may be refused: nobody can know.
        """
        return sum(shop.refused_when_heard for shop in self.shops.values())

    def figures(self) -> str:
        """What is worth printing."""
        uses = [shop.use() for shop in self.shops.values()]
        lines = [
            f"{shop.name:>16}: of {shop.whole:g} + {shop.rate:g}/s, {shop.at_first:g} at first,"
            f" {shop.jobs} jobs in {shop.ended_at - shop.begun_at:.1f} s: use {shop.use():.3f},"
            f" refused {shop.refused}, of these {shop.refused_when_heard} when heard"
            for shop in self.shops.values()
        ]
        lines.append(
            f"refused when heard: {self.refused_when_heard()}; refused in all:"
            f" {sum(shop.refused for shop in self.shops.values())};"
            f" use: least {min(uses):.3f}, median {statistics.median(uses):.3f}"
        )
        return "\n".join(lines)
