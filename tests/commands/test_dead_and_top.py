"""`dead` and `top`: what jobs died of and how they are tried anew; one frame, and a screen that q closes."""

import io
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from coordinator.commands.grammar_parts import STATES
from coordinator.commands.top_frame import Looked, frame, spark
from tests.commands.conftest import ROOT


@pytest.fixture
def died(run, queue):
    for row in (1, 2, 33):
        arguments = ("--arg", f"row={row}", "--max-attempts", "1", "--queue", queue, "--wait")
        assert run("enqueue", "fails", *arguments).code == 6
    return queue


def test_dead_jobs_are_told_in_groups_and_tried_anew(run, died):
    (group,) = run("dead", "--queue", died, "--json").all()
    assert (group["count"], group["worker"]) == (3, "fails")
    table = run("dead", "--queue", died).out
    assert re.search(rf"^ +3 .* {died} +fails ", table, re.MULTILINE)

    counted = run("dead", "replay", "--queue", died, "--error", group["match"], "--dry-run", "--json")
    assert counted.one()["matched"] == 3
    assert run("dead", "replay", "--queue", died, "--error", "another", "--yes", "--json").one()["matched"] == 0
    replayed = run("dead", "replay", "--queue", died, "--error", group["match"], "--yes", "--json")
    assert replayed.one() == {"action": "retry", "matched": 3, "done": 3, "more": False}


def test_a_replay_of_everything_is_one_only_if_that_is_said(run):
    assert run("dead", "replay", "--yes").code == 2
    assert run("dead", "replay", "--state", "cancelled", "--yes").code == 2


def test_nothing_is_dead(run, queue):
    said = run("dead", "--queue", queue)

    assert (said.code, said.err) == (0, "No job is dead.\n")


def test_one_frame_is_shown_where_nobody_watches(run, died):
    said = run("top", "--queue", died, "--once")

    assert said.code == 0
    assert "3 dead" in said.out
    assert re.search(r"^failed +\d +\d", said.out, re.MULTILINE)
    assert died in said.out
    assert "wrong" in said.out
    assert "\x1b" not in said.out


@pytest.mark.parametrize(("minutes", "width", "shown"), [(3, 80, 3), (60, 80, 44), (60, 40, 10), (60, 120, 60)])
def test_the_minutes_are_those_asked_for_or_the_last_that_lines_have_room_for(api, minutes, width, shown):
    looked = Looked(api.get("/stat", params={"minutes": minutes}).json(), {"groups": []})
    written = io.StringIO()
    Console(width=width, file=written).print(frame(looked, "http://127.0.0.1", width))

    assert re.findall(r"^\d+ minutes", written.getvalue(), re.MULTILINE) == [f"{shown} minutes"]


def test_a_frame_is_an_object_for_programs(run, died):
    told = run("top", "--queue", died, "--json").one()

    assert told["stat"]["counts"]["dead"] == 3
    assert told["dead"]["groups"][0]["count"] == 3


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (50, {"retrying", "scheduled", "succeeded", "cancelled", "succeeded each minute"}),
        (80, {"cancelled", "succeeded each minute"}),
        (100, {"succeeded each minute"}),
        (120, set()),
    ],
)
def test_a_narrow_screen_loses_columns_and_no_line_is_broken(api, width, missing):
    queue = "narrow"
    api.post(f"/queue/{queue}/pause").raise_for_status()
    looked = Looked(api.get("/stat", params={"queue": queue}).json(), {"groups": []})
    written = io.StringIO()
    screen = Console(width=width, file=written, highlight=False)
    screen.print(frame(looked, "http://127.0.0.1", screen.width, is_live=False))
    lines = written.getvalue().splitlines()

    (heading,) = (line for line in lines if line.startswith("queue "))
    titles = [*STATES, "latency", "succeeded each minute"]
    assert set(re.split(" {2,}", heading.strip())) == {"queue", *titles} - missing
    assert not [line for line in lines if len(line) > width or "…" in line]
    assert len([line for line in lines if line.startswith(("created", "wait p95"))]) == 2


@pytest.mark.parametrize(("act", "code"), [("q", 0), ("interrupt", 130)])
def test_a_screen_is_left_as_it_was(died, act, code):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "coordinator", "top", "--queue", died]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while b"3 dead" not in seen:
        seen += os.read(ours, 65536)
    assert b"\x1b[?1049h" in seen

    if act == "q":
        os.write(ours, b"q")
    else:
        process.send_signal(signal.SIGINT)

    assert process.wait(30) == code
    while b"\x1b[?1049l" not in seen:
        seen += os.read(ours, 65536)
    os.close(ours)


def test_a_row_of_bars_is_as_high_as_its_values():
    assert spark([0, 1, 7, None, 3.5]) == " ▂█ ▅"
    assert spark([0, None]) == "  "
    assert spark([]) == ""
