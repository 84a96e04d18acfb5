"""`import` and `export`: every line a job and every job a line, also after a kill in the middle."""

import gzip
import json
import re
import time

import pytest

MANY = 12_000


def line(queue, number, **more):
    return json.dumps({"worker": "hello", "queue": queue, "delay": "20h", "args": {"n": number}} | more) + "\n"


def numbers(run, queue, tmp_path):
    """Of all jobs of a queue, as an export tells them."""
    assert run("export", "check.ndjson", "--queue", queue, "--overwrite").code == 0
    lines = (tmp_path / "check.ndjson").read_text().splitlines()
    return [json.loads(one)["args"]["n"] for one in lines]


def until(process, path, field, least):
    """Until a checkpoint says that so much is done."""
    while process.poll() is None:
        if path.exists() and json.loads(path.read_text())["place"][field] >= least:
            return
        time.sleep(0.005)
    pytest.fail(f"it ended too early: {process.stderr.read()}")


@pytest.mark.parametrize("name", ["jobs.ndjson", "jobs.ndjson.gz"])
def test_each_line_is_a_job(run, queue, tmp_path, name):
    text = "".join(line(queue, number) for number in range(1500)) + "\n"
    packed = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    (tmp_path / name).write_bytes(packed)

    said = run("import", name, "--json")

    told = said.one()
    assert (said.code, told["made"], told["refused"], told["rejects"]) == (0, 1500, 0, None)
    assert sorted(numbers(run, queue, tmp_path)) == list(range(1500))
    assert not (tmp_path / f"{name}.checkpoint").exists()


def test_the_same_file_again_makes_nothing_unless_that_is_meant(run, queue, tmp_path):
    (tmp_path / "jobs").write_text("".join(line(queue, number) for number in range(5)))
    run("import", "jobs")

    again = run("import", "jobs")
    assert (again.code, len(numbers(run, queue, tmp_path))) == (0, 5)
    assert again.out.startswith("made 0 jobs, 5 were there already; ")
    assert "--id NAME makes them anew" in again.err
    told = run("import", "jobs", "--json").one()
    assert (told["made"], told["madeBefore"], told["duplicates"]) == (0, 5, 0)
    assert run("import", "jobs", "--id", f"{queue}-2").code == 0
    assert len(numbers(run, queue, tmp_path)) == 10


def test_other_lines_under_the_same_id_are_refused(run, queue, tmp_path):
    for number in (1, 2):
        (tmp_path / "jobs").write_text(line(queue, number))
        said = run("import", "jobs", "--id", queue, "--restart")

    assert said.code == 1
    assert "was used for other lines" in said.err
    assert numbers(run, queue, tmp_path) == [1]


def test_stdin_is_not_made_twice_under_an_id(run, queue, tmp_path):
    text = "".join(line(queue, number) for number in range(5))

    for _ in range(2):
        assert run("import", "-", "--id", queue, stdin=text).code == 0

    assert sorted(numbers(run, queue, tmp_path)) == list(range(5))


def test_refused_lines_are_told_with_their_reasons_and_hold_up_no_other(run, queue, tmp_path):
    deep = '{"worker": "hello", "args": ' + "[" * 300 + "]" * 300 + "}\n"
    wrong = ["no json\n", '{"worker": "hello", "priority": 10}\n', "\n", deep, "[]\n", '{"args": "\\ud800"}\n']
    long = '{"worker": "hello", "args": "' + "x" * 1_100_000 + '"}\n'
    lines = [line(queue, number) for number in range(20)]
    (tmp_path / "jobs").write_text("".join([*lines[:10], *wrong, long, *lines[10:]]))

    said = run("import", "jobs", "--json")

    told = said.one()
    assert (said.code, told["lines"], told["made"], told["refused"]) == (1, 27, 20, 6)
    assert sorted(numbers(run, queue, tmp_path)) == list(range(20))
    rejects = [json.loads(one) for one in (tmp_path / "jobs.rejects").read_text().splitlines()]
    assert [one["line"] for one in rejects] == [11, 12, 14, 15, 16, 17]
    assert [one["code"] for one in rejects][:3] == ["invalid_json", "validation_error", "invalid_json"]
    assert rejects[1]["job"] == {"worker": "hello", "priority": 10}
    assert rejects[-1]["code"] == "line_too_long"


def test_a_handle_that_is_taken_is_no_new_job(run, queue, tmp_path):
    (tmp_path / "jobs").write_text(line(queue, 1, unique="u") + line(queue, 2, unique="u"))

    said = run("import", "jobs", "--json")

    assert (said.code, said.one()["made"], said.one()["duplicates"]) == (0, 1, 1)


def test_a_full_queue_is_waited_for_and_then_told(run, queue, tmp_path, api):
    run("queues", "set", queue, "maxWaiting=3")
    (tmp_path / "jobs").write_text("".join(line(queue, number) for number in range(5)))

    full = run("import", "jobs", "--patience", "100ms")
    assert full.code == 1
    assert "queue_full" in full.err
    assert "The same command goes on there" in full.err
    run("queues", "set", queue, "maxWaiting=100")
    assert run("import", "jobs").code == 0
    assert sorted(numbers(run, queue, tmp_path)) == list(range(5))


