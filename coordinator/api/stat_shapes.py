"""The shapes of what is told of all jobs together, as `answer_shapes` has those of single things."""

import msgspec

from coordinator.api.answer_shapes import MemberShape


class _Shape(msgspec.Struct, rename="camel"):
    """What all have in common."""


class OldestDueShape(_Shape):
    queue: str
    due_at: str | None
    latency_ms: int


class CountsShape(_Shape):
    queued: int
    scheduled: int
    retrying: int
    running: int
    succeeded: int
    dead: int
    cancelled: int


class QueueSeriesShape(_Shape):
    created: list[int]
    succeeded: list[int]
    failed: list[int]
    dead: list[int]


class SeriesShape(QueueSeriesShape, kw_only=True):
    """A number for each minute; null where nothing was there to be measured."""

    started: list[int]
    cancelled: list[int]
    throttled: list[int]
    wait_p50_ms: list[int | None] = msgspec.field(name="waitP50Ms")
    wait_p95_ms: list[int | None] = msgspec.field(name="waitP95Ms")
    run_p50_ms: list[int | None] = msgspec.field(name="runP50Ms")
    run_p95_ms: list[int | None] = msgspec.field(name="runP95Ms")


class QueueStatShape(_Shape):
    name: str
    counts: CountsShape
    latency_ms: int
    paused: bool
    series: QueueSeriesShape


class WorkerStatShape(_Shape):
    name: str
    succeeded: int
    failed: int
    run_p50_ms: int | None = msgspec.field(name="runP50Ms")
    run_p95_ms: int | None = msgspec.field(name="runP95Ms")


class MembersShape(_Shape):
    items: list[MemberShape]
    unled: list[int]


class StoreStatShape(_Shape):
    used_bytes: int
    max_bytes: int | None
    percent: float | None


class StatShape(_Shape):
    """`GET /stat`. What concerns all queues is null for a token of some."""

    now: str | None
    since: str | None
    minutes: int
    step_ms: int
    counts: CountsShape
    oldest_due: OldestDueShape | None
    series: SeriesShape
    queues: list[QueueStatShape]
    workers: list[WorkerStatShape] | None
    replicas: MembersShape | None
    store: StoreStatShape | None
    is_truncated: bool


class ErrorKindShape(_Shape):
    type: str | None
    message: str | None


class DeadGroupShape(_Shape):
    """Jobs that died of the same; `match` finds them with `error~=`, and `job_id` is the last of them."""

    queue: str
    worker: str
    error: ErrorKindShape
    count: int
    last_at: str | None
    job_id: str
    match: str | None


class DeadShape(_Shape):
    """`GET /dead`."""

    groups: list[DeadGroupShape]
    looked: int
    is_truncated: bool
