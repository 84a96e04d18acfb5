"""What has ended is told, each for itself: what cannot be told now stays, and holds up nothing else."""

import dataclasses

import pytest

from coordinator.domain.batch import Batch
from coordinator.domain.durability import asked_durability, asking
from coordinator.domain.ids import new_id
from coordinator.engine.outbox import Outbox
from coordinator.errors import StoreUnavailable
from coordinator.store.batches import BatchStore
from coordinator.store.jobs import JobStore
from tests.store.conftest import Shard

HERE, AWAY = "default", "q0"
"""A queue in shard 0, and one in shard 1."""

BATCH, BATCH_AWAY = new_id(0, 1, 8), new_id(1, 1, 9)


class Refusals:
    """The shards that take nothing now, and how often each was asked."""

    def __init__(self):
        self.shards = set()
        self.asked = 0

    def refuse(self, shard):
        if shard in self.shards:
            self.asked += 1
            raise StoreUnavailable("redis_unavailable", "away")


def refusing(store, refusals):
    """The store, some of whose shards take nothing."""

    class Jobs(JobStore):
        async def enqueue(self, shard, jobs, **more):
            refusals.refuse(shard)
            return await super().enqueue(shard, jobs, **more)

    class Batches(BatchStore):
        async def end(self, batch_id, ended):
            refusals.refuse(1 if batch_id == BATCH_AWAY else 0)
            return await super().end(batch_id, ended)

    return dataclasses.replace(store, jobs=Jobs(store.connection), batches=Batches(store.connection))


@pytest.fixture
def refusals():
    return Refusals()


@pytest.fixture
def shard(store, clock):
    return Shard(store)


@pytest.fixture
def outbox(store, refusals):
    return Outbox(refusing(store, refusals), lambda *_: None)


async def die(shard, **fields):
    """A job that has failed for good."""
    attempt = await shard.run_one(**fields)
    await shard.end(attempt, shard.die)
    return attempt.job_id


async def left(shard):
    return [one.entry for one in await shard.store.batches.outgoing(0)]


async def queued(shard, queue):
    return (await shard.store.queues.read(queue)).counts["queued"]


async def begin(shard, batch_id, jobs, batch=None):
    await shard.store.batches.create(batch_id, batch or Batch(), None)
    await shard.store.batches.seal(batch_id, jobs, 0)


async def test_a_callback_that_cannot_be_stored_holds_up_no_other(shard, outbox, refusals):
    refusals.shards = {1}
    stuck = [await die(shard, on_failure=shard.spec(AWAY)) for _ in range(3)]
    await die(shard, on_failure=shard.spec(HERE))
    await begin(shard, BATCH, ["a"])
    await die(shard, batch_id=BATCH)

    assert await outbox.deliver(0)

    assert sorted(await left(shard)) == sorted(stuck)
    assert (await queued(shard, HERE), refusals.asked) == (1, 1)
    assert (await shard.store.batches.read(BATCH)).dead == 1
    with pytest.raises(StoreUnavailable):
        await outbox.deliver(0)
    refusals.shards = set()
    assert not await outbox.deliver(0)
    assert (await left(shard), await queued(shard, AWAY)) == ([], 3)


async def test_a_job_is_counted_although_its_callback_cannot_be_stored(shard, outbox, refusals):
    refusals.shards = {1}
    await shard.store.batches.create(BATCH, Batch(), None)
    job_id = await die(shard, on_failure=shard.spec(AWAY), batch_id=BATCH)

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await outbox.deliver(0)

    assert ((await shard.store.batches.read(BATCH)).dead, await left(shard)) == (1, [job_id])


async def test_nothing_is_called_before_its_job_is_counted(shard, outbox, refusals):
    """A callback that is made and erased would be made again with each try to tell the batch."""
    refusals.shards = {1}
    stuck = await die(shard, on_failure=shard.spec(HERE), batch_id=BATCH_AWAY)
    await die(shard, on_failure=shard.spec(HERE))

    await outbox.deliver(0)

    assert (await left(shard), await queued(shard, HERE)) == ([stuck], 1)


async def test_the_end_of_a_batch_stays_until_all_of_it_is_told(shard, outbox, refusals):
    refusals.shards = {1}
    await begin(shard, BATCH, [], Batch(on_complete=shard.spec(HERE), on_success=shard.spec(AWAY)))

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await outbox.deliver(0)
    refusals.shards = set()
    assert not await outbox.deliver(0)

    assert (await queued(shard, HERE), await queued(shard, AWAY), await left(shard)) == (1, 1, [])


async def test_an_end_of_which_nothing_is_left_is_passed_over(shard, outbox):
    job_id = await die(shard, on_failure=shard.spec(HERE))
    await shard.call("DEL", f"{shard.root}:job:{job_id}")
    await die(shard, on_failure=shard.spec(HERE))

    assert not await outbox.deliver(0)

    assert (await queued(shard, HERE), await left(shard)) == (1, [])


async def test_a_batch_in_a_shard_that_never_was_is_passed_over(shard, outbox):
    await die(shard, batch_id=new_id(1000, 1, 1))

    assert not await outbox.deliver(0)

    assert await left(shard) == []


async def test_a_full_store_counts_on(real_store, clock):
    shard, outbox = Shard(real_store), Outbox(real_store, lambda *_: None)
    await shard.store.batches.create(BATCH, Batch(), None)
    stuck = await die(shard, on_failure=shard.spec(HERE))
    await die(shard, batch_id=BATCH)
    await shard.call("CONFIG", "SET", "maxmemory", 1)
    try:
        assert await outbox.deliver(0)
        with pytest.raises(StoreUnavailable) as refused:
            await outbox.deliver(0)
    finally:
        await shard.call("CONFIG", "SET", "maxmemory", 0)

    assert refused.value.code == "memory_limit"
    assert ((await shard.store.batches.read(BATCH)).dead, await left(shard)) == (1, [stuck])
    assert not await outbox.deliver(0)
    assert await queued(shard, HERE) == 1


async def test_what_a_request_asks_of_its_own_changes_is_not_asked_of_what_others_are_told(outbox):
    found, outgoing = [], outbox._store.batches.outgoing

    async def look(number):
        found.append(asked_durability())
        return await outgoing(number)

    outbox._store.batches.outgoing = look
    with asking("replicated"):
        outbox.notice(0)
    await outbox.drain()

    assert found == [None]


async def test_a_full_queue_takes_the_callbacks_of_jobs_and_batches(shard, outbox):
    await shard.configure("shop", max_waiting=1)
    await shard.add(1, "shop", delay_ms=60_000)
    await die(shard, on_failure=shard.spec("shop"))
    await begin(shard, BATCH, ["a"], Batch(on_complete=shard.spec("shop")))
    await shard.store.batches.end(BATCH, [("a", "dead")])

    while await outbox.deliver(0):
        pass

    assert (await left(shard), await queued(shard, "shop")) == ([], 2)
