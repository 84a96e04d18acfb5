"""`enqueue`, `job`, `jobs`: what is made, shown and done; and how each ends."""

import json
import re
import signal

import pytest


def ids(said):
    return said.out.split()


def test_a_job_is_made_waited_for_and_told(run, queue):
    said = run("enqueue", "hello", '{"to": "a@b.c"}', "--arg", "n=1", "--queue", queue, "--tag", "x", "--wait", "20s")

    assert said.code == 0
    assert re.search(r"^job +\S+ +succeeded$", said.out, re.MULTILINE)
    assert 'result    {"to": "a@b.c", "n": 1}' in said.out
    assert re.search(r"^ +1 +.* success ", said.out, re.MULTILINE)


def test_a_job_that_dies_is_told_by_the_exit_code(run, queue):
    said = run("enqueue", "fails", "--arg", "row=7", "--max-attempts", "1", "--queue", queue, "--wait", "--json")

    assert said.code == 6
    assert said.one()["state"] == "dead"


def test_a_job_that_goes_on_is_told_by_the_exit_code(run, queue):
    made = run("enqueue", "hello", "--delay", "1h", "--queue", queue, "-q")
    (job_id,) = ids(made)

    said = run("job", job_id, "--wait", "10ms", "--json")

    assert (made.code, said.code, said.one()["state"]) == (0, 7, "scheduled")


def test_what_a_function_says_does_nothing_to_the_terminal(run, queue):
    said = run("enqueue", "fails", "--arg", "row=7", "--max-attempts", "1", "--queue", queue, "--wait")

    assert "row 7 is \\x1b[31mwrong" in said.out
    assert "\x1b" not in said.out


@pytest.mark.parametrize("given", ["@args.json", "-"])
def test_args_are_read_from_a_file_or_stdin(run, queue, tmp_path, given):
    (tmp_path / "args.json").write_text('{"from": "there"}')

    said = run("enqueue", "hello", given, "--delay", "1h", "--queue", queue, "--json", stdin='{"from": "there"}')

    assert said.one()["args"] == {"from": "there"}


def test_every_field_can_be_said(run, queue):
    said = run(
        *("enqueue", "hello", "--queue", queue, "--key", "k", "--delay", "1h", "--priority", "1", "--cost", "2"),
        *("--timeout", "30s", "--max-attempts", "3", "--expires-in", "1d", "--unique", "u", "--json"),
        *("--set", "heartbeatTimeout=1m", "--set", "onFailure.worker=alarm", "--set", 'meta={"a": 1}'),
    )

    job = said.one()
    assert (job["key"], job["priority"], job["cost"], job["maxAttempts"], job["unique"]) == ("k", 1, 2, 3, "u")
    assert (job["timeoutMs"], job["expiresInMs"], job["heartbeatTimeoutMs"]) == (30_000, 86_400_000, 60_000)
    assert (job["onFailure"]["worker"], job["meta"]) == ("alarm", {"a": 1})


def test_a_dry_run_stores_nothing(run, queue):
    said = run("enqueue", "hello", "--delay", "1h", "--queue", queue, "--dry-run", "--json")

    assert said.one()["nextRuns"]
    assert run("jobs", "--queue", queue, "--json").all() == []


def test_an_idempotency_key_makes_one_job(run, queue):
    first, second = (
        run("enqueue", "hello", "--delay", "1h", "--queue", queue, "--idempotency-key", queue, "-q") for _ in range(2)
    )

    assert ids(first) == ids(second)


def test_jobs_are_found_by_filters_of_both_forms(run, queue):
    for tag in ("a", "b"):
        run("enqueue", "hello", "--delay", "1h", "--queue", queue, "--tag", tag)

    one = run("jobs", "--queue", queue, "--tag", "a", "--json").all()
    same = run("jobs", "-f", f"queue={queue}", "-f", "tag=a", "--created-after", "5m", "--json").all()
    none = run("jobs", "--queue", queue, "--finished-before", "1d")

    assert [job["tags"] for job in one] == [["a"]]
    assert same == one
    assert (none.code, none.out.splitlines()[1:], none.err) == (0, [], "No jobs are found so.\n")


def test_a_list_goes_as_far_as_is_asked_for(run, api, queue):
    jobs = [{"worker": "hello", "queue": queue, "delay": "1h"}] * 450
    assert api.post("/job/batch", json={"jobs": jobs}).status_code == 201

    assert len(ids(run("jobs", "--queue", queue, "-q"))) == 50
    assert len(ids(run("jobs", "--queue", queue, "-q", "--limit", "203"))) == 203
    assert len(set(ids(run("jobs", "--queue", queue, "-q", "--all")))) == 450


def test_the_columns_of_a_table_are_aligned(run, queue):
    for key in ("short", "a-key-that-is-longer"):
        run("enqueue", "hello", "--delay", "1h", "--queue", queue, "--key", key)

    heading, *rows = run("jobs", "--queue", queue).out.splitlines()

    at = heading.index("KEY")
    assert sorted(row[at:].split()[0] for row in rows) == ["a-key-that-is-longer", "short"]


def test_some_jobs_are_acted_on_and_one_that_is_not_there_holds_up_no_other(run, queue):
    (job_id,) = ids(run("enqueue", "hello", "--delay", "1h", "--queue", queue, "-q"))

    said = run("job", "cancel", "nope", job_id)

    assert said.code == 3
    assert f"{job_id}  cancelled" in said.out
    assert "nope: There is no job 'nope'" in said.err
    assert run("job", "retry", job_id, "--json").one()["state"] in {"queued", "running", "succeeded"}


