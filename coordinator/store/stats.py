"""What was counted by the minute, as `lib/stats.lua` writes it.

A minute that is over does not change: it is read once, and kept here for who asks again.
"""

import asyncio
from collections.abc import Callable, Sequence

from coordinator.domain.activity import Activity, Minute
from coordinator.store.connection import Connection

MINUTES_MOST = 180
"""So long the counters of a minute are kept."""

KEPT_MOST = 300_000
"""Counters of minutes that are over, in memory: some 30 MB, and an hour of a system of a hundred queues."""


class StatStore:
    """Reads the counters. Every method may raise `StoreUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        """Each shard counts for itself."""
        self._connection = connection
        # Of each shard all minutes from one to another, whether or not something was counted.
        self._over: dict[int, dict[int, Minute]] = {}

    async def read(
        self, minutes: int, shards: Sequence[int], wanted: Callable[[str], bool] = lambda _: True
    ) -> Activity:
        """What happened in the last so many minutes, in these shards and of the queues that are wanted."""
        found = await asyncio.gather(*(self._read(shard, minutes) for shard in shards))
        activity = Activity(max(last for last, _ in found), minutes, wanted)
        for _, counted in found:
            for number, minute in counted.items():
                activity.add(number, minute)
        return activity

    async def _read(self, shard: int, minutes: int) -> tuple[int, dict[int, Minute]]:
        """The minute that runs, and what was counted in the last ones."""
        known = self._over.get(shard, {})
        oldest, newest = min(known, default=0), max(known, default=0)
        if oldest > newest - minutes + 2:
            known, newest = {}, 0
        counted = dict(known)
        after: int | bytes = newest
        while True:
            root = self._connection.root(shard)
            _, last, found, after = await self._connection.run("read_stats", root, minutes=minutes, after=after)
            for number, fields in found:
                words = fields.decode(errors="replace").split("\n")
                counted[number] = Minute(zip(words[::2], words[1::2], strict=True))
            if not after:
                break
        # Nothing is known of the minutes between, if nobody has asked for longer than that.
        oldest = oldest if known and newest >= last - minutes else last - minutes + 1
        self._keep(shard, {number: counted.get(number, _NOTHING) for number in range(oldest, last)}, last)
        return last, counted

    def _keep(self, shard: int, counted: dict[int, Minute], last: int) -> None:
        self._over[shard] = {number: minute for number, minute in counted.items() if number > last - MINUTES_MOST}
        if sum(minute.size for known in self._over.values() for minute in known.values()) > KEPT_MOST:
            self._over.clear()


_NOTHING = Minute(())
