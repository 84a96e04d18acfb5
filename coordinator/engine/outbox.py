"""What ends in one shard and is to be told in another: callbacks to be enqueued, batches to be counted.

```
 settle, in one script: job is final ─┬─▶ index of its state
                                      └─▶ outbox ──deliver──▶ count in its batch, enqueue the callback ──▶ clear
```

No script spans two shards, so what is to follow is written down where the job ends and delivered from there, as often
as it takes: a callback's id is made from the job's, and a batch counts each job once. Who has just settled delivers at
once; the leader delivers what was left.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import TypeVar

from coordinator.domain.batch import callback_of, callbacks_of, entropy_of
from coordinator.domain.ids import new_id, shard_of_id, shard_of_queue
from coordinator.domain.job import Spec
from coordinator.errors import NotFound, StoreUnavailable
from coordinator.store.batches import Outgoing
from coordinator.store.open import Store
from coordinator.store.records import NewJob
from coordinator.store.sealing import key_of

Wake = Callable[[int, int | None], None]
"""Told that a shard has something to claim in so many ms (None: nothing new)."""

Answer = TypeVar("Answer")

_NOWHERE = -1
"""No shard: where a callback would go that this replica cannot open."""

log = logging.getLogger(__name__)


class Outbox:
    """Delivers. One delivery at a time per shard."""

    def __init__(self, store: Store, wake: Wake) -> None:
        """`wake` is told when a callback is due; `lacks_key` is set by the replica that assembles the parts."""
        self._store = store
        self._wake = wake
        self._delivering: dict[int, asyncio.Task[None]] = {}
        self.lacks_key: Callable[[str], Awaitable[bool]] | None = None

    def notice(self, shard: int) -> None:
        """There is something to deliver."""
        if shard not in self._delivering:
            # Not in the context of the request that noticed it: what it asks for is for its own changes.
            task = asyncio.create_task(self._deliver_all(shard), context=Context())
            self._delivering[shard] = task
            task.add_done_callback(lambda _: self._delivering.pop(shard, None))

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._delivering:
            await asyncio.wait(self._delivering.values())

    async def _deliver_all(self, shard: int) -> None:
        try:
            while await self.deliver(shard):
                pass
        except StoreUnavailable as error:
            log.warning(
                "the outbox could not be emptied", extra={"event": "outbox.failed", "shard": shard, "error": error.code}
            )

    async def deliver(self, shard: int) -> bool:
        """Deliver some of it. Whether there is more. Raises `StoreUnavailable` if nothing could be delivered.

        What cannot be delivered now stays, and holds up nothing else.
        """
        outgoing = await self._store.batches.outgoing(shard)
        if not outgoing:
            return False
        reach = _Reach()
        counted = await self._count(outgoing, reach)
        told = [one for one in counted if await self._call_back(one, reach)]
        if not told:
            raise reach.refusals[0]
        return await self._store.batches.clear(shard, told)

    async def _count(self, outgoing: Sequence[Outgoing], reach: "_Reach") -> list[Outgoing]:
        """Tell the batches. Returns what there is nothing more to count of.

        Before the callbacks: what is told twice counts once, but a callback of which nothing is kept is made anew.
        """
        ended: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for one in outgoing:
            # It is final: nobody can have it tried anew before others were told.
            if one.job is not None and one.job.spec.batch_id is not None:
                ended[one.job.spec.batch_id].append((one.job.id, one.job.state))
        untold: set[str] = set()
        for batch_id, jobs in ended.items():
            try:
                await self._end(batch_id, jobs, reach)
            except StoreUnavailable:
                untold.update(job_id for job_id, _ in jobs)
        return [one for one in outgoing if one.entry not in untold]

    async def _end(self, batch_id: str, jobs: Sequence[tuple[str, str]], reach: "_Reach") -> None:
        home = shard_of_id(batch_id)
        if home is None:
            return
        try:
            if await reach.ask(home, partial(self._store.batches.end, batch_id, jobs)):
                self.notice(home)
        except NotFound:
            return

    async def _call_back(self, one: Outgoing, reach: "_Reach") -> bool:
        """Enqueue what is to be called. Whether all of it is stored."""
        try:
            for callback in await self._callbacks_at(one):
                shard = shard_of_queue(callback.spec.queue, self._store.shards)
                # Sealed for the place it comes from, it has to be opened to be moved: others can, or nobody.
                if self.lacks_key and callback.spec.sealed and await self.lacks_key(key_of(callback.spec)):
                    await reach.ask(_NOWHERE, _leave_to_others)
                # It was accepted with the job or the batch that it is of: a full queue may not refuse it now.
                enqueue = partial(self._store.jobs.enqueue, shard, [callback], bounded=False)
                enqueued = await reach.ask(shard, enqueue)
                self._wake(shard, enqueued.due_in_ms)
        except StoreUnavailable as error:
            if error not in reach.refusals:
                raise  # The outbox's own shard is away.
            return False
        return True

    async def _callbacks_at(self, one: Outgoing) -> list[NewJob]:
        if one.job is not None:
            callback, at = callback_of(one.job), one.job.finished_at or 0
            return [] if callback is None else [self._new_job(callback, at, one.job.id, one.job.finished_at)]
        if one.batch_id is None:
            return []
        try:
            view = await self._store.batches.read(one.batch_id)
        except NotFound:
            return []
        callbacks = enumerate(callbacks_of(view))
        return [self._new_job(callback, view.completed_at or 0, view.id, number) for number, callback in callbacks]

    def _new_job(self, callback: Spec, at: int, *made_of: object) -> NewJob:
        shard = shard_of_queue(callback.queue, self._store.shards)
        return NewJob(new_id(shard, at, entropy_of(*made_of)), callback)


async def _leave_to_others() -> None:
    raise StoreUnavailable("key_missing", "The callback is sealed with a key that this replica lacks.")


class _Reach:
    """The shards as one delivery finds them: one that takes nothing is asked once, because a try may last seconds."""

    def __init__(self) -> None:
        self._refusals: dict[int, StoreUnavailable] = {}

    @property
    def refusals(self) -> list[StoreUnavailable]:
        """Why something could not be delivered, the first reason first."""
        return list(self._refusals.values())

    async def ask(self, shard: int, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the shard answers. Raises `StoreUnavailable`."""
        if shard in self._refusals:
            raise self._refusals[shard]
        try:
            return await act()
        except StoreUnavailable as error:
            self._refusals[shard] = error
            raise
