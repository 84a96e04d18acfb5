"""`GET /dead`: why jobs died, those of one reason together."""

from typing import Annotated

from litestar import Response, get
from msgspec import Meta

from coordinator.api.answers import json_response
from coordinator.api.context import Request, grant_of
from coordinator.api.dead_looks import DeadLooks
from coordinator.api.permissions import hold_to_chosen
from coordinator.api.reading import Body, QueueName, WorkerName, decode_query
from coordinator.domain.instants import format_instant
from coordinator.domain.selection import Selection


class DeadQuery(Body):
    """`GET /dead?…`."""

    queue: QueueName | None = None
    worker: WorkerName | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


@get("/dead")
async def list_dead(request: Request) -> Response[bytes]:
    """Dead jobs by queue, worker and error; the largest groups first."""
    query, grant = decode_query(request.query_params, DeadQuery), grant_of(request)
    hold_to_chosen(grant, query.queue, "?queue=")
    chosen = Selection(queue=query.queue, worker=query.worker, state="dead")
    looks: DeadLooks = request.app.state["dead_looks"]
    found = await looks.find(chosen, grant)
    largest = sorted(found.groups.values(), key=lambda group: (-group["count"], group["queue"], group["worker"]))
    shown = [group | {"lastAt": format_instant(group["lastAt"])} for group in largest[: query.limit]]
    is_truncated = found.is_cut or len(largest) > query.limit
    return json_response({"groups": shown, "looked": found.looked, "isTruncated": is_truncated})
