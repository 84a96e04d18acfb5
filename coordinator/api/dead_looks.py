"""Looks at dead jobs, to put those of one reason together.

A look walks through what is kept, so it costs what the store holds: one is made at a time, it ends after so long or so
many pages, and what it has found is told for some time to whoever asks for the same.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from coordinator.api.answers import job_answer
from coordinator.api.listing import read_page
from coordinator.api.permissions import is_covered
from coordinator.api.redaction import Redaction
from coordinator.domain.error_group import ErrorKind, kind_of, match_of
from coordinator.domain.job import Job
from coordinator.domain.selection import Selection
from coordinator.domain.tokens import Grant
from coordinator.store.open import Store

LOOK_MOST = 2000
"""Jobs that one look takes in, queue by queue the newest first."""

LOOK_S = 3.0
"""For one look; what stands between the jobs that are sought may be much more than these."""

PAGES_MOST = 100
"""Of one look."""

KEPT_TIMES = 4
"""What a look has found is told so many times as long as the look took: at most a fifth of the time is looked."""

_PAGE = 200


@dataclass(slots=True)
class Found:
    """Groups of dead jobs, of `looked` jobs in all. If it `is_cut`, there may be more."""

    looked: int = 0
    is_cut: bool = False
    groups: dict[tuple[str, str, ErrorKind], dict[str, Any]] = field(default_factory=dict)


_Asked = tuple[Selection, tuple[str, ...]]


class DeadLooks:
    """Of one replica."""

    def __init__(self, store: Store, redaction: Redaction, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is looked at before `find`."""
        self._store = store
        self._redaction = redaction
        self._clock = clock
        self._turn = asyncio.Lock()
        self._looks: dict[_Asked, asyncio.Task[Found]] = {}

    async def find(self, chosen: Selection, grant: Grant) -> Found:
        """What was chosen, as far as the grant covers it. Raises `StoreUnavailable`."""
        asked = chosen, grant.queues
        look = self._looks.get(asked)
        if look is None:
            look = self._looks[asked] = asyncio.create_task(self._take_turn(asked, grant))
            look.add_done_callback(lambda done: self._drop_failed(asked, done))
        # Whoever goes away while others wait must not end it for them.
        return await asyncio.shield(look)

    async def _take_turn(self, asked: _Asked, grant: Grant) -> Found:
        async with self._turn:
            begun = self._clock()
            found = await self._look(asked[0], grant, begun + LOOK_S)
        kept_s = KEPT_TIMES * (self._clock() - begun)
        asyncio.get_running_loop().call_later(kept_s, self._looks.pop, asked, None)
        return found

    def _drop_failed(self, asked: _Asked, done: "asyncio.Task[Found]") -> None:
        if done.cancelled() or done.exception():
            self._looks.pop(asked, None)

    async def _look(self, chosen: Selection, grant: Grant, until: float) -> Found:
        found, cursor = Found(), None
        for _ in range(PAGES_MOST):
            jobs, cursor = await read_page(self._store, chosen, min(_PAGE, LOOK_MOST - found.looked), cursor)
            for job in filter(lambda job: is_covered(grant, job.spec), jobs):
                found.looked += 1
                kind = kind_of(bytes(self._redaction.job(job_answer(job)).last_error))
                _add(found.groups.setdefault((job.spec.queue, job.spec.worker, kind), {}), job, kind)
            if cursor is None or found.looked >= LOOK_MOST or self._clock() >= until:
                break
        found.is_cut = cursor is not None
        return found


def _add(group: dict[str, Any], job: Job, kind: ErrorKind) -> None:
    if not group:
        group |= {"queue": job.spec.queue, "worker": job.spec.worker, "error": msgspec.to_builtins(kind), "count": 0}
        kept = bytes(job.attempts[-1].error) if job.attempts else b""
        # The newest of them: a list gives them in this order.
        group |= {"lastAt": job.finished_at, "jobId": job.id, "match": match_of(kind, kept)}
    group["count"] += 1
