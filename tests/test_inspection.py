"""The commands `coordinator doctor` and `replicas`, as processes: what they tell, and where they find the store."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.store.embedded import EmbeddedServer
from coordinator.store.open import Store, open_store
from coordinator.store.records import NewJob
from tests.conftest import PROGRAMS
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
JOB = new_id(2, 1, 1)

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command in an empty directory. Gives its exit code, and what it wrote to stdout and stderr."""

    async def start(
        *arguments: str, command: str = "doctor", stderr: int = subprocess.PIPE, **environment: str
    ) -> tuple[int, str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "coordinator", command, *arguments),
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=tmp_path,
            env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), (err or b"").decode()

    return start


@pytest.fixture
async def store(real_server: EmbeddedServer) -> AsyncIterator[Store]:
    """A store of four shards in which a job waits."""
    opened = open_store(real_server.url, shards=4)
    await opened.leadership.agree_on_shards()
    await opened.jobs.enqueue(2, [NewJob(JOB, Spec("any", msgspec.Raw(b"{}")))])
    yield opened
    await opened.close()


@pytest.fixture
def tcp_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server with a port, and nothing in it."""
    server = EmbeddedServer(next(iter(PROGRAMS.values())), tmp_path / "tcp", port=free_port())
    server.start()
    yield server
    server.stop()


async def test_what_is_whole_is_told_in_a_line(run: Run, store: Store, real_server: EmbeddedServer):
    code, out, err = await run("--redis-url", real_server.url)

    assert (code, err) == (0, "")
    assert out.startswith("checked jobs 1, indexes 2, members 2, lines 1, queues 1, schedules 0, batches 0 in ")
    assert out.endswith(" s: nothing is wrong\n")


async def test_problems_are_told_mended_when_asked_and_then_gone(run: Run, store: Store, real_server: EmbeddedServer):
    await store.connection.call("DEL", "co:{2}:waiting:default", "co:{2}:lanes:default")
    problem = f"job_not_in_index co:{{2}}:job:{JOB}: it is waiting, and not in co:{{2}}:waiting:default"

    code, out, _ = await run("--redis-url", real_server.url)
    assert (code, out.splitlines()[0]) == (1, f"{problem} (mendable)")
    assert out.endswith(" s: 1 job_not_in_index; 1 found, --repair would mend 1\n")

    code, out, _ = await run("--repair", COORDINATOR_REDIS_URL=real_server.url)
    assert (code, out.splitlines()[0]) == (0, f"{problem} (mended)")
    assert out.endswith(" s: 1 job_not_in_index; 1 mended, 0 left\n")

    assert (await run("--redis-url", real_server.url))[0] == 0
    assert (await store.jobs.claim(2, holder="r", request="n", limit=9, lease_ms=1000)).attempts[0].job_id == JOB


async def test_json_is_an_object_per_line_the_summary_last(run: Run, store: Store, real_server: EmbeddedServer):
    await store.connection.call("SET", "co:{2}:surprise", "x")

    code, out, _ = await run("--json", "--repair", "--redis-url", real_server.url)

    finding, summary = map(json.loads, out.splitlines())
    assert code == 1
    assert finding == {
        "kind": "unknown_key",
        "key": "co:{2}:surprise",
        "detail": "no script of this version would look at it",
        "status": "open",
    }
    assert summary.pop("seconds") >= 0
    checked = {"jobs": 1, "indexes": 2, "members": 2, "lines": 1, "queues": 1, "schedules": 0, "batches": 0}
    assert summary == {"checked": checked, "problems": {"unknown_key": 1}, "left": 1, "mendable": 0}


async def test_what_a_repair_would_leave_is_not_promised(run: Run, store: Store, real_server: EmbeddedServer):
    await store.connection.call("DEL", "co:{2}:waiting:default", "co:{2}:lanes:default")
    await store.connection.call("SET", "co:{2}:surprise", "x")

    _, out, _ = await run("--redis-url", real_server.url)
    assert out.endswith(" s: 1 job_not_in_index, 1 unknown_key; 2 found, --repair would mend 1\n")

    _, out, _ = await run("--json", "--redis-url", real_server.url)
    summary = json.loads(out.splitlines()[-1])
    assert (summary["left"], summary["mendable"]) == (2, 1)


async def test_a_terminal_sees_how_far_it_is(run: Run, store: Store, real_server: EmbeddedServer):
    terminal, other_end = os.openpty()

    code, out, _ = await run("--redis-url", real_server.url, stderr=other_end)

    os.close(other_end)
    seen = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert (code, "nothing is wrong" in out) == (0, True)
    assert "/7 keys, " in seen
    assert ", 0 found" in seen
    assert seen.endswith("\r\x1b[K")


async def test_without_a_redis_it_finds_the_store_of_a_running_dev(run: Run, store: Store, real_server: EmbeddedServer):
    code, out, _ = await run("--data-dir", str(real_server.data_dir))

    assert (code, "checked jobs 1" in out) == (0, True)


@pytest.mark.parametrize("left_behind", ["", "1 ", "999999999 /tmp/none.sock", "nonsense"])
async def test_without_any_store_it_says_what_to_give(run: Run, tmp_path: Path, left_behind: str):
    if left_behind:
        (tmp_path / ".coordinator").mkdir()
        (tmp_path / ".coordinator" / "server.pid").write_text(left_behind)

    code, out, err = await run()

    assert (code, out) == (2, "")
    assert err == (
        "coordinator: no store: set COORDINATOR_REDIS_URL or --redis-url, or start `coordinator dev`; "
        "none runs in .coordinator (--data-dir says where else)\n"
    )


async def test_a_prefix_that_nobody_uses_is_told(run: Run, store: Store, real_server: EmbeddedServer):
    code, _, err = await run("--redis-url", real_server.url, "--prefix", "typo")

    assert (code, err) == (
        2,
        "coordinator: nothing is kept under the prefix 'typo'; --prefix names another.\n",
    )


async def test_a_url_that_is_none_of_redis_is_told_without_its_password(run: Run):
    code, _, err = await run("--redis-url", "http://user:s3cret@example.com")

    assert (code, "http://example.com cannot be used" in err, "s3cret" in err) == (2, True, False)


async def test_a_redis_that_cannot_be_reached_is_an_error(run: Run):
    code, _, err = await run("--redis-url", "redis://127.0.0.1:1")

    assert (code, err.startswith("coordinator: Redis cannot be reached")) == (5, True)


COMMANDS = ["serve", "doctor", "replicas"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("kind", "path", "cause", "remedy"),
    [
        ("+sentinel", "/main", "unknown command 'SENTINEL'", "this is no sentinel; write it as redis://"),
        ("+cluster", "", "cluster support disabled", "this is no cluster; write it as redis://"),
    ],
)
async def test_a_server_of_another_kind_than_its_url_is_told(
    run: Run, tcp_server: EmbeddedServer, command: str, kind: str, path: str, cause: str, remedy: str
):
    code, out, err = await run("--redis-url", f"redis{kind}://127.0.0.1:{tcp_server.port}{path}", command=command)

    assert (code, out, cause in err, err.endswith(f": {remedy}.\n")) == (2, "", True, True), err
    assert err.startswith("coordinator: ")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("family", "remedy"), [("cluster", "redis+cluster://"), ("sentinel", "redis+sentinel://host:26379/<name>")]
)
async def test_a_member_of_a_set_as_if_it_were_alone_is_told(
    run: Run, server_url: Callable[[str], str], command: str, family: str, remedy: str
):
    first = server_url(family).partition("://")[2].partition(",")[0]

    code, _, err = await run("--redis-url", f"redis://{first}", command=command)

    assert (code, remedy in err) == (2, True), err
    assert err.startswith("coordinator: COORDINATOR_REDIS_URL leads to a ")


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_replica_is_told(run: Run, tcp_server: EmbeddedServer, command: str):
    admin = open_store(tcp_server.url)
    await admin.connection.call("REPLICAOF", "127.0.0.1", free_port())
    await admin.close()

    code, _, err = await run("--redis-url", tcp_server.url, command=command)

    assert (code, err) == (
        2,
        "coordinator: COORDINATOR_REDIS_URL leads to a read-only replica; give the primary's address.\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("lacking", ["info", "hget"])
async def test_a_user_that_may_not_do_what_is_needed_is_told(
    run: Run, tcp_server: EmbeddedServer, command: str, lacking: str
):
    admin = open_store(tcp_server.url)
    await admin.connection.call("ACL", "SETUSER", "poor", "on", ">x", "~*", "&*", "+@all", f"-{lacking}")
    await admin.close()

    code, _, err = await run("--redis-url", f"redis://poor:x@127.0.0.1:{tcp_server.port}", command=command)

    assert (code, lacking in err) == (2, True), err
    assert err.endswith(": the user of Redis may not do this; README has the rights that it needs.\n")


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_name_that_no_sentinel_knows_is_told(run: Run, server_url: Callable[[str], str], command: str):
    code, _, err = await run("--redis-url", f"{server_url('sentinel')}-typo", command=command)

    assert (code, "check the name behind the sentinels' hosts" in err, "main-typo" in err) == (
        1 if command == "serve" else 5,
        True,
        True,
    ), err


@pytest.mark.parametrize("command", COMMANDS)
async def test_what_else_redis_refuses_is_told(run: Run, tcp_server: EmbeddedServer, command: str):
    other = open_store(tcp_server.url)
    await other.connection.call("SET", "co:meta", "of somebody else")
    await other.close()

    code, _, err = await run("--redis-url", tcp_server.url, command=command)

    assert (code, "wrong kind of value" in err) == (2, True), err
    assert err.endswith(": check COORDINATOR_REDIS_URL.\n")


async def test_replicas_are_shown_with_what_they_lead(run: Run, store: Store, real_server: EmbeddedServer):
    for replica, shards in (("r1", (0, 2)), ("r2", (1,))):
        await store.leadership.register(replica, 60_000)
        for shard in shards:
            assert await store.leadership.hold(shard, replica, 60_000)

    code, out, _ = await run("--redis-url", real_server.url, command="replicas")
    assert (code, out.splitlines()[-1]) == (1, "led by nobody: 3")
    assert [(line.split()[0], line.partition(" ago")[2].split()) for line in out.splitlines()[1:3]] == [
        ("r1", ["0", "2"]),
        ("r2", ["1"]),
    ]

    assert await store.leadership.hold(3, "r2", 60_000)
    code, out, _ = await run("--json", "--redis-url", real_server.url, command="replicas")
    told = json.loads(out)
    assert (code, told["shards"], told["unled"]) == (0, 4, [])
    assert {one["id"]: one["leads"] for one in told["items"]} == {"r1": [0, 2], "r2": [1, 3]}
