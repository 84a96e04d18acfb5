"""One job's life, in every order in which its steps can come. `PROVE_LONG=1` lets more of it happen in one life.

`pytest -s` shows how much was searched, and with what in it.
"""

import os
import sys

import pytest
from msgspec import Raw

from coordinator.domain.job import Spec, Tally
from coordinator.domain.outcome import Cancel, Ending, Failure, Snooze, Success
from coordinator.domain.settlement import LOST_LIMIT, decide
from tests.proof import invariants
from tests.proof.mutants import MUTANTS, NumberOnly
from tests.proof.protocol import Job, Scripts
from tests.proof.search import NO_STUCK, search
from tests.proof.world import Left

IS_LONG = os.environ.get("PROVE_LONG") == "1"


class OneLoss(Scripts):
    """For what doubles a life: a job is dead with its first loss."""

    lost_limit = 1


class OneFailure(Scripts):
    """The same for failures."""

    max_attempts = 1


LIVES = [
    (Scripts, Left(releases=1)),
    (Scripts, Left(snoozes=1)),
    (Scripts, Left(beats=1)),
    (Scripts, Left(refusals=1, stops=1, cancels=1, forgeries=1)),
    (OneLoss, Left(retries=1)),
    (OneFailure, Left(failovers=1)),
]
"""What happens once, each in a life of its own; crashes, lost replies, sleep and time happen in all, at any time."""

LONG_LIVES = [
    (Scripts, Left(releases=1, snoozes=1, refusals=1, beats=1, cancels=1)),
    (Scripts, Left(releases=1, snoozes=1, stragglers=1, forgeries=1)),
    (Scripts, Left(retries=1)),
    (OneLoss, Left(cancels=1, retries=1)),
    (Scripts, Left(failovers=1)),
    (OneLoss, Left(failovers=1, releases=1)),
    (OneLoss, Left(failovers=1, snoozes=1)),
]
"""Several together, or with all losses and failures: 15 million steps, some minutes."""


def told(life: tuple[type[Scripts], Left]) -> str:
    scripts, left = life
    happens = [name for name, times in left._asdict().items() if times]
    return f"{scripts.max_attempts} attempts, {scripts.lost_limit} losses, {', '.join(happens)}"


@pytest.mark.parametrize("life", LIVES + LONG_LIVES * IS_LONG, ids=told)
def test_everything_holds_in_every_life(life):
    scripts, left = life

    found = search(invariants.SoundLife(scripts(), left))

    sys.stdout.write(f"\n{told(life)}: {found}\n")
    assert found.violation is None, str(found)
    assert found.states > 5000


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_wrong_is_found(name):
    mutant = MUTANTS[name]

    found = search(mutant.life())

    sys.stdout.write(f"\n{mutant.wrong.__doc__}\n{found}\n")
    assert found.violation is not None
    assert found.violation.name == mutant.caught_by


def test_every_property_has_caught_something():
    """One that never did might be asked in vain."""
    assert {mutant.caught_by for mutant in MUTANTS.values()} == {NO_STUCK, *invariants.ALL}


def test_numbers_alone_do_where_none_is_ever_given_back():
    """What the nonce is for: with a snooze, a release or a failover the same number comes again."""
    assert search(invariants.SoundLife(NumberOnly(), Left())).violation is None


ENDINGS: dict[str, Ending] = {
    "success": Success(),
    "stop": Cancel(),
    "snooze": Snooze(1000),
    "failure": Failure(b"{}"),
    "failure for good": Failure(b"{}", retryable=False),
    "timeout": Failure(b"{}", kind="timeout"),
    "lost": Failure(b"{}", kind="lost"),
}


@pytest.mark.parametrize("said", ENDINGS)
def test_the_model_decides_as_the_domain_does(said):
    class Real(Scripts):
        max_attempts = 3
        lost_limit = LOST_LIMIT

    for lost in range(LOST_LIMIT):
        for failures in range(3):
            number = lost + failures + 1
            settlement = decide(ENDINGS[said], Tally(number, lost), Spec("w", Raw(b"{}"), max_attempts=3), 0)

            assert Real().decide(Job("running", number, lost=lost), said) == settlement.verb


def test_an_end_that_cannot_be_reached_is_told_with_the_way_there():
    violation = search(MUTANTS["no deadline"].life()).violation

    assert violation is not None
    assert str(violation).startswith(f"broken: {NO_STUCK}\n  1. replica 1 claims")
