"""Jobs in Redis: one method per script, in the order of a job's life."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from coordinator.domain.ids import shard_of_id
from coordinator.domain.job import (
    PRIORITY_DEFAULT,
    UNREADABLE,
    Attempt,
    Job,
    LogEntry,
    Reason,
    Spec,
    State,
    Tally,
    shown_state,
)
from coordinator.domain.outcome import Limits
from coordinator.domain.queue import CIRCUIT_DEFAULT, RETENTION_DEFAULTS
from coordinator.domain.settlement import Settlement
from coordinator.errors import NotFound
from coordinator.store.connection import Connection
from coordinator.store.scripts import Row

log = logging.getLogger(__name__)

BATCH_LIMIT = 100
"""Jobs in one script: a thousand would hold Redis, and all others, for 10 ms."""

CLAIM_BYTES_LIMIT = 1 << 20
"""Of specs in one claim: a hundred jobs of 256 KiB would be 25 MB in one reply."""

SCAN_LIMIT = 1000
"""Index entries that one page of a list looks at."""

_RETENTION = " ".join(f"{keep.age_ms} {keep.count}" for keep in RETENTION_DEFAULTS.values())

_TALLY = (b"attempt", b"lost", b"snoozes", b"throttles")

_spec_decoder = msgspec.json.Decoder(Spec)
_log_decoder = msgspec.json.Decoder(list[LogEntry])
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted: due at `run_at` (Unix ms), or `delay_ms` after the script's now, whichever is later."""

    id: str
    spec: Spec
    run_at: int = 0
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought. `due_in_ms`: 0 when more is due, None when nothing waits."""

    attempts: list[Attempt]
    due_in_ms: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt's end, to be applied. Without `attempt` or `nonce` the current attempt is meant.

    `lapsed` says that nobody but the clock ends the attempt: it is left alone if its lease was renewed meanwhile.
    """

    job_id: str
    settlement: Settlement
    attempt: int | None = None
    nonce: str = ""
    lapsed: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """The script's answer: `reply` is `ok`, `already_recorded`, `stale_receipt` or `job_not_found`."""

    reply: str
    state: str


