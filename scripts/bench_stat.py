"""What `scripts/bench stat` asks: how long the page of all takes, beside many jobs, keys and an hour of counters."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
import msgspec

from coordinator.domain.ids import new_id, shard_of_queue
from coordinator.domain.job import Spec
from coordinator.domain.spans import SPANS
from coordinator.store.open import Store
from coordinator.store.records import NewJob
from coordinator.store.stats import SHARED_S

QUEUES = 20
KEYS = 10_000
BATCH = 100
ASKED = 15
APART_S = SHARED_S + 0.1
"""As a page that is open asks: not from what was just read for somebody else."""


async def fill(store: Store, jobs: int) -> None:
    """Jobs for later, in queues of all shards and of many keys, and counters of an hour."""
    now = time.time_ns() // 1_000_000
    per_queue = KEYS // QUEUES
    for number in range(QUEUES):
        queue = f"bench-{number}"
        shard = shard_of_queue(queue, store.shards)
        for start in range(0, jobs // QUEUES, BATCH):
            specs = [
                Spec("bench", msgspec.Raw(b"{}"), queue, key=f"{(start + at) % per_queue}.example")
                for at in range(BATCH)
            ]
            new = [NewJob(new_id(shard, now, secrets.randbits(70)), spec, now + 10**9) for spec in specs]
            await store.jobs.enqueue(shard, new, bounded=False)
        for minute in range(now // 60_000 - 59, now // 60_000 + 1):
            await store.connection.call("HSET", f"{store.connection.root(shard)}:stats:{minute}", *_counters(queue))


def _counters(queue: str) -> list[str | int]:
    """Of a queue with some workers, whose attempts take what they take."""
    names = [f"{queue} {kind}" for kind in ("created", "dead", "cancelled", "throttled")]
    names += [f"{queue} started {span}" for span in SPANS[2:20]]
    names += [
        f"{queue} {kind} worker-{worker} {span}"
        for worker in range(4)
        for kind, spans in (("succeeded", SPANS[6:16]), ("failed", SPANS[6:10]))
        for span in spans
    ]
    return [word for name in names for word in (name, 7)]


async def ask(port: int, redis_us: Callable[[Callable[[], Awaitable[None]]], Awaitable[float]]) -> dict[str, float]:
    """The answer's time, by its median and its worst, and what of it is Redis'."""
    took: list[float] = []

    async def ask_all() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            for _ in range(ASKED):
                began = time.perf_counter()
                answer = await client.get("/stat")
                took.append((time.perf_counter() - began) * 1000)
                assert len(answer.json()["queues"]) == QUEUES
                await asyncio.sleep(APART_S)

    redis_ms = await redis_us(ask_all) / ASKED / 1000
    return {"p50 ms": statistics.median(took), "worst ms": max(took), "of it redis ms": redis_ms}
