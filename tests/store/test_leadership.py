"""Who is alive, who leads a shard, and the wakes."""

import asyncio

import pytest

from coordinator.errors import SettingsError
from coordinator.store.leadership import Member, Roster
from coordinator.store.open import open_store


async def hold(shard, replica, ttl_ms=10_000):
    reply, said = await shard.run("hold_leadership", replica=replica, ttl_ms=ttl_ms)
    return reply.decode(), said if isinstance(said, int) else said.decode()


async def test_the_first_to_come_leads(shard):
    assert await hold(shard, "r1") == ("ok", 1)
    assert await hold(shard, "r2") == ("led_by", "r1")
    assert await hold(shard, "r1") == ("ok", 1)

    assert await shard.dump() == {"leader": "r1", "epoch": "1"}
    assert 0 < await shard.call("PTTL", f"{shard.root}:leader") <= 10_000


async def test_to_hold_on_prolongs_the_lead(shard):
    await hold(shard, "r1", ttl_ms=1000)
    await hold(shard, "r1", ttl_ms=60_000)

    assert await shard.call("PTTL", f"{shard.root}:leader") > 1000


async def test_whoever_is_refused_does_not_prolong_it(shard):
    await hold(shard, "r1", ttl_ms=1000)
    await hold(shard, "r2", ttl_ms=60_000)

    assert await shard.call("PTTL", f"{shard.root}:leader") <= 1000


async def test_a_lead_that_ran_out_is_taken_and_the_epoch_tells(shard):
    await hold(shard, "r1")
    await shard.call("PEXPIRE", f"{shard.root}:leader", 0)

    assert await hold(shard, "r2") == ("ok", 2)
    assert await hold(shard, "r1") == ("led_by", "r2")


async def test_to_resign_hands_over_at_once(shard):
    await hold(shard, "r1")

    await shard.store.leadership.resign(0, "r1")

    assert await hold(shard, "r2") == ("ok", 2)


async def test_only_the_leader_can_resign(shard):
    await hold(shard, "r1")

    await shard.store.leadership.resign(0, "r2")

    assert await hold(shard, "r2") == ("led_by", "r1")


async def test_nobody_leads_and_someone_resigns(shard):
    await shard.store.leadership.resign(0, "r1")

    assert await shard.dump() == {}


async def test_each_shard_has_its_own_leader(shard):
    leadership = shard.store.leadership

    assert await leadership.hold(0, "r1", 1000)
    assert await leadership.hold(1, "r2", 1000)
    assert not await leadership.hold(0, "r2", 1000)


async def test_replicas_are_listed_in_one_order_for_all(shard):
    leadership = shard.store.leadership
    assert await leadership.register("r2", 60_000) == ["r2"]
    assert await leadership.register("r1", 60_000) == ["r1", "r2"]
    assert await leadership.register("r2", 60_000) == ["r1", "r2"]

    await leadership.unregister("r1")

    assert await leadership.register("r3", 60_000) == ["r2", "r3"]


async def test_a_replica_that_is_silent_is_forgotten(shard, register_clock):
    leadership = shard.store.leadership
    await leadership.register("r1", 3000)
    await register_clock(2999)
    assert await leadership.register("r2", 3000) == ["r1", "r2"]
    await register_clock(3000)

    assert await leadership.register("r2", 3000) == ["r2"]


@pytest.fixture(autouse=True)
async def register_clock(shard):
    """The clock of the register, which belongs to no shard, in ms from the start."""
    key = f"{{{shard.store.connection.prefix}:replicas}}:clock"

    async def set_to(ms):
        await shard.store.connection.call("SET", key, shard.start + ms)

    await set_to(0)
    return set_to


async def test_the_roster_tells_who_lives_and_who_leads_what(shard, register_clock):
    leadership = shard.store.leadership
    await leadership.register("r2", 3000)
    await register_clock(1000)
    await leadership.register("r1", 3000)
    assert await leadership.hold(1, "r1", 3000)

    roster = await leadership.roster()

    members = [Member("r1", shard.start + 1000, [1]), Member("r2", shard.start, [])]
    assert roster == Roster(shard.start + 1000, members, unled=[0])


async def test_a_shard_that_is_led_by_who_is_silent_counts_as_led_by_nobody(shard):
    leadership = shard.store.leadership
    assert await leadership.hold(1, "gone", 3000)

    assert (await leadership.roster()).unled == [0, 1]


async def test_a_wake_reaches_those_that_listen(shard):
    leadership = shard.store.leadership
    heard = []
    begun = asyncio.Event()

    async def listen():
        async for message in leadership.messages():
            heard.append(message)
            begun.set()
            if len(heard) == 3:
                return

    async with asyncio.timeout(10):
        listening = asyncio.create_task(listen())
        # The empty message says that nothing is missed from here on.
        await begun.wait()
        await leadership.publish("3")
        await leadership.publish("14")
        await listening

    assert heard == ["", "3", "14"]


async def test_a_wake_that_nobody_hears_is_lost(shard):
    await shard.store.leadership.publish("3")

    assert await shard.dump() == {}


async def test_all_replicas_agree_on_the_number_of_shards(shard):
    await shard.store.leadership.agree_on_shards()
    await shard.store.leadership.agree_on_shards()

    assert await shard.call("HGETALL", f"{shard.store.connection.prefix}:meta") in (
        [b"shards", b"2"],
        {b"shards": b"2"},
    )


async def test_a_replica_that_counts_otherwise_is_refused(real_shard, server_url, request):
    await real_shard.store.leadership.agree_on_shards()
    prefix = real_shard.store.connection.prefix
    other = open_store(server_url(request.node.callspec.params["real_store"]), prefix=prefix, shards=16)

    with pytest.raises(SettingsError) as refused:
        await other.leadership.agree_on_shards()

    await other.close()
    assert str(refused.value) == (
        "COORDINATOR_SHARDS is 16, but this Redis was set up with 2 shards. "
        "Set it to 2, or use another COORDINATOR_PREFIX."
    )
