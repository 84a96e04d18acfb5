"""Reads the events of `GET /event`, and goes on where it was when the connection breaks."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import CommandClient

Event = dict[str, Any]

_PATIENCE_S = 60.0
"""How long a coordinator may be away, that was there."""


def events(client: CommandClient, query: Mapping[str, Any], tell: Callable[[str], None]) -> Iterator[Event]:
    """All events from now on, without end; first `hello`, and `gap` where some were missed.

    Raises `CoordinatorError`.
    """
    after: str | None = None
    heard_at: float | None = None
    while True:
        try:
            asked = {**query} | ({"after": after} if after else {})
            with client.lines("GET", "/event", accept="text/event-stream", query=asked) as lines:
                for event, event_id in messages(lines):
                    heard_at = time.monotonic()
                    after = event_id or after
                    if event is not None:
                        yield event
            told = "the connection was closed"
        except CoordinatorError as error:
            # One that never answered is not waited for; nor is a refusal, unless it is the one that a restart tells.
            if heard_at is None or error.status not in {0, 502, 503, 504}:
                raise
            if time.monotonic() - heard_at > _PATIENCE_S:
                raise
            told = error.detail
        tell(f"waiting: {told}")
        time.sleep(1)


def messages(lines: Iterator[str]) -> Iterator[tuple[Event | None, str | None]]:
    """The messages of a `text/event-stream`, as the HTML standard has it, whose data is JSON; and their ids.

    One without an event is a sign of life that says how far it is.
    """
    name, data, event_id = "", [], None
    for line in lines:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "event":
                    name = value
                case "data":
                    data.append(value)
                case "id":
                    event_id = value
        else:
            yield ({"type": name} | json.loads("\n".join(data))) if data else None, event_id
            name, data, event_id = "", [], None