def test_jobs_in_all_states_are_exported_and_taken_again(run, queue, tmp_path):
    run("enqueue", "hello", "--arg", "n=0", "--queue", queue, "--wait")
    run("enqueue", "fails", "--arg", "row=1", "--arg", "n=1", "--max-attempts", "1", "--queue", queue, "--wait")
    run("enqueue", "fails", "--arg", "row=1", "--arg", "n=2", "--set", "retry=[86400000]", "--queue", queue)
    run("enqueue", "sleeps", "--arg", "n=3", "--queue", queue)
    run("enqueue", "hello", "--arg", "n=4", "--delay", "1h", "--queue", queue, "--tag", "t", "--key", "k")
    run("job", "cancel", *run("enqueue", "hello", "--arg", "n=5", "--delay", "1h", "--queue", queue, "-q").out.split())
    deadline = time.monotonic() + 30
    while {"retrying", "running"} - {job["state"] for job in run("jobs", "--queue", queue, "--json").all()}:
        assert time.monotonic() < deadline
    run("queues", "pause", queue)
    run("enqueue", "hello", "--arg", "n=6", "--queue", queue)

    assert run("export", "full", "--queue", queue, "--full", "--json").one()["jobs"] == 7
    full = [json.loads(one) for one in (tmp_path / "full").read_text().splitlines()]
    assert sorted(job["state"] for job in full) == sorted(
        ["succeeded", "dead", "retrying", "running", "scheduled", "cancelled", "queued"]
    )
    assert sorted(numbers(run, queue, tmp_path)) == list(range(7))

    for name in ("check.ndjson", "full"):
        text = (tmp_path / name).read_text().replace(queue, f"{queue}-{name}")
        (tmp_path / "again").write_text(text)
        run("queues", "set", f"{queue}-{name}")
        run("queues", "pause", f"{queue}-{name}")
        assert run("import", "again", "--json").one()["made"] == 7
        taken = run("jobs", "--queue", f"{queue}-{name}", "--json").all()
        assert sorted(job["args"]["n"] for job in taken) == list(range(7))
        assert [(job["tags"], job["key"]) for job in taken if job["args"]["n"] == 4] == [(["t"], "k")]
        assert [job["retry"] for job in taken if job["args"]["n"] == 2] == [[86_400_000]]


def test_an_export_to_stdout_is_lines_and_nothing_else(begin, run, queue):
    run("enqueue", "hello", "--arg", "n=1", "--delay", "1h", "--queue", queue)

    out, err = begin("export", "-", "--queue", queue, "--quiet").communicate(timeout=60)

    assert (json.loads(out)["args"], err) == ({"n": 1}, b"")


def test_a_file_that_is_there_is_not_overwritten_unasked(run, queue, tmp_path):
    (tmp_path / "mine").write_text("precious")

    said = run("export", "mine", "--queue", queue)

    assert (said.code, (tmp_path / "mine").read_text()) == (2, "precious")
    assert "--overwrite" in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "nope"], "nope cannot be read: No such file"),
        (["import", "broken.gz"], "is no whole gzip file"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(run, tmp_path, arguments, says):
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-5])

    said = run(*arguments)

    assert said.code == 2
    assert says in said.err


@pytest.mark.parametrize("name", ["jobs", "jobs.gz"])
def test_a_killed_import_goes_on_where_it_was(begin, run, queue, tmp_path, name):
    text = "".join([*(line(queue, n) for n in range(100)), "wrong\n", *(line(queue, n) for n in range(100, MANY))])
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    process = begin("import", name)
    until(process, tmp_path / f"{name}.checkpoint", "number", 1000)
    process.kill()
    process.wait(20)

    said = run("import", name, "--json")

    told = said.one()
    assert (said.code, told["lines"], told["made"], told["refused"]) == (1, MANY + 1, MANY, 1)
    assert told["resumedAtLine"] > 1000
    assert sorted(numbers(run, queue, tmp_path)) == list(range(MANY))
    (reject,) = (tmp_path / f"{name}.rejects").read_text().splitlines()
    assert json.loads(reject)["line"] == 101


@pytest.fixture
def many(api, queue):
    for first in range(0, MANY, 1000):
        jobs = [json.loads(line(queue, number)) for number in range(first, first + 1000)]
        assert api.post("/job/batch", json={"jobs": jobs}).status_code == 201
    return queue


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_a_killed_export_goes_on_where_it_was(begin, run, many, tmp_path, name):
    process = begin("export", name, "--queue", many)
    until(process, tmp_path / f"{name}.checkpoint", "jobs", 200)
    process.kill()
    process.wait(20)
    # What was written behind the last note is not whole.
    with (tmp_path / name).open("ab") as file:
        file.write(b'{"worker": "hel')

    said = run("export", name, "--queue", many, "--json")

    told = said.one()
    assert (said.code, told["jobs"]) == (0, MANY)
    assert 200 <= told["resumedAt"] < MANY
    content = (tmp_path / name).read_bytes()
    lines = (gzip.decompress(content) if name.endswith("gz") else content).splitlines()
    assert sorted(json.loads(one)["args"]["n"] for one in lines) == list(range(MANY))


def test_a_checkpoint_of_something_else_is_not_followed(begin, run, many, tmp_path):
    process = begin("export", "out", "--queue", many)
    until(process, tmp_path / "out.checkpoint", "jobs", 0)
    process.kill()
    process.wait(20)

    other = run("export", "out", "--queue", "other")
    anew = run("export", "out", "--queue", "other", "--restart", "--json")

    assert other.code == 2
    assert "--restart" in other.err
    assert (anew.code, anew.one()["jobs"]) == (0, 0)


def test_without_a_terminal_progress_is_lines(run, queue, tmp_path, monkeypatch):
    monkeypatch.setattr("coordinator.commands.progress._EACH_S", 0)
    (tmp_path / "jobs").write_text("".join(line(queue, number) for number in range(2500)))

    said = run("import", "jobs")

    assert re.search(r"^import: 1 000 jobs, [\d ]+/s, \d+%", said.err, re.MULTILINE)
