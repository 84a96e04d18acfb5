"""What ends in one shard and is to be told in another: callbacks to be enqueued, batches to be counted.

```
 settle, in one script: job is final ─┬─▶ index of its state
                                      └─▶ outbox ──deliver──▶ enqueue the callback │ count in its batch ──▶ clear
```

No script spans two shards, so what is to follow is written down where the job ends and delivered from there, as often
as it takes: a callback's id is made from the job's, and a batch counts each job once. Who has just settled delivers at
once; the leader delivers what was left.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from coordinator.domain.batch import callback_of, callbacks_of, entropy_of
from coordinator.domain.ids import new_id, shard_of_id, shard_of_queue
from coordinator.domain.job import Spec
from coordinator.errors import NotFound, StoreUnavailable
from coordinator.store.batches import Outgoing
from coordinator.store.open import Store
from coordinator.store.records import NewJob

Wake = Callable[[int, int | None], None]
"""Told that a shard has something to claim in so many ms (None: nothing new)."""

log = logging.getLogger(__name__)


class Outbox:
    """Delivers. One delivery at a time per shard."""

    def __init__(self, store: Store, wake: Wake) -> None:
        """`wake` is told when a callback is due."""
        self._store = store
        self._wake = wake
        self._delivering: dict[int, asyncio.Task[None]] = {}

    def notice(self, shard: int) -> None:
        """There is something to deliver."""
        if shard not in self._delivering:
            task = asyncio.create_task(self._deliver_all(shard))
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
            log.warning("the outbox could not be emptied", extra={"shard": shard, "error": error.code})

    async def deliver(self, shard: int) -> bool:
        """Deliver a batch of it. Whether there is more."""
        outgoing = await self._store.batches.outgoing(shard)
        if not outgoing.jobs and not outgoing.batches:
            return False
        await self._call_back(outgoing)
        await self._count(outgoing)
        return await self._store.batches.clear(shard, outgoing)

    async def _call_back(self, outgoing: Outgoing) -> None:
        for job in outgoing.jobs:
            callback = callback_of(job)
            if callback is not None:
                await self._enqueue(callback, job.finished_at or 0, job.id, job.finished_at)
        for batch_id in outgoing.batches:
            try:
                view = await self._store.batches.read(batch_id)
            except NotFound:
                continue
            for number, callback in enumerate(callbacks_of(view)):
                await self._enqueue(callback, view.completed_at or 0, batch_id, number)

    async def _enqueue(self, callback: Spec, at: int, *made_of: object) -> None:
        shard = shard_of_queue(callback.queue, self._store.shards)
        job = NewJob(new_id(shard, at, entropy_of(*made_of)), callback)
        enqueued = await self._store.jobs.enqueue(shard, [job])
        self._wake(shard, enqueued.due_in_ms)

    async def _count(self, outgoing: Outgoing) -> None:
        ended: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for job in outgoing.jobs:
            if job.spec.batch_id is not None:
                ended[job.spec.batch_id].append((job.id, job.state))
        for batch_id, jobs in ended.items():
            home = shard_of_id(batch_id)
            if home is not None and await self._store.batches.end(batch_id, jobs):
                self.notice(home)
