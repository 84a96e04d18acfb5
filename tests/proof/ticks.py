"""One schedule that fires every instant and makes up for all it missed, and whoever fires, edits or puts it off.

In the model: due_schedules, fire_schedule, put_off_schedule and put_schedule with their comparisons, and beside them
what `domain/schedule.fire` computes with misfire `all` and what an edit writes back. Two leaders read and act in two
steps, so anything may happen between; what they do may be done again, because its reply was lost, as long as they like.
Jobs of ticks may end and be purged, so that only the comparison keeps a tick from being run twice. An edit changes what
the jobs are to do (their `kind`), and may change the rule, which then counts from now.

A failover takes the schedule and its jobs back together. What was read before it and is acted on after it may meet the
same tick and version again, as another edit made them: `straddles` lets that happen, and it does harm (see test_ticks).

Left out: `overlap`, `maxRuns`, the limit of what is made up for, names, and pausing.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.proof.search import Step

FORGIVEN, MADE, GONE = "forgiven", "made", "gone"
"""Of a tick: passed over by a rule that changed; its job is there; its job was purged."""

ONCE = "a tick makes one job at the most"
NONE_MISSED = "each tick is made, forgiven by a changed rule, or still to come"
AS_IT_IS = "a job is made as the schedule is at that moment"
ONLY_TICKS = "nothing is made before its instant"

LEADERS = ("leader 1", "leader 2")


class Schedule(NamedTuple):
    """Its hash and its score. `put_off` is the tick that is due while the score only says when to look again."""

    score: int = 1
    version: int = 1
    kind: int = 1
    put_off: int | None = None
    fates: tuple[str, ...] = ("", "", "")

    @property
    def tick(self) -> int:
        return self.score if self.put_off is None else self.put_off


class Seen(NamedTuple):
    """What due_schedules told a leader, at what instant."""

    tick: int
    version: int
    kind: int
    now: int


class Edit(NamedTuple):
    """What an edit is about to write: it was decided by the schedule as it was read."""

    version: int
    kind: int
    next_at: int
    forgives: int


class World(NamedTuple):
    """`edits`, `looks` and `failovers` may still happen; `kinds` counts what was written, and is never rolled back."""

    now: int = 0
    schedule: Schedule = Schedule()
    seen: tuple[Seen | None, Seen | None] = (None, None)
    edit: Edit | None = None
    kinds: int = 1
    edits: int = 1
    looks: int = 1
    failovers: int = 0
    behind: Schedule | None = None


Next = Iterator[tuple[Step, World]]


class Ticks:
    """The model of a schedule, for `search`."""

    def __init__(self, history: World | None = None, *, straddles: bool = False) -> None:
        """`history` is how it begins, with what may happen in it."""
        self.straddles = straddles
        self.first = history or World()
        self.horizon = len(self.first.schedule.fates)

    def steps(self, world: World) -> Next:
        if world.now <= self.horizon:
            yield ("clock", "moves on"), world._replace(now=world.now + 1)
        for who in (0, 1):
            yield from self.leads(world, who)
        yield from self.purges(world)
        yield from self.edits(world)
        if world.failovers:
            yield from self.fails_over(world)

    # Leaders

    def leads(self, world: World, who: int) -> Next:
        schedule, seen, name = world.schedule, world.seen[who], LEADERS[who]
        if schedule.score <= world.now and schedule.tick <= self.horizon:
            told = Seen(schedule.tick, schedule.version, schedule.kind, world.now)
            if told != seen:
                yield (name, "reads what is due"), with_seen(world, who, told)
        if seen is None:
            return
        fired = self.fire(schedule, seen)
        if fired != schedule:
            yield (name, "fires and hears nothing"), world._replace(schedule=fired)
            yield (name, "fires"), with_seen(world._replace(schedule=fired), who, None)
        later = self.put_off(schedule, seen)
        if world.looks and seen.now <= self.horizon and later != schedule:
            after = world._replace(schedule=later, looks=world.looks - 1)
            yield (name, "puts it off and hears nothing"), after
            yield (name, "puts it off"), with_seen(after, who, None)

    def is_due_as(self, schedule: Schedule, seen: Seen) -> bool:
        """lib/schedule: whether it is still as it was when the tick was found due."""
        return schedule.tick == seen.tick and schedule.version == seen.version

    def fire(self, schedule: Schedule, seen: Seen) -> Schedule:
        """fire_schedule, with the ticks that misfire `all` has it run, and the next after the instant that was read."""
        if not self.is_due_as(schedule, seen):
            return schedule
        fates = list(schedule.fates)
        for tick in range(seen.tick, min(seen.now, self.horizon) + 1):
            fates[tick - 1] = self.made(fates[tick - 1])
        moved = schedule._replace(version=self.fired_version(schedule), fates=tuple(fates))
        return self.set_next(moved, self.next_after(seen))

    def fired_version(self, schedule: Schedule) -> int:
        return schedule.version + 1

    def next_after(self, seen: Seen) -> int:
        return seen.now + 1

    def put_off(self, schedule: Schedule, seen: Seen) -> Schedule:
        """put_off_schedule: the tick stays due."""
        return schedule._replace(put_off=seen.tick, score=seen.now + 1) if self.is_due_as(schedule, seen) else schedule

    def made(self, fate: str) -> str:
        """A job that is there is not made again; how often it was made is told by the length of this."""
        return fate if fate.endswith(MADE) else fate + MADE

    def set_next(self, schedule: Schedule, next_at: int) -> Schedule:
        return schedule._replace(score=next_at, put_off=None)

    def purges(self, world: World) -> Next:
        """The job of a tick has ended long ago."""
        for tick, fate in enumerate(world.schedule.fates, 1):
            if fate.endswith(MADE):
                fates = list(world.schedule.fates)
                fates[tick - 1] = fate + GONE
                yield ("redis", "purges the job of tick", tick), with_fates(world, fates)

    # People

    def edits(self, world: World) -> Next:
        """Read, decided, written: refused when the version is another by then."""
        schedule = world.schedule
        if world.edits and world.edit is None:
            decided = Edit(schedule.version, world.kinds + 1, self.read(schedule), 0)
            begun = world._replace(edits=world.edits - 1, kinds=world.kinds + 1)
            yield ("person", "decides an edit"), begun._replace(edit=decided)
            changed = decided._replace(next_at=world.now + 1, forgives=world.now)
            yield ("person", "decides to change the rule"), begun._replace(edit=changed)
        if world.edit is not None:
            yield from self.writes(world, world.edit)

    def read(self, schedule: Schedule) -> int:
        """The next tick, as read_schedule tells it."""
        return schedule.tick

    def writes(self, world: World, edit: Edit) -> Next:
        written = self.put(world.schedule, edit)
        if written != world.schedule:
            yield ("person", "writes it and hears nothing"), world._replace(schedule=written)
        yield ("person", "writes it"), world._replace(schedule=written, edit=None)

    def put(self, schedule: Schedule, edit: Edit) -> Schedule:
        """put_schedule."""
        if not self.is_unchanged(schedule, edit):
            return schedule
        fates = tuple(
            FORGIVEN if not fate and tick <= edit.forgives else fate for tick, fate in enumerate(schedule.fates, 1)
        )
        written = schedule._replace(version=schedule.version + 1, kind=edit.kind, fates=fates)
        return self.set_next(written, edit.next_at)

    def is_unchanged(self, schedule: Schedule, edit: Edit) -> bool:
        return schedule.version == edit.version

    # A failover

    def fails_over(self, world: World) -> Next:
        """The schedule and its jobs live in one shard: all of it goes back together."""
        if world.behind is None:
            yield ("redis", "falls behind"), world._replace(behind=world.schedule)
        elif world.behind != world.schedule:
            back = world._replace(schedule=world.behind, behind=None, failovers=world.failovers - 1)
            yield ("redis", "fails over"), back if self.straddles else back._replace(seen=(None, None), edit=None)

    # What must hold

    def broken_by(self, before: World, step: Step, after: World) -> str | None:
        if "fires" not in step[1]:
            return None
        seen = before.seen[LEADERS.index(step[0])]
        return AS_IT_IS if seen and seen.kind != before.schedule.kind else None

    def broken_in(self, world: World) -> str | None:
        schedule = world.schedule
        for tick, fate in enumerate(schedule.fates, 1):
            if fate.count(MADE) > 1:
                return ONCE
            if MADE in fate and tick > world.now:
                return ONLY_TICKS
            if not fate and tick < schedule.tick:
                return NONE_MISSED
        return None

    # For the search

    def form(self, world: World) -> World:
        """The leaders are alike."""
        one, two = world.seen
        return world._replace(seen=(two, one)) if (two or ()) < (one or ()) else world

    def is_over(self, world: World) -> bool:
        """All ticks have come, and none is missing."""
        return world.now >= self.horizon and all(world.schedule.fates)

    def is_own(self, step: Step) -> bool:
        return step[0] in ("clock", *LEADERS) and "puts" not in step[1]


def with_seen(world: World, who: int, seen: Seen | None) -> World:
    one, two = world.seen
    return world._replace(seen=(seen, two) if who == 0 else (one, seen))


def with_fates(world: World, fates: list[str]) -> World:
    return world._replace(schedule=world.schedule._replace(fates=tuple(fates)))
