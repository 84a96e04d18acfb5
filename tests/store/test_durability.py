"""What is told as made has been confirmed, also when it was made by a try before."""

import asyncio
import os
import signal

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.errors import StoreUnavailable
from coordinator.store.embedded import EmbeddedServer
from coordinator.store.open import open_store
from coordinator.store.records import NewJob
from tests.conftest import PROGRAMS
from tests.ports import free_ports

JOB = NewJob(new_id(0, 1, 1), Spec("any", msgspec.Raw(b"{}")), 0)


@pytest.fixture(params=PROGRAMS)
def pair(request, tmp_path):
    """A primary and its replica."""
    nodes = [
        EmbeddedServer(
            PROGRAMS[request.param], tmp_path / str(port), port=port, options={"repl-diskless-sync-delay": 0}
        )
        for port in free_ports(2)
    ]
    for node in nodes:
        node.start()
    yield nodes
    os.kill(nodes[1].pid, signal.SIGCONT)
    for node in nodes:
        node.stop()


@pytest.fixture
async def replicated(pair):
    """A store on the primary that trusts what the replica has."""
    primary, replica = pair
    follower = open_store(replica.url)
    await follower.connection.call("REPLICAOF", "127.0.0.1", primary.port)
    store = open_store(primary.url, shards=1, durability="replicated")

    async def is_followed():
        (info,) = (await follower.connection.infos("replication")).values()
        return info["master_link_status"] == "up"

    async with asyncio.timeout(20):
        while not await is_followed():
            await asyncio.sleep(0.02)
    yield store
    await follower.close()
    await store.close()


async def _enqueue(store):
    return (await store.jobs.enqueue(0, [JOB])).accepted[0].reply


async def test_what_no_replica_has_is_refused_also_when_it_is_said_again_on_another_connection(pair, replicated):
    os.kill(pair[1].pid, signal.SIGSTOP)
    again = open_store(pair[0].url, shards=1, durability="replicated")
    for store in (replicated, again):
        with pytest.raises(StoreUnavailable) as refused:
            await _enqueue(store)
        assert refused.value.code == "not_confirmed"

    os.kill(pair[1].pid, signal.SIGCONT)
    await again.close()
    assert await _enqueue(replicated) == "created"
