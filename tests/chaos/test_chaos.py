"""The fault runs of `scripts/chaos`, in their short form: every kind of run, a few faults each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
JOBS = 2000

CONFIRMED = ("redis-fsync", "cluster-replicated", "sentinel-replicated")
BREAKS = (*CONFIRMED, "kill", "pause", "redis", "cluster", "sentinel", "deploy", "oom")
RUNS = (*BREAKS, "cuts", "lying", "cron")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory):
    """Of all runs, three at a time: most of it is waiting."""
    out = tmp_path_factory.mktemp("chaos") / "report.json"
    command = [sys.executable, "scripts/chaos.py", "--jobs", str(JOBS), "--at-once", "3", "--out", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert out.exists(), done.stderr
    return {report["run"]: report for report in json.loads(out.read_text())}


@pytest.mark.parametrize("run", RUNS)
def test_whatever_breaks_every_accepted_job_ends_and_every_further_call_has_its_cause(reports, run):
    report = reports[run]

    assert report["verdict"] == "ok", report.get("broken_off") or "\n".join(report["what_is_wrong"])
    assert report["accepted"] > 0
    assert report["faults"] or run not in BREAKS


def test_all_runs_are_here(reports):
    assert set(reports) == set(RUNS)


def test_what_the_disk_or_a_replica_has_confirmed_survives(reports):
    assert [reports[run]["lost"] for run in CONFIRMED] == [0, 0, 0]
