"""What README shows in Python does what it says: each block runs as it stands, on the platform that it is for."""

import re
import sys
from pathlib import Path

import pytest

from tests.runtimes.harness import KNOWN, Bench
from tests.runtimes.runtime import Runtime

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "README.md"
LAMBDA = ROOT / "tests" / "runtimes" / "lambda_runtime_api.py"
LINES_MAX = 9

BLOCKS = dict(re.findall(r"<!-- test: py-([a-z]+) -->\n```python\n(.*?)```", SOURCE.read_text(), re.DOTALL))

WSGIREF = "import main; from wsgiref.simple_server import make_server; "
DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"])
urlpatterns = [path("jobs", jobs)]
app = get_wsgi_application()
"""


def wsgiref(app):
    return ["-c", f"{WSGIREF}make_server('127.0.0.1', {{port}}, main.{app}).serve_forever()"]


UVICORN = ("-m", "uvicorn", "--port", "{port}")
FRAMEWORK = ("-m", "functions_framework", "--host", "127.0.0.1", "--port", "{port}")

PLATFORMS = {
    "wrap": (["wrap"], "", wsgiref("send_email.wsgi"), "/"),
    "registry": (["registry"], "", [*UVICORN, "main:workers.asgi"], "/"),
    "asgi": (["registry", "asgi"], "", [*UVICORN, "main:app"], "/jobs"),
    "flask": (["registry", "flask"], "", ["-m", "flask", "--app", "main", "run", "--port", "{port}"], "/jobs"),
    "django": (["registry", "django"], DJANGO, wsgiref("app"), "/jobs"),
    "lambda": (
        ["registry", "lambda"],
        "",
        [str(LAMBDA), "{port}", sys.executable, "-m", "awslambdaric", "main.handler"],
        "/",
    ),
    "gcp": (["registry", "gcp"], "", [*FRAMEWORK, "--source", "{main}", "--target", "jobs"], "/"),
}
"""Of each block: those that it needs before it, what is added, the command, and where it answers."""

TOGETHER = ("registry", "errors", "batch", "heartbeat")


def runtime_of(directory, name, blocks, added, command, path):
    """The blocks as a user's module, served."""
    main = directory / "main.py"
    main.write_text("".join(BLOCKS[block] for block in blocks) + added)
    command = [part.replace("{main}", str(main)) for part in command]
    return Runtime(name, [sys.executable, *command], {"PYTHONPATH": f"{directory}:{ROOT}"}, path=path)


def test_no_block_is_left_out_or_long():
    assert set(BLOCKS) == {*PLATFORMS, *TOGETHER, "testing", "client"}
    assert {
        name: len(block.splitlines()) for name, block in BLOCKS.items() if len(block.splitlines()) > LINES_MAX
    } == {}


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_answers_a_signed_call(name, tmp_path, server):
    runtime, log = runtime_of(tmp_path, name, *PLATFORMS[name]), tmp_path / "log"
    given = {"COORDINATOR_SECRET": KNOWN, "COORDINATOR_URL": server.url}
    with runtime.started(given, log) as url, Bench(server.url, url, log) as bench:
        call = bench.job("job1", "send-email", {"to": ["a@b.c", "d@e.f"]})
        answer = bench.call(call)
        assert (answer.status_code, answer.json()) == (200, {"status": "success", "result": {"sent": 2}}), (
            log.read_text()
        )
        assert bench.call(call, tamper=True).status_code == 401
    progress = {"progress": 50, "message": "half of them", "token": "1.none", "attempt": 1}
    assert server.bodies() == ([("/job/job1/heartbeat", progress)] if name == "wrap" else [])


@pytest.fixture(scope="module")
def bench(coordinator_url, tmp_path_factory):
    """The blocks that show workers, behind one URL, and a coordinator that calls them."""
    directory = tmp_path_factory.mktemp("snippets")
    runtime = runtime_of(directory, "uvicorn", TOGETHER, "", [*UVICORN, "main:workers.asgi"], "/")
    given = {"COORDINATOR_SECRET": KNOWN, "COORDINATOR_URL": coordinator_url}
    with runtime.started(given, directory / "log") as url, Bench(coordinator_url, url, directory / "log") as opened:
        opened.register()
        opened.register("index", batch={"size": 10, "window": "500ms"})
        yield opened


def test_errors_do_what_they_say(bench):
    fatal = bench.run("sync-shop", {"status": 404})
    assert (fatal["state"], fatal["lastError"]["message"], len(fatal["attempts"])) == ("dead", "no such shop", 1)
    receipt = bench.call(bench.job("x", "sync-shop", {"status": 503})).json()
    assert (receipt["status"], receipt["retryAfter"]) == ("failure", "5m")


def test_a_batch_does_what_it_says(bench):
    asked = [{"worker": "index", "args": args, "maxAttempts": 1} for args in ({"id": 1}, {"name": "x"}, {"id": 3})]
    jobs = [bench.final(one["id"]) for one in bench.request("POST", "/job/batch", {"jobs": asked})["jobs"]]
    assert [job["result"] for job in jobs] == [{"id": 1}, None, {"id": 3}]
    assert jobs[1]["lastError"]["message"] == "no id"


def test_heartbeats_do_what_they_say(bench):
    job = bench.run("export", {"pages": 4})
    assert (job["state"], job["progress"]) == ("succeeded", 75)


def test_the_test_of_a_function_passes():
    names = {}
    exec("".join(BLOCKS[name] for name in (*TOGETHER, "testing")), names)
    names["test_an_export_that_is_cancelled_ends"]()


def test_the_client_does_what_it_says(bench, coordinator_url, capsys):
    exec(BLOCKS["client"].replace("http://127.0.0.1:8000", coordinator_url), {})
    assert capsys.readouterr().out == "{'sent': 1}\n"
