"""Answers that come bit by bit: what they hold is given back, however they end."""

from typing import Any

import pytest

from coordinator.api.streaming import Places, Streamed
from coordinator.errors import StoreUnavailable


async def test_what_a_stream_holds_is_given_back_also_when_its_end_fails():
    places = Places(1)
    places.take()

    async def chunks():
        try:
            yield b"one"
            yield b"two"
        finally:
            raise RuntimeError("the end fails")

    async def send(message):
        if message.get("body"):
            raise OSError("the client has gone")

    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(StoreUnavailable):
        places.take()
    answer = Streamed(chunks(), "text/plain", places.leave).to_asgi_response(None, None)
    scope: Any = {"type": "http"}
    with pytest.raises(RuntimeError, match="the end fails"):
        await answer(scope, receive, send)

    places.take()
