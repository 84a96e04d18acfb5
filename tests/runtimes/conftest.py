"""A real coordinator, and for each runtime its functions, started, with all rows of the table under way at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.coordinator_process import coordinator_process
from tests.runtimes.harness import KNOWN, SECOND, Bench
from tests.runtimes.rows import ROWS


@pytest.fixture(scope="session")
def coordinator_url(tmp_path_factory):
    """Of a coordinator that all runtimes share."""
    # A call that is held hears of a heartbeat's `extend` when its lease is renewed, three times in this.
    with coordinator_process(tmp_path_factory.mktemp("store") / "data") as url:
        yield url


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
