"""A real coordinator with a function, and the command line on it: in this process, or as one that can be killed."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from coordinator.cli import main
from tests.coordinator_process import coordinator_process

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-token-of-the-settings-0123456789"


class Function(BaseHTTPRequestHandler):
    """`fails` fails with a number of its own, `sleeps` takes the job and says nothing, all others succeed."""

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        receipt = {"status": "success", "result": call.get("args")}
        if call.get("worker") == "fails":
            receipt = {"status": "failure", "error": f"row {call['args']['row']} is \x1b[31mwrong"}
        if call.get("worker") == "sleeps":
            receipt = {"status": "running"}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(receipt).encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def function_url():
    served = ThreadingHTTPServer(("127.0.0.1", 0), Function)
    threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/"
    served.shutdown()
    served.server_close()


@pytest.fixture(scope="session")
def url(tmp_path_factory, function_url):
    with coordinator_process(tmp_path_factory.mktemp("store") / "data", worker_url=function_url) as found:
        yield found


@pytest.fixture(scope="session")
def guarded_url(tmp_path_factory, function_url):
    """Where a token is needed."""
    directory = tmp_path_factory.mktemp("guarded") / "data"
    with coordinator_process(directory, worker_url=function_url, tokens=TOKEN) as found:
        yield found


@pytest.fixture
def queue(request):
    """A name of this test's own."""
    return "".join(one if one.isalnum() else "-" for one in request.node.name)[:100].strip("-")


@pytest.fixture
def api(url):
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


class Said(NamedTuple):
    code: int
    out: str
    err: str

    def one(self):
        """The object that it wrote, and nothing else."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    def all(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, url):
    """No settings of others, a home of its own, and an address."""
    for name in [name for name in os.environ if name.startswith("COORDINATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COORDINATOR_URL", url)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch):
    """Runs a command to its end."""

    def run(*arguments, stdin=""):
        out, err = io.StringIO(), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        monkeypatch.setattr(sys, "stdin", given)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        said = Said(code, out.getvalue(), err.getvalue())
        assert "Traceback" not in said.err
        return said

    return run


@pytest.fixture
def begin(tmp_path):
    """Begins a command as a process of its own."""
    begun = []

    def begin(*arguments, **pipes):
        command = [sys.executable, "-m", "coordinator", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes
        process = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes)
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()
