"""What is done to many jobs at once: found page by page, changed by the script that changes one."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from coordinator.domain.job import Job, State

Action = Literal["retry", "cancel", "delete", "run", "edit"]

WAITING: tuple[State, ...] = ("queued", "scheduled", "retrying")
STATES: dict[Action, tuple[State, ...]] = {
    "retry": ("dead", "cancelled"),
    "cancel": (*WAITING, "running"),
    # The final ones first: what waits is cancelled, and is not to be met again as such.
    "delete": ("succeeded", "dead", "cancelled", *WAITING),
    "run": ("scheduled", "retrying"),
    "edit": WAITING,
}
"""The states in which an action does something."""

PATIENCE_S = 20
"""For one request; what is left is for the next."""

Pages = Callable[[State | None, int, str | None], Awaitable[tuple[list[Job], str | None]]]
"""Jobs in a state, at most so many, from a cursor on; and the next cursor."""


@dataclass(frozen=True, slots=True)
class BulkDone:
    """How many jobs were meant and how many changed. `is_all` is false when the limit or the time ended it."""

    matched: int
    done: int
    is_all: bool


async def act_on_all(
    pages: Pages, act: Callable[[list[Job]], Awaitable[int]], states: tuple[State, ...], limit: int
) -> BulkDone:
    """Act on the jobs of these states, page by page. `act` returns how many it changed.

    What an act has moved may stand on a page to come: no job is acted on twice.
    """
    ends_at = time.monotonic() + PATIENCE_S
    matched = done = 0
    met: set[str] = set()
    for state in states:
        cursor: str | None = None
        while True:
            page, cursor = await pages(state, min(100, limit - matched), cursor)
            jobs = [job for job in page if job.id not in met]
            met.update(job.id for job in jobs)
            matched += len(jobs)
            done += await act(jobs) if jobs else 0
            if matched >= limit or time.monotonic() > ends_at:
                return BulkDone(matched, done, is_all=False)
            if cursor is None:
                break
    return BulkDone(matched, done, is_all=True)
