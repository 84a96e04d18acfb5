"""What each handler reads and answers, beside its name, because the handlers take raw bodies.

`openapi` describes it, and `guards` refuses the query parameters that are not told here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from coordinator.api.answer_shapes import (
    AdvancedShape,
    AuditPage,
    BatchShape,
    BulkShape,
    DemoCallList,
    HealthShape,
    JobPage,
    KeyPage,
    KeyShape,
    NewTokenShape,
    PassShape,
    PingShape,
    PreviewShape,
    PurgedJobShape,
    QueueList,
    QueueShape,
    ReadyShape,
    ReceiptList,
    RosterShape,
    SchedulePage,
    SyncShape,
    TokenList,
    WorkerList,
    WorkerShape,
)
from coordinator.api.answers import (
    DryJobAnswer,
    DryScheduleAnswer,
    ErasedAnswer,
    HeartbeatAnswer,
    JobAnswer,
    ReceiptAnswer,
    ScheduleAnswer,
)
from coordinator.api.batches import BatchBody
from coordinator.api.bulk_bodies import NDJSON, BulkBody
from coordinator.api.dead import DeadQuery
from coordinator.api.dev_bodies import AdvanceBody
from coordinator.api.event_query import EventQuery
from coordinator.api.job_bodies import (
    DryRunQuery,
    DurabilityQuery,
    EditBody,
    EnqueueQuery,
    ForceQuery,
    ListQuery,
    NewJobBody,
    RetryBody,
)
from coordinator.api.keys import ACTIONS as KEY_ACTIONS
from coordinator.api.queue_bodies import QueueBody
from coordinator.api.reading import CursorQuery, Duration
from coordinator.api.receipts import ReceiptsBody
from coordinator.api.rule_bodies import PreviewBody
from coordinator.api.schedule_bodies import DeleteQuery, PatchBody
from coordinator.api.session_bodies import SessionAnswer, SessionBody
from coordinator.api.stat_shapes import DeadShape, StatShape
from coordinator.api.stats import StatQuery
from coordinator.api.sync import SyncBody
from coordinator.api.tokens import TokenBody
from coordinator.api.waiting import WaitQuery
from coordinator.api.worker_bodies import WorkerBody
from coordinator.domain.receipt import STATUSES
from coordinator.sdk.sources import SOURCES
from coordinator.telemetry.metrics import CONTENT_TYPES

Shape = type[msgspec.Struct]


class _FenceBody(msgspec.Struct, rename="camel", kw_only=True):
    """Which attempt is meant."""

    attempt: Annotated[int, msgspec.Meta(ge=1)] | None = None
    token: str | None = None


class HeartbeatBody(_FenceBody, kw_only=True):
    """`POST /job/:id/heartbeat`. As of a receipt, only here."""

    status: Literal["running"] = "running"
    progress: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    message: str | None = None
    extend: Duration | None = None


class ReceiptBody(_FenceBody, kw_only=True):
    """`POST /job/:id/receipt`. Only here: a receipt is read field by field, each by what its status means."""

    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*STATUSES, "error"]})]
    error: Any = None
    result: Any = None
    retryable: bool = True
    retry_after: int | float | str | None = None
    limits: dict[str, float] | None = None
    progress: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    message: str | None = None
    extend: Duration | None = None


class Problem(msgspec.Struct):
    """Any refusal (RFC 9457); further members depend on the `code`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []


@dataclass(frozen=True, slots=True)
class Operation:
    """What a handler reads and, by status, what it answers; no shape is any object, or nothing with 204.

    `body_of_schedule` is what the body is where a schedule's id stands in a job's place, if that is another.
    `path` is how callers see one that the router knows only the beginning of, `words` what its last part may be.
    With `takes_key` a request may be named by `Idempotency-Key`; an answer of the status `replays` may be of before.
    `media_types` are those of an answer that is text, and no JSON; `lines` that of one which comes line by line, for
    those who ask for it.
    """

    answers: dict[int, Sequence[Shape]]
    body: Shape | None = None
    body_of_schedule: Shape | None = None
    query: Shape | None = None
    refuses: Sequence[int] = ()
    has_to_have_body: bool = True
    path: str | None = None
    words: Sequence[str] = ()
    media_types: Sequence[str] = ()
    lines: str | None = None
    takes_key: bool = False
    replays: int | None = None

    @property
    def bodies(self) -> list[Shape]:
        """What the body may be."""
        return [body for body in (self.body, self.body_of_schedule) if body]


