"""`coordinator token`, as far as it needs no process of its own: what it writes where."""

import getpass
import os
from collections.abc import Callable

import pytest

from coordinator.settings import Settings
from coordinator.store.embedded import bundled_program
from coordinator.store.open import open_store
from coordinator.token_command import administer


async def test_a_token_is_made_by_a_user_without_a_name_on_a_store_that_nobody_set_up(
    server_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As in a container: its user is a number. And how many shards there are is for the first replica to say."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    url = server_url("valkey" if bundled_program() else "redis")
    own = {"act": "create", "name": "x", "scopes": "read", "queues": "", "expires_in": None}

    assert await administer(url, Settings(prefix="cli-nobody"), own, as_json=False) == 0

    store = open_store(url, prefix="cli-nobody")
    (noted,) = await store.audit.page(0, 5)
    assert noted.token == f"cli:uid {os.getuid()}"
    assert noted.path == f"coordinator token create {next(iter(await store.tokens.read_all()))}"
    assert await store.leadership.shards_written() is None
    await store.close()
    said = capsys.readouterr()
    assert said.out.startswith("co_")
    assert "nobody comes in without a token" in said.err
