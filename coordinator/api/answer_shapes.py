"""The shapes of answers that are made field by field: only described here, for `/openapi.json`.

tests/fuzz holds every answer to them, also that there is no field more.
"""

from typing import Any, Literal

import msgspec

from coordinator.api.answers import BackoffAnswer, JobAnswer, ScheduleAnswer
from coordinator.domain.queue import FinalState
from coordinator.domain.tokens import Scope


class _Shape(msgspec.Struct, rename="camel"):
    """What all have in common."""


class RateShape(_Shape):
    limit: float
    period_ms: int
    burst: float


class KeyLimitsShape(_Shape):
    concurrency: int | None
    rate: RateShape | None


class CircuitShape(_Shape):
    failures: int
    open_ms: int


class OpenCircuitShape(_Shape):
    worker: str
    failures: int
    open_until: str | None


class DefaultsShape(_Shape):
    max_attempts: int | None
    timeout_ms: int | None
    backoff: BackoffAnswer | None


class RetentionShape(_Shape):
    age_ms: int
    count: int


class QueueShape(_Shape):
    """A queue, with how many of its jobs are in which state."""

    name: str
    queued: int
    scheduled: int
    retrying: int
    running: int
    succeeded: int
    dead: int
    cancelled: int
    latency_ms: int
    paused: bool
    blocked_until: str | None
    concurrency: int | None
    rate: RateShape | None
    per_key: KeyLimitsShape
    circuit: CircuitShape | None
    circuits: list[OpenCircuitShape]
    defaults: DefaultsShape
    max_waiting: int
    owner: str | None
    retention: dict[FinalState, RetentionShape]


class KeyShape(_Shape):
    """A key of a queue. Without a rate it has no tokens."""

    key: str
    tokens: float | None
    burst: float | None
    refill_per_second: float | None
    running: int
    waiting: int
    paused: bool
    blocked_until: str | None


class WorkerBatchShape(_Shape):
    size: int
    window_ms: int


class WorkerShape(_Shape):
    """A worker, without its secrets."""

    name: str
    url: str
    ack: str
    headers: dict[str, str | None]
    timeout_ms: int | None
    queue: str | None
    secret: str | None
    previous_secret: str | None
    auth: dict[str, str | None] | None
    batch: WorkerBatchShape | None
    owner: str | None
    unreadable: bool | msgspec.UnsetType = msgspec.UNSET


class PingShape(_Shape):
    """What a ping came to."""

    ok: bool
    http_status: int | None
    duration_ms: int
    sdk: str | None
    workers: list[str] | None
    error: Any
    note: str | None


class MemberShape(_Shape):
    id: str
    silent_ms: int
    leads: list[int]


class RosterShape(_Shape):
    """Who works together."""

    answered_by: str
    shards: int
    unled: list[int]
    items: list[MemberShape]


class PassShape(_Shape):
    """What a pass has done."""

    called: int
    ended: int
    ticked: int
    expired: int
    purged: int
    in_flight: int
    next_due_at: str | None


class BatchShape(_Shape):
    """A batch. `done` is how many were cancelled by this request."""

    id: str
    kind: Literal["batch"]
    state: Literal["open", "complete"]
    total: int
    pending: int
    succeeded: int
    dead: int
    cancelled: int
    refused: int
    created_at: str | None
    completed_at: str | None
    done: int | msgspec.UnsetType = msgspec.UNSET
    jobs: "list[BatchItemShape] | msgspec.UnsetType" = msgspec.UNSET


class ItemErrorShape(_Shape):
    """Why one of many was refused; further members depend on the `code`."""

    code: str
    detail: str


class BatchItemShape(_Shape):
    """One job of a batch: its id, or why there is none."""

    index: int
    status: int
    id: str | msgspec.UnsetType = msgspec.UNSET
    duplicate: bool | msgspec.UnsetType = msgspec.UNSET
    error: ItemErrorShape | msgspec.UnsetType = msgspec.UNSET


class BulkShape(_Shape):
    """What an act on many came to."""

    matched: int
    done: int
    more: bool


class PreviewShape(_Shape):
    """When a rule would fire."""

    cron: str | None
    every_ms: int | None
    timezone: str
    next_runs: list[str]


class ThingShape(_Shape):
    kind: str
    name: str


class SyncShape(_Shape):
    """What a declaration changes."""

    owner: str
    dry_run: bool
    created: list[ThingShape]
    updated: list[ThingShape]
    deleted: list[ThingShape]
    unchanged: list[ThingShape]


class PurgedJobShape(_Shape):
    """A job that was purged, of which the handle is all that is left."""

    id: str
    kind: Literal["job"]
    state: None
    duplicate: bool


class HealthShape(_Shape):
    status: Literal["ok"]
    version: str


class ReadyShape(_Shape):
    status: Literal["ready"]
    replica: str
    leads: int


class TokenShape(_Shape):
    """A token of the API, without its text."""

    id: str
    name: str
    scopes: list[Scope]
    queues: list[str]
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None
    is_setting: bool


class NewTokenShape(TokenShape, kw_only=True):
    """The same with its text, in the answer to its making only."""

    token: str


class DeedShape(_Shape):
    """Who has changed what. Without a token it was somebody on the same machine."""

    at: str
    token: str | None
    action: str
    path: str
    status: int
    address: str | None


class TokenList(_Shape):
    """`GET /token`."""

    items: list[TokenShape]


class AuditPage(_Shape):
    """`GET /audit`."""

    items: list[DeedShape]
    cursor: str | None


class QueueList(_Shape):
    """`GET /queue`."""

    items: list[QueueShape]


class WorkerList(_Shape):
    """`GET /worker`."""

    items: list[WorkerShape]


class ReceiptList(_Shape):
    """`POST /receipt`."""

    items: list[dict[str, Any]]


class KeyPage(_Shape):
    """`GET /queue/:name/key`. The cursor is null on the last page, here and below."""

    items: list[KeyShape]
    cursor: str | None


class SchedulePage(_Shape):
    """`GET /schedule`."""

    items: list[ScheduleAnswer]
    cursor: str | None


class JobPage(_Shape):
    """`GET /job`."""

    items: list[JobAnswer]
    cursor: str | None
