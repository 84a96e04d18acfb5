"""`tail`: what happens is written while it happens; and what is read of a stream."""

import json
import signal

import pytest

from coordinator.commands.event_stream import messages


@pytest.fixture
def watch(begin):
    """Begins a tail, and gives it when it watches."""

    def watch(*arguments):
        process = begin("tail", *arguments)
        assert process.stderr.readline() == b"Watching; Ctrl-C ends it.\n"
        return process

    return watch


def test_events_are_written_as_they_happen(watch, run, queue):
    process = watch("--queue", queue, "--json", "--count", "3")
    run("enqueue", "hello", "--queue", queue, "--wait")

    out, _ = process.communicate(timeout=60)

    told = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert [event["type"] for event in told] == ["job.created", "job.started", "job.succeeded"]
    assert {event["queue"] for event in told} == {queue}


def test_events_are_told_to_people_in_a_line(watch, run, queue):
    process = watch("--queue", queue, "--type", "job.dead")
    made = run("enqueue", "fails", "--arg", "row=1", "--max-attempts", "1", "--queue", queue, "--wait", "--json").one()

    line = process.stdout.readline().decode()
    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 130
    assert line[14:].startswith(f"job.dead         {made['id']}  {queue}  fails  dead")
    assert "\x1b" not in line


@pytest.mark.parametrize(("worker", "code"), [("hello", 0), ("fails", 6)])
def test_a_job_is_watched_until_it_is_final(begin, run, queue, worker, code):
    flags = ("--max-attempts", "1", "--delay", "1h", "--queue", queue, "-q")
    job_id = run("enqueue", worker, "--arg", "row=1", *flags).out.strip()
    process = begin("tail", job_id, "--json")
    # It ends also if that is before it watches.
    run("job", "run", job_id)

    out, _ = process.communicate(timeout=60)

    assert process.returncode == code
    assert json.loads(out.splitlines()[-1])["state"] == ("dead" if code else "succeeded")


def test_what_is_not_there_cannot_be_watched(run):
    assert run("tail", "nope").code == 3
    assert run("tail", "--type", "job.sneezed").code == 1


def test_a_stream_is_read_as_the_standard_says():
    lines = ["retry: 1000", "event: hello", 'data: {"at":"x"}', "id: 1", "", ": ", "id: 2", ""]

    told = list(messages(iter([*lines, 'data: {"a":', "data: 1}", ""])))

    assert told == [({"type": "hello", "at": "x"}, "1"), (None, "2"), ({"type": "", "a": 1}, None)]
