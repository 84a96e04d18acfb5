"""Jobs in Redis: one method per script, in the order of a job's life."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from coordinator.domain.ids import shard_of_id, shard_of_queue
from coordinator.domain.job import Attempt, Job, Spec, Tally
from coordinator.domain.outcome import Beat
from coordinator.domain.queue import CIRCUIT_DEFAULT, MAX_WAITING_DEFAULT, RETENTION_DEFAULTS
from coordinator.domain.receipt import EXTEND_LIMIT_MS
from coordinator.domain.selection import Selection
from coordinator.domain.unique import digest
from coordinator.errors import NotFound
from coordinator.store.circuits import announce
from coordinator.store.connection import Connection
from coordinator.store.records import (
    Ended,
    NewJob,
    answered_text,
    enqueue_row,
    has_error,
    kept_of,
    lane_of,
    read_spec,
    read_view,
    settle_row,
)
from coordinator.store.replies import Accepted, Beaten, Claim, Enqueued, Expired, Page, Settled, SettledBatch
from coordinator.store.scripts import Row, or_empty
from coordinator.store.sealing import PLAIN, Sealer

BATCH_LIMIT = 100
"""Jobs in one script: a thousand would hold Redis, and all others, for 10 ms."""

CLAIM_BYTES_LIMIT = 1 << 20
"""Of specs in one claim: a hundred jobs of 256 KiB would be 25 MB in one reply."""

SCAN_LIMIT = 1000
"""Index entries that one page of a list looks at."""

IDEMPOTENCY_MS = 86_400_000
"""How long the answer to a request with an `Idempotency-Key` is remembered."""

Change = Literal["cancel", "delete", "retry", "run"]

RETENTION = " ".join(f"{keep.age_ms} {keep.count}" for keep in RETENTION_DEFAULTS.values())
"""What `lib/finish.lua` reads of it."""


class JobStore:
    """The life of jobs. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection, sealer: Sealer = PLAIN) -> None:
        """All instants come from the Redis server's clock."""
        self._connection = connection
        self._sealer = sealer

    async def enqueue(
        self, shard: int, jobs: Sequence[NewJob], *, all_or_none: bool = False, bounded: bool = True
    ) -> Enqueued:
        """Accept jobs, each for itself unless `all_or_none`. Without `bounded` a full queue takes them too."""
        _, now, due_in, replies = await self._connection.run(
            "enqueue_jobs",
            self._root(shard),
            [enqueue_row(job, self._sealer) for job in jobs],
            retention=RETENTION,
            idempotency_ms=IDEMPOTENCY_MS,
            all_or_none="1" if all_or_none else "",
            max_waiting=MAX_WAITING_DEFAULT if bounded else "",
        )
        return Enqueued(now, _due(due_in), [Accepted(reply.decode(), tuple(told)) for reply, *told in replies])

    async def claim(self, shard: int, *, holder: str, request: str, limit: int, lease_ms: int) -> Claim:
        """Take due jobs. `request` is a fresh random id: it becomes the nonce of the attempts."""
        _, claimed, due_in = await self._connection.run(
            "claim_jobs",
            self._root(shard),
            holder=holder,
            request=request,
            retention=RETENTION,
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
                tally=Tally(number, lost, snoozes, throttles, earlier),
                spec=read_spec(job_id, spec, self._sealer),
                waited_ms=waited_ms,
            )
            for job_id, number, deadline_at, lost, snoozes, throttles, earlier, spec, waited_ms in claimed
        ]
        return Claim(attempts, _due(due_in))

    async def renew(
        self, shard: int, attempts: Sequence[Attempt], *, holder: str, lease_ms: int
    ) -> tuple[set[str], dict[str, int]]:
        """Prolong leases.

        Returns the ids whose attempt is no longer the holder's, and how many ms those have left whose function goes on.
        """
        gone: set[str] = set()
        left: dict[str, int] = {}
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce) for a in attempts]):
            _, ids, extended = await self._connection.run(
                "renew_leases", self._root(shard), rows, holder=holder, lease_ms=lease_ms
            )
            gone.update(job_id.decode() for job_id in ids)
            left |= {job_id.decode(): left_ms for job_id, left_ms in extended}
        return gone, left

    async def detach(self, shard: int, attempts: Sequence[Attempt], answered: Sequence[str] = ()) -> None:
        """Leave attempts to their receipts and deadlines. `answered` tells of each what came of its call."""
        told = [
            answered_text(a.job_id, text, self._sealer) for a, text in zip(attempts, answered, strict=bool(answered))
        ]
        told = told or [""] * len(attempts)
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce, t) for a, t in zip(attempts, told, strict=True)]):
            _, _, circuits = await self._connection.run("detach_jobs", self._root(shard), rows)
            announce(circuits)

    async def release(self, shard: int, attempts: Sequence[Attempt]) -> None:
        """Give back attempts that were surely not sent."""
        for rows in _batches([(a.job_id, a.tally.attempt, a.nonce) for a in attempts]):
            await self._connection.run("release_jobs", self._root(shard), rows, retention=RETENTION)

    async def settle(self, shard: int, ended: Sequence[Ended]) -> SettledBatch:
        """End attempts."""
        _, replies, due_in, circuits, outbox = await self._connection.run(
            "settle_jobs",
            self._root(shard),
            [settle_row(end, self._sealer) for end in ended],
            retention=RETENTION,
            circuit_failures=CIRCUIT_DEFAULT.failures,
            circuit_open_ms=CIRCUIT_DEFAULT.open_ms,
        )
        announce(circuits)
        settled = [Settled(*(word.decode() for word in told)) for told in replies]
        return SettledBatch(settled, _due(due_in), outbox)

    async def beat(self, job_id: str, attempt: int | None, nonce: str, beat: Beat) -> Beaten:
        """Tell that an attempt goes on. Without `attempt` or `nonce` the current one is meant."""
        row = (
            job_id,
            or_empty(attempt),
            nonce,
            "" if beat.progress is None else f"{beat.progress:.9g}",
            self._sealer.seal_text(beat.message, f"job {job_id} message"),
            or_empty(beat.extend_ms),
        )
        _, replies = await self._connection.run("beat_jobs", self._root_of(job_id), [row], window_ms=EXTEND_LIMIT_MS)
        reply, state, deadline_at, cancel_requested = replies[0]
        return Beaten(reply.decode(), state.decode(), deadline_at, bool(cancel_requested))

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
                    spec=read_spec(job_id, spec, self._sealer),
                ),
                "lost" if kind == b"lost" else "timeout",
                self._sealer.show_text(answered.decode(), f"job {job_id.decode()} answered") or "",
            )
            for job_id, number, nonce, kind, lost, snoozes, throttles, spec, answered in rows
        ]

    async def expire(self, shard: int) -> int:
        """Give up a batch of jobs that were to start by now and have not. Returns how many."""
        _, cancelled, _ = await self._connection.run(
            "expire_jobs", self._root(shard), retention=RETENTION, limit=BATCH_LIMIT
        )
        return int(cancelled)

    async def purge(self, shard: int) -> int:
        """Erase a batch of finished jobs that are past their retention. Returns how many."""
        _, purged, _ = await self._connection.run(
            "purge_jobs", self._root(shard), retention=RETENTION, limit=BATCH_LIMIT
        )
        return int(purged)

    async def poll(self, shard: int) -> tuple[int | None, ...]:
        """In how many ms there is something to claim, to end, to fire, to purge, to give up, to tell; None is never."""
        _, *instants = await self._connection.run("poll_shard", self._root(shard))
        return tuple(_due(instant) for instant in instants)

    async def read(self, job_id: str) -> Job:
        """One job. Raises `NotFound`."""
        reply, *rest = await self._connection.run("read_job", self._root_of(job_id), id=job_id)
        if reply != b"ok":
            raise job_not_found(job_id)
        now, view = rest
        return read_view(view, now, self._sealer)

    async def find(self, queue: str, handle: str) -> str | None:
        """The id of the job that has a unique handle."""
        root = self._root(shard_of_queue(queue, self._connection.shards))
        _, found = await self._connection.run("read_handle", root, queue=queue, handle=digest(handle))
        return found.decode() or None

    async def page(
        self, shard: int, chosen: Selection, *, after: tuple[str, str] | None, limit: int, scan: int = SCAN_LIMIT
    ) -> Page:
        """A page of the jobs that were chosen, of one shard: of a tag, schedule or batch, or of one queue in one state.

        Waiting ones come by run-at, the others newest first. Only `scan` are looked at, so a page may be short; only
        `limit` if an error is sought and errors are sealed.
        """
        # No script can look into a sealed error: they are brought here, and those without the text left out.
        hidden = None if self._sealer.newest is None else chosen.error
        score, last_id = after or ("", "")
        kind, name = chosen.index or ("", "")
        _, now, views, next_score, next_id = await self._connection.run(
            "list_jobs",
            self._root(shard),
            queue=chosen.queue or "",
            state=chosen.state or "",
            after_score=score,
            after_id=last_id,
            limit=limit,
            scan=scan,
            index_kind=kind,
            index_name=name,
            worker=chosen.worker or "",
            key=chosen.key or "",
            created_after=or_empty(chosen.created_after),
            finished_before=or_empty(chosen.finished_before),
            error_text="" if hidden else chosen.error or "",
        )
        behind = (next_score.decode(), next_id.decode()) if next_score else None
        jobs = [read_view(view, now, self._sealer) for view in views]
        return Page([job for job in jobs if hidden is None or has_error(job, hidden)], behind)

    async def change(self, shard: int, verb: Change, job_ids: Sequence[str]) -> tuple[list[Settled], int | None]:
        """Cancel, delete, retry or run jobs of a shard.

        Returns an answer for each, as told in `change_jobs.lua`, and `due_in_ms` as `enqueue` does.
        """
        _, replies, due_in = await self._connection.run(
            "change_jobs",
            self._root(shard),
            [(job_id,) for job_id in job_ids],
            retention=RETENTION,
            verb=verb,
            request=secrets.token_urlsafe(9),
        )
        return [Settled(reply.decode(), state.decode()) for reply, state in replies], _due(due_in)

    async def edit(
        self, job: Job, spec: Spec, *, run_at: int | None, delay_ms: int | None
    ) -> tuple[Settled, int | None]:
        """Write what a waiting job is to do, if it is still as it was read.

        The reply is as told in `edit_job.lua`; `due_in_ms` is as `enqueue` has it.
        """
        _, traits, encoded = kept_of(spec, job.id, self._sealer)
        reply, *told = await self._connection.run(
            "edit_job",
            self._root_of(job.id),
            id=job.id,
            edits=job.edits,
            lane=lane_of(spec),
            run_at=or_empty(run_at),
            delay_ms=or_empty(delay_ms),
            traits=traits,
            spec=encoded,
        )
        return _rewritten(reply, told)

    async def replay(self, job: Job, spec: Spec) -> tuple[Settled, int | None]:
        """Have a dead or cancelled job tried anew as this spec has it, if it is still as it was read.

        The reply is as told in `replay_job.lua`; `due_in_ms` is as `enqueue` has it.
        """
        _, _, encoded = kept_of(spec, job.id, self._sealer)
        reply, *told = await self._connection.run(
            "replay_job",
            self._root_of(job.id),
            id=job.id,
            edits=job.edits,
            request=secrets.token_urlsafe(9),
            spec=encoded,
        )
        return _rewritten(reply, told)

    def by_shard(self, job_ids: Iterable[str]) -> dict[int, list[str]]:
        """The ids by the shard that each names, because a script acts in one. Raises `NotFound`."""
        found: dict[int, list[str]] = {}
        for job_id in job_ids:
            found.setdefault(self.shard_of(job_id), []).append(job_id)
        return found

    def shard_of(self, job_id: str) -> int:
        """The shard that an id names. Raises `NotFound`."""
        shard = shard_of_id(job_id)
        if shard is None or shard >= self._connection.shards:
            raise job_not_found(job_id)
        return shard

    def _root(self, shard: int) -> str:
        return self._connection.root(shard)

    def _root_of(self, job_id: str) -> str:
        return self._root(self.shard_of(job_id))


def job_not_found(job_id: str) -> NotFound:
    """The refusal for an id that names no job, or one that was purged."""
    return NotFound("job_not_found", f"There is no job {job_id[:80]!r}; it may have been purged.")


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), BATCH_LIMIT):
        yield rows[start : start + BATCH_LIMIT]


def _rewritten(reply: bytes, told: Sequence[Any]) -> tuple[Settled, int | None]:
    """The answer to who wrote what a job is to do."""
    if reply == b"ok":
        return Settled("ok", "waiting"), _due(told[0])
    return Settled(reply.decode(), told[0].decode() if told else ""), None


def _due(reply: int) -> int | None:
    return None if reply < 0 else reply
