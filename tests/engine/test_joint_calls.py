"""One call for many jobs, by real replicas that are killed while they gather, and while the function works."""

import asyncio
import signal
from collections import Counter


async def register(replica, function, *, size, window):
    body = {"url": function.url, "batch": {"size": size, "window": window}}
    assert (await replica.client.put("/worker/bulk", json=body)).status_code == 201


async def enqueue(replica, count):
    jobs = [{"worker": "bulk", "args": number} for number in range(count)]
    answer = await replica.client.post("/job/batch", json={"jobs": jobs})
    return [job["id"] for job in answer.json()["jobs"]]


async def succeed_each(call):
    return {"receipts": [{"jobId": job["jobId"], "status": "success", "result": job["args"]} for job in call["jobs"]]}


def called(function):
    return Counter(job["jobId"] for call in function.calls for job in call["jobs"])


def ended(replica, ids, state="succeeded"):
    async def look():
        answer = await replica.client.get("/job", params={"queue": "default", "state": state, "limit": 200})
        return {job["id"] for job in answer.json()["items"]} >= set(ids)

    return look


async def test_each_of_many_jobs_is_in_one_call_of_two_replicas(start_replica, function, eventually):
    function.answer = succeed_each
    first, second = await start_replica(), await start_replica()
    await register(first, function, size=20, window="200ms")

    ids = await enqueue(first, 200)
    await eventually(ended(second, ids))

    assert called(function) == dict.fromkeys(ids, 1)
    # Ten calls would be all of them full; each replica may have begun and ended with some that were not.
    assert len(function.calls) <= 40
    assert max(len(call["jobs"]) for call in function.calls) == 20


async def test_a_replica_that_is_killed_while_it_gathers_loses_nothing(start_replica, function, eventually):
    function.answer = succeed_each
    killed = await start_replica()
    await register(killed, function, size=100, window="10s")
    ids = await enqueue(killed, 5)
    await eventually(ended(killed, ids, "running"))

    await killed.end(signal.SIGKILL)
    assert function.calls == []
    other = await start_replica()
    await eventually(ended(other, ids), 30)

    assert called(function) == dict.fromkeys(ids, 1)
    assert {(await other.read(job_id))["attempts"][0]["outcome"] for job_id in ids} == {"lost"}


async def test_a_call_whose_replica_was_killed_is_made_again_for_all(start_replica, function, eventually):
    working, may_end = asyncio.Event(), asyncio.Event()

    async def hang_at_first(call):
        if not working.is_set():
            working.set()
            await may_end.wait()
        return await succeed_each(call)

    function.answer = hang_at_first
    killed = await start_replica()
    await register(killed, function, size=5, window="1s")
    ids = await enqueue(killed, 5)
    await asyncio.wait_for(working.wait(), 10)
    other = await start_replica()

    await killed.end(signal.SIGKILL)
    await eventually(ended(other, ids), 30)

    assert called(function) == dict.fromkeys(ids, 2)
    may_end.set()


async def test_a_call_longer_than_its_leases_is_made_once(start_replica, function, eventually):
    async def take_long(call):
        await asyncio.sleep(5)
        return await succeed_each(call)

    function.answer = take_long
    replica, _ = await start_replica(), await start_replica()
    await register(replica, function, size=3, window="50ms")

    ids = await enqueue(replica, 3)
    await eventually(ended(replica, ids))

    assert called(function) == dict.fromkeys(ids, 1)
