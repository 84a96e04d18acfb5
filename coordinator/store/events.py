"""What happens in a shard, read from its stream: `lib/events.lua` writes it while somebody watches."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coordinator.domain.event import Event
from coordinator.domain.instants import format_instant
from coordinator.store.connection import Connection
from coordinator.store.sealing import PLAIN, Sealer

log = logging.getLogger(__name__)

READ_LIMIT = 1000
"""Events that one script reads: it holds Redis for a millisecond."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Each event with its place, and the place to go on from. If some were `missed`, nobody knows what came between.

    It `is_whole` if that was all that there is.
    """

    missed: bool
    place: str
    events: list[tuple[str, Event]]
    is_whole: bool


class EventStore:
    """Watches. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection, sealer: Sealer = PLAIN) -> None:
        """Nothing is watched before `read`."""
        self._connection = connection
        self._sealer = sealer

    async def read(self, shard: int, after: str = "") -> Happened:
        """What happened behind a place; nothing without one. From here on, and for a minute, the shard is watched."""
        root = self._connection.root(shard)
        _, missed, place, entries = await self._connection.run("read_events", root, after=after, limit=READ_LIMIT)
        return Happened(bool(missed), place.decode(), list(self._events(entries)), len(entries) < READ_LIMIT)

    def _events(self, entries: list[tuple[bytes, list[bytes]]]) -> Iterator[tuple[str, Event]]:
        for at, words in entries:
            try:
                yield at.decode(), self._event(dict(_pairs(words)))
            except (ValueError, KeyError):
                # Of another version, or of somebody else; it would be read again and again, and nothing behind it.
                log.exception("an entry of the events cannot be read, and is left out", extra={"event": "fault"})

    def _event(self, told: dict[str, str]) -> Event:
        queue, _, key = told.pop("lane", "").partition("#")
        job_id = told.pop("job", "") or None
        # A tick's job tells its schedule by its id.
        ticked = job_id.partition(":")[0] if job_id and ":" in job_id else None
        attempt = told.pop("attempt", "")
        return Event(
            type=told.pop("type"),
            at=format_instant(int(told.pop("at"))) or "",
            queue=queue or told.pop("queue", None),
            key=key or None,
            worker=told.pop("worker", "") or None,
            job_id=job_id,
            schedule_id=told.pop("schedule", "") or ticked,
            batch_id=told.pop("batch", "") or None,
            attempt=int(attempt) if attempt else None,
            state=told.pop("state", "") or None,
            more=dict(self._more(told, job_id)),
        )

    def _more(self, told: dict[str, str], job_id: str | None) -> Iterator[tuple[str, Any]]:
        for name, value in told.items():
            if not value:
                continue
            match name:
                case "next":
                    yield "nextAttemptAt", format_instant(int(float(value)))
                case "failures" | "skipped":
                    yield name, int(value)
                case "progress":
                    yield name, float(value)
                case "message":
                    yield name, self._sealer.show_text(value, f"job {job_id} message")
                case _:
                    yield name, value


def _pairs(words: list[bytes]) -> Iterator[tuple[str, str]]:
    for name, value in zip(words[::2], words[1::2], strict=True):
        yield name.decode(), value.decode(errors="replace")
