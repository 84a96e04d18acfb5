"""The wheels in every order of what moves them: nothing that can be claimed waits for a look that nobody takes."""

import os
import sys

import pytest

from tests.proof.search import NO_STUCK, search
from tests.proof.wheel import NO_SPIN, NOT_LATE, Wheel, World, with_lane

IS_LONG = os.environ.get("PROVE_LONG") == "1"

DAYS = [World()]
LONG_DAYS = [World(jobs=2, acts=3), World(jobs=4), World(jobs=3, acts=4), World(jobs=3, acts=3, retries=2)]


class EndOffersNothing(Wheel):
    """A slot that is free again is not told of."""

    def freed(self, world: World, *touched: int) -> World:
        return self.offer(world, *touched) if touched else world


class EndLeavesLane(Wheel):
    """A slot of a key that is free again is the queue's affair."""

    def frees_lane(self, world: World) -> bool:
        return False


class LastComeCounts(Wheel):
    """A lane stands where its newest job is due."""

    def put_waiting(self, world: World, which: int, run_at: int) -> World:
        after = super().put_waiting(world, which, run_at)
        return with_lane(after, which, after.lanes[which]._replace(entry=run_at))

    def place_lane(self, world: World, which: int, *, is_served: bool = False) -> World:
        return super().place_lane(world, which, is_served=is_served) if is_served else world


class ServedLeaves(Wheel):
    """A lane that was served goes, though more of its jobs wait."""

    def serve_lane(self, world: World, which: int) -> World:
        return with_lane(world, which, world.lanes[which]._replace(entry=None))


class KeyLimitsLeaveLanes(Wheel):
    """New limits per key are of those jobs that come after them."""

    def reset_lanes(self, world: World) -> World:
        return world


class LaneTurnedSilently(Wheel):
    """A key that is resumed is not told of."""

    def lane_turned(self, world: World, which: int) -> World:
        return world


class ConfiguredSilently(Wheel):
    """A queue with new settings is looked at when something else happens to it."""

    def configured(self, world: World) -> World:
        return world


class FirstOfferStays(Wheel):
    """An entry that is there is not moved to an earlier instant."""

    def offer_queue(self, world: World) -> World:
        return super().offer_queue(world) if world.entry is None else world


class VainClaimStays(Wheel):
    """A claim that brings nothing leaves the queue where it stands."""

    def turn_queue(self, world: World) -> World:
        after = super().turn_queue(world)
        return after if after.entry is not None else world


MUTANTS = {
    EndOffersNothing: NOT_LATE,
    EndLeavesLane: NOT_LATE,
    LastComeCounts: NOT_LATE,
    ServedLeaves: NOT_LATE,
    KeyLimitsLeaveLanes: NOT_LATE,
    LaneTurnedSilently: NOT_LATE,
    ConfiguredSilently: NOT_LATE,
    FirstOfferStays: NOT_LATE,
    VainClaimStays: NO_SPIN,
}


def told(day: World) -> str:
    return f"{day.jobs} jobs, {day.retries} retries, {day.acts} acts of people"


@pytest.mark.parametrize("day", DAYS + LONG_DAYS * IS_LONG, ids=told)
def test_what_can_be_claimed_is_always_told_of(day):
    found = search(Wheel(day))

    sys.stdout.write(f"\n{told(day)}: {found}\n")
    assert found.violation is None, str(found)
    assert found.states > 10_000


@pytest.mark.parametrize("wrong", MUTANTS)
def test_what_is_wrong_is_found(wrong):
    found = search(wrong())

    sys.stdout.write(f"\n{wrong.__doc__}\n{found}\n")
    assert found.violation is not None
    assert found.violation.name == MUTANTS[wrong]


def test_a_claim_is_what_an_end_needs():
    """The search sees a queue that nobody serves."""

    class Unserved(Wheel):
        def is_own(self, step):
            return step[1] != "claims" and super().is_own(step)

    violation = search(Unserved(World(jobs=1))).violation

    assert violation is not None
    assert violation.name == NO_STUCK
