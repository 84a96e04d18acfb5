"""Where jobs and schedules come in."""

import secrets
import time
from collections.abc import Sequence

from msgspec.structs import replace

from coordinator.domain.ids import new_id, shard_of_queue
from coordinator.domain.job import Job, Spec, accepted_job
from coordinator.domain.recurrence import next_tick
from coordinator.domain.schedule import Schedule
from coordinator.engine.group_commit import GroupCommit
from coordinator.engine.settler import Wake
from coordinator.errors import Invalid
from coordinator.store.jobs import BATCH_LIMIT, NewJob
from coordinator.store.open import Store
from coordinator.store.schedules import StoredSchedule


class Intake:
    """Accepts jobs, those that come together in one script. What it returned from is in Redis."""

    def __init__(self, store: Store, wake: Wake) -> None:
        """`wake` is told when a job is due sooner than all others, so that this very replica claims it."""
        self._store = store
        self._wake = wake
        self._jobs = GroupCommit(self._commit, BATCH_LIMIT, lambda job: len(bytes(job.spec.args)))

    async def enqueue(self, spec: Spec, *, run_at: int = 0, delay_ms: int = 0) -> Job:
        """Accept a job, as it is then. Raises `StoreUnavailable`."""
        job_id = self._new_id(spec.queue)
        now = await self._jobs.submit(self._shard(spec.queue), NewJob(job_id, spec, run_at, delay_ms))
        return accepted_job(job_id, spec, max(now + delay_ms, run_at), now)

    async def schedule(self, schedule: Schedule) -> StoredSchedule:
        """Accept a schedule, as it is then. Raises `StoreUnavailable`, and `Invalid` if it would never fire."""
        schedule_id = self._new_id(schedule.spec.queue)
        now = await self._store.schedules.now()
        if schedule.rule.every_ms is not None:
            # Counted from its beginning, so that ticks do not move with the instant at which they are computed.
            anchor = now if schedule.rule.start_at is None else schedule.rule.start_at
            schedule = replace(schedule, rule=replace(schedule.rule, anchor_at=anchor))
        next_at = next_tick(schedule.rule, now)
        if next_at is None:
            bound = "startAt" if schedule.rule.end_at is None else "endAt"
            raise Invalid(bound, "leaves no tick that is still to come")
        await self._store.schedules.put(schedule_id, schedule, next_at)
        return StoredSchedule(schedule_id, schedule, created_at=now, next_at=next_at)

    def _new_id(self, queue: str) -> str:
        return new_id(self._shard(queue), time.time_ns() // 1_000_000, secrets.randbits(70))

    def _shard(self, queue: str) -> int:
        return shard_of_queue(queue, self._store.shards)

    async def _commit(self, shard: int, jobs: Sequence[NewJob]) -> list[int]:
        now, due_in_ms = await self._store.jobs.enqueue(shard, jobs)
        self._wake(shard, due_in_ms)
        return [now] * len(jobs)