OPERATIONS = {
    "enqueue_job": Operation(
        {200: [JobAnswer, PurgedJobShape, DryJobAnswer, DryScheduleAnswer], 201: [JobAnswer, ScheduleAnswer]},
        body=NewJobBody,
        query=EnqueueQuery,
        refuses=(400, 404, 409, 413, 415, 422, 503),
        takes_key=True,
        replays=201,
    ),
    "enqueue_batch": Operation(
        {201: [BatchShape], 207: [BatchShape]},
        body=BatchBody,
        query=DurabilityQuery,
        refuses=(400, 413, 415, 422, 503),
        takes_key=True,
    ),
    "read_batch": Operation({200: [BatchShape]}, refuses=(404, 503)),
    "cancel_batch": Operation({200: [BatchShape]}, refuses=(404, 415, 503)),
    "act_in_bulk": Operation(
        {200: [BulkShape]},
        body=BulkBody,
        query=DryRunQuery,
        refuses=(400, 413, 415, 422, 503),
        lines=NDJSON,
    ),
    "purge_queue": Operation({200: [BulkShape]}, refuses=(415, 422, 503)),
    "list_jobs": Operation({200: [JobPage]}, query=ListQuery, refuses=(422, 503)),
    "read_job": Operation({200: [JobAnswer, ScheduleAnswer]}, query=WaitQuery, refuses=(404, 422, 503)),
    "delete_job": Operation({200: [JobAnswer, ErasedAnswer]}, query=ForceQuery, refuses=(404, 409, 422, 503)),
    "receive_receipt": Operation(
        {200: [ReceiptAnswer]},
        body=ReceiptBody,
        query=DurabilityQuery,
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    "receive_receipts": Operation(
        {200: [ReceiptList]}, body=ReceiptsBody, query=DurabilityQuery, refuses=(400, 413, 415, 422, 503)
    ),
    "receive_heartbeat": Operation(
        {200: [HeartbeatAnswer]},
        body=HeartbeatBody,
        refuses=(400, 404, 409, 413, 415, 422, 503),
        has_to_have_body=False,
    ),
    "edit_job": Operation(
        {200: [JobAnswer, ScheduleAnswer]},
        body=EditBody,
        body_of_schedule=PatchBody,
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    "cancel_job": Operation({200: [JobAnswer]}, refuses=(404, 409, 415, 503)),
    "retry_job": Operation(
        {200: [JobAnswer]}, body=RetryBody, refuses=(400, 404, 409, 413, 415, 422, 503), has_to_have_body=False
    ),
    "run_job": Operation({200: [JobAnswer]}, refuses=(404, 409, 415, 503)),
    "list_queues": Operation({200: [QueueList]}, refuses=(503,)),
    "read_queue": Operation({200: [QueueShape]}, refuses=(404, 422, 503)),
    "put_queue": Operation({200: [QueueShape]}, body=QueueBody, refuses=(400, 413, 415, 422, 503)),
    "delete_queue": Operation({204: []}, refuses=(404, 409, 422, 503)),
    "pause_queue": Operation({200: [QueueShape]}, refuses=(415, 422, 503)),
    "resume_queue": Operation({200: [QueueShape]}, refuses=(415, 422, 503)),
    "list_keys": Operation({200: [KeyPage]}, query=CursorQuery, refuses=(422, 503)),
    "read_key": Operation({200: [KeyShape]}, refuses=(422, 503)),
    "change_key": Operation(
        {200: [KeyShape]}, refuses=(404, 415, 422, 503), path="/queue/{name}/key/{key}/{action}", words=KEY_ACTIONS
    ),
    "list_schedules": Operation({200: [SchedulePage]}, query=CursorQuery, refuses=(422, 503)),
    "preview_schedule": Operation({200: [PreviewShape]}, body=PreviewBody, refuses=(400, 413, 415, 422, 503)),
    "read_schedule": Operation({200: [ScheduleAnswer]}, refuses=(404, 503)),
    "put_schedule": Operation(
        {200: [ScheduleAnswer], 201: [ScheduleAnswer]}, body=NewJobBody, refuses=(400, 404, 409, 413, 415, 422, 503)
    ),
    "edit_schedule": Operation({200: [ScheduleAnswer]}, body=PatchBody, refuses=(400, 404, 409, 413, 415, 422, 503)),
    "delete_schedule": Operation({200: [ErasedAnswer]}, query=DeleteQuery, refuses=(404, 422, 503)),
    "pause_schedule": Operation({200: [ScheduleAnswer]}, refuses=(404, 409, 415, 503)),
    "resume_schedule": Operation({200: [ScheduleAnswer]}, refuses=(404, 409, 415, 503)),
    "trigger_schedule": Operation({201: [JobAnswer]}, refuses=(404, 415, 503)),
    "sync_all": Operation({200: [SyncShape]}, body=SyncBody, query=DryRunQuery, refuses=(400, 409, 413, 415, 422, 503)),
    "list_workers": Operation({200: [WorkerList]}, refuses=(503,)),
    "read_worker": Operation({200: [WorkerShape]}, refuses=(404, 422, 503)),
    "put_worker": Operation(
        {200: [WorkerShape], 201: [WorkerShape]}, body=WorkerBody, refuses=(400, 413, 415, 422, 503)
    ),
    "ping_worker": Operation({200: [PingShape]}, refuses=(404, 415, 422, 503), path="/worker/{name}/ping"),
    "delete_worker": Operation({204: []}, refuses=(404, 422, 503)),
    "list_tokens": Operation({200: [TokenList]}, refuses=(503,)),
    "make_token": Operation({201: [NewTokenShape]}, body=TokenBody, refuses=(400, 409, 413, 415, 422, 503)),
    "revoke_token": Operation({204: []}, refuses=(404, 409, 503)),
    "list_audit": Operation({200: [AuditPage]}, query=CursorQuery, refuses=(422, 503)),
    "open_session": Operation(
        {201: [SessionAnswer]}, body=SessionBody, refuses=(400, 401, 403, 413, 415, 422, 429, 503)
    ),
    "read_session": Operation({200: [SessionAnswer]}, refuses=(503,)),
    "close_session": Operation({204: []}, refuses=(503,)),
    "list_dead": Operation({200: [DeadShape]}, query=DeadQuery, refuses=(422, 503)),
    "watch_events": Operation({200: []}, query=EventQuery, refuses=(404, 422, 503), media_types=("text/event-stream",)),
    "read_stats": Operation({200: [StatShape]}, query=StatQuery, refuses=(422, 503)),
    "health": Operation({200: [HealthShape]}),
    "make_pass": Operation({200: [PassShape]}, query=WaitQuery, refuses=(415, 422, 503)),
    "list_replicas": Operation({200: [RosterShape]}, refuses=(503,)),
    "ready": Operation({200: [ReadyShape]}, refuses=(503,)),
    "advance_time": Operation(
        {200: [AdvancedShape]}, body=AdvanceBody, query=WaitQuery, refuses=(400, 409, 413, 415, 422, 503)
    ),
    "reset_store": Operation({204: []}, refuses=(409, 415, 503)),
    "list_demo_requests": Operation({200: [DemoCallList]}),
    "read_metrics": Operation({200: []}, media_types=CONTENT_TYPES),
    "read_openapi": Operation({200: []}),
    "read_sdk": Operation(
        {200: []},
        refuses=(404,),
        path="/sdk/{name}",
        words=[source.name for source in SOURCES],
        media_types=[source.media_type for source in SOURCES],
    ),
}
