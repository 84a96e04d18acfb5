"""README does what it says: its calls are run as they stand, on the embedded store and on a server of one's own."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coordinator.store.embedded import EmbeddedServer
from tests.ports import free_port

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
        self.job = self.batch = ""

    async def run(self, command: str) -> str:
        command = command.replace("http://127.0.0.1:8000", self.base).replace("curl ", "curl -sS --fail-with-body ", 1)
        command = re.sub(r"^redis-cli ", f"{' '.join(self._redis)} ", command)
        command = re.sub("^coordinator ", f"{sys.executable} -m coordinator ", command)
        environment = os.environ | {"JOB": self.job, "BATCH": self.batch, "COORDINATOR_URL": self.base}
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
    port = free_port()
    environment = {"COORDINATOR_SECRET_VERCEL_BYPASS": "let me in"}
    made = base64.b64encode(os.urandom(32)).decode()
    with contextlib.ExitStack() as stack:
        stack.callback(function.close)
        if request.param == "embedded":
            command = ["dev", "--data-dir", str(tmp_path / "data")]
        else:
            server = EmbeddedServer(_installed(), tmp_path / "data")
            server.start()
            stack.callback(server.stop)
            command = ["serve", "--redis-url", server.url]
            environment |= dict([lines_of("keys")[0].replace("$(openssl rand -base64 32)", made).split("=", 1)])
        output = stack.enter_context((tmp_path / "output").open("w"))
        process = subprocess.Popen(
            [sys.executable, "-m", "coordinator", *command, "--port", str(port), "--worker-url", worker_url],
            stdout=output,
            env=os.environ | environment,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        opened = Shell(port, [])
        async with asyncio.timeout(60):
            while not await opened.is_ready():
                await asyncio.sleep(0.05)
        url = server.url if request.param == "redis-server" else _printed_socket(tmp_path / "output")
        opened._redis = ["redis-cli", "-s", url.removeprefix("unix://")]
        yield opened


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
    (signed,), (gathered,) = lines_of("secrets"), lines_of("delivery")
    assert (await shell.json(signed))["secret"] == "[hidden]"
    assert (await shell.json(gathered))["batch"] == {"size": 50, "windowMs": 1000}
    google, aws, vercel = [await shell.json(command) for command in lines_of("auth")]
    assert google["auth"] == {"type": "google-id-token", "audience": "https://thumb-abc123-ew.a.run.app/"}
    assert (aws["auth"]["type"], aws["auth"]["service"]) == ("aws-sigv4", "lambda")
    assert vercel["headers"] == {"x-vercel-protection-bypass": "env:VERCEL_BYPASS"}
    limited, preset, kept, paused, resumed, keys, key, held, purged = [
        await shell.json(command) for command in lines_of("queues")
    ]
    assert (limited["concurrency"], limited["rate"]["burst"]) == (5, 40)
    assert (preset["perKey"]["concurrency"], preset["perKey"]["rate"]["burst"]) == (4, 40)
    assert (kept["defaults"]["maxAttempts"], kept["retention"]["succeeded"]["count"]) == (3, 1000)
    assert (paused["paused"], resumed["paused"]) == (True, False)
    assert (keys["items"], key["tokens"], key["paused"], held["paused"]) == ([], 40, False, True)
    assert purged == {"matched": 0, "done": 0, "more": False}


async def test_a_ping_does_what_readme_says(shell):
    (ping,) = lines_of("ping")
    pinged = await shell.json(ping)
    assert (pinged["ok"], pinged["httpStatus"], pinged["error"]) == (True, 202, None)
    assert "is not known" in pinged["note"]


async def test_a_heartbeat_does_what_readme_says(shell):
    shell.job = (await shell.json(lines_of("calls")[0]))["id"]
    await shell.until("running")
    (heartbeat,) = lines_of("heartbeat")

    answer = await shell.json(heartbeat)

    assert (answer["state"], answer["cancelRequested"]) == ("running", False)
    job = await shell.until("running")
    assert (job["progress"], job["message"], job["deadline"]) == (40, "page 4 of 10", answer["deadline"])


async def test_jobs_are_changed_as_readme_says(shell):
    wait, change, run, cancel, retry, replay, find, bulk = lines_of("jobs")
    shell.job = (await shell.json(lines_of("calls")[1]))["id"]
    assert (await shell.json(wait.replace("30s", "10ms")))["state"] == "scheduled"
    assert (await shell.json(change))["priority"] == 1
    await shell.json(run)
    for anew in (retry, replay):
        await shell.until("running")
        assert (await shell.json(cancel))["cancelRequested"] is True
        await shell.json(lines_of("calls")[5])
        assert (await shell.until("cancelled"))["reason"] == "user"
        assert (await shell.json(anew))["attempt"] == 0
    assert (await shell.until("running"))["args"] == {"to": "a@b.c"}
    assert (await shell.json(find))["items"] == []
    assert await shell.json(bulk) == {"matched": 0, "done": 0, "more": False}


async def test_batches_do_what_readme_says(shell):
    make, read, cancel = lines_of("batches")
    made = await shell.json(make)
    shell.batch = made["id"]
    assert [item["status"] for item in made["jobs"]] == [201, 201]
    assert (await shell.json(read))["pending"] == 2
    assert (await shell.json(cancel))["done"] == 2


async def test_schedules_do_what_readme_says(shell):
    put, patch, pause, resume, trigger, preview, every, runs, delete = lines_of("schedules")
    made = await shell.json(put)
    assert await shell.json(put) == made
    assert (await shell.json(patch))["cron"] == "0 8 * * 1-5"
    assert [(await shell.json(command))["state"] for command in (pause, resume)] == ["paused", "active"]
    shell.job = (await shell.json(trigger))["id"]
    assert len((await shell.json(preview))["nextRuns"]) == 10
    assert [found["name"] for found in (await shell.json(every))["items"]] == ["morning"]
    assert [found["id"] for found in (await shell.json(runs))["items"]] == [shell.job]
    assert (await shell.json(delete))["erased"] is True


async def test_a_declaration_does_what_readme_says(shell):
    dry, wet = [await shell.json(command) for command in lines_of("sync")]
    assert dry["created"] == wet["created"]
    assert [one["name"] for one in wet["created"]] == ["report", "nightly"]


async def test_replicas_and_ticks_do_what_readme_says(shell):
    (replicas,), (tick,) = lines_of("replicas"), lines_of("tick")
    told = await shell.json(replicas)
    assert [one["id"] for one in told["items"]] == [told["answeredBy"]]
    shell.job = (await shell.json(lines_of("calls")[2]))["id"]
    due_at = (await shell.json(lines_of("reads")[0]))["runAt"]
    assert (await shell.json(tick))["nextDueAt"] <= due_at


async def test_a_token_is_made_as_readme_says_and_closes_the_door(shell):
    (make,) = lines_of("tokens")

    token = (await shell.json(make))["token"]

    assert (await shell.json(f"curl -H 'Authorization: Bearer {token}' http://127.0.0.1:8000/queue"))["items"] == []
    with pytest.raises(AssertionError, match="unauthenticated"):
        await shell.run("curl http://127.0.0.1:8000/queue")


async def test_the_command_line_does_what_readme_says(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    enqueue, jobs, job, cancel, retry, queue, one, preview, workers, export, taken = lines_of("commands")
    shell.job = (await shell.run(enqueue)).split()[0]
    assert shell.job in await shell.run(jobs)
    assert "first" in await shell.run(job)
    assert "cancelled" in await shell.run(cancel)
    assert "0 jobs would be tried anew" in await shell.run(retry)
    assert "concurrency 5" in await shell.run(queue)
    assert (await shell.run(one)).startswith("queue       mail")
    assert len((await shell.run(preview)).splitlines()) == 5
    assert "There are no workers" in await shell.run(workers)
    assert "exported 0 jobs" in await shell.run(export)
    assert "made 0 jobs" in await shell.run(taken)


async def test_what_happens_is_seen_as_readme_says(shell):
    stat, dead, event = lines_of("watch")
    shell.job = (await shell.json(lines_of("calls")[0]))["id"]
    await shell.until("running")

    assert sum((await shell.json(stat))["series"]["started"]) == 1
    assert await shell.json(dead) == {"groups": [], "looked": 0, "isTruncated": False}
    # It is cut off by its time, which curl calls an error.
    assert "event: hello\n" in await shell.run(event.replace("curl -N", "curl -sN").partition("   #")[0] + " || true")


async def test_redis_cli_shows_what_readme_says(shell):
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    await shell.run("curl -X PUT --json '{\"concurrency\": 5}' http://127.0.0.1:8000/queue/default")
    shell.job = (await shell.json(lines_of("calls")[0]))["id"]
    await shell.until("running")
    await shell.run(lines_of("calls")[5])
    await shell.json(lines_of("calls")[3])
    await shell.run(lines_of("calls")[2].replace('"delay"', '"tags": ["night"], "delay"'))
    outputs = [await shell.run(command) for command in lines_of("redis")]
    assert len(outputs) == 13
    job, attempts, lanes, waiting, _running, _dead, queue, wheel, inner, tagged, schedules, _counted, replicas = outputs
    assert "state\nwaiting" in job
    assert '"worker":"send-email"' in job
    assert '"outcome":"failure"' in attempts
    assert lanes.strip() == "co:{6}:waiting:default"
    assert shell.job in waiting
    assert "concurrency\n5" in queue
    assert wheel.startswith("default\n")
    assert inner.startswith("default\n")
    assert len(tagged.split()) == 1
    assert len(schedules.split()) == 2
    assert len(replicas.split()) == 2
