"""The shapes of answers that are made field by field: only described here, for `/openapi.json`.

tests/fuzz holds every answer to them, also that there is no field more.
"""

from typing import Any, Literal

import msgspec

from coordinator.api.answers import BackoffAnswer, JobAnswer, ScheduleAnswer
from coordinator.domain.queue import FinalState
from coordinator.domain.tokens import Scope


class Shape(msgspec.Struct, rename="camel"):
    """What all have in common."""


class RateShape(Shape):
    limit: float
    period_ms: int
    burst: float


class KeyLimitsShape(Shape):
    concurrency: int | None
    rate: RateShape | None


class CircuitShape(Shape):
    failures: int
    open_ms: int


class OpenCircuitShape(Shape):
    worker: str
    failures: int
    open_until: str | None


class DefaultsShape(Shape):
    max_attempts: int | None
    timeout_ms: int | None
    backoff: BackoffAnswer | None


class RetentionShape(Shape):
    age_ms: int
    count: int


class QueueShape(Shape):
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


class KeyShape(Shape):
    """A key of a queue. Without a rate it has no tokens."""

    key: str
    tokens: float | None
    burst: float | None
    refill_per_second: float | None
    running: int
    waiting: int
    paused: bool
    blocked_until: str | None


class WorkerBatchShape(Shape):
    size: int
    window_ms: int


class WorkerShape(Shape):
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


class PingShape(Shape):
    """What a ping came to."""

    ok: bool
    http_status: int | None
    duration_ms: int
    sdk: str | None
    workers: list[str] | None
    error: Any
    note: str | None


class MemberShape(Shape):
    id: str
    silent_ms: int
    leads: list[int]


class RosterShape(Shape):
    """Who works together."""

    answered_by: str
    shards: int
    unled: list[int]
    items: list[MemberShape]


class PassShape(Shape):
    """What a pass has done."""

    called: int
    ended: int
    ticked: int
    expired: int
    purged: int
    in_flight: int
    next_due_at: str | None


class AdvancedShape(PassShape, kw_only=True):
    """The time of the store, and what was done by then."""

    now: str
    ahead_ms: int


class DemoCallShape(Shape):
    """A call that the demo function got."""

    at: str
    headers: dict[str, str]
    body: Any
    status: int
    answer: Any


class DemoCallList(Shape):
    items: list[DemoCallShape]


class BatchShape(Shape):
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


class ItemErrorShape(Shape):
    """Why one of many was refused; further members depend on the `code`."""

    code: str
    detail: str


class BatchItemShape(Shape):
    """One job of a batch: its id, or why there is none."""

    index: int
    status: int
    id: str | msgspec.UnsetType = msgspec.UNSET
    duplicate: bool | msgspec.UnsetType = msgspec.UNSET
    error: ItemErrorShape | msgspec.UnsetType = msgspec.UNSET


class BulkShape(Shape):
    """What an act on many came to."""

    matched: int
    done: int
    more: bool


class PreviewShape(Shape):
    """When a rule would fire."""

    cron: str | None
    every_ms: int | None
    timezone: str
    next_runs: list[str]


class ThingShape(Shape):
    kind: str
    name: str


class ChangedThingShape(ThingShape):
    """Each of `fields` is a name, what is there, and what is declared or the default."""

    fields: list[tuple[str, Any, Any]]


class SyncShape(Shape):
    """What a declaration changes."""

    owner: str
    dry_run: bool
    created: list[ThingShape]
    updated: list[ChangedThingShape]
    deleted: list[ThingShape]
    unchanged: list[ThingShape]


class PurgedJobShape(Shape):
    """A job that was purged, of which the handle is all that is left."""

    id: str
    kind: Literal["job"]
    state: None
    duplicate: bool


class HealthShape(Shape):
    status: Literal["ok"]
    version: str


class ReadyShape(Shape):
    status: Literal["ready"]
    replica: str
    leads: int


class TokenShape(Shape):
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


class DeedShape(Shape):
    """Who has changed what. Without a token it was somebody on the same machine."""

    at: str
    token: str | None
    action: str
    path: str
    status: int
    address: str | None


class TokenList(Shape):
    """`GET /token`."""

    items: list[TokenShape]


class AuditPage(Shape):
    """`GET /audit`."""

    items: list[DeedShape]
    cursor: str | None


class QueueList(Shape):
    """`GET /queue`."""

    items: list[QueueShape]


class WorkerList(Shape):
    """`GET /worker`."""

    items: list[WorkerShape]


class ReceiptList(Shape):
    """`POST /receipt`."""

    items: list[dict[str, Any]]


class KeyPage(Shape):
    """`GET /queue/:name/key`. The cursor is null on the last page, here and below."""

    items: list[KeyShape]
    cursor: str | None


class SchedulePage(Shape):
    """`GET /schedule`."""

    items: list[ScheduleAnswer]
    cursor: str | None


class JobPage(Shape):
    """`GET /job`."""

    items: list[JobAnswer]
    cursor: str | None
