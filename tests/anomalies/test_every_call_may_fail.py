"""The n-th call of Redis fails, for n = 1, 2, 3 … until a whole run has gone by without meeting it.

A call fails in two ways that its caller cannot tell apart: it never ran, or it ran and its reply was lost. Both times
the same call is made again with the same arguments, and the run must end as if nothing had happened: every job in its
one final state, called as often as it should be and no more.
"""

import asyncio
import json
from collections import Counter

import httpx
import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from coordinator.calling.caller import Caller
from coordinator.domain.job import Spec
from coordinator.domain.outcome import Success
from coordinator.domain.receipt_token import Fence
from coordinator.domain.recurrence import Rule
from coordinator.domain.retry import Backoff
from coordinator.domain.schedule import Schedule
from coordinator.domain.worker import Batching, Worker
from coordinator.engine.replica import Replica
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store

QUIET = {
    "poll_shard",
    "register_replica",
    "hold_leadership",
    "resign_leadership",
    "read_job",
    "read_schedule",
    "read_queues",
    "read_clock",
}
"""Scripts that are run again and again; that they may fail is shown elsewhere."""

RUNS_LIMIT = 60


class FailingOnce:
    """Fails the n-th call of a script, before it runs or after."""

    def __init__(self, store, n, when):
        self.met = False
        self._evaluate = store.connection._evaluate
        self._scripts = {script.sha: script.name for script in store.connection._scripts.values()}
        self._left = n
        self._when = when
        store.connection._evaluate = self

    async def __call__(self, sha, text, root, argv, confirm):
        if self._scripts[sha] in QUIET:
            return await self._evaluate(sha, text, root, argv, confirm)
        self._left -= 1
        if self._left == 0:
            self.met = True
            if self._when == "before":
                raise RedisConnectionError("it never ran")
            await self._evaluate(sha, text, root, argv, confirm)
            raise RedisConnectionError("its reply was lost")
        return await self._evaluate(sha, text, root, argv, confirm)


class Function:
    """`flaky` fails its first attempt, `later` takes the job and reports by receipt, all others succeed.

    `together` is called for many jobs at once.
    """

    def __init__(self):
        self.calls = Counter()
        self.accepted = asyncio.Queue()

    async def __call__(self, request):
        call = json.loads(request.content)
        if call["worker"] == "together":
            self.calls.update(job["jobId"] for job in call["jobs"])
            receipts = [{"jobId": job["jobId"], "status": "success"} for job in call["jobs"]]
            return httpx.Response(200, json={"receipts": receipts})
        self.calls[call["jobId"]] += 1
        if call["worker"] == "flaky" and call["attempt"] == 1:
            return httpx.Response(500)
        if call["worker"] == "later":
            self.accepted.put_nowait(call)
            return httpx.Response(202)
        return httpx.Response(200, json={"status": "success"})


def _spec(worker):
    return Spec(worker, msgspec.Raw(b"{}"), backoff=Backoff(type="fixed", base_ms=5, jitter=0))


async def _run(n, when):
    """One run; returns whether it met the failure."""
    store = open_store(IN_PROCESS_URL, shards=1)
    function = Function()
    settings = Settings(worker_url="http://function/", poll_interval_ms=50, shards=1, shutdown_grace_ms=1000)
    replica = Replica(store, Caller(httpx.MockTransport(function)), settings)
    await store.workers.put("together", Worker("http://function/", batch=Batching(2, window_ms=20)))
    failing = FailingOnce(store, n, when)
    await replica.start()
    together = [(await replica.intake.enqueue(_spec("together"))).id for _ in range(2)]
    jobs = {worker: (await replica.intake.enqueue(_spec(worker))).id for worker in ("plain", "flaky", "later")}
    soon = await store.schedules.now() + 20
    tick = Schedule(Rule(every_ms=1000, start_at=soon), _spec("tick"), max_runs=1)
    schedule_id = (await replica.schedules.create(tick))[0].id
    accepted = await asyncio.wait_for(function.accepted.get(), 5)
    answer = await replica.settler.receive(accepted["jobId"], Success(), Fence())
    assert answer.reply in {"ok", "already_recorded"}
    async with asyncio.timeout(5):
        while (await store.queues.read("default")).counts["succeeded"] < 6:
            await asyncio.sleep(0.01)
    counts = (await store.queues.read("default")).counts
    assert counts == dict.fromkeys(counts, 0) | {"succeeded": 6}
    assert {worker: function.calls[job_id] for worker, job_id in jobs.items()} == {"plain": 1, "flaky": 2, "later": 1}
    assert [function.calls[job_id] for job_id in together] == [1, 1]
    assert len(function.calls) == 6
    assert (await store.schedules.read(schedule_id)).runs == 1
    flaky = await store.jobs.read(jobs["flaky"])
    assert [entry.outcome for entry in flaky.attempts] == ["failure", "success"]
    await replica.stop()
    await store.close()
    return failing.met


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_run_ends_well_whichever_call_fails(when):
    for n in range(1, RUNS_LIMIT):
        if not await _run(n, when):
            assert n > 8, "the run makes more calls than that"
            return
    pytest.fail(f"{RUNS_LIMIT} calls were not the end of it")
