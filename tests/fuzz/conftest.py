"""The real application, on the imitation and on one real server, and in the end the doctor."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest

from coordinator.app import build_app
from coordinator.engine.doctor import Doctor
from coordinator.settings import Settings
from coordinator.store.embedded import bundled_program
from coordinator.store.open import open_store
from tests.api.harness import Api, client_of, living

TOKEN = "fuzz-token"

_prefixes = itertools.count()

Start = Callable[[], AbstractAsyncContextManager[Api]]


@pytest.fixture(params=["in-process", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the store is."""
    return str(request.param)


@pytest.fixture
def start(kind: str, server_url: Callable[[str], str]) -> Start:
    """Starts the application with a token; its jobs find nobody to call."""

    @contextlib.asynccontextmanager
    async def run() -> AsyncIterator[Api]:
        family = kind if kind == "in-process" else "valkey" if bundled_program() else "redis"
        url, prefix = server_url(family), f"f{next(_prefixes)}"
        settings = Settings(tokens=TOKEN, worker_url="http://127.0.0.1:9/", poll_interval_ms=1000, shutdown_grace_ms=0)
        app = build_app(settings, open_store(url, prefix=prefix, shards=2))
        async with living(app), client_of(app) as client:
            yield Api(app, client)
            # What was refused has left nothing, and what was accepted is whole.
            assert [finding async for finding in Doctor(app.state["replica"].store).examine()] == []

    return run


Amount = TypeVar("Amount", int, str)


def examples(few: Amount, many: Amount) -> Amount:
    """How much is tried: little for each change, much in `scripts/prove`."""
    return many if os.environ.get("PROVE_LONG") else few
