"""The two wheels of one queue with two keys: from which instant each may be claimed from.

```
 queues: the queue ──▶ instant     offered by whatever frees or adds something, set exactly by a claim
 lanes:  a, b      ──▶ instant     touched by the same, placed exactly; infinity while paused or full
```

In the model: what lib/wheel, lib/waiting, lib/running and the scripts that use them write into the two wheels, for
every order of enqueue, claim, an ending, release, block, pause, resume and new limits, with a clock of a few instants.
An entry may be too early, since the claim that finds nothing corrects it, but there must never be something to claim
that no entry tells of: then nobody would look. Beside that, a claim that brings nothing moves the entry it came for.

Left out: token buckets (an instant as others are: `blocked` stands for them), priorities, circuits, turns within one
millisecond, and that a claim takes more than one job.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.proof.search import Step

NEVER = 99
"""Infinity; an entry that is not there is None."""

NOT_LATE = "no entry is missing, or later than there is something to claim"
NO_SPIN = "a claim that brings nothing moves what it looked at"

KEYS = ("a", "b")


class Lane(NamedTuple):
    """`waiting` are run-ats in order, `entry` its instant in the inner wheel."""

    waiting: tuple[int, ...] = ()
    running: int = 0
    blocked: int = 0
    paused: bool = False
    entry: int | None = None


class World(NamedTuple):
    """`entry` is the queue's in the outer wheel. `acts` may still be done by people, `jobs` still be enqueued."""

    now: int = 0
    lanes: tuple[Lane, Lane] = (Lane(), Lane())
    paused: bool = False
    limit: int = NEVER
    key_limit: int = NEVER
    entry: int | None = None
    jobs: int = 3
    retries: int = 1
    acts: int = 2


Next = Iterator[tuple[Step, World]]