@dataclass(frozen=True, slots=True)
class Expired:
    """An attempt whose lease (`lost`) or deadline (`timeout`) has passed. `answered` is as `detach` was told."""

    attempt: Attempt
    kind: Literal["lost", "timeout"]
    answered: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `after` is where the next begins, None at the end."""

    jobs: list[Job]
    after: tuple[str, str] | None


class JobStore:
    """The life of jobs. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """All instants come from the Redis server's clock."""
        self._connection = connection

    async def enqueue(self, shard: int, jobs: Sequence[NewJob]) -> tuple[int, int | None]:
        """Accept jobs. Returns the instant, and in how many ms there is something to claim if they made that sooner."""
        rows = [(job.id, lane_of(job.spec), job.run_at, job.delay_ms, *kept_of(job.spec)) for job in jobs]
        _, now, due_in = await self._connection.run("enqueue_jobs", self._root(shard), rows)
        return now, _due(due_in)

    async def claim(self, shard: int, *, holder: str, request: str, limit: int, lease_ms: int) -> Claim:
        """Take due jobs. `request` is a fresh random id: it becomes the nonce of the attempts."""
        _, claimed, due_in = await self._connection.run(
            "claim_jobs",
            self._root(shard),
            holder=holder,
            request=request,
            limit=min(limit, BATCH_LIMIT),
            bytes_limit=CLAIM_BYTES_LIMIT,
            lease_ms=lease_ms,
            circuit_open_ms=CIRCUIT_DEFAULT.open_ms,
        )
        attempts = [
            Attempt(
                job_id=job_id.decode(),
                nonce=request,
                deadline_at=deadline_at,
                tally=Tally(number, lost, snoozes, throttles),
                spec=_read_spec(job_id, spec),
            )
            for job_id, number, deadline_at, lost, snoozes, throttles, spec in claimed
        ]
        return Claim(attempts, _due(due_in))

    async def renew(self, shard: int, attempts: Sequence[Attempt], *, holder: str, lease_ms: int) -> set[str]:
        """Prolong leases. Returns the ids whose attempt is no longer the holder's."""
        gone: set[str] = set()
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce) for a in attempts]):
            _, ids = await self._connection.run(
                "renew_leases", self._root(shard), rows, holder=holder, lease_ms=lease_ms
            )
            gone.update(job_id.decode() for job_id in ids)
        return gone

    async def detach(self, shard: int, attempts: Sequence[Attempt], answered: Sequence[str] = ()) -> None:
        """Leave attempts to their receipts and deadlines. `answered` tells of each what came of its call."""
        told = answered or [""] * len(attempts)
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce, t) for a, t in zip(attempts, told, strict=True)]):
            _, _, circuits = await self._connection.run("detach_jobs", self._root(shard), rows)
            _announce(circuits)

    async def release(self, shard: int, attempts: Sequence[Attempt]) -> None:
        """Give back attempts that were surely not sent."""
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce) for a in attempts]):
            await self._connection.run("release_jobs", self._root(shard), rows)

    async def settle(self, shard: int, ended: Sequence[Ended]) -> tuple[list[Settled], int | None]:
        """End attempts. Returns an answer for each, and `due_in_ms` as `enqueue` does."""
        _, replies, due_in, circuits = await self._connection.run(
            "settle_jobs",
            self._root(shard),
            [_settle_row(end) for end in ended],
            retention=_RETENTION,
            circuit_failures=CIRCUIT_DEFAULT.failures,
            circuit_open_ms=CIRCUIT_DEFAULT.open_ms,
        )
        _announce(circuits)
        return [Settled(reply.decode(), state.decode()) for reply, state in replies], _due(due_in)

    async def expired(self, shard: int) -> list[Expired]:
        """The attempts whose lease or deadline has passed, at most a batch."""
        _, rows, _ = await self._connection.run("expired_jobs", self._root(shard), limit=BATCH_LIMIT)
        return [
            Expired(
                Attempt(
                    job_id=job_id.decode(),
                    nonce=nonce.decode(),
                    deadline_at=0,
                    tally=Tally(number, lost, snoozes, throttles),
                    spec=_read_spec(job_id, spec),
                ),
                "lost" if kind == b"lost" else "timeout",
                answered.decode(),
            )
            for job_id, number, nonce, kind, lost, snoozes, throttles, spec, answered in rows
        ]

    async def purge(self, shard: int) -> int:
        """Erase a batch of finished jobs that are past their retention. Returns how many."""
        _, purged, _ = await self._connection.run(
            "purge_jobs", self._root(shard), retention=_RETENTION, limit=BATCH_LIMIT
        )
        return int(purged)

    async def poll(self, shard: int) -> tuple[int | None, ...]:
        """In how many ms there is something to claim, to expire, to fire, to purge; None is never."""
        _, *instants = await self._connection.run("poll_shard", self._root(shard))
        return tuple(_due(instant) for instant in instants)

    async def read(self, job_id: str) -> Job:
        """One job. Raises `NotFound`."""
        reply, *rest = await self._connection.run("read_job", self._root_of(job_id), id=job_id)
        if reply != b"ok":
            raise job_not_found(job_id)
        now, view = rest
        return _job(view, now)

    async def list(self, shard: int, queue: str, state: State, *, after: tuple[str, str] | None, limit: int) -> Page:
        """A page of one queue's jobs in one state: waiting ones by run-at, the others newest first."""
        score, last_id = after or ("", "")
        _, now, views, next_score, next_id = await self._connection.run(
            "list_jobs",
            self._root(shard),
            queue=queue,
            state=state,
            after_score=score,
            after_id=last_id,
            limit=limit,
            scan=SCAN_LIMIT,
        )
        behind = (next_score.decode(), next_id.decode()) if next_score else None
        return Page([_job(view, now) for view in views], behind)

    async def delete(self, job_id: str) -> tuple[str, str]:
        """Cancel a waiting job, erase a final one. Returns the reply and, when it is running, its state."""
        reply, *state = await self._connection.run(
            "delete_job", self._root_of(job_id), retention=_RETENTION, id=job_id, request=secrets.token_urlsafe(9)
        )
        return reply.decode(), state[0].decode() if state else ""

    def _root(self, shard: int) -> str:
        return self._connection.root(shard)

    def _root_of(self, job_id: str) -> str:
        shard = shard_of_id(job_id)
        if shard is None or shard >= self._connection.shards:
            raise job_not_found(job_id)
        return self._root(shard)


