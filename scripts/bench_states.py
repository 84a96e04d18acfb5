"""What a job takes of Redis' memory in each state. Used by bench.py."""

import json
from collections.abc import Awaitable, Callable

from coordinator.domain.job import Attempt
from coordinator.domain.settlement import Settlement
from coordinator.store.jobs import BATCH_LIMIT
from coordinator.store.open import Store
from coordinator.store.records import Ended

ERROR = json.dumps({"type": "HTTPError", "message": "The function answered 500: " + "x" * 100}).encode()
RESULT = json.dumps({"id": "x" * 20, "sent": True}).encode()

ENDINGS = {
    "retrying, one failure": Settlement("retry", "failure", delay_ms=10**8, error=ERROR, http_status=500),
    "succeeded": Settlement("succeed", "success"),
    "succeeded, with a result": Settlement("succeed", "success", result=RESULT),
    "dead, one failure": Settlement("die", "failure", reason="attempts_exhausted", error=ERROR, http_status=500),
    "cancelled": Settlement("cancel", "cancelled", reason="worker"),
}

Enqueue = Callable[[int, int], Awaitable[None]]
"""Accepts so many jobs that are due at an instant."""


async def bytes_by_state(store: Store, count: int, enqueue: Enqueue) -> dict[str, float]:
    """Bytes per job, all told: its hash, its places in indexes, and its log. The store is emptied before each."""
    shown = {}
    for state in ("scheduled", "running", *ENDINGS):
        await store.connection.call("FLUSHALL", key="")
        before = await _used(store)
        await enqueue(count, 10**15 if state == "scheduled" else 0)
        if state != "scheduled":
            await _end(store, await _claim(store, count), ENDINGS.get(state))
        shown[state] = (await _used(store) - before) / count
    return shown


async def _claim(store: Store, count: int) -> list[Attempt]:
    claimed: list[Attempt] = []
    while len(claimed) < count:
        request = f"n{len(claimed)}"
        claim = await store.jobs.claim(0, holder="bench", request=request, limit=BATCH_LIMIT, lease_ms=10**9)
        claimed += claim.attempts
    return claimed


async def _end(store: Store, attempts: list[Attempt], settlement: Settlement | None) -> None:
    if settlement is None:
        return
    for start in range(0, len(attempts), BATCH_LIMIT):
        batch = attempts[start : start + BATCH_LIMIT]
        await store.jobs.settle(0, [Ended(one.job_id, settlement, one.tally.attempt, one.nonce) for one in batch])


async def _used(store: Store) -> int:
    (info,) = (await store.connection.infos("memory")).values()
    return int(info["used_memory"]) - int(info["mem_not_counted_for_evict"])
