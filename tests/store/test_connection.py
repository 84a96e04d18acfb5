"""The connection: scripts that were forgotten, replies that were lost, a server that is away."""

import asyncio
import os
import signal
import time

import pytest
from redis.exceptions import (
    BusyLoadingError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from coordinator.domain.worker import Worker
from coordinator.errors import StoreUnavailable
from coordinator.store.open import open_store


@pytest.fixture
def server(shard, monkeypatch):
    """Faults between the store and its server: each of `faults` is met once, `after` the command has run or before."""
    monkeypatch.setattr("coordinator.store.connection._PAUSES_S", (0, 0, 0))
    connection = shard.store.connection
    execute = connection._execute

    class Faulty:
        def __init__(self):
            self.faults = []
            self.after = False
            self.calls = 0

        async def execute(self, *command, **named):
            self.calls += 1
            reply = await execute(*command, **named) if self.after or not self.faults else None
            if self.faults:
                raise self.faults.pop(0)
            return reply

    faulty = Faulty()
    monkeypatch.setattr(connection, "_execute", faulty.execute)
    return faulty


PASSING = [
    RedisConnectionError("reset"),
    RedisTimeoutError("slow"),
    BusyLoadingError("loading"),
    ReadOnlyError("demoted"),
    ConnectionResetError("reset"),
    ResponseError("NOREPLICAS Not enough good replicas to write."),
    ResponseError("CLUSTERDOWN The cluster is down"),
    ResponseError("BUSY Redis is busy running a script."),
    ResponseError("MASTERDOWN Link with MASTER is down"),
]


async def test_scripts_that_the_server_forgot_are_sent_again(shard):
    await shard.add()
    for step in (shard.add, shard.claim, shard.dump, shard.add, shard.claim):
        await shard.call("SCRIPT", "FLUSH")
        await step()

    assert len((await shard.dump())["running:default"]) == 3


async def test_calls_at_once_all_survive_a_flush(shard):
    await shard.call("SCRIPT", "FLUSH")

    ids = await asyncio.gather(*(shard.add() for _ in range(30)))

    assert sorted((await shard.dump())["waiting:default"]) == sorted(job_id for (job_id,) in ids)


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{type(fault).__name__}-{str(fault).split()[0]}")
async def test_a_fault_that_passes_is_waited_out(shard, server, fault):
    server.faults = [fault]

    added = await shard.add()

    assert list((await shard.dump())["waiting:default"]) == added


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{type(fault).__name__}-{str(fault).split()[0]}")
async def test_a_fault_of_a_plain_command_is_told_at_once(shard, server, fault):
    server.faults = [fault]

    with pytest.raises(StoreUnavailable) as refused:
        await shard.store.workers.read_all()

    assert (refused.value.code, refused.value.retry_after_s, server.calls) == ("redis_unavailable", 1, 1)
    assert refused.value.__cause__ is fault


async def test_a_fault_that_stays_is_told_after_a_few_tries(shard, server):
    server.faults = [RedisConnectionError("away")] * 9

    with pytest.raises(StoreUnavailable) as refused:
        await shard.add()

    assert (refused.value.code, refused.value.status, server.calls) == ("redis_unavailable", 503, 4)
    assert "may or may not have been made" in refused.value.detail


async def test_a_fault_of_ours_stays_what_it_is_and_is_not_repeated(shard, server):
    server.faults = [ResponseError("ERR wrong number of arguments")]

    with pytest.raises(ResponseError, match="wrong number"):
        await shard.add()

    assert server.calls == 1


async def test_a_full_server_is_told_at_once(shard, server):
    server.faults = [ResponseError("OOM command not allowed when used memory > 'maxmemory'.")]

    with pytest.raises(StoreUnavailable) as refused:
        await shard.add()

    assert (refused.value.code, refused.value.retry_after_s, server.calls) == ("memory_limit", 10, 1)


@pytest.mark.parametrize("losses", [1, 2, 3])
async def test_a_lost_reply_costs_no_second_job_and_no_second_attempt(shard, clock, server, losses):
    server.after = True

    server.faults = [RedisConnectionError("reply lost")] * losses
    added = await shard.add(3)
    server.faults = [RedisConnectionError("reply lost")] * losses
    claim = await shard.claim(2)
    server.faults = [RedisConnectionError("reply lost")] * losses
    ended = await shard.end(claim.attempts[0], shard.retry)

    assert [attempt.job_id for attempt in claim.attempts] == added[:2]
    assert [attempt.tally.attempt for attempt in claim.attempts] == [1, 1]
    # The first reply was lost: the second says that it is done already.
    assert ended == ("already_recorded", "waiting")
    dump = await shard.dump()
    assert list(dump["running:default"]) == added[1:2]
    assert sorted(dump["waiting:default"]) == sorted([added[0], added[2]])
    assert len(dump[f"attempts:{added[0]}"]) == 1


async def test_a_lost_reply_to_a_cancellation_does_not_erase_the_job(shard, server):
    job_id = await shard.add_one()
    server.after = True
    server.faults = [RedisConnectionError("reply lost")]

    assert await shard.delete(job_id) == ("cancelled", "")

    assert (await shard.job(job_id))["state"] == "cancelled"


async def test_a_server_that_is_not_there_is_told_in_bounded_time(tmp_path):
    store = open_store(f"unix://{tmp_path}/nobody.sock")
    began = time.monotonic()

    with pytest.raises(StoreUnavailable) as refused:
        await store.jobs.poll(0)
    with pytest.raises(StoreUnavailable):
        await store.workers.read_all()
    with pytest.raises(StoreUnavailable):
        await store.connection.infos()
    with pytest.raises(StoreUnavailable):
        await store.leadership.agree_on_shards()

    assert refused.value.code == "redis_unavailable"
    assert time.monotonic() - began < 5
    await store.close()


async def test_a_server_that_was_killed_is_told_and_found_again(real_server):
    store = open_store(real_server.url)
    await store.workers.put("kept", Worker("https://example.com"))
    real_server.kill()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.jobs.poll(0)
    assert time.monotonic() - began < 5

    real_server.start()

    assert await store.jobs.poll(0) == (None,) * 6
    assert set(await store.workers.read_all()) == {"kept"}
    await store.close()


async def test_a_server_that_comes_back_within_the_tries_is_not_noticed(real_server, monkeypatch):
    monkeypatch.setattr("coordinator.store.connection._PAUSES_S", (0.05,) * 200)
    store = open_store(real_server.url)
    await store.jobs.poll(0)
    real_server.kill()
    polling = asyncio.create_task(store.jobs.poll(0))
    await asyncio.sleep(0)

    await asyncio.to_thread(real_server.start)

    assert await polling == (None,) * 6
    await store.close()


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_server_that_hangs_is_told_in_bounded_time(real_server, monkeypatch, is_connected):
    monkeypatch.setattr("coordinator.store.connection.TRY_LIMIT_S", 0.2)
    monkeypatch.setattr("coordinator.store.connection.RUN_LIMIT_S", 0.4)
    store = open_store(real_server.url)
    if is_connected:
        await store.jobs.poll(0)
    began = time.monotonic()
    os.kill(real_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable) as refused:
            await store.jobs.poll(0)
        with pytest.raises(StoreUnavailable):
            await store.workers.read_all()
        with pytest.raises(StoreUnavailable):
            await store.connection.infos()
        with pytest.raises(StoreUnavailable):
            await anext(aiter(store.leadership.messages()))
    finally:
        os.kill(real_server.pid, signal.SIGCONT)

    assert refused.value.code == "redis_unavailable"
    assert time.monotonic() - began < 4
    assert await store.jobs.poll(0) == (None,) * 6
    await store.close()
