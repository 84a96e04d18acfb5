"""What the doctor looks at and no single script sees: jobs that batches wait for, names and next ticks of schedules.

Of what lies in two shards the first is read before the second and again after it. If it has not changed, both were so
at one instant; what is between two steps of a replica is not taken for a problem.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace as replaced

from coordinator.domain.recurrence import next_tick
from coordinator.errors import NotFound
from coordinator.store.checkup import CHECK_LIMIT, Checkup, Finding, Key
from coordinator.store.open import Store
from coordinator.store.schedules import StoredSchedule

_SECOND_LOOK_S = 1.0
"""A schedule and its name are deleted one after the other; so long after, whoever did it has died between."""


class Across:
    """Remembers what the walk has met, and looks at it in the end."""

    def __init__(self, store: Store, checkup: Checkup) -> None:
        """`checkup` says whether to repair."""
        self._store = store
        self._checkup = checkup
        self._batches: set[str] = set()
        self._schedules: set[str] = set()

    def notice(self, key: Key) -> None:
        """The walk has met this key."""
        if key.kind == "left":
            self._batches.add(key.name)
        elif key.kind == "schedule":
            self._schedules.add(key.name)

    async def examine(self) -> AsyncIterator[Finding]:
        """Everything that was met. Raises `StoreUnavailable`."""
        for batch_id in sorted(self._batches):
            async for finding in self._examine_batch(batch_id):
                yield finding
        for schedule_id in sorted(self._schedules):
            async for finding in self._examine_name_of(schedule_id):
                yield finding
        async for finding in self._examine_names():
            yield finding

    async def mend_tick(self, finding: Finding) -> Finding:
        """Have a schedule go on with the tick after its last one, as if nobody had been there meanwhile."""
        if not self._checkup.repair:
            return replaced(finding, status="mendable")
        schedule_id = finding.key.rpartition(":schedule:")[2]
        stored = await self._checkup.read_schedule(schedule_id)
        if stored == "gone":
            return replaced(finding, status="mended")
        if stored == "unreadable":
            return replaced(finding, status="open", detail=f"{finding.detail}, and its record cannot be read")
        max_runs = stored.schedule.max_runs
        is_over = max_runs is not None and stored.runs >= max_runs
        next_at = None if is_over else next_tick(stored.schedule.rule, stored.last_at or stored.created_at)
        # If it is another version by now, somebody has put it on its way again.
        await self._store.schedules.put(replaced(stored, next_at=next_at))
        return replaced(finding, status="mended")

    async def _examine_batch(self, batch_id: str) -> AsyncIterator[Finding]:
        """A batch would wait for ever for a job whose end nobody will tell it of."""
        cursor = "0"
        while True:
            try:
                pending, cursor = await self._store.batches.pending(batch_id, cursor)
            except NotFound:
                return
            for start in range(0, len(pending), CHECK_LIMIT):
                ended = await self._checkup.ended(pending[start : start + CHECK_LIMIT])
                untold = await self._checkup.still_pending(batch_id, list(ended)) if ended else []
                for job_id in untold:
                    state = ended[job_id]
                    detail = f"it waits for {job_id}, which {f'is {state}' if state else 'does not exist'}"
                    if self._checkup.repair:
                        await self._store.batches.end(batch_id, [(job_id, state or "dead")])
                    yield self._checkup.mendable("end_untold", self._checkup.key(batch_id, "batch"), detail)
            if cursor == "0":
                return

    async def _examine_name_of(self, schedule_id: str) -> AsyncIterator[Finding]:
        """A schedule that cannot be found by its name would be made a second time, and both would fire."""
        before = await self._checkup.read_schedule(schedule_id)
        if isinstance(before, str) or before.schedule.name is None or _is_unbegun(before):
            return
        name = before.schedule.name
        known = await self._store.schedules.find(name)
        if known == schedule_id or await self._is_gone(schedule_id):
            return
        key = self._checkup.key(schedule_id, "schedule")
        if known and not await self._is_gone(known):
            yield Finding("name_taken", key, f"its name {name!r} stands for {known}", "open")
            return
        if self._checkup.repair:
            await self._store.schedules.rename(name, known, schedule_id)
        yield self._checkup.mendable("schedule_without_name", key, f"its name {name!r} does not stand for it")

    async def _examine_names(self) -> AsyncIterator[Finding]:
        async for names in self._checkup.schedule_names():
            empty = {name: known for name, known in names.items() if await self._is_gone(known)}
            if empty:
                await asyncio.sleep(_SECOND_LOOK_S)
            for name, known in empty.items():
                if await self._store.schedules.find(name) != known or not await self._is_gone(known):
                    continue
                if self._checkup.repair:
                    await self._store.schedules.rename(name, known, "")
                detail = f"{name!r} stands for {known}, which does not exist"
                yield self._checkup.mendable("name_without_schedule", self._checkup.names_key, detail)

    async def _is_gone(self, schedule_id: str) -> bool:
        return await self._checkup.read_schedule(schedule_id) == "gone"


def _is_unbegun(stored: StoredSchedule) -> bool:
    """Whether it may not have got its name yet."""
    return stored.is_paused and stored.version == 1