class Wheel:
    """The model of the wheels, for `search`."""

    horizon = 2

    def __init__(self, first: World | None = None) -> None:
        self.first = first or World()

    def steps(self, world: World) -> Next:
        if world.now < self.horizon:
            yield ("clock", "moves on"), world._replace(now=world.now + 1)
        for which, lane in enumerate(world.lanes):
            key = KEYS[which]
            if world.jobs:
                for run_at in range(world.now, self.horizon + 1):
                    less = world._replace(jobs=world.jobs - 1)
                    yield ("user", "enqueues", key, run_at), self.offer(self.put_waiting(less, which, run_at), which)
            if lane.running:
                yield from self.ends(world, which)
            if lane.waiting:
                yield ("user", "cancels one that waits", key), self.offer(self.drop_waiting(world, which), which)
        if world.entry is not None and world.entry <= world.now:
            yield ("replica", "claims"), self.claim(world)
        if world.acts:
            yield from self.people_act(world._replace(acts=world.acts - 1))

    # What scripts share

    def put_waiting(self, world: World, which: int, run_at: int) -> World:
        lane = world.lanes[which]
        return with_lane(world, which, lane._replace(waiting=tuple(sorted((*lane.waiting, run_at)))))

    def drop_waiting(self, world: World, which: int) -> World:
        lane = world.lanes[which]
        return with_lane(world, which, lane._replace(waiting=lane.waiting[1:]))

    def drop_running(self, world: World, which: int) -> World:
        lane = world.lanes[which]
        return with_lane(world, which, lane._replace(running=lane.running - 1))

    def offer(self, world: World, *touched: int) -> World:
        """`offer_touched`: the lanes that were touched are placed, and the queue may have become claimable sooner."""
        for which in touched:
            world = self.place_lane(world, which)
        return self.offer_queue(world)

    def place_lane(self, world: World, which: int, *, is_served: bool = False) -> World:
        """One that is claimable keeps its place, if that is one, unless it has just been served."""
        lane, instant = world.lanes[which], lane_instant(world, which)
        if instant is not None and instant <= world.now:
            keeps = lane.entry is not None and lane.entry < world.now and not is_served
            instant = lane.entry if keeps else world.now
        return with_lane(world, which, lane._replace(entry=instant))

    def queue_instant(self, world: World) -> int | None:
        """What the inner wheel says; None for a queue that is paused, full or empty."""
        entries = [lane.entry for lane in world.lanes if lane.entry is not None]
        if world.paused or running(world) >= world.limit or not entries or min(entries) == NEVER:
            return None
        return min(entries)

    def offer_queue(self, world: World) -> World:
        """Sooner, never later."""
        instant = self.queue_instant(world)
        if instant is None:
            return world
        instant = max(instant, world.now)
        return world._replace(entry=instant if world.entry is None else min(world.entry, instant))

    # Scripts

    def claim(self, world: World) -> World:
        """claim_jobs, of one job: lanes whose instant has come are looked at in turn, and placed anew."""
        room = not world.paused and running(world) < world.limit
        order = sorted((lane.entry, which) for which, lane in enumerate(world.lanes) if lane.entry is not None)
        for entry, which in order:
            if not room or entry > world.now:
                break
            lane = world.lanes[which]
            if is_claimable(world, which):
                lane = lane._replace(waiting=lane.waiting[1:], running=lane.running + 1)
                world, room = with_lane(world, which, lane), False
            world = self.serve_lane(world, which)
        return self.turn_queue(world)

    def serve_lane(self, world: World, which: int) -> World:
        return self.place_lane(world, which, is_served=True)

    def turn_queue(self, world: World) -> World:
        """Exactly where it belongs now."""
        return world._replace(entry=self.queue_instant(world))

    def ends(self, world: World, which: int) -> Next:
        """settle_jobs, release_jobs: a slot is free, and the job may wait again, or its lane be blocked for a while."""
        key, freed = KEYS[which], self.drop_running(world, which)
        yield ("replica", "ends one of", key), self.freed(freed, *([which] if self.frees_lane(world) else []))
        yield ("replica", "releases one of", key), self.freed(self.put_waiting(freed, which, world.now), which)
        if world.retries and world.now < self.horizon:
            again = self.put_waiting(freed._replace(retries=world.retries - 1), which, world.now + 1)
            yield ("replica", "retries one of", key), self.freed(again, which)
            blocked = with_lane(again, which, again.lanes[which]._replace(blocked=world.now + 1))
            yield ("replica", "hears of too many requests of", key), self.freed(blocked, which)

    def frees_lane(self, world: World) -> bool:
        """Where keys are not limited, a freed slot is the queue's affair alone."""
        return world.key_limit < NEVER

    def freed(self, world: World, *touched: int) -> World:
        return self.offer(world, *touched)

    # People

    def people_act(self, world: World) -> Next:
        for paused in (True, False):
            if paused != world.paused:
                words = "pauses the queue" if paused else "resumes the queue"
                yield ("person", words), self.configured(world._replace(paused=paused))
        for limit in (1, NEVER):
            if limit != world.limit:
                yield ("person", "limits the queue to", limit), self.configured(world._replace(limit=limit))
            if limit != world.key_limit:
                limited = self.reset_lanes(world._replace(key_limit=limit))
                yield ("person", "limits each key to", limit), self.configured(limited)
        for which, lane in enumerate(world.lanes):
            turned = with_lane(world, which, lane._replace(paused=not lane.paused))
            yield ("person", "resumes" if lane.paused else "pauses", KEYS[which]), self.lane_turned(turned, which)
            if lane.blocked:
                unblocked = with_lane(world, which, lane._replace(blocked=0))
                yield ("person", "resets", KEYS[which]), self.offer(unblocked, which)

    def lane_turned(self, world: World, which: int) -> World:
        """configure_lane."""
        return self.offer(world, which)

    def configured(self, world: World) -> World:
        """configure_queue: out of the wheel, and offered anew."""
        return self.offer_queue(world._replace(entry=None))

    def reset_lanes(self, world: World) -> World:
        """Other limits per key: each lane that is in the wheel is looked at by the next claim."""
        for which, lane in enumerate(world.lanes):
            if lane.entry is not None:
                world = with_lane(world, which, lane._replace(entry=0))
        return world

    # What must hold

    def broken_in(self, world: World) -> str | None:
        """If something can be claimed at an instant, and nothing happens before, then both wheels have come by then."""
        for which, lane in enumerate(world.lanes):
            instant = lane_instant(world, which)
            if instant in (None, NEVER):
                continue
            latest = max(instant or 0, world.now)
            if lane.entry is None or lane.entry > latest:
                return NOT_LATE
            is_open = not world.paused and running(world) < world.limit
            if is_open and (world.entry is None or world.entry > latest):
                return NOT_LATE
        return None

    def broken_by(self, before: World, step: Step, after: World) -> str | None:
        return NO_SPIN if step[1] == "claims" and before == after else None

    # For the search

    def form(self, world: World) -> World:
        """The keys are alike."""
        one, two = world.lanes
        return world._replace(lanes=(two, one)) if order_of(two) < order_of(one) else world

    def is_over(self, world: World) -> bool:
        """Nothing waits, or a person is needed."""
        is_stopped = world.paused or all(lane.paused for lane in world.lanes if lane.waiting)
        return is_stopped or not any(lane.waiting for lane in world.lanes)

    def is_own(self, step: Step) -> bool:
        return step[0] in ("clock", "replica") and step[1] in ("moves on", "claims", "ends one of")


def lane_instant(world: World, which: int) -> int | None:
    """When its first job can be claimed, as far as the lane's own limits say."""
    lane = world.lanes[which]
    if not lane.waiting:
        return None
    if lane.paused or lane.running >= world.key_limit:
        return NEVER
    return max(lane.waiting[0], lane.blocked)


def is_claimable(world: World, which: int) -> bool:
    instant = lane_instant(world, which)
    return instant is not None and instant <= world.now


def running(world: World) -> int:
    return sum(lane.running for lane in world.lanes)


def with_lane(world: World, which: int, lane: Lane) -> World:
    one, two = world.lanes
    return world._replace(lanes=(lane, two) if which == 0 else (one, lane))


def order_of(lane: Lane) -> tuple[object, ...]:
    """An order of lanes."""
    return (*lane[:4], -1 if lane.entry is None else lane.entry)
