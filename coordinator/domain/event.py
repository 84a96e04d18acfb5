"""What happens, told as it does: to whom which of it, and where whoever was cut off goes on."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from coordinator.errors import Invalid

TYPES = (
    *("job.created", "job.queued", "job.started", "job.progress", "job.retrying", "job.succeeded", "job.dead"),
    *("job.cancelled", "job.changed", "job.deleted", "schedule.ticked", "schedule.skipped"),
    *("queue.paused", "queue.resumed", "queue.changed", "queue.deleted", "circuit.opened", "circuit.closed"),
)

# Redis takes no larger numbers.
_PLACES = re.compile(r"[0-9a-f]{1,15}(_[0-9a-f]{1,3}\.[0-9a-f]{1,15}\.[0-9a-f]{1,15})*", re.ASCII)

Places = dict[int, str]
"""By shard, the place of the last event in its stream: `<ms>-<number>`."""


class Event(msgspec.Struct, frozen=True, rename="camel", kw_only=True, dict=True):
    """`at` is in ISO 8601. `more` is what only some types tell."""

    type: str
    at: str
    queue: str | None = None
    key: str | None = None
    worker: str | None = None
    job_id: str | None = None
    schedule_id: str | None = None
    batch_id: str | None = None
    attempt: int | None = None
    state: str | None = None
    more: Mapping[str, Any] = {}

    @cached_property
    def encoded(self) -> bytes:
        """As callers see it, in JSON: made once, and not before somebody is told, however many are."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        more: dict[str, Any] = told.pop("more")
        return msgspec.json.encode(told | more)


class Chosen(msgspec.Struct, frozen=True):
    """Which events are wanted; None is any. `types` are whole ones, and beginnings that end with a dot."""

    queue: str | None = None
    worker: str | None = None
    job_id: str | None = None
    schedule_id: str | None = None
    types: tuple[str, ...] = ()

    def takes(self, event: Event) -> bool:
        """Whether this one is."""
        return (
            self.queue in (None, event.queue)
            and self.worker in (None, event.worker)
            and self.job_id in (None, event.job_id)
            and self.schedule_id in (None, event.schedule_id)
            and (not self.types or event.type.startswith(self.types))
        )


def read_types(text: str | None) -> tuple[str, ...]:
    """Types by commas. Raises `Invalid`."""
    asked = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in asked:
        if not any(known == name or (name.endswith(".") and known.startswith(name)) for known in TYPES):
            raise Invalid("type", f"{name[:80]!r} is none; there are {', '.join(TYPES)}, and job. is all that begin so")
    return asked


def write_places(places: Places) -> str:
    """A text from which `read_places` reads the same: short, since it stands in each message."""
    parts = [(shard, *order_of(place)) for shard, place in sorted(places.items())]
    newest = max((ms for _, ms, _ in parts), default=0)
    return "_".join([f"{newest:x}", *(f"{shard:x}.{newest - ms:x}.{number:x}" for shard, ms, number in parts)])


def read_places(text: str) -> Places | None:
    """None for what is not of our making."""
    if not _PLACES.fullmatch(text):
        return None
    newest, *parts = text.split("_")
    found: Places = {}
    for part in parts:
        shard, before, number = (int(digits, 16) for digits in part.split("."))
        if before > int(newest, 16):
            return None
        found[shard] = f"{int(newest, 16) - before}-{number}"
    return found


def order_of(place: str) -> tuple[int, int]:
    """What compares as the places of one stream do."""
    ms, _, number = place.partition("-")
    return int(ms), int(number)
