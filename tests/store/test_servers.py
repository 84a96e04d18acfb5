"""From a URL to the server of a key: what can be written, and what a cluster or Sentinel does while it changes."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from redis.asyncio.connection import SSLConnection

from coordinator.domain.durability import asking
from coordinator.errors import SettingsError, StoreUnavailable
from coordinator.store.clock import ClockStore, read_ahead
from coordinator.store.embedded import EmbeddedServer
from coordinator.store.open import check_server, open_store
from coordinator.store.servers import Access, Cluster, OneServer, open_servers
from tests.conftest import PROGRAMS
from tests.ports import free_port
from tests.servers import ClusterSet, SentinelSet, wait_until
from tests.store.conftest import Shard

README = Path(__file__).parent.parent.parent / "README.md"
CERTIFICATE = Path(__file__).parent.parent / "calling" / "localhost.pem"

PROGRAM = next(iter(PROGRAMS.values()))


def options_of(servers):
    if isinstance(servers, Cluster):
        return servers._options
    return servers._client.connection_pool.connection_kwargs


# What can be written.


@pytest.mark.parametrize(
    ("url", "kind", "wanted"),
    [
        ("redis://r:1234/3", OneServer, {"host": "r", "port": 1234, "db": 3}),
        ("redis://me:p%40ss@r", OneServer, {"username": "me", "password": "p@ss"}),
        ("unix:///run/r.sock", OneServer, {"path": "/run/r.sock"}),
        ("rediss://r", OneServer, {"host": "r"}),
        ("rediss://r?ssl_ca_certs=/ca.pem&ssl_check_hostname=no", OneServer, {"ssl_ca_certs": "/ca.pem"}),
        ("redis+cluster://me:pw@a:1,b:2,c", Cluster, {"username": "me", "password": "pw"}),
        ("rediss+cluster://a:1/", Cluster, {"connection_class": SSLConnection}),
        ("redis+sentinel://me:pw@a,b/main", OneServer, {"username": "me", "password": "pw"}),
        ("redis+sentinel://a:1/main/2", OneServer, {"db": 2}),
    ],
)
async def test_a_url_is_read(url, kind, wanted):
    servers = open_servers(url)

    assert isinstance(servers, kind)
    found = options_of(servers)
    assert {name: found[name] for name in wanted} == wanted
    await servers.close()


async def test_hosts_are_read_with_and_without_their_ports():
    servers = open_servers("redis+cluster://a:1,b,[::1],[::2]:7")

    assert isinstance(servers, Cluster)
    assert servers._seeds == [("a", 1), ("b", 6379), ("::1", 6379), ("::2", 7)]


async def test_sentinels_have_a_port_and_a_password_of_their_own():
    servers = open_servers("rediss+sentinel://pw@a,b:7/main", Access(sentinel_password="other", ca_file="/ca.pem"))

    assert isinstance(servers, OneServer)
    found = [sentinel.connection_pool.connection_kwargs for sentinel in servers._sentinel.sentinels]
    assert [(one["host"], one["port"], one["password"], one["ssl_ca_certs"]) for one in found] == [
        ("a", 26379, "other", "/ca.pem"),
        ("b", 7, "other", "/ca.pem"),
    ]
    await servers.close()


async def test_what_the_url_says_goes_before_the_settings():
    access = Access("set", "secret", ca_file="/ca.pem", cert_file="/cert.pem", key_file="/key.pem")

    plain, tls = options_of(open_servers("redis://me@r", access)), options_of(open_servers("rediss://r", access))

    assert (plain["username"], plain["password"], "ssl_ca_certs" in plain) == ("me", "secret", False)
    assert (tls["username"], tls["ssl_ca_certs"], tls["ssl_certfile"], tls["ssl_keyfile"]) == (
        "set",
        "/ca.pem",
        "/cert.pem",
        "/key.pem",
    )


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("redis+ring://a", "none of redis"),
        ("http://a", "redis://"),
        ("redis+cluster://", "no host:port"),
        ("redis+cluster://a:b", "no host:port"),
        ("redis+cluster://a:1,,b:2", "no host:port"),
        ("redis+cluster://a:1/3", "one database"),
        ("redis+sentinel://a:1", "name of the primary is missing"),
        ("redis+sentinel://a:1/", "name of the primary is missing"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url, wrong):
    with pytest.raises(ValueError, match=wrong):
        open_servers(url)


def test_a_password_is_not_shown():
    assert "secret" not in repr(Access(password="secret", sentinel_password="secret"))


# A cluster that changes.


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of this module's own: its nodes are killed."""
    started = ClusterSet(PROGRAM, tmp_path_factory.mktemp("own-cluster"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def shard(cluster):
    """Shard 0, on one of the primaries, with the servers' own clock."""
    cluster.await_whole()
    store = open_store(cluster.url, prefix=f"s{os.urandom(3).hex()}")
    yield Shard(store)
    await store.close()


async def patiently(act, limit_s=30):
    """Repeat what a caller would repeat after its 503."""
    async with asyncio.timeout(limit_s):
        while True:
            try:
                return await act()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_the_shards_lie_on_all_primaries(cluster):
    owners = {cluster.owner_of(f"co:{{{shard}}}") for shard in range(16)}

    assert owners == set(cluster.primaries())


async def test_a_promoted_replica_is_found_without_a_restart(cluster, shard):
    ids = await shard.add(5)
    primary = cluster.owner_of(shard.root)
    await asyncio.to_thread(cluster.ask, primary, "WAIT", 1, 1000)

    cluster.nodes[primary].kill()
    ids += await patiently(shard.add)

    assert cluster.owner_of(shard.root) != primary
    claim = await patiently(shard.claim)
    assert [attempt.job_id for attempt in claim.attempts] == ids
    cluster.nodes[primary].start()


async def test_a_slot_that_was_moved_is_followed_at_once(cluster, shard):
    await shard.add(20)
    target = next(node for node in cluster.primaries() if node != cluster.owner_of(shard.root))

    move = cluster.begin_move(shard.root, target)
    while move():
        pass

    assert cluster.owner_of(shard.root) == target
    assert len((await shard.claim()).attempts) == 20


async def test_a_slot_that_moves_key_by_key_is_waited_for_and_no_script_sees_half_of_it(cluster, shard):
    await shard.add(20)
    target = next(node for node in cluster.primaries() if node != cluster.owner_of(shard.root))
    move, steps = cluster.begin_move(shard.root, target), 0

    while move():
        steps += 1
        if steps <= 2:  # Each refusal takes as long as all its tries.
            with pytest.raises(StoreUnavailable):
                await shard.add()

    assert steps > 2
    await shard.add()
    # What was refused while the slot moved has left nothing behind.
    assert len((await shard.claim()).attempts) == 21


async def test_a_slot_that_moves_whole_is_followed(cluster, shard):
    await shard.add(20)
    source = cluster.owner_of(shard.root)
    target = next(node for node in cluster.primaries() if node != source)
    slot = cluster.slot_of(shard.root)
    if "valkey" not in PROGRAM.name.lower():
        pytest.skip("only Valkey moves a slot whole, from 9.0 on")

    cluster.ask(source, "CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster.id_of(target))
    added = 0
    while cluster.owner_of(shard.root) != target:
        added += len(await patiently(shard.add))

    assert len((await patiently(shard.claim)).attempts) == 20 + added


async def test_a_listener_hears_again_after_its_node_was_lost(cluster, shard):
    leadership, heard = shard.store.leadership, asyncio.Queue()

    async def listen():
        while True:
            with contextlib.suppress(StoreUnavailable):
                async for message in leadership.messages():
                    heard.put_nowait(message)
            await asyncio.sleep(0.05)

    listening = asyncio.create_task(listen())
    assert await heard.get() == ""
    owner = cluster.owner_of(f"{shard.store.connection.prefix}:wake")
    cluster.nodes[owner].kill()

    # It is confirmed anew, by whoever has the channel now.
    async with asyncio.timeout(30):
        assert await heard.get() == ""
    await patiently(lambda: leadership.publish("again"))
    async with asyncio.timeout(30):
        while await heard.get() != "again":
            pass
    listening.cancel()
    cluster.nodes[owner].start()


async def test_a_node_of_a_cluster_as_if_it_were_alone_is_refused_at_the_start(cluster):
    store = open_store(f"redis://127.0.0.1:{cluster.nodes[0].port}")

    with pytest.raises(SettingsError, match=r"replica|redis\+cluster://"):
        await check_server(store)
    await store.close()


async def test_a_server_that_is_no_cluster_is_told_so(real_server):
    store = open_store(f"redis+cluster://127.0.0.1:{free_port()}")

    with pytest.raises(StoreUnavailable) as refused:
        await store.jobs.poll(0)
    assert "no node of the cluster tells of its slots" in str(refused.value.__cause__)
    await store.close()


# A primary that Sentinel names.


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory):
    started = SentinelSet(PROGRAM, tmp_path_factory.mktemp("own-sentinel"))
    started.start()
    yield started
    started.stop()


@pytest.mark.parametrize("how", ["demoted", "killed"])
async def test_a_new_primary_is_followed_without_a_restart(sentinel, how):
    store = open_store(sentinel.url, prefix=how)
    shard = Shard(store)
    ids = await shard.add(5)
    before = sentinel.primary()
    sentinel.ask(before, "WAIT", 1, 1000)

    if how == "killed":
        sentinel.nodes[before].kill()
    else:
        sentinel.ask_sentinel(sentinel.ports[0], "SENTINEL FAILOVER", sentinel.name)
    await asyncio.to_thread(sentinel.await_primary, 1 - before)
    ids += await patiently(shard.add)

    claim = await patiently(shard.claim)
    assert [attempt.job_id for attempt in claim.attempts] == ids
    if how == "killed":
        sentinel.nodes[before].start()
    await asyncio.to_thread(sentinel.await_replica, before)
    await store.close()


async def test_sentinels_that_do_not_know_the_name_are_told_of(sentinel):
    store = open_store(sentinel.url.replace(f"/{sentinel.name}", "/other"))

    with pytest.raises(StoreUnavailable) as refused:
        await store.jobs.poll(0)
    assert "No master found for 'other'" in str(refused.value.__cause__)
    await store.close()


# What is acknowledged.


@pytest.fixture
async def replicated(sentinel):
    store = open_store(sentinel.url, prefix=f"d{os.urandom(3).hex()}", durability="replicated")
    yield Shard(store)
    await store.close()


async def test_what_no_replica_confirms_is_not_acknowledged_and_may_be_repeated(sentinel, replicated):
    job = replicated.new_job()
    replica = sentinel.nodes[1 - sentinel.primary()]
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable) as refused:
            await replicated.enqueue([job])
    finally:
        os.kill(replica.pid, signal.SIGCONT)

    assert (refused.value.code, refused.value.status) == ("not_confirmed", 503)
    # Sentinel may have taken the stopped replica for dead; it is not needed for this.
    assert (await patiently(lambda: replicated.enqueue([job])))[1] is None
    assert [attempt.job_id for attempt in (await replicated.claim()).attempts] == [job.id]


async def test_only_what_is_acknowledged_waits_for_a_replica(sentinel, replicated):
    attempt = await replicated.run_one()
    replica = sentinel.nodes[1 - sentinel.primary()]
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        assert await replicated.renew(0, [attempt], holder="r1", lease_ms=1000) == set()
        assert (await replicated.claim()).attempts == []
        with pytest.raises(StoreUnavailable):
            await replicated.end(attempt, replicated.succeed)
    finally:
        os.kill(replica.pid, signal.SIGCONT)

    # It was made all the same, and the repetition is confirmed.
    assert await patiently(lambda: replicated.end(attempt, replicated.succeed)) == ("already_recorded", "succeeded")


async def test_a_change_may_be_asked_to_be_safer_than_the_others(sentinel):
    store = open_store(sentinel.url, prefix=f"d{os.urandom(3).hex()}")
    shard = Shard(store)
    replica = sentinel.nodes[1 - sentinel.primary()]
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        await shard.add()
        with pytest.raises(StoreUnavailable), asking("replicated"):
            await shard.add()
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    await store.close()


@pytest.mark.skipif("valkey" not in PROGRAMS, reason="WAITAOF needs Redis 7.2, or Valkey")
async def test_what_is_on_disk_is_acknowledged(tmp_path):
    server = EmbeddedServer(PROGRAMS["valkey"], tmp_path / "server", options={"appendfsync": "everysec"})
    server.start()
    store = open_store(server.url, durability="fsync")
    await check_server(store)
    shard = Shard(store)

    added = await shard.add()

    aof = b"".join(path.read_bytes() for path in (tmp_path / "server" / "appendonlydir").glob("*.incr.aof"))
    assert added[0].encode() in aof
    await store.close()
    server.stop()


@pytest.mark.parametrize(
    ("program", "options", "remedy"),
    [("valkey", {"appendonly": "no"}, "appendonly yes"), ("redis", {}, "WAITAOF of Redis 7.2")],
)
async def test_a_server_that_cannot_write_through_is_refused_at_the_start(tmp_path, program, options, remedy):
    if program not in PROGRAMS:
        pytest.skip(f"no {program} here")
    server = EmbeddedServer(PROGRAMS[program], tmp_path / "server", options=options)
    server.start()
    store = open_store(server.url, durability="fsync")
    with pytest.raises(SettingsError, match=remedy):
        await check_server(store)
    await store.close()
    server.stop()


async def test_a_store_whose_time_was_moved_on_is_refused_at_the_start(real_server):
    store = open_store(real_server.url, prefix="moved", shards=2, dev_clock=True)
    await check_server(store)
    clock = ClockStore(store.connection)
    assert await clock.advance(60_000) == 60_000
    with pytest.raises(SettingsError, match=r"60 s on.*POST /dev/reset"):
        await check_server(store)
    await clock.reset()
    await check_server(store)
    await store.close()


async def test_time_that_is_moved_by_a_call_that_is_repeated_is_moved_once(real_server):
    """With the leases of what runs."""
    store = open_store(real_server.url, prefix="repeated", shards=1, dev_clock=True)
    shard, root = Shard(store), store.connection.root(0)
    attempt = await shard.run_one()
    leases = [await store.connection.call("ZSCORE", f"{root}:running:default", attempt.job_id)]
    for _ in range(2):
        await store.connection.run("advance_clock", root, ahead_ms=3000)
        leases.append(await store.connection.call("ZSCORE", f"{root}:running:default", attempt.job_id))

    before, *after = map(int, leases)
    assert after == [before + 3000] * 2
    assert await read_ahead(store.connection) == 3000
    await store.close()


async def test_no_replica_is_told_at_the_start(real_server, caplog):
    store = open_store(real_server.url, durability="replicated")

    await check_server(store)

    assert "no replica follows" in caplog.text
    await store.close()


# Who may come in.

ACL = re.search(r"<!-- test: acl -->\n```\n(.*?)\n```", README.read_text())
"""The least that works, as README has it."""


@pytest.mark.skipif("redis" not in PROGRAMS, reason="the bundled server has no TLS")
async def test_it_comes_in_by_tls_as_a_user_that_may_do_no_more_than_it_needs(tmp_path):
    port = free_port()
    shutil.copy(CERTIFICATE, tmp_path / "own.pem")
    tls: dict[str, str | int] = {"tls-port": port, "tls-auth-clients": "yes"}
    tls |= dict.fromkeys(("tls-cert-file", "tls-key-file", "tls-ca-cert-file"), str(tmp_path / "own.pem"))
    server = EmbeddedServer(PROGRAMS["redis"], tmp_path / "server", options=tls)
    server.start()
    own = str(tmp_path / "own.pem")
    access = Access("coordinator", "secret", ca_file=own, cert_file=own, key_file=own)
    store = open_store(f"rediss://localhost:{port}", access=access)
    with pytest.raises(StoreUnavailable) as refused:
        await store.jobs.poll(0)
    assert "WRONGPASS" in str(refused.value.__cause__) or "invalid username" in str(refused.value.__cause__)
    admin = open_store(server.url)
    rule = ACL[1].replace("<password>", "secret").split()
    await admin.connection.call("ACL", "SETUSER", *rule[1:])

    await check_server(store)
    await store.leadership.agree_on_shards()
    shard = Shard(store)
    await shard.end(await shard.run_one(), shard.succeed)
    assert await shard.problems() == []
    assert len(await store.connection.infos("memory")) == 1
    heard = aiter(store.leadership.messages())
    assert await anext(heard) == ""
    await store.leadership.publish("hello")
    assert await anext(heard) == "hello"
    for forbidden in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("SET", "other", 1), ("KEYS", "*"), ("SCRIPT", "FLUSH")):
        with pytest.raises(Exception, match=r"permission|can't run|No permissions"):
            await store.connection.call(*forbidden, key="co:meta")
    for opened in (store, admin):
        await opened.close()
    server.stop()


def test_wait_until_tells_what_it_waited_for():
    with pytest.raises(TimeoutError, match="pigs fly"):
        wait_until(lambda: False, "pigs fly", 0.01)
