"""What was counted by the minute, as `lib/stats.lua` writes it.

A minute that has been over for another one does not change: it is read once, and kept here for who asks again. What was
counted in the last one may still be taken back: a call that could not be made has not begun.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from coordinator.domain.activity import Activity, Minute
from coordinator.store.connection import Connection

MINUTES_MOST = 180
"""So long the counters of a minute are kept."""

KEPT_MOST = 300_000
"""Counters of minutes that are over, in memory: some 30 MB, and an hour in which each minute of 16 shards is full."""

SHARED_S = 1.0
"""So long what was read of a shard is told to whoever asks; also to those who ask while it is read."""

_Counted = tuple[int, dict[int, Minute]]
"""The minute that runs, and what was counted in the last ones."""


class StatStore:
    """Reads the counters. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """Each shard counts for itself."""
        self._connection = connection
        # Of each shard all minutes from one to another, whether or not something was counted.
        self._over: dict[int, dict[int, Minute]] = {}
        # Of each shard the latest read, and of how many minutes it is.
        self._reads: dict[int, tuple[int, asyncio.Task[_Counted]]] = {}

    async def read(
        self, minutes: int, shards: Sequence[int], wanted: Callable[[str], bool] = lambda _: True
    ) -> Activity:
        """What happened in the last so many minutes, in these shards and of the queues that are wanted."""
        # Whoever goes away while others wait must not end it for them.
        found = await asyncio.gather(*(asyncio.shield(self._share(shard, minutes)) for shard in shards))
        self._forget_oldest()
        # With many queues this takes a while, and calls are not to wait for it.
        return await asyncio.to_thread(_add_up, found, minutes, wanted)

    def _share(self, shard: int, minutes: int) -> "asyncio.Task[_Counted]":
        of, task = self._reads.get(shard, (0, None))
        if task is None or of < minutes:
            task = asyncio.create_task(self._read(shard, minutes, task))
            self._reads[shard] = minutes, task
            task.add_done_callback(lambda done: self._let_go(shard, done))
        return task

    def _let_go(self, shard: int, done: "asyncio.Task[_Counted]") -> None:
        """A failure is told to those who wait, and to nobody else."""
        share_s = 0 if done.cancelled() or done.exception() else SHARED_S
        asyncio.get_running_loop().call_later(share_s, self._drop, shard, done)

    def _drop(self, shard: int, done: "asyncio.Task[_Counted]") -> None:
        if self._reads.get(shard, (0, None))[1] is done:
            del self._reads[shard]

    async def _read(self, shard: int, minutes: int, earlier: "asyncio.Task[_Counted] | None") -> _Counted:
        if earlier is not None:
            await asyncio.wait([earlier])
        known = self._over.get(shard, {})
        oldest, newest = min(known, default=0), max(known, default=0)
        if oldest > newest - minutes + 3:  # Of less than is asked for now.
            known, newest = {}, 0
        counted, after = dict(known), newest
        while True:
            root = self._connection.root(shard)
            _, last, found, behind = await self._connection.run("read_stats", root, minutes=minutes, after=after)
            counted |= await asyncio.to_thread(_minutes_of, found)
            if not behind:
                break
            after = int(behind)
        first = last - minutes + 1
        # Nothing is known of the minutes between, if nobody has asked for longer than that.
        first = max(oldest, last - MINUTES_MOST + 1) if newest >= first - 1 else first
        self._over[shard] = {number: counted.get(number, _NOTHING) for number in range(first, last - 1)}
        return last, counted

    def _forget_oldest(self) -> None:
        """The last minutes are those that are asked for most."""
        sizes: Counter[int] = Counter()
        for known in self._over.values():
            sizes.update({number: minute.size for number, minute in known.items()})
        kept = sum(sizes.values())
        for number in sorted(sizes):
            if kept <= KEPT_MOST:
                return
            kept -= sizes[number]
            for known in self._over.values():
                known.pop(number, None)


_NOTHING = Minute(())


def _minutes_of(found: Sequence[tuple[int, bytes]]) -> dict[int, Minute]:
    minutes = {}
    for number, fields in found:
        words = fields.decode(errors="replace").split("\n")
        minutes[number] = Minute(zip(words[::2], words[1::2], strict=True))
    return minutes


def _add_up(found: Sequence[_Counted], minutes: int, wanted: Callable[[str], bool]) -> Activity:
    activity = Activity(max(last for last, _ in found), minutes, wanted)
    for _, counted in found:
        for number, minute in counted.items():
            activity.add(number, minute)
    return activity
