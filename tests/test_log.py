"""Logs for machines and for people."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from coordinator.log import JsonLines, TerminalLines, set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging belongs to the whole process: what a test sets is put back."""
    names = ("httpx", "httpcore", "uvicorn.error", "aiohttp.access")
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in names}
    before = root.level, root.handlers[:]
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class Terminal(io.StringIO):
    """What a person reads."""

    def isatty(self) -> bool:
        return True


def record(message: str, *values: object, **extra: object) -> logging.LogRecord:
    """One record of 2026-09-21 10:00:00.250 UTC."""
    made = logging.getLogger("coordinator.x").makeRecord(
        "coordinator.x", logging.WARNING, "x.py", 1, message, values, None, extra=extra
    )
    made.created = 1_789_984_800.25
    return made


def failed() -> logging.LogRecord:
    """A record with a traceback."""
    made = record("it broke")
    try:
        int("the\ncause", base=1)
    except ValueError as error:
        made.exc_info = (ValueError, ValueError("the\ncause"), error.__traceback__)
    return made


def test_a_machine_reads_one_json_object_per_line():
    line = JsonLines().format(record("claiming %s failed\nat once", "shard", shard=3, led=[1, 2], what={"a"}))

    assert "\n" not in line
    assert json.loads(line) == {
        "at": "2026-09-21T10:00:00.250+00:00",
        "level": "warning",
        "logger": "coordinator.x",
        "message": "claiming shard failed\nat once",
        "shard": 3,
        "led": [1, 2],
        "what": "{'a'}",
    }


def test_a_traceback_is_a_field_of_the_line():
    line = JsonLines().format(failed())

    assert "\n" not in line
    told = json.loads(line)["exception"]
    assert told.startswith("Traceback")
    assert told.endswith("ValueError: the\ncause")


def test_a_person_reads_a_short_line():
    line = TerminalLines().format(record("claiming failed", shard=3, error="redis_unavailable"))

    assert line[2] == line[5] == ":"
    assert line[8:] == " warning  claiming failed (shard=3, error=redis_unavailable)"


def test_a_person_sees_the_level_in_colour_and_no_event():
    coloured = TerminalLines(is_coloured=True)

    assert coloured.format(record("it is back", event="store.back"))[8:] == " \x1b[33mwarning \x1b[0m it is back"
    assert "\x1b" not in TerminalLines().format(record("it is back"))


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_is_coloured_unless_its_owner_forbids_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, is_coloured: bool
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", written := Terminal())

    set_up_logging("info")
    logging.getLogger("coordinator.x").warning("careful")

    assert ("\x1b[33m" in written.getvalue()) == is_coloured


def test_a_person_reads_the_traceback_below():
    line, *below = TerminalLines().format(failed()).splitlines()

    assert line.endswith("warning  it broke")
    assert (below[0], below[-2:]) == ("Traceback (most recent call last):", ["ValueError: the", "cause"])


@pytest.mark.parametrize(("stream", "is_json"), [(Terminal, False), (io.StringIO, True)])
def test_the_form_fits_who_reads_it(monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], *, is_json: bool):
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)

    set_up_logging("info")
    logging.getLogger("coordinator.x").info("hello")

    (line,) = written.getvalue().splitlines()
    assert line.startswith("{") == is_json
    assert "hello" in line


def test_what_is_below_the_level_is_not_written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())

    set_up_logging("warning")
    logging.getLogger("coordinator.x").info("hello")

    assert written.getvalue() == ""


def test_requests_and_calls_are_not_written_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())

    set_up_logging("debug")
    for name in ("httpx", "httpcore", "uvicorn.error", "aiohttp.access"):
        logging.getLogger(name).info("POST /job 201")

    assert written.getvalue() == ""
