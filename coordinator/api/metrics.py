"""`GET /metrics`, and the count of all that is answered."""

import asyncio

from litestar import Response, get
from litestar.types import Message, Scope

from coordinator.api.context import Request, replica_of
from coordinator.api.operations import OPERATIONS
from coordinator.telemetry.labels import OTHER
from coordinator.telemetry.metrics import Metrics


class Counting:
    """Counts the answers, by the operation that was asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def heed(self, message: Message, scope: Scope) -> None:
        """Is told of each message of each answer, before it is sent."""
        if message["type"] == "http.response.start":
            # An unknown path has no handler.
            name = getattr(scope.get("route_handler"), "handler_name", "")
            self._metrics.answered(name if name in OPERATIONS else OTHER, message["status"])


@get("/metrics")
async def read_metrics(request: Request) -> Response[bytes]:
    """The figures of this replica and of the store, for Prometheus; without the store's while that is away."""
    replica = replica_of(request)
    survey = await replica.surveyor.look()
    # With many queues this takes a while, and calls are not to wait for it.
    text, media_type = await asyncio.to_thread(replica.metrics.render, survey, request.headers.get("accept", ""))
    if media_type.startswith("text/"):
        media_type = media_type.removesuffix("; charset=utf-8")  # The framework would name it once more.
    return Response(text, media_type=media_type, headers={"Vary": "Accept"})
