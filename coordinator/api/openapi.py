"""`/openapi.json`: this interface, described for machines (OpenAPI 3.1).

The paths and methods are read off the routes, so that none is missing. What a route reads and answers stands here
beside the handler's name, because the handlers take raw bodies; the schemas are those of the structs that read them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from coordinator import __version__
from coordinator.api.answers import HeartbeatAnswer, JobAnswer, ReceiptAnswer, ScheduleAnswer, json_response
from coordinator.api.batches import BatchBody
from coordinator.api.bulk import BulkBody
from coordinator.api.context import Request
from coordinator.api.job_bodies import DryRunQuery, EditBody, ForceQuery, ListQuery, NewJobBody
from coordinator.api.queue_bodies import QueueBody
from coordinator.api.reading import CursorQuery
from coordinator.api.rule_bodies import PreviewBody
from coordinator.api.schedule_bodies import PatchBody
from coordinator.api.schedules import DeleteQuery
from coordinator.api.sync import SyncBody
from coordinator.api.waiting import WaitQuery
from coordinator.api.worker_bodies import WorkerBody

Shape = type[msgspec.Struct]
Document = dict[str, Any]

_IN_PATH: Document = {"in": "path", "required": True, "schema": {"type": "string"}}
_REF = "#/components/schemas/{name}"


class ReceiptBody(msgspec.Struct, rename="camel"):
    """`POST /job/:id/receipt`. Only here: a receipt is read field by field, each by what its status means."""

    status: str
    error: Any = None
    result: Any = None
    retryable: bool = True
    retry_after: int | float | str | None = None
    limits: dict[str, float] | None = None
    progress: float | None = None
    message: str | None = None
    extend: int | str | None = None
    attempt: int | None = None
    token: str | None = None


class Problem(msgspec.Struct):
    """Any refusal (RFC 9457); further members depend on the `code`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []


class QueuePage(msgspec.Struct):
    """A list of objects without a schema of their own."""

    items: list[dict[str, Any]]


class JobPage(msgspec.Struct):
    """`GET /job`. The cursor is null on the last page."""

    items: list[JobAnswer]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _Operation:
    """What a handler reads and, by status, what it answers; no shape is any object, or nothing with 204."""

    answers: dict[int, Sequence[Shape]]
    body: Shape | None = None
    query: Shape | None = None
    refuses: Sequence[int] = ()


_OPERATIONS = {
    "enqueue_job": _Operation(
        {200: [JobAnswer], 201: [JobAnswer, ScheduleAnswer]},
        body=NewJobBody,
        query=DryRunQuery,
        refuses=(400, 409, 413, 415, 422, 503),
    ),
    "enqueue_batch": _Operation({201: [], 207: []}, body=BatchBody, refuses=(400, 413, 415, 422, 503)),
    "read_batch": _Operation({200: []}, refuses=(404, 503)),
    "cancel_batch": _Operation({200: []}, refuses=(404, 415, 503)),
    "act_in_bulk": _Operation({200: []}, body=BulkBody, refuses=(400, 413, 415, 422, 503)),
    "purge_queue": _Operation({200: []}, refuses=(415, 422, 503)),
    "list_jobs": _Operation({200: [JobPage]}, query=ListQuery, refuses=(422, 503)),
    "read_job": _Operation({200: [JobAnswer, ScheduleAnswer]}, query=WaitQuery, refuses=(404, 422, 503)),
    "delete_job": _Operation({200: [JobAnswer]}, query=ForceQuery, refuses=(404, 409, 422, 503)),
    "receive_receipt": _Operation(
        {200: [ReceiptAnswer]}, body=ReceiptBody, refuses=(400, 404, 409, 413, 415, 422, 503)
    ),
    "receive_heartbeat": _Operation(
        {200: [HeartbeatAnswer]}, body=ReceiptBody, refuses=(400, 404, 409, 413, 415, 422, 503)
    ),
    "edit_job": _Operation({200: [JobAnswer]}, body=EditBody, refuses=(400, 404, 409, 413, 415, 422, 503)),
    "cancel_job": _Operation({200: [JobAnswer]}, refuses=(404, 409, 415, 503)),
    "retry_job": _Operation({200: [JobAnswer]}, refuses=(404, 409, 415, 503)),
    "run_job": _Operation({200: [JobAnswer]}, refuses=(404, 409, 415, 503)),
    "list_queues": _Operation({200: [QueuePage]}, refuses=(503,)),
    "read_queue": _Operation({200: []}, refuses=(404, 422, 503)),
    "put_queue": _Operation({200: []}, body=QueueBody, refuses=(400, 413, 415, 422, 503)),
    "delete_queue": _Operation({204: []}, refuses=(404, 409, 422, 503)),
    "pause_queue": _Operation({200: []}, refuses=(415, 422, 503)),
    "resume_queue": _Operation({200: []}, refuses=(415, 422, 503)),
    "list_keys": _Operation({200: [QueuePage]}, query=CursorQuery, refuses=(422, 503)),
    "read_key": _Operation({200: []}, refuses=(422, 503)),
    "change_key": _Operation({200: []}, refuses=(404, 415, 422, 503)),
    "list_schedules": _Operation({200: [QueuePage]}, query=CursorQuery, refuses=(422, 503)),
    "preview_schedule": _Operation({200: []}, body=PreviewBody, refuses=(400, 413, 415, 422, 503)),
    "read_schedule": _Operation({200: [ScheduleAnswer]}, refuses=(404, 503)),
    "put_schedule": _Operation(
        {200: [ScheduleAnswer], 201: [ScheduleAnswer]}, body=NewJobBody, refuses=(400, 404, 409, 413, 415, 422, 503)
    ),
    "edit_schedule": _Operation({200: [ScheduleAnswer]}, body=PatchBody, refuses=(400, 404, 409, 413, 415, 422, 503)),
    "delete_schedule": _Operation({200: []}, query=DeleteQuery, refuses=(404, 422, 503)),
    "pause_schedule": _Operation({200: [ScheduleAnswer]}, refuses=(404, 409, 415, 503)),
    "resume_schedule": _Operation({200: [ScheduleAnswer]}, refuses=(404, 409, 415, 503)),
    "trigger_schedule": _Operation({201: [JobAnswer]}, refuses=(404, 415, 503)),
    "sync_all": _Operation({200: []}, body=SyncBody, query=DryRunQuery, refuses=(400, 409, 413, 415, 422, 503)),
    "list_workers": _Operation({200: [QueuePage]}, refuses=(503,)),
    "read_worker": _Operation({200: []}, refuses=(404, 422, 503)),
    "put_worker": _Operation({200: [], 201: []}, body=WorkerBody, refuses=(400, 413, 415, 422, 503)),
    "delete_worker": _Operation({204: []}, refuses=(404, 422, 503)),
    "health": _Operation({200: []}),
    "ready": _Operation({200: []}, refuses=(503,)),
    "read_openapi": _Operation({200: []}),
}


