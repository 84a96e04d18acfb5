"""What is typed: the common flags anywhere, names without an act, and words that are misspelt."""

import pytest


def test_common_flags_may_stand_before_the_command(run, url, queue, monkeypatch):
    monkeypatch.delenv("COORDINATOR_URL")
    made = run("--url", url, "-q", "enqueue", "hello", "--queue", queue, "--delay", "1h").out.strip()

    assert run(f"--url={url}", "--json", "job", made).one()["id"] == made
    assert run("--url", url, "job", "--json", "cancel", made).one()["state"] == "cancelled"
    assert [one["id"] for one in run("--json", "jobs", "--queue", queue, "--url", url).all()] == [made]
    assert run("--json", "--url", url, "queues", "-q", queue).one()["name"] == queue
    assert run("--profile", "nobody", "jobs").code == 3
    # What a command does not have is refused before it as after it.
    refused = run("--url", url, "serve")
    assert (refused.code, "unrecognized arguments: --url" in refused.err) == (2, True)


def test_a_name_alone_shows_the_one(run, queue, url):
    run("queues", "set", queue)
    run("workers", "set", queue, f"url={url}")

    assert run("queues", queue, "--json").one()["name"] == queue
    assert run("queues", "--json", queue).one()["name"] == queue
    assert run("workers", queue, "--json").one()["name"] == queue
    assert run("workers", "delete", queue).code == 0
    assert run("queues", "nope").code == run("schedules", "nope").code == 3


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        (["queues", "--", "-name"], 1, "name '-name' is not a queue name"),
        (["workers", "-q", "--", "-name"], 1, "name '-name' is not a worker name"),
        (["queues", "--", "list"], 3, "'list'"),
        (["jobs", "--", "-name"], 2, "unrecognized arguments: -- -name"),
    ],
)
def test_behind_two_dashes_a_word_is_a_name_whatever_it_begins_with(run, typed, code, says):
    said = run(*typed)

    assert (said.code, says in said.err) == (code, True), said.err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["queus"], "there is no command 'queus'; did you mean queues?"),
        (["--json", "enqeue", "hello"], "there is no command 'enqeue'; did you mean enqueue?"),
        (["serv"], "there is no command 'serv'; did you mean serve?"),
        (["xyzzy"], "there is no command 'xyzzy'; coordinator --help lists them"),
        (["jobs", "retyr", "--queue", "a"], "there is no command 'jobs retyr'; did you mean jobs retry?"),
        (["queues", "puase", "mail"], "there is no command 'queues puase'; did you mean queues pause?"),
        (["job", "-q", "cancl", "01M8"], "there is no command 'job cancl'; did you mean job cancel?"),
        (["token", "lst"], "there is no command 'token lst'; did you mean token list?"),
        (["sync", "aply", "app.yaml"], "there is no command 'sync aply'; did you mean sync apply?"),
        (["dead", "xyzzy"], "unrecognized arguments: xyzzy"),
        (["job"], "the following arguments are required"),
        (["--json"], "the following arguments are required: command"),
    ],
)
def test_a_word_that_is_misspelt_is_told_with_what_was_probably_meant(run, typed, says):
    said = run(*typed)

    assert (said.code, said.out) == (2, "")
    assert says in said.err


@pytest.mark.parametrize("typed", [["--help"], ["--url", "x", "jobs", "--help"], ["jobs", "list", "-h"], ["top", "-h"]])
def test_help_is_shown_wherever_it_is_asked_for(run, typed):
    said = run(*typed)

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("usage: ")
