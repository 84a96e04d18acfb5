"""The doctor: walks through all that the store keeps and tells what is not as it has to be, on a live system.

```
 SCAN ──▶ keys of a shard, fifty to a script ──▶ jobs      each whole, and in the indexes that it implies
                                              ├─▶ indexes   each member belongs there; no wheel above is late
                                              └─▶ records   logs, lanes, handles, schedules, batches, locks
 then, what lies in two shards: names of schedules, and jobs that batches wait for
```

Long indexes are walked beside the scan, a step for each page, so memory and steps stay small whatever the store holds.
What it finds it tells as it goes; a key that the scan brings twice is checked twice.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from coordinator.engine.across import Across
from coordinator.store.checkup import CHECK_LIMIT, INDEXES, JOBS, RECORDS, Checkup, Finding, Key
from coordinator.store.open import Store

_OF_QUEUES = frozenset({"queue", "lanes", "running", "succeeded", "dead", "cancelled"})

Row = TypeVar("Row")

_WAITING_LIMIT = 100
"""Indexes of a shard that wait for their turn in memory, a name each: the scan stops for them when there are more."""

_STEPS_A_PAGE = 20
"""Of indexes, for each page of keys: a job stands in two or three, so both come to their end at about the same time."""


@dataclass
class Progress:
    """How far a walk is. `total` are the server's keys, known at the start; `members` those of the indexes."""

    total: int = 0
    keys: int = 0
    members: int = 0
    findings: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    queues: set[str] = field(default_factory=set)


class Doctor:
    """One walk. Its findings come as they are found; `progress` is kept up meanwhile."""

    def __init__(self, store: Store, *, repair: bool = False, tell: Callable[[], None] = lambda: None) -> None:
        """`tell` is called after each step."""
        self.progress = Progress()
        self._checkup = Checkup(store.connection, repair=repair)
        self._across = Across(store, self._checkup)
        self._tell = tell
        self._jobs: dict[int, list[str]] = defaultdict(list)
        self._records: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self._indexes: dict[int, list[tuple[str, str, str]]] = defaultdict(list)

    async def examine(self) -> AsyncIterator[Finding]:
        """Walk through everything once. Raises `StoreUnavailable`."""
        self.progress.total = await self._checkup.count()
        async for page in self._checkup.pages():
            for key in page:
                known = self._checkup.read_key(key)
                if known is None:
                    detail = "no script of this version would look at it"
                    yield self._found(Finding("unknown_key", key.decode(errors="backslashreplace"), detail, "open"))
                else:
                    self._put(known)
            self.progress.keys += len(page)
            async for finding in self._check(CHECK_LIMIT):
                yield finding
        async for finding in self._check(1):
            yield finding
        async for finding in self._across.examine():
            yield self._found(finding)
        self._tell()

    def _put(self, key: Key) -> None:
        self.progress.kinds[key.kind] += 1
        if key.kind in _OF_QUEUES:
            self.progress.queues.add(key.name)
        if key.kind in JOBS:
            self._jobs[key.shard].append(key.name)
        elif key.kind in INDEXES:
            self._indexes[key.shard].append((key.kind, key.name, "0"))
        elif key.kind in RECORDS:
            self._records[key.shard].append((key.kind, key.name))
        self._across.notice(key)

    async def _check(self, least: int) -> AsyncIterator[Finding]:
        """Check what has gathered, where that is `least` or more; with 1, all of it."""
        for shard, ids in self._jobs.items():
            while len(ids) >= least:
                for finding in await self._checkup.check_jobs(shard, _taken(ids)):
                    yield self._found(finding)
                self._tell()
        for shard, rows in self._records.items():
            while len(rows) >= least:
                for finding in await self._checkup.check_records(shard, _taken(rows)):
                    asks = finding.status == "asks"
                    yield self._found(await self._across.mend_tick(finding) if asks else finding)
                self._tell()
        # What is walked already goes on first, so that few are open at a time.
        steps_each = max(1, _STEPS_A_PAGE // max(1, sum(map(bool, self._indexes.values()))))
        for shard, indexes in self._indexes.items():
            steps = 0
            while indexes and (least == 1 or steps < steps_each or len(indexes) > _WAITING_LIMIT):
                findings, after, members = await self._checkup.check_indexes(shard, _taken(indexes))
                indexes[:0] = after
                self.progress.members += members
                steps += 1
                for finding in findings:
                    yield self._found(finding)
                self._tell()

    def _found(self, finding: Finding) -> Finding:
        self.progress.findings += 1
        return finding


def _taken(waiting: list[Row]) -> list[Row]:
    taken = waiting[:CHECK_LIMIT]
    del waiting[:CHECK_LIMIT]
    return taken
