"""`POST /job?dryRun=true`: what would be made, and when it would run. Nothing is stored."""

from itertools import accumulate

from litestar import Response

from coordinator.api.answers import DryJobAnswer, DryScheduleAnswer, job_answer, json_response, schedule_answer
from coordinator.domain.instants import format_instant
from coordinator.domain.job import Spec, accepted_job
from coordinator.domain.recurrence import ticks_after
from coordinator.domain.retry import wait_ms
from coordinator.domain.schedule import Schedule
from coordinator.engine.replica import Replica

_TICKS = 5


async def dry_job(replica: Replica, spec: Spec, run_at: int, delay_ms: int) -> Response[bytes]:
    """The job, when it would be called, and the waits after its failures."""
    now = await replica.store.schedules.now()
    job = accepted_job(replica.intake.new_id(spec.queue), spec, max(now + delay_ms, run_at), now)
    return json_response(DryJobAnswer(job_answer(job), [format_instant(job.run_at)], _waits(spec)))


async def dry_schedule(replica: Replica, schedule: Schedule) -> Response[bytes]:
    """The schedule, its next ticks, and the waits after failures of its runs."""
    new = await replica.schedules.plan(schedule)
    most = _TICKS if schedule.max_runs is None else min(_TICKS, schedule.max_runs)
    ticks = ticks_after(new.schedule.rule, new.created_at, most)
    runs = [format_instant(tick) for tick in ticks]
    return json_response(DryScheduleAnswer(schedule_answer(new), runs, _waits(schedule.spec)))


def _waits(spec: Spec) -> list[int]:
    """The waits after failures: without the jitter, which is drawn when it is due, and of calls that take no time."""
    waits = [wait_ms(spec.retry, spec.backoff, attempt, 0) for attempt in range(1, spec.max_attempts)]
    if spec.max_retry_ms is None:
        return waits
    ends = accumulate(waits)
    return [wait for wait, end in zip(waits, ends, strict=True) if end <= spec.max_retry_ms]
