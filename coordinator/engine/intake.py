"""Where jobs come in."""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from coordinator.domain.batch import Batch
from coordinator.domain.ids import new_id, shard_of_queue
from coordinator.domain.job import Job, Spec, accepted_job
from coordinator.engine.group_commit import GroupCommit
from coordinator.engine.headroom import Headroom
from coordinator.engine.outbox import Wake
from coordinator.engine.witness import Witness
from coordinator.errors import Conflict, Invalid, NotFound, Refusal, TooMany, idempotency_mismatch
from coordinator.store.jobs import BATCH_LIMIT
from coordinator.store.open import Store
from coordinator.store.records import NewJob
from coordinator.store.replies import Accepted, Enqueued
from coordinator.store.sealing import key_of

_QUEUE_FULL_RETRY_S = 10
"""A queue that is full is not soon empty, and whoever asks more often only costs."""


@dataclass(frozen=True, slots=True)
class Intaken:
    """A job that was accepted just now (`created`), or the one that stood for it already.

    `job` is None for a duplicate that has been purged.
    """

    id: str
    job: Job | None
    how: Literal["created", "duplicate", "replayed"] = "created"


class Intake:
    """Accepts jobs, those that come together in one script. What it returned from is in Redis."""

    def __init__(self, store: Store, wake: Wake, headroom: Headroom, witness: Witness) -> None:
        """`wake` is told when a job is due sooner than all others, so that this very replica claims it."""
        self._witness = witness
        self._store = store
        self._wake = wake
        self._headroom = headroom
        self._id_at = self._entropy = 0
        self._jobs = GroupCommit(self._commit, BATCH_LIMIT, lambda job: len(bytes(job.spec.args)))

    async def enqueue(
        self, spec: Spec, *, run_at: int = 0, delay_ms: int = 0, idempotency: tuple[str, str] | None = None
    ) -> Intaken:
        """Accept a job, or find the one that stands for it.

        Raises `StoreUnavailable`, `TooMany` (`queue_full`), `Conflict` (`unique_conflict`; `invalid_state` if its batch
        has become complete meanwhile) and `Invalid` (`idempotency_mismatch`, `cost_exceeds_burst`).
        """
        job_id = self.new_id(spec.queue)
        new = NewJob(job_id, spec, run_at, delay_ms, idempotency)
        now, accepted = await self._submit(new)
        match accepted.reply, accepted.told:
            case "created", _:
                await self._join(spec, job_id)
                return Intaken(job_id, accepted_job(job_id, spec, max(now + delay_ms, run_at), now))
            case "replayed", (known, created_at, due_at):
                # The first try may have died before the batch was told.
                await self._join(spec, known.decode())
                # As it was answered then, whatever has become of the job: that is what the caller missed.
                job = accepted_job(known.decode(), spec, due_at, created_at)
                return Intaken(job.id, job, how="replayed")
            case "duplicate", (known,):
                return Intaken(known.decode(), await self._find(known.decode()), how="duplicate")
        raise refusal_of(accepted, spec)

    async def submit(self, job: NewJob) -> Accepted:
        """Accept a job together with others. Raises `StoreUnavailable`."""
        _, accepted = await self._submit(job)
        return accepted

    async def _submit(self, job: NewJob) -> tuple[int, Accepted]:
        shard = self._shard(job.spec.queue)
        self._headroom.check(shard)
        with self._witness.enqueuing([job]) as (traced,):
            return await self._jobs.submit(shard, traced)

    async def enqueue_all(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept jobs of one shard: all, or none of them. A thousand hold Redis for 10 ms."""
        shard = self._shard(jobs[0].spec.queue)
        self._headroom.check(shard)
        with self._witness.enqueuing(jobs) as traced:
            enqueued = await self._store.jobs.enqueue(shard, traced, all_or_none=True)
        self._heed(shard, jobs, enqueued)
        return enqueued.accepted

    def check_room(self, ids: Iterable[str]) -> None:
        """Refuse what is new where there is no room for all of it, before any is stored. Raises `StoreUnavailable`."""
        for shard in self._store.jobs.by_shard(ids):
            self._headroom.check(shard)

    async def open_batch(self, batch_id: str) -> Batch:
        """A batch that jobs can still join. Raises `NotFound`, and `Conflict` if it is complete."""
        view = await self._store.batches.read(batch_id)
        if view.completed_at is not None:
            raise batch_complete()
        return view.batch

    async def take_back(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs that were accepted for a batch which did not wait for them."""
        for shard, here in self._store.jobs.by_shard(job_ids).items():
            for start in range(0, len(here), BATCH_LIMIT):
                await self._store.jobs.change(shard, "cancel", here[start : start + BATCH_LIMIT])

    def new_job(self, spec: Spec, *, run_at: int, delay_ms: int, idempotency: tuple[str, str] | None) -> NewJob:
        """A job with an id of its own, not stored yet."""
        return NewJob(self.new_id(spec.queue), spec, run_at, delay_ms, idempotency)

    def new_id(self, queue: str) -> str:
        """The id of something new that lives where this queue does."""
        now = time.time_ns() // 1_000_000
        # Those of one millisecond rise, because jobs that are due at one instant are called in the order of their ids.
        self._entropy = self._entropy + 1 if now == self._id_at else secrets.randbits(69)
        self._id_at = now
        return new_id(self._shard(queue), now, self._entropy)

    async def _join(self, spec: Spec, job_id: str) -> None:
        """Have the job's batch wait for it. Raises `Conflict`, and `NotFound`; then the job is cancelled again."""
        if spec.batch_id is None:
            return
        try:
            late = await self._store.batches.add(spec.batch_id, [job_id])
        except NotFound:
            await self.take_back([job_id])
            raise
        if late:
            await self.take_back(late)
            raise batch_complete()

    async def _find(self, job_id: str) -> Job | None:
        """None if it has been purged, and only its handle is still known."""
        try:
            return await self._store.jobs.read(job_id)
        except NotFound:
            return None

    def _shard(self, queue: str) -> int:
        return shard_of_queue(queue, self._store.shards)

    async def _commit(self, shard: int, jobs: Sequence[NewJob]) -> list[tuple[int, Accepted]]:
        enqueued = await self._store.jobs.enqueue(shard, jobs)
        self._heed(shard, jobs, enqueued)
        return [(enqueued.now, accepted) for accepted in enqueued.accepted]

    def _heed(self, shard: int, jobs: Sequence[NewJob], enqueued: Enqueued) -> None:
        self._wake(shard, enqueued.due_in_ms)
        for job, accepted in zip(jobs, enqueued.accepted, strict=True):
            if accepted.reply == "created":
                self._witness.accepted(job.spec.queue)


def batch_complete() -> Conflict:
    """The refusal for a job that comes too late for its batch."""
    return Conflict("invalid_state", "The batch is complete; jobs can join it before.", state="complete")


def sealed_away(spec: Spec) -> Conflict:
    """The refusal for what would have to be opened first, and cannot be."""
    key = key_of(spec)
    return Conflict(
        "sealed", f"It is sealed with the key {key!r}, which opens it no more or is missing in COORDINATOR_KEYS."
    )


def refusal_of(accepted: Accepted, spec: Spec) -> Refusal:
    """Why a job was not accepted. Raises `RuntimeError` for a reply that is no refusal: a fault of ours."""
    match accepted.reply, accepted.told:
        case "unique_conflict", (known,):
            detail = f"The job {known.decode()} has this unique handle; onConflict is reject."
            return Conflict("unique_conflict", detail, existingId=known.decode())
        case "cost_exceeds_burst", (burst,):
            most = f"the burst of {burst.decode()} that the queue {spec.queue!r} allows"
            detail = f"{spec.cost:g} is more than {most}, so it would wait for ever; split the work"
            return Invalid("cost", detail, code="cost_exceeds_burst")
        case "queue_full", (told,):
            limit = int(told)
            detail = f"The queue {spec.queue!r} has no room for more jobs that wait: its maxWaiting is {limit}."
            return TooMany("queue_full", detail, _QUEUE_FULL_RETRY_S, queue=spec.queue, limit=limit)
        case "idempotency_mismatch", _:
            return idempotency_mismatch()
    raise RuntimeError(f"enqueue_jobs answered {accepted.reply!r}, which is no refusal that is known here")
