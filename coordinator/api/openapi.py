"""`/openapi.json`: this interface, described for machines (OpenAPI 3.1).

The paths and methods are read off the routes, so that none is missing. What a route reads and answers is told in
`operations`; the schemas are those of the structs that read them.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from coordinator import __version__
from coordinator.api.answers import json_response
from coordinator.api.context import Request
from coordinator.api.cookies import PLAIN_NAME, SECURE_NAME
from coordinator.api.job_bodies import IDEMPOTENCY_KEY_LIMIT
from coordinator.api.operations import OPERATIONS, Operation, Problem, Shape

Document = dict[str, Any]

_IN_PATH: Document = {"in": "path", "required": True, "schema": {"type": "string"}}
_NAME_IN_PATH = re.compile(r"\{(\w+)\}")
_IDEMPOTENCY_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LIMIT},
}
_REPLAYED: Document = {
    "description": "Set if the same request was answered so before.",
    "schema": {"type": "string", "const": "true"},
}
_SECURITY: Document = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "cookieAuth": {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE_NAME,
        "description": f"A session of the dashboard; `{PLAIN_NAME}` on loopback without TLS. For pages of this origin.",
    },
}
_WHOLE: Document = {"schema": {"type": "integer", "minimum": 0}}
_LATER: Document = {"Retry-After": {"description": "Seconds until it may pass."} | _WHOLE}
_RATES: Document = {f"RateLimit-{name}": _WHOLE for name in ("Limit", "Remaining", "Reset")}
_HEADERS: dict[int, Document] = {429: _LATER | _RATES, 503: _LATER}
"""Of refusals by their status; the rates are told with the code `rate_limited`, and not with `queue_full`."""

_REF = "#/components/schemas/{name}"


@get("/openapi.json")
async def read_openapi(request: Request) -> Response[bytes]:
    """This document."""
    return json_response(document(request.app.routes))


def document(routes: Iterable[BaseRoute]) -> Document:
    """The description of these routes. Raises `KeyError` for a handler that is not told here."""
    schemas = _Schemas()
    paths: dict[str, Document] = {}
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.include_in_schema is not False:
                    path = OPERATIONS[handler.handler_name].path or route.path_format
                    # HEAD is GET without the body, as everywhere in HTTP.
                    methods = sorted(handler.http_methods - {"HEAD"})
                    described = {method.lower(): _described(handler, path, schemas) for method in methods}
                    paths.setdefault(path, {}).update(described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "coordinator", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.components,
            "securitySchemes": _SECURITY,
        },
    }


class _Schemas:
    """All shapes, translated together, because they refer to each other."""

    def __init__(self) -> None:
        told = list(OPERATIONS.values())
        shapes = {
            shape
            for one in told
            for shape in (one.body, one.body_of_schedule, one.query, *chain(*one.answers.values()))
        }
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


def _described(handler: HTTPRouteHandler, path: str, schemas: _Schemas) -> Document:
    told = OPERATIONS[handler.handler_name]
    in_path = [_IN_PATH | {"name": name} for name in _NAME_IN_PATH.findall(path)]
    if told.words:
        in_path[-1]["schema"] = {"type": "string", "enum": list(told.words)}
    described: Document = {
        "operationId": handler.handler_name,
        "summary": (handler.fn.__doc__ or "").partition("\n")[0],
        "parameters": [
            *in_path,
            *(schemas.parameters(told.query) if told.query else ()),
            *([_IDEMPOTENCY_KEY] if told.takes_key else ()),
        ],
        "responses": {str(status): _answer(status, told, schemas) for status in told.answers},
        "security": [] if handler.opt.get("public") else [{"bearer": []}, {"cookieAuth": []}],
    }
    if told.replays:
        described["responses"][str(told.replays)]["headers"] = {"Idempotency-Replayed": _REPLAYED}
    if told.body:
        content = {"application/json": {"schema": schemas.of(told.bodies)}}
        described["requestBody"] = {"required": told.has_to_have_body, "content": content}
    # A parameter that the route does not take is refused by each, and who comes too often by each that wants a token.
    refused = {*told.refuses, 422, *(() if handler.opt.get("public") else (401, 403, 429))}
    described["responses"] |= {
        str(status): {
            "description": "Refused, and why.",
            "content": {"application/problem+json": {"schema": schemas.of([Problem])}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status in sorted(refused)
    }
    return described


def _answer(status: int, told: Operation, schemas: _Schemas) -> Document:
    if status == 204:
        return {"description": "Done; there is nothing to say."}
    if told.media_types:
        content = {media_type: {"schema": {"type": "string"}} for media_type in told.media_types}
    else:
        content = {"application/json": {"schema": schemas.of(told.answers[status])}}
        content |= {told.lines: {"schema": {"type": "string"}}} if told.lines else {}
    return {"description": "Done.", "content": content}
