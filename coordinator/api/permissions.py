"""What a token has to be for, operation by operation, and how one that is for some queues only is held to them.

A token without the scope is refused (403). One that is restricted to queues is refused whatever concerns others, or
all: each operation says here how its queue is found, and one that says nothing is not for such tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from coordinator.api.context import Connection, replica_of
from coordinator.domain.batch import Batch
from coordinator.domain.job import Spec
from coordinator.domain.tokens import Grant, Scope
from coordinator.engine.replica import Replica
from coordinator.errors import Forbidden, NotFound, joined

Concern = Literal["none", "job", "schedule", "queue", "asked", "all"]
"""Which queue an operation concerns.

`none`: it tells nothing of jobs. `job`, `schedule`, `queue`: that of what the path names. `asked`: what the query or
the body says; the handler, which alone has read them, calls `hold_to`. `all`: all of them.
"""


@dataclass(frozen=True, slots=True)
class Permission:
    """What an operation needs. With `is_audited` it is noted who did it.

    One that `is_by_call` is for functions: the token of a call is enough there, and it may come in the body.
    """

    scope: Scope | None
    concern: Concern
    is_audited: bool = False
    is_by_call: bool = False


def _managing(concern: Concern) -> Permission:
    return Permission("manage", concern, is_audited=True)


_ADMIN = Permission("admin", "all", is_audited=True)
_REPORT = Permission("receipt", "asked", is_by_call=True)
_READ_ALL = Permission("read", "all")

PERMISSIONS = {
    # To have work done.
    "enqueue_job": Permission("enqueue", "asked"),
    "enqueue_batch": Permission("enqueue", "asked"),
    # To say how it went.
    "receive_receipt": _REPORT,
    "receive_receipts": _REPORT,
    "receive_heartbeat": _REPORT,
    # To look.
    "list_jobs": Permission("read", "asked"),
    "read_job": Permission("read", "job"),
    "read_batch": Permission("read", "asked"),
    "list_queues": Permission("read", "asked"),
    "read_queue": Permission("read", "queue"),
    "list_keys": Permission("read", "queue"),
    "read_key": Permission("read", "queue"),
    "list_schedules": Permission("read", "asked"),
    "read_schedule": Permission("read", "schedule"),
    "list_workers": _READ_ALL,
    "read_worker": _READ_ALL,
    "list_replicas": _READ_ALL,
    "list_dead": Permission("read", "asked"),
    "watch_events": Permission("read", "asked"),
    "read_stats": Permission("read", "asked"),
    "read_metrics": _READ_ALL,
    "ready": Permission("read", "none"),
    "read_openapi": Permission(None, "none"),
    # Who sees a schedule sees when it fires next: it is arithmetic, and tells nothing of what is kept.
    "preview_schedule": Permission(None, "none"),
    # To know oneself.
    "read_session": Permission(None, "none"),
    "close_session": Permission(None, "none"),
    # To change what is there.
    "edit_job": _managing("job"),
    "delete_job": _managing("job"),
    "cancel_job": _managing("job"),
    "retry_job": _managing("job"),
    "run_job": _managing("job"),
    "act_in_bulk": _managing("asked"),
    "cancel_batch": _managing("all"),
    "put_queue": _managing("queue"),
    "delete_queue": _managing("queue"),
    "pause_queue": _managing("queue"),
    "resume_queue": _managing("queue"),
    "purge_queue": _managing("queue"),
    "change_key": _managing("queue"),
    "put_schedule": _managing("asked"),
    "edit_schedule": _managing("schedule"),
    "delete_schedule": _managing("schedule"),
    "pause_schedule": _managing("schedule"),
    "resume_schedule": _managing("schedule"),
    "trigger_schedule": _managing("schedule"),
    "make_pass": Permission("manage", "all"),
    "ping_worker": _managing("all"),
    # Where calls go, and who may do all this.
    "put_worker": _ADMIN,
    "delete_worker": _ADMIN,
    "sync_all": _ADMIN,
    "list_tokens": Permission("admin", "all"),
    "make_token": _ADMIN,
    "revoke_token": _ADMIN,
    "list_audit": Permission("admin", "all"),
}
"""By the name of the handler."""

DEV_PERMISSIONS = {
    "advance_time": _ADMIN,
    "reset_store": _ADMIN,
    "list_demo_requests": _READ_ALL,
    "show_demo": _READ_ALL,
}
"""The same of what only `coordinator dev` has."""


def permission_of(handler: str) -> Permission | None:
    """What a handler needs; None for one that is not ours."""
    return PERMISSIONS.get(handler) or DEV_PERMISSIONS.get(handler)


async def check_permission(connection: Connection, grant: Grant, permission: Permission) -> None:
    """Refuse what the token is not for. Raises `Forbidden`, `StoreUnavailable`."""
    check_scope(grant, permission.scope)
    if grant.queues:
        await _check_concern(connection, grant, permission.concern)


def check_scope(grant: Grant, scope: Scope | None) -> None:
    """Raises `Forbidden` for a token without the scope."""
    if scope is not None and not grant.allows(scope):
        has = joined(sorted(grant.scopes))
        raise Forbidden("forbidden", f"This needs a token with the scope {scope}; this one has {has}.", scope=scope)


def hold_to(grant: Grant, queues: Iterable[str]) -> None:
    """Raises `Forbidden` if the token is not for one of these queues."""
    for queue in queues:
        if not grant.covers(queue):
            detail = f"This token is for the queues {joined(grant.queues)}, and this concerns {queue!r}."
            raise Forbidden("forbidden", detail, queue=queue)


def hold_to_chosen(grant: Grant, queue: str | None, named: str) -> None:
    """Raises `Forbidden` if the token is not for the queue that was chosen; `named` is where one is named."""
    if grant.queues and queue is None:
        detail = f"This token is for the queues {joined(grant.queues)}; name one of them with {named}."
        raise Forbidden("forbidden", detail)
    if queue is not None:
        hold_to(grant, [queue])


def queues_of(spec: Spec | None) -> Iterator[str]:
    """The queue of what is to be run, and those of what is to be called afterwards."""
    if spec is not None:
        yield spec.queue
        yield from queues_of(spec.on_success)
        yield from queues_of(spec.on_failure)


def is_covered(grant: Grant, spec: Spec) -> bool:
    """Whether the token is for the queues of what is to be run, and called afterwards."""
    return all(map(grant.covers, queues_of(spec)))


def hold_to_batch(grant: Grant, batch: Batch) -> None:
    """Raises `Forbidden` if the token is not for a queue of its jobs, or of what is called at its end.

    Whoever joins a batch decides when that is called.
    """
    if not grant.queues:
        return
    if not batch.queues:
        detail = f"This token is for the queues {joined(grant.queues)}, and of this batch none is known."
        raise Forbidden("forbidden", detail)
    called = chain(*map(queues_of, (batch.on_complete, batch.on_success, batch.on_failure)))
    hold_to(grant, chain(batch.queues, called))


async def hold_to_job(replica: Replica, grant: Grant, job_id: str) -> None:
    """Raises `Forbidden` if the token is not for the queue of this job, or schedule. What there is not, is let pass."""
    if not grant.queues:
        return
    try:
        hold_to(grant, queues_of((await replica.store.jobs.read(job_id)).spec))
    except NotFound:
        await _hold_to_schedule(replica, grant, job_id)


async def _hold_to_schedule(replica: Replica, grant: Grant, schedule_id: str) -> None:
    try:
        found = await replica.schedules.find(schedule_id)
    except NotFound:
        return
    hold_to(grant, queues_of(found.schedule.spec))


async def _check_concern(connection: Connection, grant: Grant, concern: Concern) -> None:
    replica = replica_of(connection)
    path = connection.path_params
    match concern:
        case "job":
            await hold_to_job(replica, grant, path["job_id"])
        case "schedule":
            await _hold_to_schedule(replica, grant, path["schedule_id"])
        case "queue":
            hold_to(grant, [path["name"]])
        case "all":
            detail = f"This token is for the queues {joined(grant.queues)}, and this concerns all of them."
            raise Forbidden("forbidden", detail)
