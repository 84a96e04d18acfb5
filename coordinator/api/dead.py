"""`GET /dead`: why jobs died, those of one reason together."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from msgspec import Meta

from coordinator.api.answers import job_answer, json_response
from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.listing import read_page
from coordinator.api.permissions import hold_to_chosen
from coordinator.api.reading import Body, QueueName, WorkerName, decode_query
from coordinator.api.redaction import redaction_of
from coordinator.domain.error_group import ErrorKind, kind_of, match_of
from coordinator.domain.instants import format_instant
from coordinator.domain.job import Job
from coordinator.domain.selection import Selection

LOOK_MOST = 2000
"""Jobs that one answer is made of, queue by queue the newest first."""

_PAGE = 200


class DeadQuery(Body):
    """`GET /dead?…`."""

    queue: QueueName | None = None
    worker: WorkerName | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


@get("/dead")
async def list_dead(request: Request) -> Response[bytes]:
    """Dead jobs by queue, worker and error; the largest groups first."""
    query = decode_query(request.query_params, DeadQuery)
    hold_to_chosen(grant_of(request), query.queue, "?queue=")
    store, redaction = replica_of(request).store, redaction_of(request)
    chosen = Selection(queue=query.queue, worker=query.worker, state="dead")
    groups: dict[tuple[str, str, ErrorKind], dict[str, Any]] = {}
    looked, cursor = 0, None
    while True:
        jobs, cursor = await read_page(store, chosen, min(_PAGE, LOOK_MOST - looked), cursor)
        looked += len(jobs)
        for job in jobs:
            kind = kind_of(bytes(redaction.job(job_answer(job)).last_error))
            _add(groups.setdefault((job.spec.queue, job.spec.worker, kind), {}), job, kind)
        if cursor is None or looked >= LOOK_MOST:
            break
    largest = sorted(groups.values(), key=lambda group: (-group["count"], group["queue"], group["worker"]))
    shown = [group | {"lastAt": format_instant(group["lastAt"])} for group in largest[: query.limit]]
    is_truncated = cursor is not None or len(largest) > query.limit
    return json_response({"groups": shown, "looked": looked, "isTruncated": is_truncated})


def _add(group: dict[str, Any], job: Job, kind: ErrorKind) -> None:
    if not group:
        group |= {"queue": job.spec.queue, "worker": job.spec.worker, "error": msgspec.to_builtins(kind), "count": 0}
        kept = bytes(job.attempts[-1].error) if job.attempts else b""
        # The newest of them: a list gives them in this order.
        group |= {"lastAt": job.finished_at, "jobId": job.id, "match": match_of(kind, kept)}
    group["count"] += 1
