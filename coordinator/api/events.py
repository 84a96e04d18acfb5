"""`GET /event`: what happens, as it does, in the form of server-sent events (https://html.spec.whatwg.org, 9.2).

Whoever is cut off says with `Last-Event-ID` what it has had, and gets what came since; if that is not known any more,
a `gap` says that it has to look anew.

An event tells of a step, and neither of arguments nor of callbacks: a token for some queues hears of each job of its
queue, also of one that it may not read because it calls into another.
"""

import logging

import msgspec
from litestar import get

from coordinator.api.context import Request, grant_of, replica_of
from coordinator.api.event_query import EventQuery
from coordinator.api.guards import Admission
from coordinator.api.permissions import hold_to_chosen, is_covered
from coordinator.api.reading import decode_query
from coordinator.api.streaming import Chunks, Streamed
from coordinator.domain.event import Chosen, Places, read_places, read_types, write_places
from coordinator.domain.instants import format_instant
from coordinator.engine.watch import Listener
from coordinator.errors import Refusal
from coordinator.store.schedules import schedule_not_found

log = logging.getLogger(__name__)

BEAT_S = 15.0
"""Between signs of life, so that nothing in between takes the connection for dead."""

_RETRY_MS = 1000


@get("/event")
async def watch_events(request: Request) -> Streamed:
    """What happens, as it does; first a `hello`. It ends with the connection."""
    query, replica = decode_query(request.query_params, EventQuery), replica_of(request)
    hold_to_chosen(grant_of(request), query.queue, "queue")
    schedule_id = query.schedule_id
    if schedule_id is not None:
        found = await replica.schedules.find(schedule_id)
        if not is_covered(grant_of(request), found.schedule.spec):
            # The same answer as for what there is not: it is not for this token to know.
            raise schedule_not_found(schedule_id)
        schedule_id = found.id
    chosen = Chosen(query.queue, query.worker, query.job_id, schedule_id, read_types(query.type))
    # A browser that connects again sends both, and knows more by now than when its page was loaded.
    last = request.headers.get("last-event-id") or query.after
    after: Places | None = None if last is None else read_places(last) or {}
    now = await replica.store.schedules.now()
    listener = await replica.watch.listen(chosen, after)
    chunks = _stream(Admission(request, query.queue, "queue"), listener, now)
    return Streamed(chunks, "text/event-stream", lambda: replica.watch.leave(listener))


async def _stream(admission: Admission, listener: Listener, now: int) -> Chunks:
    hello = _message("hello", msgspec.json.encode({"type": "hello", "at": format_instant(now)}))
    yield b"retry: %d\n%b\n%b\n\n" % (_RETRY_MS, hello, _id_of(listener))
    while not listener.is_over:
        is_quiet = not await listener.wait(BEAT_S)
        # Before each take: a busy stream has no quiet moment in which a revoked token would be found out.
        if not await _is_let_in(admission):
            return
        has_gap, events = listener.take()
        told = [_message("gap", b'{"type":"gap"}')] if has_gap else []
        told += [_message(event.type, event.encoded) for event in events]
        if told or is_quiet:
            # Where it stands is told without an event, too: a quiet one would come back too late.
            yield (b"\n\n".join(told) or b": ") + b"\n%b\n\n" % _id_of(listener)


async def _is_let_in(admission: Admission) -> bool:
    """A token may have been revoked, and a session have ended."""
    try:
        await admission.renew()
    except Refusal as refusal:
        log.info("a stream of events ends: %s", refusal.detail, extra={"event": "stream.refused"})
        return False
    return True


def _message(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b" % (name.encode(), data)


def _id_of(listener: Listener) -> bytes:
    return b"id: " + write_places(listener.places).encode()