def test_a_job_that_waits_is_run_and_erased(run, queue):
    (job_id,) = ids(run("enqueue", "hello", "--delay", "1h", "--queue", queue, "-q"))

    assert run("job", "run", job_id, "--json").one()["id"] == job_id
    assert run("job", job_id, "--wait").code == 0
    assert run("job", "delete", job_id).out == f"{job_id}  erased\n"
    assert run("job", job_id).code == 3


@pytest.fixture
def three(run, queue):
    for _ in range(3):
        run("enqueue", "hello", "--delay", "1h", "--queue", queue)
    return queue


def test_many_are_counted_before_they_are_changed(run, three):
    said = run("jobs", "cancel", "--queue", three, "--dry-run", "--json")

    assert said.one() == {"action": "cancel", "dryRun": True, "matched": 3, "done": 0, "more": False}
    assert {job["state"] for job in run("jobs", "--queue", three, "--json").all()} == {"scheduled"}


def test_many_are_changed_when_it_is_agreed(run, three):
    edited = run("jobs", "edit", "--queue", three, "--set", "priority=1", "--yes", "--json")
    cancelled = run("jobs", "cancel", "--queue", three, "--yes", "--json")

    assert edited.one() == {"action": "edit", "matched": 3, "done": 3, "more": False}
    assert cancelled.one() == {"action": "cancel", "matched": 3, "done": 3, "more": False}
    jobs = run("jobs", "--queue", three, "--json").all()
    assert [(job["state"], job["priority"]) for job in jobs] == [("cancelled", 1)] * 3


def test_nobody_to_ask_is_no_consent(run, three):
    said = run("jobs", "cancel", "--queue", three)

    assert said.code == 2
    assert said.err == "coordinator: Cancel 3 jobs? Nobody can be asked here; add --yes if that is meant.\n"


def test_all_jobs_are_meant_only_if_that_is_said(run):
    said = run("jobs", "delete", "--yes")

    assert said.code == 2
    assert "add --all if that is meant" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["job", "nope"], 3, "There is no job 'nope'"),
        (["enqueue", "hello", "--delay", "soon"], 1, 'delay "soon" is not a duration'),
        (["enqueue", "hello", "{"], 2, "Quote it for your shell"),
        (["enqueue", "hello", "1", "--arg", "a=1"], 2, "args are no object"),
        (["enqueue", "hello", "--set", "nothing"], 2, "is not FIELD=VALUE"),
        (["jobs", "-f", "colour=red"], 2, "names are queue, state"),
        (["jobs", "--state", "sleepy"], 2, "--state: invalid choice"),
        (["jobs", "-f", "state=sleepy"], 1, "state"),
        (["job", "x", "--wait", "soon"], 2, "is not a duration"),
        (["jobs", "--url", "nonsense"], 2, "is no address"),
        (["jobs", "--url", "http://127.0.0.1:1"], 5, "nobody answers at http://127.0.0.1:1"),
        (["jobs", "--profile", "nope"], 3, "there is no profile 'nope'"),
        (["jobs", "--colour"], 2, "unrecognized arguments"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_with_the_exit_code(run, arguments, code, says):
    said = run(*arguments)

    assert (said.code, said.out) == (code, "")
    assert says in said.err
    if "usage" not in said.err:
        assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("wrong", [["--wait", "banana"], ["--wait", "0s"], ["--wait", "--cron", "@daily"]])
def test_a_wrong_wait_is_told_before_a_job_is_made(run, queue, wrong):
    said = run("enqueue", "hello", "--queue", queue, *wrong)

    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert "--wait" in said.err
    assert run("jobs", "--queue", queue, "--json").all() == []
    assert run("schedules", "--queue", queue, "--json").all() == []


def test_a_token_is_needed_and_may_not_be_enough(run, guarded_url):
    from tests.commands.conftest import TOKEN

    none = run("jobs", "--url", guarded_url)
    reader = run_api_token(guarded_url, TOKEN)
    weak = run("enqueue", "hello", "--url", guarded_url, "--token", reader)

    assert none.code == 4
    assert "coordinator login" in none.err
    assert weak.code == 4
    assert "Use a token that may" in weak.err
    assert run("jobs", "--url", guarded_url, "--token", reader).code == 0


def test_who_has_to_name_a_queue_is_told_the_flag(run, guarded_url):
    from tests.commands.conftest import TOKEN

    one = run_api_token(guarded_url, TOKEN, queues=["mail"])
    said = run("jobs", "--url", guarded_url, "--token", one)

    assert "name one of them with --queue." in said.err
    assert run("jobs", "--queue", "mail", "--url", guarded_url, "--token", one).code == 0


def run_api_token(url, token, **more):
    import httpx

    body = {"name": "reader", "scopes": ["read"]} | more
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{url}/token", json=body, headers=headers, trust_env=False).json()["token"]


def test_an_interrupt_ends_with_130(begin, run, queue):
    (job_id,) = ids(run("enqueue", "hello", "--delay", "1h", "--queue", queue, "-q"))
    process = begin("enqueue", "hello", "--delay", "1h", "--queue", queue, "--wait", "1h")
    # It says the id before it waits.
    assert b"scheduled" in process.stderr.readline()

    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert json.loads(run("job", job_id, "--json").out)["state"] == "scheduled"


def test_a_reader_that_has_seen_enough_is_no_error(begin, api, queue):
    jobs = [{"worker": "hello", "queue": queue, "delay": "1h", "args": "x" * 500}] * 1000
    assert api.post("/job/batch", json={"jobs": jobs}).status_code == 201
    process = begin("jobs", "--queue", queue, "--all", "--json")
    assert process.stdout.readline()

    process.stdout.close()

    assert (process.wait(30), process.stderr.read()) == (0, b"")
