"""A real coordinator, and for each runtime its functions, started, with all rows of the table under way at once."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from coordinator.store.embedded import EmbeddedServer
from tests.conftest import PROGRAMS
from tests.runtimes.harness import KNOWN, SECOND, Bench
from tests.runtimes.rows import ROWS
from tests.runtimes.runtime import free_port


@pytest.fixture(scope="session")
def coordinator_url(tmp_path_factory):
    """Of `coordinator serve` on a server of its own."""
    server = EmbeddedServer(next(iter(PROGRAMS.values())), tmp_path_factory.mktemp("store"))
    server.start()
    port = free_port()
    command = [sys.executable, "-m", "coordinator", "serve", "--port", str(port), "--redis-url", server.url]
    # A call that is held hears of a heartbeat's `extend` when its lease is renewed, three times in this.
    environment = os.environ | {"COORDINATOR_LEASE_MS": "1500"}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 20
        while not _is_ready(url):
            assert process.poll() is None, "the coordinator ended at its start"
            assert time.monotonic() < until, "the coordinator is not ready within 20 s"
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        server.stop()


def _is_ready(url):
    try:
        return httpx.get(f"{url}/ready", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def rows(request, coordinator_url, tmp_path_factory):
    """By name what the rows of one runtime come to. All that are wanted begin at once, but for those to be alone."""
    runtime = request.param
    if missing := runtime.missing():
        assert os.environ.get("CI") != "true", f"in CI these are needed and missing: {', '.join(missing)}"
        pytest.skip(f"not here: {', '.join(missing)}")
    wanted = {
        item.callspec.params["row"]
        for item in request.session.items
        if hasattr(item, "callspec") and item.callspec.params.get("rows") is runtime
    }
    log = tmp_path_factory.mktemp("runtime") / runtime.name
    given = {"COORDINATOR_SECRET": f"{KNOWN} {SECOND}", "COORDINATOR_URL": coordinator_url}
    with runtime.started(given, log) as url, Bench(coordinator_url, url, log) as bench:
        bench.register()
        bench.register("sorts", batch={"size": 10, "window": "500ms"})
        ended = {}
        at_once = 1 if runtime.is_serial else len(ROWS)
        for is_alone in (False, True):
            with ThreadPoolExecutor(at_once) as pool:
                chosen = [row for row in ROWS if row.name in wanted and row.is_alone == is_alone]
                ended |= {row.name: pool.submit(row.check, bench) for row in chosen}
        yield ended
