"""New jobs are refused before Redis is full, and nothing else is."""

import pytest

from coordinator.engine.headroom import Headroom
from coordinator.errors import StoreUnavailable
from coordinator.store.capacity import Fill


class Servers:
    """What they tell is set; one that has nothing to tell is away."""

    def __init__(self, *told):
        self.told = list(told)

    async def fills(self):
        if not self.told:
            raise StoreUnavailable("redis_unavailable", "away")
        return self.told


@pytest.mark.parametrize(
    ("used", "most", "is_over"), [(90, 100, False), (91, 100, True), (10**12, 0, False), (0, 1, False)]
)
def test_a_server_is_nearly_full_above_the_percentage_of_its_limit(used, most, is_over):
    assert Fill(used, most, frozenset()).is_over(90) == is_over


async def test_only_the_shards_of_the_full_server_refuse():
    headroom = Headroom(Servers(Fill(95, 100, frozenset({1, 2})), Fill(5, 100, frozenset({0}))).fills, 90)
    await headroom.look()

    headroom.check(0)
    with pytest.raises(StoreUnavailable, match="above 90 %") as refused:
        headroom.check(2)
    assert (refused.value.code, refused.value.retry_after_s) == ("memory_limit", 10)


async def test_it_is_told_once_and_again_when_there_is_room(caplog):
    servers = Servers(Fill(95, 100, frozenset({0})))
    headroom = Headroom(servers.fills, 90)
    for _ in range(3):
        await headroom.look()
    servers.told = []
    await headroom.look()
    servers.told = [Fill(5, 100, frozenset({0}))]
    await headroom.look()

    headroom.check(0)
    told = [record.event for record in caplog.records]
    assert told == ["store.full", "store.away", "store.back", "store.roomy"]


async def test_a_full_server_is_seen_soon_and_what_runs_ends(start_replica, function, eventually, real_server):
    replica = await start_replica()
    held = await replica.enqueue(worker="held")
    await eventually(lambda: _is_called(function, held))
    client = await _client_of(real_server)
    for number in range(64):  # Beside this the server's own ups and downs are small.
        await client.set(f"ballast {number}", bytes(1 << 20))
    memory = await client.info("memory")
    used = int(memory["used_memory"]) - int(memory["mem_not_counted_for_evict"])
    await client.config_set("maxmemory", used + used // 20)

    async def is_refused():
        answer = await replica.client.post("/job", json={"worker": "new", "delay": "1h"})
        return answer.status_code == 503 and answer.json()["code"] == "memory_limit"

    await eventually(is_refused, 5)
    for path, body in {"/job/batch": {"jobs": [{"worker": "new"}]}, "/job": {"worker": "new", "every": "1h"}}.items():
        answer = await replica.client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "memory_limit")
    assert [key async for key in client.scan_iter("*:batch:*")] == []
    receipt = await replica.client.post(f"/job/{held}/receipt", json={"status": "success"})
    assert receipt.json()["accepted"]
    await client.config_set("maxmemory", 0)

    async def is_accepted():
        return (await replica.client.post("/job", json={"worker": "new", "delay": "1h"})).status_code == 201

    await eventually(is_accepted, 5)
    await client.aclose()


@pytest.fixture
async def function(function):
    """It takes the work, and leaves the receipt to others."""

    async def accept(_call):
        return {}

    function.answer = accept
    return function


async def _is_called(function, job_id):
    return job_id in function.counts()


async def _client_of(server):
    from redis.asyncio import Redis

    return Redis.from_url(server.url)