def job_not_found(job_id: str) -> NotFound:
    """The refusal for an id that names no job, or one that was purged."""
    return NotFound("job_not_found", f"There is no job {job_id[:80]!r}; it may have been purged.")


def lane_of(spec: Spec) -> str:
    """The part of the queue that the job waits in."""
    return spec.queue if spec.key is None else f"{spec.queue}#{spec.key}"


def kept_of(spec: Spec) -> tuple[int, str, bytes]:
    """What the scripts need to know of a spec, and the spec as it is kept; the args are the caller's own bytes."""
    return spec.timeout_ms, " ".join(f"{name} {value}" for name, value in _traits(spec)), _encoder.encode(spec)


def _traits(spec: Spec) -> Iterator[tuple[str, object]]:
    """The fields of a job's hash that most jobs do not have; no value holds a space."""
    if spec.priority != PRIORITY_DEFAULT:
        yield "priority", spec.priority
    if spec.cost != 1:
        yield "cost", spec.cost


def _read_spec(job_id: bytes, spec: bytes) -> Spec:
    try:
        return _spec_decoder.decode(spec)
    except msgspec.DecodeError as error:
        # One job that another version wrote must not keep the others of its batch from being read.
        log.warning("a job cannot be read", extra={"job": job_id.decode(), "error": str(error)})
        return UNREADABLE


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), BATCH_LIMIT):
        yield rows[start : start + BATCH_LIMIT]


def _settle_row(end: Ended) -> tuple[str | bytes | int, ...]:
    settlement = end.settlement
    return (
        end.job_id,
        "" if end.attempt is None else end.attempt,
        end.nonce,
        "1" if end.lapsed else "",
        settlement.verb,
        settlement.outcome,
        settlement.delay_ms,
        settlement.reason,
        settlement.error,
        settlement.result,
        "" if settlement.http_status is None else settlement.http_status,
        "" if settlement.limits is None else _limits(settlement.limits),
    )


def _limits(limits: Limits) -> str:
    named = {
        "remaining": limits.remaining,
        "max": limits.maximum,
        "rate": limits.restore_rate,
        "cost": limits.cost,
    }
    return " ".join(f"{name} {value:.9g}" for name, value in named.items() if value is not None)


def _announce(changes: list[Any]) -> None:
    """Nobody should have to guess why a queue stands still."""
    for change, queue, worker, failures in changes:
        told = {"queue": queue.decode(), "worker": worker.decode()}
        if change == b"opened":
            log.warning("the circuit of a worker opened: %d failures in a row, its jobs wait", failures, extra=told)
        else:
            log.warning("the circuit of a worker closed: its jobs are called again", extra=told)


def _due(reply: int) -> int | None:
    return None if reply < 0 else reply


def _job(view: list[Any], now: int) -> Job:
    job_id, pairs, attempts, reasons = view
    field = dict(zip(pairs[::2], pairs[1::2], strict=True))
    attempt, lost, snoozes, throttles = (int(field.get(name, 0)) for name in _TALLY)
    tally = Tally(attempt, lost, snoozes, throttles)
    run_at = int(field[b"run_at"])
    return Job(
        id=job_id.decode(),
        state=shown_state(field[b"state"].decode(), run_at, tally.attempt, now),
        spec=_read_spec(job_id, field[b"spec"]),
        tally=tally,
        nonce=_text(field.get(b"nonce")) or "",
        created_at=int(field[b"created_at"]),
        run_at=run_at,
        started_at=_instant(field.get(b"started_at")),
        deadline_at=_instant(field.get(b"deadline_at")),
        finished_at=_instant(field.get(b"finished_at")),
        reason=_text(field.get(b"reason")),
        outcome=_text(field.get(b"outcome")),
        answered=_text(field.get(b"answered")),
        result=msgspec.Raw(field[b"result"]) if b"result" in field else None,
        attempts=_log_decoder.decode(attempts),
        waiting_for=[_reason(reason) for reason in reasons],
    )


def _reason(reply: list[Any]) -> Reason:
    kind, scope, until, number = reply
    return Reason(kind.decode(), scope.decode(), None if until < 0 else until, None if number < 0 else number)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _instant(value: bytes | None) -> int | None:
    return None if value is None else int(value)
