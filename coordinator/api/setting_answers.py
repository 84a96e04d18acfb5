"""Answers about what is set: queues, their keys, and workers; and about who works on it."""

from msgspec import Raw

from coordinator.api.answers import backoff_answer
from coordinator.api.worker_bodies import HIDDEN
from coordinator.calling.references import is_reference
from coordinator.domain.instants import format_instant
from coordinator.domain.queue import RETENTION_DEFAULTS, KeyView, QueueDefaults, QueueView, Rate
from coordinator.domain.worker import Auth, AwsSigV4, Bearer, GoogleIdToken, Worker
from coordinator.engine.passes import Passed
from coordinator.engine.pings import Pinged
from coordinator.store.leadership import Roster


def queue_answer(view: QueueView) -> dict[str, object]:
    """A queue as people see it. `latencyMs` is the age of its oldest due job."""
    settings, circuit = view.settings, view.settings.circuit
    return {
        "name": view.name,
        **view.counts,
        "latencyMs": 0 if view.oldest_due_at is None else max(0, view.now - view.oldest_due_at),
        "paused": settings.paused,
        "blockedUntil": format_instant(view.blocked_until),
        "concurrency": settings.concurrency,
        "rate": _rate_answer(settings.rate),
        "perKey": {"concurrency": settings.per_key.concurrency, "rate": _rate_answer(settings.per_key.rate)},
        "maxWaiting": settings.max_waiting,
        "circuit": None if circuit is None else {"failures": circuit.failures, "openMs": circuit.open_ms},
        "circuits": [
            {"worker": found.worker, "failures": found.failures, "openUntil": format_instant(found.open_until)}
            for found in view.circuits
        ],
        "defaults": _defaults_answer(settings.defaults),
        "owner": settings.owner,
        "retention": {
            state: {"ageMs": keep.age_ms, "count": keep.count}
            for state, keep in (RETENTION_DEFAULTS | settings.retention).items()
        },
    }


def _defaults_answer(defaults: QueueDefaults) -> dict[str, object]:
    return {
        "maxAttempts": defaults.max_attempts,
        "timeoutMs": defaults.timeout_ms,
        "backoff": None if defaults.backoff is None else backoff_answer(defaults.backoff),
    }


def key_answer(view: KeyView) -> dict[str, object]:
    """A key of a queue as people see it."""
    return {
        "key": view.key,
        "tokens": view.tokens,
        "burst": view.burst,
        "refillPerSecond": view.refill_per_second,
        "running": view.running,
        "waiting": view.waiting,
        "paused": view.paused,
        "blockedUntil": format_instant(view.blocked_until),
    }


def _rate_answer(rate: Rate | None) -> dict[str, object] | None:
    return None if rate is None else {"limit": rate.limit, "periodMs": rate.period_ms, "burst": rate.burst}


def worker_answer(name: str, worker: Worker) -> dict[str, object]:
    """A worker as people see it, without its secrets and the values of its headers; references are none."""
    batch = worker.batch
    shown: dict[str, object] = {
        "name": name,
        "url": worker.url,
        "ack": worker.ack,
        "headers": {header: _hidden(value) for header, value in worker.headers.items()},
        "timeoutMs": worker.timeout_ms,
        "queue": worker.queue,
        "secret": _hidden(worker.secret),
        "previousSecret": _hidden(worker.previous_secret),
        "auth": _auth_answer(worker.auth),
        "batch": None if batch is None else {"size": batch.size, "windowMs": batch.window_ms},
        "owner": worker.owner,
    }
    return shown | {"unreadable": True} if worker.unreadable else shown


def _auth_answer(auth: Auth | None) -> dict[str, object] | None:
    match auth:
        case None:
            return None
        case Bearer():
            return {"type": "bearer", "token": _hidden(auth.token)}
        case GoogleIdToken():
            return {"type": "google-id-token", "audience": auth.audience}
        case AwsSigV4():
            return {
                "type": "aws-sigv4",
                "region": auth.region,
                "service": auth.service,
                "accessKeyId": _hidden(auth.access_key_id),
                "secretAccessKey": _hidden(auth.secret_access_key),
                "sessionToken": _hidden(auth.session_token),
            }


def _hidden(value: str | None) -> str | None:
    return value if value is None or is_reference(value) else HIDDEN


def ping_answer(pinged: Pinged) -> dict[str, object]:
    """What a ping came to. `sdk` and `workers` are the function's own words, `note` says what they do not."""
    return {
        "ok": pinged.is_ok,
        "httpStatus": pinged.http_status,
        "durationMs": pinged.duration_ms,
        "sdk": pinged.pong.sdk,
        "workers": pinged.pong.workers,
        "error": None if pinged.error is None else Raw(pinged.error),
        "note": pinged.note,
    }


def roster_answer(roster: Roster, shards: int) -> dict[str, object]:
    """Who works together. `silentMs` is how long ago a replica said that it lives."""
    return {
        "shards": shards,
        "unled": roster.unled,
        "items": [
            {"id": member.id, "silentMs": max(0, roster.now - member.said_at), "leads": member.leads}
            for member in roster.members
        ],
    }


def pass_answer(passed: Passed) -> dict[str, object]:
    """What a pass has done."""
    return {
        "called": passed.called,
        "ended": passed.ended,
        "ticked": passed.ticked,
        "expired": passed.expired,
        "purged": passed.purged,
        "inFlight": passed.in_flight,
        "nextDueAt": format_instant(passed.next_due_at),
    }
