"""Tests of the tests: every fault of mutants.txt is found by the machine, or by the test that it names.

Those with a star are tried here each time; `PROVE_LONG=1` tries all, which takes a quarter of an hour.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from coordinator.store.scripts import link, load
from tests.store.mutants import MACHINE, MUTANTS
from tests.store.scenes import run_machine

ROOT = Path(__file__).parents[2]
QUIET = settings(max_examples=400, derandomize=True, report_multiple_bugs=False, phases=[Phase.generate])
TRIED = [mutant for mutant in MUTANTS if mutant.is_starred or "PROVE_LONG" in os.environ]


def named(mutant):
    return re.sub(r"\W+", "_", f"{mutant.file} {mutant.breaks}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
def test_it_is_a_script_that_the_server_accepts(new_shard, runner, mutant):
    """Else the fault would be found by any test at all."""
    whole, mutated = load(test_clock=True), link(test_clock=True, read=mutant.read())
    changed = [script for name, script in mutated.items() if script.text != whole[name].text]

    assert changed
    for script in changed:
        assert runner.run(new_shard().call("SCRIPT", "LOAD", script.text)) == script.sha.encode()


def test_no_two_are_the_same():
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", [mutant for mutant in TRIED if mutant.killer == MACHINE], ids=named)
def test_the_machine_finds_it(new_shard, runner, mutant):
    scripts = link(test_clock=True, read=mutant.read())

    def new_mutant():
        shard = new_shard()
        shard.store.connection._scripts = scripts
        return shard

    # Any other error, above all one of Redis, would say that the script does not run at all.
    with pytest.raises((AssertionError, LookupError)):
        run_machine(new_mutant, runner, QUIET)


@pytest.mark.parametrize("mutant", [mutant for mutant in TRIED if mutant.killer != MACHINE], ids=named)
def test_the_test_that_it_names_finds_it(mutant):
    plugin = ["-p", "tests.store.mutants", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", *plugin, f"tests/store/{mutant.killer}"]
    environment = os.environ | {"STORE_MUTANT": str(MUTANTS.index(mutant))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "ResponseError" not in done.stdout
