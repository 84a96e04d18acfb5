"""The composition root: settings and a store in, an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from coordinator.api import (
    audit,
    batches,
    bulk,
    dead,
    dev,
    events,
    job_actions,
    jobs,
    keys,
    metrics,
    openapi,
    problems,
    queues,
    receipts,
    schedules,
    sdk_files,
    sessions,
    stats,
    sync,
    system,
    tokens,
    workers,
)
from coordinator.api.dead_looks import DeadLooks
from coordinator.api.guards import check_request
from coordinator.api.rate_limit import Shedding
from coordinator.api.reading import BODY_LIMIT_BYTES
from coordinator.api.redaction import Redaction
from coordinator.api.streaming import Places
from coordinator.calling.caller import Caller
from coordinator.calling.egress import open_guard
from coordinator.calling.transport import open_transport
from coordinator.dashboard import pages
from coordinator.edges.headers import add_headers
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.replica import Replica
from coordinator.errors import Refusal
from coordinator.settings import Settings
from coordinator.store.open import Store
from coordinator.telemetry.traces import Tracing

HANDLERS: list[ControllerRouterHandler] = [
    jobs.enqueue_job,
    batches.enqueue_batch,
    batches.read_batch,
    batches.cancel_batch,
    bulk.act_in_bulk,
    bulk.purge_queue,
    receipts.receive_receipt,
    receipts.receive_receipts,
    jobs.list_jobs,
    jobs.read_job,
    dead.list_dead,
    receipts.receive_heartbeat,
    job_actions.edit_job,
    job_actions.delete_job,
    job_actions.cancel_job,
    job_actions.retry_job,
    job_actions.run_job,
    queues.list_queues,
    queues.read_queue,
    queues.put_queue,
    queues.delete_queue,
    queues.pause_queue,
    queues.resume_queue,
    keys.list_keys,
    keys.read_key,
    keys.change_key,
    schedules.list_schedules,
    schedules.preview_schedule,
    schedules.read_schedule,
    schedules.put_schedule,
    schedules.edit_schedule,
    schedules.delete_schedule,
    schedules.pause_schedule,
    schedules.resume_schedule,
    schedules.trigger_schedule,
    sync.sync_all,
    workers.list_workers,
    workers.read_worker,
    workers.put_worker,
    workers.ping_worker,
    workers.delete_worker,
    system.health,
    system.ready,
    system.list_replicas,
    system.make_pass,
    stats.read_stats,
    metrics.read_metrics,
    events.watch_events,
    tokens.list_tokens,
    tokens.make_token,
    tokens.revoke_token,
    audit.list_audit,
    sessions.open_session,
    sessions.read_session,
    sessions.close_session,
    sdk_files.read_sdk,
    openapi.read_openapi,
    pages.read_page,
    pages.read_asset,
]

_PROBLEMS: ExceptionHandlersMap = {
    Refusal: problems.refuse,
    HTTPException: problems.refuse_http,
    Exception: problems.fail,
}


def build_app(
    settings: Settings,
    store: Store,
    demo: dev.DemoFunction | None = None,
    *,
    takes_literal_secrets: bool = False,
    tracing: Tracing | None = None,
) -> Litestar:
    """An application that is one replica: it joins the others when it starts and hands over when it stops.

    The store is closed with it. With `demo`, a function to be served beside the API, it has all that `coordinator dev`
    has beside it; then the store has to go by a clock that can be moved. Without keys, secrets
    of workers would stand readable in Redis: then they are taken by reference only, unless `takes_literal_secrets`.
    """
    guard = open_guard(settings.egress_allow, settings.worker_url)
    replica = Replica(store, Caller(open_transport(guard)), settings, tracing)
    auditor = audit.Auditor(store.audit)
    redaction = Redaction(settings.redact)
    clockwork = Clockwork(store, replica.passes, replica.id) if demo else None
    tellers = [dev.ClockTeller(clockwork).heed] if clockwork else []

    @asynccontextmanager
    async def run_replica(_: Litestar) -> AsyncIterator[None]:
        if clockwork:
            await clockwork.begin()
        await replica.start()
        try:
            yield
        finally:
            await replica.stop()
            await auditor.drain()
            await store.close()

    return Litestar(
        route_handlers=[*HANDLERS, *(dev.HANDLERS if demo else ())],
        guards=[check_request],
        before_send=[metrics.Counting(replica.metrics).heed, auditor.heed, add_headers, *tellers],
        lifespan=[run_replica],
        state=State(
            {
                "replica": replica,
                "auditor": auditor,
                "is_https": settings.public_url.startswith("https://"),
                "is_loopback": settings.is_loopback,
                "egress": guard,
                "bulk_places": Places(bulk.STREAMS_MOST),
                "shedding": Shedding(settings.api_rate),
                "redaction": redaction,
                "dead_looks": DeadLooks(store, redaction),
                "takes_literal_secrets": takes_literal_secrets or store.sealer.newest is not None,
            }
            | ({"demo": demo, "clockwork": clockwork} if demo else {})
        ),
        exception_handlers=_PROBLEMS,
        # Ours is made by `api/openapi.py`: the framework's sees no further than a raw body.
        openapi_config=None,
        request_max_body_size=BODY_LIMIT_BYTES,
        logging_config=None,
    )
