"""Every runtime does the same: one table, run by a real coordinator against really started functions."""

import importlib
import importlib.util

import pytest

from tests.runtimes import python_runtimes
from tests.runtimes.rows import ROWS

RUNTIMES = list(python_runtimes.RUNTIMES)
if importlib.util.find_spec("tests.runtimes.javascript_runtimes"):
    RUNTIMES += importlib.import_module("tests.runtimes.javascript_runtimes").RUNTIMES


@pytest.mark.parametrize("row", [row.name for row in ROWS])
@pytest.mark.parametrize("rows", RUNTIMES, indirect=True, ids=[runtime.name for runtime in RUNTIMES])
def test_every_runtime_keeps_the_contract(rows, row):
    rows[row].result()
