"""Who listens to what happens: one reader for all of a replica, begun with the first listener and ended with the last.

```
 shard's stream ──4 times a second──▶ Watch ──what each has chosen──▶ Listener (bounded) ──▶ GET /event
```

A listener that falls too far behind is told that it has missed some, as is one that comes back too late; what it has
not missed, it gets once and in order, shard by shard.
"""

import asyncio
import contextlib
import logging

from coordinator.domain.event import Chosen, Event, Places, order_of
from coordinator.domain.ids import shard_of_id, shard_of_queue
from coordinator.errors import StoreUnavailable
from coordinator.store.events import EventStore, Happened

log = logging.getLogger(__name__)

POLL_S = 0.25

LISTENERS_MOST = 100
"""Streams of one replica. Each is a connection of its own, and costs what it has chosen."""

PENDING_MOST = 5000
"""Events that wait for a listener to take them: some megabytes of one that does not."""

_READS_AT_ONCE = 5
"""Of a shard before the others have their turn."""

_PAUSE_S = 1.0
"""While Redis is away."""


class Listener:
    """One who listens. `places` are where it stands: those of the events that it has taken, by shard."""

    def __init__(self, chosen: Chosen, shards: frozenset[int], known: Places) -> None:
        """It hears nothing yet. What stands at the `known` places and before it has had, maybe of another replica."""
        self.shards = shards
        self._known = {shard: order_of(place) for shard, place in known.items()}
        self.places: Places = {}
        self.is_over = False
        self._chosen = chosen
        self._pending: list[Event] = []
        self._reached: Places = {}
        self._has_gap = False
        self._changed = asyncio.Event()

    async def wait(self, limit_s: float) -> bool:
        """Wait until there is something to take, or the end; False if nothing came within the limit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        return self._changed.is_set()

    def take(self) -> tuple[bool, list[Event]]:
        """Whether some were missed, and what has happened since. What comes before a gap is not told any more."""
        taken = self._has_gap, self._pending
        self._has_gap, self._pending = False, []
        self.places = dict(self._reached)
        if not self.is_over:
            self._changed.clear()
        return taken

    def hear(self, shard: int, happened: Happened) -> None:
        """What has happened in a shard."""
        self._reached[shard] = happened.place
        if happened.missed:
            self._miss()
        known = self._known.get(shard, (0, 0))
        wanted = [event for at, event in happened.events if self._chosen.takes(event) and order_of(at) > known]
        self._pending += wanted
        if len(self._pending) > PENDING_MOST:
            self._miss()
        if wanted or self._has_gap:
            self._changed.set()

    def begin(self, places: Places, earlier: list[Event], *, missed: bool) -> None:
        """It hears what comes behind these places, which it may do already, and first what it has chosen of before."""
        self._reached = places | self._reached
        self._pending = earlier + self._pending
        if missed or len(self._pending) > PENDING_MOST:
            self._miss()
        if self._pending or self._has_gap:
            self._changed.set()
        self.places = dict(places)

    def end(self) -> None:
        """Nothing more comes."""
        self.is_over = True
        self._changed.set()

    def _miss(self) -> None:
        self._pending, self._has_gap = [], True


class Watch:
    """Reads what happens while there are listeners, and nothing else."""

    def __init__(self, store: EventStore, shards: int) -> None:
        """Nobody listens yet."""
        self._store = store
        self._shards = shards
        self._places: Places = {}
        self._listeners: set[Listener] = set()
        self._hearing: set[Listener] = set()
        # Each shard by itself: one that is away holds no other up.
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._is_stopped = False

    async def listen(self, chosen: Chosen, after: Places | None = None) -> Listener:
        """Begin to listen, or go on behind these places. When this returns, nothing that comes is missed.

        Whoever listens has to `leave`. Raises `StoreUnavailable`, also for one too many.
        """
        if self._is_stopped:
            raise _stopping()
        if len(self._listeners) >= LISTENERS_MOST:
            detail = f"{LISTENERS_MOST} streams are open at this replica, and it takes no more; ask another, or later."
            raise StoreUnavailable("too_many_streams", detail, 5)
        listener = Listener(chosen, self._shards_of(chosen), after or {})
        self._listeners.add(listener)
        try:
            await self._open_all(listener)
            # From here on it hears what comes; what came before is read for it alone.
            self._hearing.add(listener)
            places = {shard: self._places[shard] for shard in listener.shards}
            for shard in listener.shards.difference(self._reading):
                self._reading[shard] = asyncio.create_task(self._read_on(shard))
            missed, earlier = (False, []) if after is None else await self._catch_up(chosen, after, places)
        except BaseException:
            await self.leave(listener)
            raise
        listener.begin(places, earlier, missed=missed)
        return listener

    async def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)
        self._hearing.discard(listener)
        wanted = {shard for one in self._listeners for shard in one.shards}
        self._places = {shard: place for shard, place in self._places.items() if shard in wanted}
        heard = {shard for one in self._hearing for shard in one.shards}
        idle = [self._reading.pop(shard) for shard in self._reading.keys() - heard]
        for reading in idle:
            reading.cancel()
        await asyncio.gather(*idle, return_exceptions=True)

    async def stop(self) -> None:
        """End all listening."""
        self._is_stopped = True
        for listener in tuple(self._listeners):
            listener.end()
            await self.leave(listener)

    def _shards_of(self, chosen: Chosen) -> frozenset[int]:
        if chosen.queue is not None:
            return frozenset({shard_of_queue(chosen.queue, self._shards)})
        for known in (chosen.job_id, chosen.schedule_id):
            shard = None if known is None else shard_of_id(known)
            if shard is not None and shard < self._shards:
                return frozenset({shard})
        return frozenset(range(self._shards))

    async def _open_all(self, listener: Listener) -> None:
        # All of them are waited for: one that ends after `leave` would leave a place that grows old.
        opened = await asyncio.gather(*map(self._open, listener.shards), return_exceptions=True)
        for failed in filter(None, opened):
            raise failed
        if listener.is_over:
            raise _stopping()

    async def _open(self, shard: int) -> None:
        if shard not in self._places:
            happened = await self._store.read(shard)
            self._places.setdefault(shard, happened.place)

    async def _catch_up(self, chosen: Chosen, after: Places, until: Places) -> tuple[bool, list[Event]]:
        """What was chosen of what happened between these places, and whether that is not known any more."""
        earlier: list[Event] = []

        async def misses(shard: int, place: str | None, until: str) -> bool:
            while place is not None and order_of(place) < order_of(until):
                happened = await self._store.read(shard, place)
                earlier.extend(e for at, e in happened.events if chosen.takes(e) and order_of(at) <= order_of(until))
                # Of all shards together: nobody is to hold more.
                if happened.missed or len(earlier) > PENDING_MOST:
                    return True
                place = happened.place
            return place is None

        missed = any(await asyncio.gather(*(misses(shard, after.get(shard), until[shard]) for shard in until)))
        return missed, [] if missed else earlier

    async def _read_on(self, shard: int) -> None:
        while True:
            try:
                await self._read(shard)
            except StoreUnavailable:
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                # Whoever listens would wait for ever.
                log.exception("what happens could not be read; it is tried again", extra={"event": "fault"})
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(POLL_S)

    async def _read(self, shard: int) -> None:
        for _ in range(_READS_AT_ONCE):
            place = self._places.get(shard)
            if place is None:
                return
            happened = await self._store.read(shard, place)
            if self._places.get(shard) != place:
                return
            self._places[shard] = happened.place
            for listener in self._hearing:
                if shard in listener.shards:
                    listener.hear(shard, happened)
            if happened.is_whole:
                return


def _stopping() -> StoreUnavailable:
    return StoreUnavailable("stopping", "This replica is stopping; ask another.")
