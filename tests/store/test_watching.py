"""Who listens to what happens hears it, whatever becomes of the others and of the rest of the store."""

import asyncio

import msgspec
import pytest

from coordinator.domain.event import Chosen
from coordinator.domain.ids import shard_of_queue
from coordinator.engine.watch import Watch
from coordinator.errors import StoreUnavailable
from coordinator.store.events import EventStore

LIMIT_S = 15


class SlowStore(EventStore):
    """What is read of the shards that are `away` is answered when `back` is set."""

    def __init__(self, connection):
        super().__init__(connection)
        self.away = set()
        self.lost = set()
        self.asked = asyncio.Event()
        self.back = asyncio.Event()

    async def read(self, shard, after=""):
        if shard in self.lost:
            raise StoreUnavailable("redis_unavailable", "It is away.")
        if shard in self.away:
            self.asked.set()
            await self.back.wait()
        return await super().read(shard, after)


@pytest.fixture
def events(shard):
    return SlowStore(shard.store.connection)


@pytest.fixture
async def watch(shard, events):
    watching = Watch(events, shard.store.shards)
    yield watching
    await watching.stop()


async def test_a_shard_that_is_away_holds_no_other_up(shard, watch, events):
    listener = await watch.listen(Chosen())
    here = shard_of_queue("default", shard.store.shards)
    events.away = set(range(shard.store.shards)) - {here}
    async with asyncio.timeout(LIMIT_S):
        await events.asked.wait()
        for _ in range(2):
            job_id = await shard.add_one()
            assert await listener.wait(LIMIT_S)
            assert [event.job_id for event in listener.take()[1]] == [job_id]


async def test_an_event_is_written_once_for_all_who_hear_of_it(shard, watch):
    listeners = [await watch.listen(Chosen()) for _ in range(2)]
    job_id = await shard.add_one()

    heard = []
    for listener in listeners:
        assert await listener.wait(LIMIT_S)
        heard += listener.take()[1]

    assert [msgspec.json.decode(event.encoded)["jobId"] for event in heard] == [job_id] * 2
    assert heard[0].encoded is heard[1].encoded


async def test_who_begins_to_listen_while_it_is_stopped_is_refused(watch, events):
    events.away = {0}
    listening = asyncio.create_task(watch.listen(Chosen()))
    async with asyncio.timeout(LIMIT_S):
        await events.asked.wait()
        await watch.stop()
        events.back.set()
        with pytest.raises(StoreUnavailable) as refused:
            await listening
    assert refused.value.code == "stopping"


async def test_what_failed_to_begin_leaves_no_place_that_grows_old(shard, watch, events):
    """Whoever listens next begins at the present, and not where the one that failed would have."""
    here = shard_of_queue("default", shard.store.shards)
    events.lost, events.away = set(range(shard.store.shards)) - {here}, {here}
    listening = asyncio.create_task(watch.listen(Chosen()))
    async with asyncio.timeout(LIMIT_S):
        await events.asked.wait()
        events.back.set()
        with pytest.raises(StoreUnavailable):
            await listening
    await shard.add(1)
    events.lost = set()
    listener = await watch.listen(Chosen())
    job_id = await shard.add_one()
    assert await listener.wait(LIMIT_S)
    assert [event.job_id for event in listener.take()[1]] == [job_id]
