"""What is done to many jobs at once: found page by page, changed by the script that changes one."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
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

Act = Callable[[list[Job]], Awaitable[int]]
"""Does it to these jobs, and returns how many it changed."""

Pages = Callable[[State | None, int, str | None], Awaitable[tuple[list[Job], str | None]]]
"""Jobs in a state, at most so many, from a cursor on; and the next cursor."""


@dataclass(frozen=True, slots=True)
class BulkDone:
    """How many jobs were meant and how many changed. `is_all` is false when the limit or the time ended it."""

    matched: int
    done: int
    is_all: bool


async def act_on_all(pages: Pages, act: Act, states: tuple[State, ...], limit: int) -> BulkDone:
    """Act on the jobs of these states, within the time of a request."""
    ends_at = time.monotonic() + PATIENCE_S
    done = BulkDone(0, 0, is_all=False)
    async for so_far in act_by_pages(pages, act, states, limit):
        done = so_far
        if time.monotonic() > ends_at:
            break
    return done


async def act_by_pages(pages: Pages, act: Act, states: tuple[State, ...], limit: int) -> AsyncGenerator[BulkDone, None]:
    """The same without an end but the limit: how far it is, after each page. `act` returns how many it changed.

    What an act has moved may stand on a page to come: no job is acted on twice.
    """
    matched = done = 0
    # Ids would take twice the room, and a million are allowed: 64 bits of each tell them apart.
    met: set[int] = set()
    for state in states:
        cursor: str | None = None
        while True:
            page, cursor = await pages(state, min(100, limit - matched), cursor)
            jobs = [job for job in page if hash(job.id) not in met]
            met.update(hash(job.id) for job in jobs)
            matched += len(jobs)
            done += await act(jobs) if jobs else 0
            is_last = cursor is None and state == states[-1]
            yield BulkDone(matched, done, is_all=is_last and matched < limit)
            if matched >= limit:
                return
            if cursor is None:
                break
