"""README does what it says: its calls are run as they stand, on the embedded store and on a server of one's own."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coordinator.store.embedded import EmbeddedServer

README = (Path(__file__).parent.parent / "README.md").read_text()


def lines_of(block: str) -> list[str]:
    """The commands of a marked block."""
    found = re.search(rf"<!-- test: {block} -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no block {block}"
    return [line for line in found[1].splitlines() if line and not line.startswith("#")]


@pytest.fixture(autouse=True)
def need_curl() -> None:
    if shutil.which("curl") is None:
        assert os.environ.get("CI") != "true", "in CI curl is needed"
        pytest.skip("curl is not installed, so the calls of README cannot be run")


class Shell:
    """Runs commands of README against a coordinator that has been started."""

    def __init__(self, port: int, redis: list[str]) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._redis = redis
        self.job = ""

    async def run(self, command: str) -> str:
        command = command.replace("http://127.0.0.1:8000", self.base).replace("curl ", "curl -sS --fail-with-body ", 1)
        command = re.sub(r"^redis-cli ", f"{' '.join(self._redis)} ", command)
        environment = os.environ | {"JOB": self.job}
        process = await asyncio.create_subprocess_exec(
            "bash", "-euc", command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, f"{command}\n{output}"
        return output

    async def is_ready(self) -> bool:
        try:
            await self.run("curl http://127.0.0.1:8000/ready")
        except AssertionError:
            return False
        return True

    async def json(self, command: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.run(command))
        return answer

    async def until(self, state: str) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while (job := await self.json("curl http://127.0.0.1:8000/job/$JOB"))["state"] != state:
                await asyncio.sleep(0.05)
        return job


async def _accept(reader, writer):
    """A function that takes every job and says nothing yet."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"content-length: *(\d+)", head.lower())[1]))
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


@pytest.fixture(params=["embedded", "redis-server"])
async def shell(request, tmp_path):
    function = await asyncio.start_server(_accept, "127.0.0.1", 0)
    worker_url = f"http://127.0.0.1:{function.sockets[0].getsockname()[1]}/"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            command = ["dev", "--data-dir", str(tmp_path / "data")]
        else:
            server = EmbeddedServer(_installed(), tmp_path / "data")
            server.start()
            stack.callback(server.stop)
            command = ["serve", "--redis-url", server.url]
        output = stack.enter_context((tmp_path / "output").open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "coordinator", *command, "--port", str(port), "--worker-url", worker_url],
            stdout=output,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        opened = Shell(port, [])
        async with asyncio.timeout(20):
            while not await opened.is_ready():
                await asyncio.sleep(0.05)
        url = server.url if request.param == "redis-server" else _printed_socket(tmp_path / "output")
        opened._redis = ["redis-cli", "-s", url.removeprefix("unix://")]
        yield opened
    function.close()


def _installed():
    from tests.conftest import PROGRAMS

    if "redis" not in PROGRAMS:
        pytest.skip("redis-server is not installed")
    return PROGRAMS["redis"]


def _printed_socket(output: Path) -> str:
    found = re.search(r"redis-cli -s (\S+)", output.read_text())
    assert found, "dev says how to reach its store"
    return found[1]


async def test_the_five_calls_do_what_readme_says(shell):
    now, later, delayed, cron, success, failure = lines_of("calls")
    for receipt, state in ((success, "succeeded"), (failure, "retrying")):
        shell.job = (await shell.json(now))["id"]
        await shell.until("running")
        assert (await shell.json(receipt))["accepted"] is True
        job = await shell.until(state)
    assert job["lastError"] == {"message": "no such address"}
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failure"]
    assert (await shell.json(later))["runAt"] == "2030-01-01T10:00:00.000Z"
    assert (await shell.json(delayed))["state"] == "scheduled"
    schedule = await shell.json(cron)
    assert schedule["kind"] == "schedule"
    assert schedule["nextRunAt"]


async def test_the_reads_do_what_readme_says(shell):
    shell.job = (await shell.json(lines_of("calls")[2]))["id"]
    one, page, queues, cancel = lines_of("reads")
    assert (await shell.json(one))["id"] == shell.job
    assert (await shell.json(page)) == {"items": [], "cursor": None}
    assert (await shell.json(queues))["items"][0]["scheduled"] == 1
    assert (await shell.json(cancel))["state"] == "cancelled"
    assert (await shell.json(cancel))["erased"] is True


async def test_workers_and_queues_are_set_as_readme_says(shell):
    for command in lines_of("workers"):
        assert (await shell.json(command))["url"].startswith("https://")
    limited, paused, resumed = [await shell.json(command) for command in lines_of("queues")]
    assert (limited["concurrency"], limited["rate"]["burst"]) == (5, 40)
    assert (paused["paused"], resumed["paused"]) == (True, False)


async def test_redis_cli_shows_what_readme_says(shell):
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    await shell.run("curl -X PUT --json '{\"concurrency\": 5}' http://127.0.0.1:8000/queue/default")
    shell.job = (await shell.json(lines_of("calls")[0]))["id"]
    await shell.until("running")
    await shell.run(lines_of("calls")[5])
    await shell.json(lines_of("calls")[3])
    outputs = [await shell.run(command) for command in lines_of("redis")]
    assert len(outputs) == 10
    job, attempts, lanes, waiting, _running, _dead, queue, wheel, schedules, replicas = outputs
    assert "state\nwaiting" in job
    assert '"worker":"send-email"' in job
    assert '"outcome":"failure"' in attempts
    assert lanes.strip() == "co:{6}:waiting:default"
    assert shell.job in waiting
    assert "concurrency\n5" in queue
    assert wheel.startswith("default\n")
    assert len(schedules.split()) == 2
    assert len(replicas.split()) == 2