@get("/openapi.json")
async def read_openapi(request: Request) -> Response[bytes]:
    """This document."""
    return json_response(document(request.app.routes))


def document(routes: Iterable[BaseRoute]) -> Document:
    """The description of these routes. Raises `KeyError` for a handler that is not told here."""
    schemas = _Schemas()
    paths: Document = {}
    for route in routes:
        if isinstance(route, HTTPRoute):
            paths[route.path_format] = {
                method.lower(): _described(handler, route, schemas)
                for handler in route.route_handlers
                if handler.include_in_schema is not False
                for method in sorted(handler.http_methods)
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "coordinator", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """All shapes, translated together, because they refer to each other."""

    def __init__(self) -> None:
        told = list(_OPERATIONS.values())
        shapes = {shape for one in told for shape in (one.body, one.query, *chain(*one.answers.values()))}
        self._shapes = [Problem, *sorted((shape for shape in shapes if shape), key=lambda shape: shape.__name__)]
        schemas, self.components = msgspec.json.schema_components(self._shapes, ref_template=_REF)
        self._schemas = dict(zip(self._shapes, schemas, strict=True))

    def of(self, shapes: Sequence[Shape]) -> Document:
        """The schema of one of these shapes."""
        found = [self._schemas[shape] for shape in shapes]
        return found[0] if len(found) == 1 else {"anyOf": found} if found else {"type": "object"}

    def parameters(self, shape: Shape) -> list[Document]:
        """The fields of a shape as query parameters."""
        fields = self.components[shape.__name__]["properties"]
        return [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]


def _described(handler: HTTPRouteHandler, route: HTTPRoute, schemas: _Schemas) -> Document:
    told = _OPERATIONS[handler.handler_name]
    described: Document = {
        "operationId": handler.handler_name,
        "summary": (handler.fn.__doc__ or "").partition("\n")[0],
        "parameters": [
            *(_IN_PATH | {"name": name} for name in route.path_parameters),
            *(schemas.parameters(told.query) if told.query else ()),
        ],
        "responses": {str(status): _answer(status, shapes, schemas) for status, shapes in told.answers.items()},
        "security": [] if handler.opt.get("public") else [{"bearer": []}],
    }
    if told.body:
        content = {"application/json": {"schema": schemas.of([told.body])}}
        described["requestBody"] = {"required": True, "content": content}
    refused = (*told.refuses, *(() if handler.opt.get("public") else (401, 403)))
    described["responses"] |= {
        str(status): {
            "description": "Refused, and why.",
            "content": {"application/problem+json": {"schema": schemas.of([Problem])}},
        }
        for status in sorted(refused)
    }
    return described


def _answer(status: int, shapes: Sequence[Shape], schemas: _Schemas) -> Document:
    if status == 204:
        return {"description": "Done; there is nothing to say."}
    return {"description": "Done.", "content": {"application/json": {"schema": schemas.of(shapes)}}}
