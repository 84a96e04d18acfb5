"""README's JavaScript is run as it stands: each block in its runtime, called with a signed request."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.calling.signing import sign
from tests.ports import free_port
from tests.runtimes.javascript_runtimes import BUN, DENO, MODULES, NODE, WORKERD
from tests.runtimes.runtime import APPS
from tests.sdk.test_javascript import ROOT, SDK, need, run

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"<!-- test: js-([\w-]+) -->\n```js\n(.*?)```", re.DOTALL)
BLOCKS = dict(BLOCK.findall(README))

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
LINES_MAX = 10
SENT = {"status": "success", "result": {"sent": "a@b.c"}}

WEB = [NODE, str(APPS / "web_server.mjs"), "jobs.mjs"]
COMMANDS: dict[str, tuple[str, list[str]]] = {
    "next": ("/api/jobs", WEB),
    "netlify": ("/jobs", [*WEB, "{}"]),
    "cloudflare": ("/", [WORKERD, "serve", "config.capnp", "--socket-addr", "http=127.0.0.1:{port}"]),
    "deno": ("/", [DENO, "run", "--no-prompt", "--no-lock", "--allow-net", "--allow-env", "jobs.mjs"]),
    "bun": ("/", [BUN, "run", "start.mjs"]),
    "express": ("/jobs", [NODE, "jobs.mjs"]),
    "node": ("/", [NODE, "jobs.mjs"]),
    "gcp": ("/", [NODE, str(APPS / "gcp_server.mjs"), "jobs.mjs", "jobs"]),
    "lambda": ("/", [NODE, str(APPS / "lambda_server.mjs"), "jobs.mjs"]),
}
"""Where each platform's function is called, and how it is started."""

BESIDE = {
    # As `bun run` does with what a module exports, on this machine alone.
    "start.mjs": """\
import jobs from "./jobs.mjs";
Bun.serve({ hostname: "127.0.0.1", port: process.env.PORT, ...jobs });
""",
    "config.capnp": """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "jobs", worker = .jobs)],
  sockets = [(name = "http", http = (), service = "jobs")],
);
const jobs :Workerd.Worker = (
  modules = [
    (name = "jobs.mjs", esModule = embed "jobs.mjs"),
    (name = "coordinator.mjs", esModule = embed "coordinator.mjs"),
  ],
  bindings = [(name = "COORDINATOR_SECRET", fromEnvironment = "COORDINATOR_SECRET")],
  compatibilityDate = "2024-01-01",
);
""",
}


@pytest.fixture(autouse=True)
def need_node() -> None:
    need(shutil.which("node"), "node")
    need(MODULES.exists(), "tests/runtimes/node_modules")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a user has: the file that was copied, and packages."""
    for name in ("coordinator.mjs", "coordinator.d.mts"):
        shutil.copy(SDK / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    for name, text in BESIDE.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@contextmanager
def started(folder: Path, name: str, path: str, command: list[str]) -> Iterator[str]:
    """The address of a block that is served."""
    (folder / "jobs.mjs").write_text(BLOCKS[name])
    port = free_port()
    given = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
    given |= {"COORDINATOR_SECRET": SECRET, "HOST": "127.0.0.1", "PORT": str(port)}
    given["DENO_SERVE_ADDRESS"] = f"tcp:127.0.0.1:{port}"
    command = [part.replace("{port}", str(port)) for part in command]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=given, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 30
        while not is_up(f"http://127.0.0.1:{port}{path}"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}{path}"
    finally:
        process.terminate()
        process.wait(10)


def is_up(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def call(url: str, args: object, *, worker: str = "send-email", jobs: int = 0, **fields: Any) -> httpx.Response:
    """A signed call: of one job, or of a batch of so many."""
    deadline = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    job: dict[str, Any] = {"worker": worker, "args": args, "attempt": 1, "maxAttempts": 3, "queue": "default"}
    job |= {"key": None, "meta": {}, "scheduledFor": None, "scheduleId": None, "deadline": deadline, "token": "1.x"}
    job |= {"jobId": "job-1", "receiptUrl": "http://127.0.0.1:9/job/job-1/receipt"} | fields
    sent: object = {"worker": worker, "jobs": [job | {"jobId": f"job-{n}"} for n in range(jobs)]} if jobs else job
    body, now = json.dumps(sent).encode(), int(time.time())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "content-type": "application/json"}
    headers["webhook-signature"] = sign([SECRET], "msg_1", now, body)
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)


def receipt_of(*given: Any, **fields: Any) -> dict[str, Any]:
    answer = call(*given, **fields)
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def test_every_block_is_run() -> None:
    others = {"registry", "errors", "long", "batch", "client", "test"}
    assert set(BLOCKS) == {*COMMANDS, *others}
    assert {name for name, block in BLOCKS.items() if len(block.splitlines()) >= LINES_MAX} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_function_of_a_platform_is_run_if_the_call_is_signed(folder: Path, name: str) -> None:
    path, command = COMMANDS[name]
    with started(folder, name, path, command) as url:
        assert receipt_of(url, {"to": "a@b.c"}) == SENT
        assert httpx.post(url, content=b"{}", trust_env=False).status_code == 401


def test_a_registry_runs_the_worker_that_is_meant(folder: Path) -> None:
    with started(folder, "registry", "/", WEB) as url:
        assert receipt_of(url, {"to": "a@b.c"}) == SENT
        assert receipt_of(url, {"url": "x"}, worker="resize")["result"] == {"resized": "x"}
        assert call(url, {}, worker="other").json()["code"] == "worker_not_deployed"


def test_each_error_is_the_receipt_that_is_told(folder: Path) -> None:
    with started(folder, "errors", "/", WEB) as url:
        fatal = receipt_of(url, {"to": "nobody"})
        assert (fatal["status"], fatal["retryable"], fatal["error"]["message"]) == ("failure", False, "no such address")
        assert receipt_of(url, {"to": "early@example.com"}) == {"status": "snooze", "retryAfter": "5m"}
        assert receipt_of(url, {"to": "busy@example.com"}) == {"status": "throttled", "retryAfter": 2}
        assert receipt_of(url, {"to": "a@b.c"})["retryAfter"] == 30
        assert receipt_of(url, {"to": "a@b.c"}, attempt=2) == SENT


def test_long_work_goes_on_though_nobody_hears_its_heartbeats(folder: Path) -> None:
    with started(folder, "long", "/", WEB) as url:
        assert receipt_of(url, {"pages": 1}) == {"status": "success"}


def test_a_batch_is_answered_job_by_job(folder: Path) -> None:
    with started(folder, "batch", "/", WEB) as url:
        assert receipt_of(url, {"id": 7}, worker="index", jobs=2) == {
            "receipts": [{"status": "success", "result": 7, "jobId": f"job-{n}"} for n in range(2)]
        }
        assert receipt_of(url, {}, worker="index")["error"]["message"] == "no id"


def test_the_client_enqueues_and_waits(folder: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "coordinator", "dev", "--port", str(port), "--data-dir", str(folder / "data")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while not is_up(f"{url}/ready"):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        (folder / "client.mjs").write_text(BLOCKS["client"].replace("http://127.0.0.1:8000", url))
        assert run(NODE, "client.mjs", cwd=folder) == "Hello you, this is attempt 1\ntrue\n"
    finally:
        process.terminate()
        process.wait(30)


def test_a_test_of_a_function_passes(folder: Path) -> None:
    (folder / "jobs.test.mjs").write_text(BLOCKS["test"])

    assert "# pass 1\n" in run(NODE, "--test", "--test-reporter=tap", "jobs.test.mjs", cwd=folder)
