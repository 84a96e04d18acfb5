"""`GET /job/:id?wait=30s`: the answer comes when the job is final.

The store is looked at again and again, soon at first and then ever more slowly: a job is final within milliseconds or
within minutes, and nobody who waits learns of it more than half a second late.
"""

import asyncio
import time
from collections.abc import Mapping

from coordinator.api.reading import Body, Duration, decode_query
from coordinator.domain.durations import parse_duration
from coordinator.domain.job import FINAL_STATES, Job
from coordinator.store.jobs import JobStore

WAIT_MOST_MS = 60_000
"""Proxies cut what takes longer; who waits longer asks again."""

_PAUSE_S, _PAUSE_MOST_S = 0.02, 0.5


class WaitQuery(Body):
    """`?wait=30s`."""

    wait: Duration | None = None


def wait_of(given: Mapping[str, str], *, unasked_ms: int = 0, most_ms: int = WAIT_MOST_MS) -> int:
    """The wait that a request asks for, in ms. Raises `Invalid`."""
    wait = decode_query(given, WaitQuery).wait
    return unasked_ms if wait is None else parse_duration(wait, "wait", most_ms=most_ms)


async def until_final(jobs: JobStore, job_id: str, wait_ms: int) -> Job:
    """The job when it is final, or as it is when the time is over. Raises `NotFound`."""
    ends_at = time.monotonic() + wait_ms / 1000
    pause_s = _PAUSE_S
    while True:
        job = await jobs.read(job_id)
        left_s = ends_at - time.monotonic()
        if job.state in FINAL_STATES or left_s <= 0:
            return job
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, _PAUSE_MOST_S)
