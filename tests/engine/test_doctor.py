"""The doctor beside replicas that work: what is between two of their steps is no problem."""

import asyncio
import itertools

from coordinator.engine.doctor import Doctor
from coordinator.store.open import open_store

QUEUES = {
    "default": {},
    "shop": {"concurrency": 40, "rate": {"limit": 400, "period": "1s"}, "perKey": {"concurrency": 3}},
    "flaky": {"perKey": {"rate": {"limit": 200, "period": "1s"}}, "circuit": {"failures": 5, "open": "1s"}},
}


def job(number):
    queue = list(QUEUES)[number % 3]
    extra = [{}, {"tags": ["night"]}, {"delay": "300ms"}, {"unique": f"u{number}"}, {"priority": number % 10}]
    return {
        "worker": queue,
        "queue": queue,
        "backoff": {"base": 0},
        "maxAttempts": 100,
        "expiresIn": "1h",
        **({"key": f"k{number % 7}"} if number % 2 else {}),
        **extra[number % 5],
    }


async def test_it_finds_nothing_while_replicas_work_on_2000_jobs(
    start_replica, function, eventually, redis_url, prefix
):
    calls = itertools.count()

    async def fail_now_and_then(call):
        return {"status": "failure"} if call["worker"] == "flaky" and next(calls) % 3 else {"status": "success"}

    function.answer = fail_now_and_then
    replicas = [await start_replica(), await start_replica()]
    for queue, settings in QUEUES.items():
        assert (await replicas[0].client.put(f"/queue/{queue}", json=settings)).status_code < 300
    every = {"worker": "tick", "every": "1s", "overlap": "queue"}
    assert (await replicas[0].client.put("/schedule/often", json=every)).status_code == 201
    store = open_store(redis_url, prefix=prefix)
    found, walks, stop = [], 0, asyncio.Event()

    async def look_all_the_while():
        nonlocal walks
        while not stop.is_set():
            found.extend([finding async for finding in Doctor(store).examine()])
            walks += 1

    looking = asyncio.create_task(look_all_the_while())
    for start in range(0, 2000, 100):
        batch = {"jobs": [job(number) for number in range(start, start + 100)], "onComplete": {"worker": "done"}}
        answer = await replicas[start // 100 % 2].client.post("/job/batch", json=batch)
        assert answer.status_code == 201

    async def all_batches_have_been_told():
        return sum(call["worker"] == "done" for call in function.calls) == 20

    await eventually(all_batches_have_been_told, 60)
    stop.set()
    await looking
    await store.close()
    assert walks >= 5
    assert found == []


async def test_a_store_that_is_lost_in_part_is_mended_under_the_replicas_and_all_jobs_run(
    start_replica, function, eventually, redis_url, prefix
):
    replicas = [await start_replica(), await start_replica()]
    queue = replicas[0].client
    assert (await queue.put("/queue/default", json={"paused": True})).status_code < 300
    ids = [await replicas[number % 2].enqueue(worker="any", key=f"k{number % 3}") for number in range(30)]
    store = open_store(redis_url, prefix=prefix)
    keys = [key async for page in store.connection.scan(f"{prefix}:{{*") for key in page]
    lost = [key for key in keys if key.split(b":")[2] in {b"waiting", b"spread", b"lanes", b"queues", b"known_queues"}]
    await store.connection.call("DEL", *lost)
    assert (await queue.post("/queue/default/resume")).status_code < 300

    assert [finding async for finding in Doctor(store, repair=True).examine()]

    await store.close()

    async def all_have_succeeded():
        return (await queue.get("/queue/default")).json().get("succeeded") == 30

    await eventually(all_have_succeeded)
    assert function.counts() == dict.fromkeys(ids, 1)
