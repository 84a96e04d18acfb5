"""Queues in Redis: a hash of settings each, and the counts of their indexes."""

from collections.abc import Mapping

from coordinator.domain.ids import shard_of_queue
from coordinator.domain.queue import RETENTION_DEFAULTS, QueueSettings, QueueView, Rate, Retention
from coordinator.store.connection import Connection

_COUNTS = ("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled")


class QueueStore:
    """Settings and counts of queues. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """A queue lives whole in the shard of its name."""
        self._connection = connection

    async def configure(self, name: str, settings: QueueSettings) -> int | None:
        """Replace the settings, but not a pause that they leave open.

        Returns in how many ms the queue has something to claim, None if it has not.
        """
        fields = _fields(settings)
        _, due_in = await self._connection.run("configure_queue", self._root(name), list(fields.items()), name=name)
        return None if due_in < 0 else due_in

    async def read(self, name: str) -> QueueView:
        """A queue as it is now; one that was never heard of is empty and without limits."""
        _, now, pairs, *counts, oldest = await self._connection.run("read_queue", self._root(name), queue=name)
        field = {key.decode(): value.decode() for key, value in zip(pairs[::2], pairs[1::2], strict=True)}
        return QueueView(
            name=name,
            settings=_settings(field),
            counts=dict(zip(_COUNTS, counts, strict=True)),
            oldest_due_at=int(float(oldest)) if oldest else None,
            now=now,
        )

    async def names(self) -> list[str]:
        """Every queue that ever had a job or settings, sorted."""
        found: list[str] = []
        for shard in range(self._connection.shards):
            _, names = await self._connection.run("list_queues", self._connection.root(shard))
            found.extend(name.decode() for name in names)
        return sorted(found)

    def _root(self, name: str) -> str:
        return self._connection.root(shard_of_queue(name, self._connection.shards))


def _fields(settings: QueueSettings) -> dict[str, str | int]:
    """The hash of a queue; an empty value removes the field."""
    rate = settings.rate
    fields: dict[str, str | int] = {
        "concurrency": "" if settings.concurrency is None else settings.concurrency,
        "rate_limit": rate.limit if rate else "",
        "rate_period_ms": rate.period_ms if rate else "",
        "rate_burst": rate.burst if rate else "",
    }
    if settings.paused is not None:
        fields["paused"] = 1 if settings.paused else ""
    for state in RETENTION_DEFAULTS:
        keep = settings.retention.get(state)
        fields[f"{state}_age_ms"] = keep.age_ms if keep else ""
        fields[f"{state}_count"] = keep.count if keep else ""
    return fields


def _settings(field: Mapping[str, str]) -> QueueSettings:
    rate = None
    if "rate_limit" in field:
        rate = Rate(int(field["rate_limit"]), int(field["rate_period_ms"]), int(field["rate_burst"]))
    return QueueSettings(
        concurrency=int(field["concurrency"]) if "concurrency" in field else None,
        rate=rate,
        paused="paused" in field,
        retention={
            state: Retention(int(field[f"{state}_age_ms"]), int(field[f"{state}_count"]))
            for state in RETENTION_DEFAULTS
            if f"{state}_age_ms" in field
        },
    )
