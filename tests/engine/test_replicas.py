"""Several replicas on one server: nothing is lost, nothing is called twice without a cause."""

import asyncio
import shutil
import signal
import time
from pathlib import Path

import pytest

import coordinator

pytestmark = pytest.mark.parametrize("redis_url", ["alone", "cluster", "sentinel"], indirect=True)


async def _enqueue_many(replicas, count, **job):
    """Enqueue over all replicas, 50 requests at a time."""
    ids = []
    for start in range(0, count, 50):
        batch = [
            replicas[number % len(replicas)].enqueue(worker="count", **job)
            for number in range(start, min(start + 50, count))
        ]
        ids += await asyncio.gather(*batch)
    return ids


async def _succeeded(replica, count):
    answer = (await replica.client.get("/queue/default")).json()
    return answer.get("succeeded") == count


async def test_it_calls_each_of_many_jobs_exactly_once(start_replica, function, eventually, request):
    count = 5000 if request.node.callspec.params["redis_url"] == "alone" else 1000
    replicas = [await start_replica(), await start_replica()]
    ids = await _enqueue_many(replicas, count)
    await eventually(lambda: _succeeded(replicas[0], count), 60)
    assert set(function.counts()) == set(ids)
    assert set(function.counts().values()) == {1}


async def test_it_makes_one_job_of_one_tick(start_replica, function, eventually):
    replicas = [await start_replica(), await start_replica(), await start_replica()]
    schedule = await replicas[0].enqueue(worker="tick", every="1s", maxRuns=3)
    await eventually(lambda: _succeeded(replicas[1], 3))
    assert len(function.calls) == 3
    assert len({call["scheduledFor"] for call in function.calls}) == 3
    assert {call["scheduleId"] for call in function.calls} == {schedule}
    assert (await replicas[2].read(schedule))["nextRunAt"] is None


async def test_a_stopped_replica_hands_over_and_no_call_is_made_twice(start_replica, function, eventually):
    async def take_a_while(_call):
        await asyncio.sleep(0.3)
        return {"status": "success"}

    function.answer = take_a_while
    stays, stops = await start_replica(), await start_replica()
    ids = await _enqueue_many([stays, stops], 300)
    late = await _enqueue_many([stops], 20, delay="1s")
    assert await stops.end(signal.SIGTERM) == 0
    await eventually(lambda: _succeeded(stays, 320))
    assert function.counts() == dict.fromkeys([*ids, *late], 1)


async def test_a_killed_replica_loses_nothing_and_the_other_goes_on_within_the_time_to_live(
    start_replica, function, eventually
):
    release = asyncio.Event()

    async def hang_until_released(_call):
        await release.wait()
        return {"status": "success"}

    function.answer = hang_until_released
    stays, dies = await start_replica(), await start_replica()
    ids = await _enqueue_many([dies], 40)  # Who accepts a due job claims it.
    scheduled = await _enqueue_many([dies], 10, delay="500ms")

    async def all_are_held():
        return len(function.calls) >= 40

    await eventually(all_are_held)
    await dies.end(signal.SIGKILL)
    killed_at = time.monotonic()
    release.set()
    await eventually(lambda: _succeeded(stays, 50))
    # The lease and the lock are 2 s here; what was held by the dead one is due again when its lease lapses.
    assert time.monotonic() - killed_at < 2 + 2 + 1.5
    assert set(function.counts()) == {*ids, *scheduled}
    lost = [job for job in [await stays.read(job_id) for job_id in ids] if job["attempts"][0]["outcome"] == "lost"]
    assert lost, "some calls were held by the replica that was killed"
    assert all(job["attempt"] == 2 for job in lost)


async def test_shards_are_spread_within_one_of_even_and_handed_over_at_once(start_replica, eventually):
    replicas = [await start_replica(leader_ttl_ms=20_000)]

    async def spread():
        return sorted([(await replica.client.get("/ready")).json()["leads"] for replica in replicas])

    async def is_even():
        shares = await spread()
        return sum(shares) == 16 and shares[-1] - shares[0] <= 1

    async def roster():
        return (await replicas[0].client.get("/replica")).json()

    await eventually(is_even, 5)
    for _ in range(2):
        replicas.append(await start_replica(leader_ttl_ms=20_000))
        # Far less than the 20 s of the locks: the newcomer is given its share.
        await eventually(is_even, 5)
    assert sorted(len(one["leads"]) for one in (await roster())["items"]) == [5, 5, 6]
    gone = replicas.pop()
    await gone.end(signal.SIGTERM)
    await eventually(is_even, 5)
    told = await roster()
    assert [len(one["leads"]) for one in told["items"]] == [8, 8]
    assert told["unled"] == []
    assert told["answeredBy"] in {one["id"] for one in told["items"]}


