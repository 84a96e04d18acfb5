"""Queues in Redis: a hash of settings each, and the counts of their indexes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from coordinator.domain.ids import shard_of_queue
from coordinator.domain.job import STATES
from coordinator.domain.queue import (
    CIRCUIT_DEFAULT,
    MAX_WAITING_DEFAULT,
    NO_DEFAULTS,
    RETENTION_DEFAULTS,
    Circuit,
    CircuitView,
    KeyLimits,
    KeyView,
    QueueDefaults,
    QueueSettings,
    QueueTally,
    QueueView,
    Rate,
    Retention,
)
from coordinator.store.connection import Connection, Reply
from coordinator.store.scripts import or_empty

_defaults_decoder = msgspec.json.Decoder(QueueDefaults)

READ_LIMIT = 100
"""Queues that one script reads: it holds Redis for some milliseconds, and a little longer for a worker that fails."""


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
        (view,) = await self.read_all([name])
        return view

    async def read_all(self, names: Sequence[str]) -> list[QueueView]:
        """The same of each of these, a hundred in one script; those of one shard together."""
        return [
            _queue_view(name, now, told)
            for queues, (_, now, rows) in await self._by_hundreds("read_queues", names)
            for name, told in zip(queues, rows, strict=True)
        ]

    async def pause(self, name: str, *, paused: bool) -> int | None:
        """Pause the whole queue, or resume it, with its jobs without a key that are blocked. Returns as `configure`."""
        if not paused:
            await self._connection.run("configure_lane", self._root(name), name=name, action="reset")
        rows = [("paused", 1 if paused else "")]
        _, due_in = await self._connection.run("configure_queue", self._root(name), rows, name=name)
        return None if due_in < 0 else due_in

    async def delete(self, name: str) -> str:
        """Forget a queue without jobs. Returns `ok`, `invalid_state` while it has jobs, or `queue_not_found`."""
        (reply,) = await self._connection.run("delete_queue", self._root(name), name=name)
        return str(reply.decode())

    async def change_key(self, name: str, key: str, action: Literal["pause", "resume", "reset"]) -> int | None:
        """Pause or resume a key, or forget what is held against it. Returns as `configure` does."""
        lane = f"{name}#{key}"
        _, due_in = await self._connection.run("configure_lane", self._root(name), name=lane, action=action)
        return None if due_in < 0 else due_in

    async def read_key(self, name: str, key: str) -> KeyView:
        """A key as it is now; one that was never heard of is free."""
        _, _, _, (view,) = await self._read_lanes(name, f"{name}#{key}", "0", 1)
        return _key_view(view)

    async def list_keys(self, name: str, cursor: str, limit: int) -> tuple[list[KeyView], str]:
        """About `limit` of the keys that have jobs waiting, and where to go on: "0" at the end.

        A key that is there from the first page to the last is listed at least once, as SCAN has it.
        """
        _, _, after, views = await self._read_lanes(name, "", cursor, limit)
        return [_key_view(view) for view in views], after.decode()

    async def _read_lanes(self, name: str, lane: str, cursor: str, limit: int) -> Reply:
        return await self._connection.run(
            "read_lanes", self._root(name), queue=name, name=lane, cursor=cursor, limit=limit
        )

    async def tallies(self, names: Sequence[str]) -> tuple[int, list[QueueTally]]:
        """How many jobs of these queues are in which state, at the instant (Unix ms) that comes with them."""
        replies = await self._by_hundreds("read_tallies", names)
        found = [
            QueueTally(
                name=name,
                counts=dict(zip(STATES, counts, strict=True)),
                paused=bool(paused),
                oldest_due_at=int(oldest) if oldest else None,
                open_circuits=tuple(worker.decode() for worker in circuits),
            )
            for queues, (_, _, rows) in replies
            for name, (paused, oldest, circuits, *counts) in zip(queues, rows, strict=True)
        ]
        return max((now for _, (_, now, _) in replies), default=0), found

    async def names(self) -> list[str]:
        """Every queue that ever had a job or settings, sorted."""
        shards = range(self._connection.shards)
        replies = await asyncio.gather(
            *(self._connection.run("list_queues", self._connection.root(shard)) for shard in shards)
        )
        return sorted(name.decode() for _, names in replies for name in names)

    async def _by_hundreds(self, script: str, names: Sequence[str]) -> list[tuple[list[str], Reply]]:
        """Some of these queues, all of one shard, and what a script that reads many has answered of them."""
        shards: dict[int, list[str]] = {}
        for name in names:
            shards.setdefault(shard_of_queue(name, self._connection.shards), []).append(name)
        batches = [
            (self._connection.root(shard), queues[start : start + READ_LIMIT])
            for shard, queues in shards.items()
            for start in range(0, len(queues), READ_LIMIT)
        ]
        replies = await asyncio.gather(
            *(self._connection.run(script, root, [(queue,) for queue in queues]) for root, queues in batches)
        )
        return [(queues, reply) for (_, queues), reply in zip(batches, replies, strict=True)]

    def _root(self, name: str) -> str:
        return self._connection.root(shard_of_queue(name, self._connection.shards))


def _queue_view(name: str, now: int, told: list[Any]) -> QueueView:
    pairs, circuits, counts, oldest, blocked_until = told
    field = {key.decode(): value.decode() for key, value in zip(pairs[::2], pairs[1::2], strict=True)}
    return QueueView(
        name=name,
        settings=_settings(field),
        counts=dict(zip(STATES, counts, strict=True)),
        oldest_due_at=int(float(oldest)) if oldest else None,
        circuits=[
            CircuitView(worker.decode(), failures, None if until < 0 else until) for worker, failures, until in circuits
        ],
        blocked_until=int(blocked_until) if blocked_until else None,
        now=now,
    )


def _key_view(view: list[Any]) -> KeyView:
    lane, tokens, burst, refill, running, waiting, paused, blocked_until = view
    return KeyView(
        key=lane.decode().partition("#")[2],
        tokens=float(tokens) if tokens else None,
        burst=_number(burst.decode()) if burst else None,
        refill_per_second=_number(refill.decode()) if refill else None,
        running=running,
        waiting=waiting,
        paused=bool(paused),
        blocked_until=int(blocked_until) if blocked_until else None,
    )


def _fields(settings: QueueSettings) -> dict[str, str | int | float]:
    """The hash of a queue; an empty value removes the field."""
    fields: dict[str, str | int | float] = {
        "concurrency": or_empty(settings.concurrency),
        "key_concurrency": or_empty(settings.per_key.concurrency),
        **_rate_fields("rate", settings.rate),
        **_rate_fields("key_rate", settings.per_key.rate),
    }
    # A default stands in no hash: a later version may find a better one.
    fields["max_waiting"] = "" if settings.max_waiting == MAX_WAITING_DEFAULT else settings.max_waiting
    own = settings.circuit if settings.circuit != CIRCUIT_DEFAULT else None
    fields["circuit_failures"] = 0 if settings.circuit is None else own.failures if own else ""
    fields["circuit_open_ms"] = own.open_ms if own else ""
    fields["defaults"] = "" if settings.defaults == NO_DEFAULTS else msgspec.json.encode(settings.defaults).decode()
    if settings.owner is not None:
        fields["owner"] = settings.owner
    if settings.paused is not None:
        fields["paused"] = 1 if settings.paused else ""
    for state in RETENTION_DEFAULTS:
        keep = settings.retention.get(state)
        fields[f"{state}_age_ms"] = keep.age_ms if keep else ""
        fields[f"{state}_count"] = keep.count if keep else ""
    return fields


def _rate_fields(prefix: str, rate: Rate | None) -> dict[str, str | int | float]:
    return {
        f"{prefix}_limit": rate.limit if rate else "",
        f"{prefix}_period_ms": rate.period_ms if rate else "",
        f"{prefix}_burst": rate.burst if rate else "",
    }


def _rate(field: Mapping[str, str], prefix: str) -> Rate | None:
    if f"{prefix}_limit" not in field:
        return None
    limit, period_ms, burst = (field[f"{prefix}_{name}"] for name in ("limit", "period_ms", "burst"))
    return Rate(_number(limit), int(period_ms), _number(burst))


def _number(text: str) -> float:
    """Whole where it is whole, for people."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _circuit(field: Mapping[str, str]) -> Circuit | None:
    if "circuit_failures" not in field:
        return CIRCUIT_DEFAULT
    failures = int(field["circuit_failures"])
    return Circuit(failures, int(field["circuit_open_ms"])) if failures else None


def _settings(field: Mapping[str, str]) -> QueueSettings:
    return QueueSettings(
        concurrency=int(field["concurrency"]) if "concurrency" in field else None,
        rate=_rate(field, "rate"),
        per_key=KeyLimits(
            concurrency=int(field["key_concurrency"]) if "key_concurrency" in field else None,
            rate=_rate(field, "key_rate"),
        ),
        max_waiting=int(field.get("max_waiting", MAX_WAITING_DEFAULT)),
        circuit=_circuit(field),
        defaults=_defaults_decoder.decode(field["defaults"]) if "defaults" in field else NO_DEFAULTS,
        owner=field.get("owner"),
        paused="paused" in field,
        retention={
            state: Retention(int(field[f"{state}_age_ms"]), int(field[f"{state}_count"]))
            for state in RETENTION_DEFAULTS
            if f"{state}_age_ms" in field
        },
    )
