"""The real application, on the imitation and on one real server, with the real clock."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest

from coordinator.app import build_app
from coordinator.settings import Settings
from coordinator.store.embedded import bundled_program
from coordinator.store.open import Store, open_store
from tests.api.harness import LOCAL, Api, Function, client_of, living, resting

_prefixes = itertools.count()

Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(params=["in-process", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the store is."""
    return str(request.param)


@pytest.fixture
def live_store(kind: str, server_url: Callable[[str], str]) -> Store:
    """An empty store with the real clock. The application closes it."""
    family = kind if kind == "in-process" else "valkey" if bundled_program() else "redis"
    return open_store(server_url(family), prefix=f"a{next(_prefixes)}", shards=2)


@pytest.fixture
async def function() -> AsyncIterator[Function]:
    """A function that succeeds until told otherwise."""
    async with Function().serving() as served:
        yield served


@pytest.fixture
def start(live_store: Store, function: Function) -> Start:
    """Starts the application with settings; the function serves all workers, and nothing waits for it at the end."""

    @contextlib.asynccontextmanager
    async def run(*, takes_literal_secrets: bool = True, **settings: object) -> AsyncIterator[Api]:
        given = {
            "worker_url": function.url,
            "egress_allow": LOCAL,
            "poll_interval_ms": 100,
            "shutdown_grace_ms": 0,
        } | settings
        app = build_app(msgspec.convert(given, Settings), live_store, takes_literal_secrets=takes_literal_secrets)
        async with living(app), client_of(app) as client:
            yield Api(app, client)

    return run


@pytest.fixture
async def idle() -> AsyncIterator[Api]:
    """The application without tokens before its start."""
    async with resting() as resting_app:
        yield resting_app


@pytest.fixture
async def api(start: Start) -> AsyncIterator[Api]:
    """The application without tokens, with one entry point for all workers."""
    async with start() as started:
        yield started