@pytest.mark.parametrize("delay_ms", [50, 300, 900])
async def test_a_job_starts_when_it_is_due(start_replica, function, delay_ms):
    replica = await start_replica()
    await start_replica()
    began = time.monotonic()
    await replica.enqueue(worker="now", delay=delay_ms)
    function.changed.clear()
    async with asyncio.timeout(5):
        await function.changed.wait()
    late_ms = (time.monotonic() - began) * 1000 - delay_ms
    assert -5 < late_ms < 1000


async def test_a_call_longer_than_its_lease_is_made_once(start_replica, function, eventually):
    async def take_three_leases(_call):
        await asyncio.sleep(3.5)
        return {"status": "success"}

    function.answer = take_three_leases
    replicas = [await start_replica(lease_ms=1000), await start_replica(lease_ms=1000)]
    job_id = await replicas[0].enqueue(worker="long")
    await eventually(lambda: _succeeded(replicas[1], 1))
    assert function.counts() == {job_id: 1}
    assert (await replicas[1].read(job_id))["attempt"] == 1


async def test_a_replica_that_stops_leaves_long_calls_to_their_receipts(start_replica, function, eventually):
    hangs = asyncio.Event()

    async def hang(_call):
        await hangs.wait()

    function.answer = hang
    stays, stops = await start_replica(), await start_replica(shutdown_grace_ms=200)
    job_id = await stops.enqueue(worker="long")

    async def is_called():
        return bool(function.calls)

    await eventually(is_called)
    await stops.end(signal.SIGTERM)
    # Whoever held the call, it is not made again: the job waits for its receipt beyond the lease.
    await asyncio.sleep(2.5)
    assert (await stays.read(job_id))["state"] == "running"
    answer = await stays.client.post(f"/job/{job_id}/receipt", json={"status": "success"})
    assert answer.json() == {"id": job_id, "state": "succeeded", "accepted": True}
    assert function.counts() == {job_id: 1}
    hangs.set()


async def test_a_paused_replica_breaks_nothing_when_it_goes_on(start_replica, function, eventually):
    release = asyncio.Event()

    async def hang_at_first(_call):
        await release.wait()
        return {"status": "success"}

    function.answer = hang_at_first
    stays, pauses = await start_replica(lease_ms=1000), await start_replica(lease_ms=1000)
    ids = await _enqueue_many([pauses], 20)

    async def all_are_held():
        return len(function.calls) >= 20

    await eventually(all_are_held)
    pauses.process.send_signal(signal.SIGSTOP)
    held_twice = len(function.calls)

    async def lost_ones_are_called_again():
        return len(function.calls) > held_twice or all(
            job["state"] == "succeeded" for job in [await stays.read(job_id) for job_id in ids]
        )

    await eventually(lost_ones_are_called_again)
    release.set()
    await eventually(lambda: _succeeded(stays, 20))
    pauses.process.send_signal(signal.SIGCONT)
    await eventually(lambda: _succeeded(pauses, 20))
    jobs = [await pauses.read(job_id) for job_id in ids]
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert {job["attempts"][-1]["outcome"] for job in jobs} <= {"success", "stale"}


async def test_two_versions_of_the_scripts_work_side_by_side(start_replica, function, eventually, tmp_path):
    async def take_a_while(_call):
        await asyncio.sleep(0.05)
        return {"status": "success"}

    function.answer = take_a_while
    shutil.copytree(Path(coordinator.__file__).parent, tmp_path / "coordinator")
    for script in (tmp_path / "coordinator" / "store" / "lua").glob("*.lua"):
        # A script's name is its hash, so that this is another one in the eyes of the server.
        script.write_text(f"{script.read_text()}\n-- of another version\n")
    old = [await start_replica(where=tmp_path), await start_replica(where=tmp_path)]
    ids = await _enqueue_many(old, 100)
    new = []
    for leaving in old:
        new.append(await start_replica())
        ids += await _enqueue_many([leaving, *new], 100)
        assert await leaving.end(signal.SIGTERM) == 0
    await eventually(lambda: _succeeded(new[0], 300))
    assert function.counts() == dict.fromkeys(ids, 1)
