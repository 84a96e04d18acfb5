"""Who has changed what: `GET /audit`, and how it comes to be known.

The guard marks a request that changes something; when its answer begins, and is no refusal, the deed is logged, and
kept in Redis for all to see. The log comes first: a Redis that is away costs the list an entry, and nobody an answer.
"""

import logging
import time

from litestar import Response, get
from litestar.types import Message, Scope

from coordinator.api.answers import json_response
from coordinator.api.context import Request, replica_of
from coordinator.api.reading import CursorQuery, decode_query
from coordinator.domain.instants import format_instant
from coordinator.domain.tokens import Grant
from coordinator.engine.aside import Aside
from coordinator.errors import Invalid, StoreUnavailable
from coordinator.store.audit import AuditEntry, AuditStore

log = logging.getLogger(__name__)

PATH_LIMIT = 1024

_MARK = "coordinator.audit"
_MADE = "coordinator.audit.made"


def mark(scope: Scope, action: str, grant: Grant) -> None:
    """This request changes something, by the right of this token."""
    scope["state"][_MARK] = (action, grant.token)


def name(scope: Scope, made: str) -> None:
    """What came of a marked request got this id."""
    scope["state"][_MADE] = made


class Auditor:
    """Notes what marked requests have done."""

    def __init__(self, store: AuditStore) -> None:
        """Nothing is written before `heed`."""
        self._store = store
        self._writing = Aside()

    async def heed(self, message: Message, scope: Scope) -> None:
        """Is told of each message of each answer, before it is sent."""
        if message["type"] != "http.response.start":
            return
        marked = scope["state"].get(_MARK)
        if marked is None or message["status"] >= 400:
            return
        action, token = marked
        query = scope["query_string"].decode("latin-1")
        made = scope["state"].get(_MADE, "")
        path = f"{scope['raw_path'].decode('latin-1')}{made and f'/{made}'}{query and f'?{query}'}"[:PATH_LIMIT]
        address = (scope["client"] or ("",))[0]
        entry = AuditEntry(time.time_ns() // 1_000_000, token, action, path, message["status"], address)
        told = {"token": token, "path": path, "address": address}
        log.info("%s", action, extra={"event": "audit.done", **told})
        self._writing.begin(self._write(entry))

    async def drain(self) -> None:
        """Wait for what is being written."""
        await self._writing.drain()

    async def _write(self, entry: AuditEntry) -> None:
        try:
            await self._store.add(entry)
        except StoreUnavailable as error:
            log.warning(
                "an entry of the audit log could not be kept", extra={"event": "audit.failed", "error": error.code}
            )


@get("/audit")
async def list_audit(request: Request) -> Response[bytes]:
    """Who has changed what, the newest first: queues, schedules, workers, tokens, and jobs of others."""
    query = decode_query(request.query_params, CursorQuery)
    if query.cursor is not None and not (query.cursor.isascii() and query.cursor.isdigit() and len(query.cursor) < 9):
        raise Invalid("cursor", "is none of ours; begin without one")
    skip = int(query.cursor or 0)
    found = await replica_of(request).store.audit.page(skip, query.limit)
    items = [
        {
            "at": format_instant(entry.at),
            "token": entry.token or None,
            "action": entry.action,
            "path": entry.path,
            "status": entry.status,
            "address": entry.address or None,
        }
        for entry in found
    ]
    return json_response({"items": items, "cursor": str(skip + query.limit) if len(found) == query.limit else None})
