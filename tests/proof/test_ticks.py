"""A schedule's ticks, whoever fires and whoever edits: each makes one job, and none is missed."""

import os
import sys

import pytest
from msgspec import Raw

from coordinator.domain import schedule as domain
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule
from tests.proof import ticks
from tests.proof.search import search
from tests.proof.ticks import Edit, Schedule, Seen, Ticks, World

IS_LONG = os.environ.get("PROVE_LONG") == "1"

TWO_TICKS = Schedule(fates=("", ""))
HISTORIES = [World(), World(schedule=TWO_TICKS, failovers=1)]
LONG_HISTORIES = [World(edits=2, looks=2), World(failovers=1)]


class NothingCompared(Ticks):
    """Whoever found a tick due fires it."""

    def is_due_as(self, schedule: Schedule, seen: Seen) -> bool:
        return True


class TickOnly(Ticks):
    """What was computed before an edit is fired after it."""

    def is_due_as(self, schedule: Schedule, seen: Seen) -> bool:
        return schedule.tick == seen.tick


class PutOffUncompared(Ticks):
    """A tick that was fired meanwhile is put off."""

    def put_off(self, schedule: Schedule, seen: Seen) -> Schedule:
        return schedule._replace(put_off=seen.tick, score=seen.now + 1)


class PutOffForgets(Ticks):
    """The instant of the next look takes the place of the tick."""

    def put_off(self, schedule: Schedule, seen: Seen) -> Schedule:
        return super().put_off(schedule, seen)._replace(put_off=None)


class EditReadsTheLook(Ticks):
    """An edit writes back when a tick that was put off is looked at again, and not the tick."""

    def read(self, schedule: Schedule) -> int:
        return schedule.score


class EditUncompared(Ticks):
    """An edit is written whatever happened since it was decided."""

    def is_unchanged(self, schedule: Schedule, edit: Edit) -> bool:
        return True


class FireLeavesVersion(Ticks):
    """Only edits make a new version: one that was decided before a fire takes it back."""

    def fired_version(self, schedule: Schedule) -> int:
        return schedule.version


class NextTooLate(Ticks):
    """The next tick is computed from an instant after the one that was read."""

    def next_after(self, seen: Seen) -> int:
        return seen.now + 2


MUTANTS = {
    NothingCompared: ticks.ONCE,
    TickOnly: ticks.AS_IT_IS,
    PutOffUncompared: ticks.ONCE,
    PutOffForgets: ticks.NONE_MISSED,
    EditReadsTheLook: ticks.NONE_MISSED,
    EditUncompared: ticks.ONCE,
    FireLeavesVersion: ticks.ONCE,
    NextTooLate: ticks.NONE_MISSED,
}


def told(history: World) -> str:
    return f"{len(history.schedule.fates)} ticks, {history.edits} edits, {history.failovers} failovers"


@pytest.mark.parametrize("history", HISTORIES + LONG_HISTORIES * IS_LONG, ids=told)
def test_each_tick_makes_one_job_and_none_is_missed(history):
    found = search(Ticks(history))

    sys.stdout.write(f"\n{told(history)}: {found}\n")
    assert found.violation is None, str(found)
    assert found.states > 10_000


@pytest.mark.parametrize("wrong", MUTANTS)
def test_what_is_wrong_is_found(wrong):
    found = search(wrong())

    sys.stdout.write(f"\n{wrong.__doc__}\n{found}\n")
    assert found.violation is not None
    assert found.violation.name == MUTANTS[wrong]


def test_what_is_decided_before_a_failover_and_done_after_it_may_meet_its_version_again():
    """Known, and left: it takes a failover within the milliseconds of a fire or an edit, and costs one tick."""
    found = search(Ticks(World(failovers=1), straddles=True))

    assert found.violation is not None
    assert found.violation.name in {ticks.AS_IT_IS, ticks.NONE_MISSED}
    assert ("redis", "fails over") in found.violation.steps


@pytest.mark.parametrize("now", [1, 2, 3])
def test_the_model_makes_up_for_what_the_domain_does(now):
    every_second = Rule(every_ms=1000, anchor_at=0)
    schedule = domain.Schedule(every_second, Spec("w", Raw(b"{}")), misfire="all")

    for tick in range(1, now + 1):
        firing = domain.fire(schedule, tick * 1000, now * 1000)
        fired = Ticks().fire(Schedule(score=tick), Seen(tick, 1, 1, now))

        made = tuple(number * 1000 for number, fate in enumerate(fired.fates, 1) if fate)
        assert (made, fired.score * 1000) == (firing.ticks, firing.next_at)
