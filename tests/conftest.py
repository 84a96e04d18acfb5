"""What all tests share: stores on every server that this machine has, each with a clock of its own.

`store` runs a test once per server: in process, on Valkey (from the `embedded` extra), on an installed Redis, on a
cluster of three primaries with a replica each, and on a primary that Sentinel names. `real_store` leaves the imitation
out. Time stands still in both; `clock.advance(ms)` moves it.
"""

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from coordinator.store.embedded import EmbeddedServer, Program, bundled_program, identify
from coordinator.store.open import IN_PROCESS_URL, Store, open_store
from tests.servers import ClusterSet, SentinelSet, ServerSet

# They assert on behalf of tests, and are to tell as much when they fail.
pytest.register_assert_rewrite("tests.runtimes.rows", "tests.runtimes.harness")

HERE = Path(__file__).parent

START = 1_800_000_000_000
"""The instant at which every test begins."""

_prefixes = itertools.count()


def programs() -> dict[str, Program]:
    """The real servers on this machine, by family."""
    bundled = bundled_program()
    path = shutil.which("redis-server")
    installed = identify(path) if path else None
    return {name: program for name, program in (("valkey", bundled), ("redis", installed)) if program}


PROGRAMS = programs()
SETS: dict[str, type[ClusterSet | SentinelSet]] = {"cluster": ClusterSet, "sentinel": SentinelSet} if PROGRAMS else {}
"""They run on the first program there is: what differs between programs, the single servers show."""

REAL = [*PROGRAMS, *SETS]

SINGLE = ["in-process", *PROGRAMS]
"""For long tables of what one script says: the sets run the same programs, and other tests show each script on them."""


def pytest_report_header() -> str:
    """Say what the tests run on."""
    found = ", ".join(program.name for program in PROGRAMS.values()) or "none"
    return f"servers: {found} and the in-process imitation"


def pytest_configure() -> None:
    """In CI every server must be there: a skip would pass for a test."""
    missing = {"valkey", "redis"} - set(PROGRAMS)
    if os.environ.get("CI") == "true" and missing:
        raise pytest.UsageError(f"in CI these servers are needed and missing: {', '.join(sorted(missing))}")


WAITING = (
    *("anomalies", "browser", "commands", "engine", "runtimes", "sdk"),
    *("store/test_connection.py", "store/test_durability.py"),
    *("edges/test_hostile_requests.py", "edges/test_slow_clients.py", "fuzz/test_described.py"),
    *("test_cli.py", "test_embedded.py", "test_inspection.py", "test_readme.py"),
)
"""Tests that start processes or go by the clock. They wait more than they work, and are not run beside what works."""

ALONE = ("chaos", "engine/test_shopify.py", "store/test_servers.py")
"""Tests that do many things at once themselves, such as sixteen TLS connections within the two seconds of a try."""

SEPARATE = ("engine", "fuzz", "test_cli.py", "test_inspection.py", "test_readme.py")
"""Of these each test stands for itself; those of another file share what is dear to start, and stay together."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what waits, and what is run alone."""
    if _is_of(item.path, ALONE):
        item.add_marker("alone")
    elif _is_of(item.path, WAITING):
        item.add_marker("waits")


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Shares tests out among processes: what stays together is one piece. For `--dist loadscope`."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if _is_of(HERE.parent / path, SEPARATE):
            return nodeid
        # The functions of one runtime are started once: `[runtime-row]`.
        return f"{path} {name.rpartition('-')[0]}" if _is_of(HERE.parent / path, ("runtimes",)) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together | None:
    """Take ours where it is asked for."""
    return Together(config, log) if config.getvalue("dist") == "loadscope" else None


def _is_of(path: Path, paths: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(HERE / one) for one in paths)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Starts each kind of server once; a call with its family gives its URL."""
    running: dict[str, EmbeddedServer | ServerSet] = {}

    def url_of(family: str) -> str:
        if family == "in-process":
            return IN_PROCESS_URL
        if family not in running:
            directory = tmp_path_factory.mktemp(family)
            running[family] = (
                SETS[family](next(iter(PROGRAMS.values())), directory)
                if family in SETS
                else EmbeddedServer(PROGRAMS[family], directory)
            )
            running[family].start()
        return running[family].url

    yield url_of
    for server in running.values():
        server.stop()


class Clock:
    """The clock of a store's scripts, in Unix ms."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.now = START

    async def set(self, now: int) -> None:
        """Set all shards' clocks."""
        self.now = now
        for shard in range(self._store.shards):
            await self._store.connection.call("SET", f"{self._store.connection.root(shard)}:clock", now)

    async def advance(self, ms: int) -> None:
        """Move time on, or back."""
        await self.set(self.now + ms)


def _fresh_store(url: str) -> Store:
    # A prefix of its own keeps a test's keys from all others on the same server.
    return open_store(url, prefix=f"t{next(_prefixes)}", shards=2, test_clock=True)


@pytest.fixture(params=["in-process", *REAL])
async def store(request: pytest.FixtureRequest, server_url: Callable[[str], str]) -> AsyncIterator[Store]:
    """An empty store with a standing clock, once per server."""
    opened = _fresh_store(server_url(request.param))
    await Clock(opened).set(START)
    yield opened
    await opened.close()


@pytest.fixture(params=REAL)
async def real_store(request: pytest.FixtureRequest, server_url: Callable[[str], str]) -> AsyncIterator[Store]:
    """An empty store with a standing clock, once per real server."""
    opened = _fresh_store(server_url(request.param))
    await Clock(opened).set(START)
    yield opened
    await opened.close()


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The clock of this test's store."""
    name = "store" if "store" in request.fixturenames else "real_store"
    return Clock(request.getfixturevalue(name))


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test's own, to be killed and restarted: Valkey, else Redis."""
    server = EmbeddedServer(next(iter(PROGRAMS.values())), tmp_path / "server")
    server.start()
    yield server
    server.stop()
