"""`queues`, `schedules`, `workers`, `sync`, `profiles`, `login`: what is set, and how a declaration differs from it."""

import json
import stat

import pytest

from coordinator.commands.profiles import profiles_path
from tests.commands.conftest import TOKEN
from tests.coordinator_process import coordinator_process, register_as_of_tomorrow


def test_a_queue_is_set_field_by_field(run, queue):
    run("queues", "set", queue, "concurrency=5", "rate.limit=2", "perKey.concurrency=4", "circuit=null")

    said = run("queues", "set", queue, "concurrency=6", "rate=null", "--json")

    told = said.one()
    assert (told["concurrency"], told["rate"], told["perKey"]["concurrency"], told["circuit"]) == (6, None, 4, None)
    replaced = run("queues", "set", queue, "maxWaiting=7", "--replace", "--json").one()
    assert (replaced["concurrency"], replaced["maxWaiting"]) == (None, 7)
    wrong = run("queues", "set", queue, "concurrency=five")
    assert (wrong.code, "expected a whole number or null, got text" in wrong.err) == (1, True)


def test_queues_are_listed_paused_and_resumed(run, queue):
    run("queues", "set", queue)

    assert run("queues", "pause", queue).out == f"{queue}  paused\n"
    assert next(one for one in run("queues", "--json").all() if one["name"] == queue)["paused"]
    assert queue in run("queues", "-q").out.split()
    assert run("queues", "resume", queue, "--json").one()["paused"] is False
    assert run("queues", "show", queue).out.startswith(f"queue       {queue}\n")
    assert run("queues", "show", "nope").code == 3


def test_a_queue_is_purged_when_it_is_agreed(run, queue):
    for _ in range(2):
        run("enqueue", "hello", "--delay", "1h", "--queue", queue)

    assert run("queues", "purge", queue).code == 2
    assert run("queues", "purge", queue, "--dry-run", "--json").one()["matched"] == 2
    assert run("queues", "purge", queue, "--yes", "--json").one()["done"] == 2


def test_a_schedule_is_made_paused_triggered_and_deleted(run, queue):
    made = run("enqueue", "hello", "--cron", "0 0 1 1 *", "--queue", queue, "--json").one()

    listed = run("schedules", "--queue", queue, "--json").all()
    assert [one["id"] for one in listed] == [made["id"]]
    assert "0 0 1 1 *" in run("schedules").out
    assert run("schedules", "pause", made["id"], "--json").one()["state"] == "paused"
    assert run("schedules", "resume", made["id"], "--json").one()["state"] == "active"
    assert run("schedules", "trigger", made["id"], "--json").one()["scheduleId"] == made["id"]
    assert run("job", made["id"]).out.startswith("schedule  ")
    assert run("job", made["id"], "--wait").code == 2
    assert run("schedules", "delete", made["id"], "--cancel-runs", "--json").one()["erased"] is True
    assert run("schedules", "show", made["id"]).code == 3


@pytest.mark.parametrize(
    ("rule", "flags", "first"),
    [
        ("0 9 * * *", ["--timezone", "Asia/Tokyo"], "T00:00:00.000Z"),
        ("30 0 9 * * *", [], "T09:00:30.000Z"),
        ("@daily", [], "T00:00:00.000Z"),
        ("1d", [], "Z"),
    ],
)
def test_a_rule_is_previewed(run, rule, flags, first):
    said = run("schedules", "preview", rule, "--count", "2", *flags, "--json")

    assert len(said.one()["nextRuns"]) == 2
    assert said.one()["nextRuns"][0].endswith(first)


def test_a_schedule_that_is_there_is_previewed(run, queue):
    ids = [
        run("enqueue", "hello", *rule, "--queue", queue, "-q").out.strip()
        for rule in (("--cron", "0 9 * * *", "--timezone", "Asia/Tokyo"), ("--every", "1h"))
    ]

    told = [run("schedules", "preview", schedule_id, "--json").one() for schedule_id in ids]

    assert [(one["cron"], one["everyMs"]) for one in told] == [("0 9 * * *", None), (None, 3_600_000)]


def test_a_worker_is_set_pinged_and_deleted(run, function_url, queue):
    run("workers", "set", queue, f"url={function_url}", "timeout=30s")
    told = run("workers", "set", queue, "queue=mail", "--json").one()

    assert (told["url"], told["timeoutMs"], told["queue"]) == (function_url, 30_000, "mail")
    assert run("workers", "ping", queue, "--json").one()["ok"] is True
    assert queue in run("workers", "-q").out.split()
    assert run("workers", "show", queue, "--json").one() == told
    assert run("workers", "delete", queue, "--json").one() == {"name": queue, "deleted": True}
    assert run("workers", "delete", queue).code == 3


def test_a_function_that_does_not_answer_a_ping_is_told_by_the_exit_code(run, queue):
    run("workers", "set", queue, "url=http://127.0.0.1:1/")

    said = run("workers", "ping", queue)

    assert said.code == 1
    assert "failed" in said.out


def test_workers_are_listed_with_their_circuits(run, queue):
    run("queues", "set", queue, "circuit.failures=1", "circuit.open=1h")
    said = run("enqueue", "fails", "--arg", "row=1", "--max-attempts", "1", "--queue", queue, "--wait")
    assert said.code == 6

    circuits = next(one["circuits"] for one in run("workers", "--json").all() if one["name"] == "fails")

    assert [one["failures"] for one in circuits if one["queue"] == queue] == [1]
    assert f"{queue}: open, tried in" in run("workers").out


def test_a_secret_that_cannot_be_read_back_is_asked_for_again(run, function_url, queue):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    run("workers", "set", queue, f"url={function_url}", f"secret={secret}", "headers.x-key=k")

    said = run("workers", "set", queue, "timeout=30s")

    assert said.code == 1
    assert said.err.endswith("headers.x-key=… secret=…\n")
    again = run("workers", "set", queue, "timeout=30s", f"secret={secret}", "headers.x-key=k", "--json").one()
    assert (again["timeoutMs"], again["headers"]) == (30_000, {"x-key": "[hidden]"})


def test_a_worker_that_cannot_be_read_is_replaced_only_if_that_is_said(run, tmp_path):
    register_as_of_tomorrow(tmp_path / "store", "mail")
    with coordinator_process(tmp_path / "store") as url:
        said = run("workers", "set", "mail", "timeout=30s", "--url", url)
        assert (said.code, said.out, len(said.err.splitlines())) == (1, "", 1)
        assert "so that it cannot be read; name all its settings, with --replace." in said.err
        assert run("workers", "show", "mail", "--json", "--url", url).one()["unreadable"] is True

        named = ("url=http://127.0.0.1:1/", "timeout=30s")
        told = run("workers", "set", "mail", *named, "--replace", "--json", "--url", url).one()
        assert (told["timeoutMs"], "unreadable" in told) == (30_000, False)


DECLARATION = {
    "json": '{"owner": "OWNER", "queues": {"OWNER": {"concurrency": 5, "rate": {"limit": 2, "period": "1s"}}}}',
    "yaml": "owner: OWNER\nqueues:\n  OWNER:\n    concurrency: 5\n    rate: {limit: 2, period: 1s}\n",
    "toml": 'owner = "OWNER"\n[queues.OWNER]\nconcurrency = 5\nrate = {limit = 2, period = "1s"}\n',
}


@pytest.mark.parametrize("kind", DECLARATION)
def test_a_declaration_is_planned_and_applied(run, tmp_path, queue, kind):
    name = f"d.{kind}"
    (tmp_path / name).write_text(DECLARATION[kind].replace("OWNER", queue))

    plan = run("sync", "plan", name, "--detailed-exitcode")
    assert (plan.code, plan.out) == (2, f"+ queue {queue}\nplan: 1 created\n")
    assert run("sync", "apply", name).code == 2
    assert run("sync", "apply", name, "--yes").code == 0
    again = run("sync", "plan", name, "--detailed-exitcode")
    assert (again.code, again.out) == (0, "nothing to change (1 the same)\n")


def test_a_plan_tells_which_fields_differ(run, tmp_path, queue):
    declared = {
        "owner": queue,
        "queues": {queue: {"concurrency": 5, "rate": {"limit": 2, "period": "1s"}}},
        "workers": {queue: {"url": "http://127.0.0.1:1/", "timeout": "30s"}},
        "schedules": {queue: {"worker": "hello", "cron": "0 9 * * *", "startAt": "2030-01-01 10:00"}},
    }
    (tmp_path / "d.json").write_text(json.dumps(declared))
    assert run("sync", "apply", "d.json", "--yes").code == 0
    declared["queues"][queue] |= {"concurrency": 6, "rate": {"limit": 2, "period": "2s"}}
    declared["workers"] = {}
    declared["schedules"][queue] |= {"cron": "0 8 * * *"}
    (tmp_path / "d.json").write_text(json.dumps(declared))

    plan = run("sync", "plan", "d.json")

    assert plan.code == 0
    assert plan.out == (
        f"~ queue {queue}\n    concurrency: 5 -> 6\n    rate.period: 1000 ms -> 2000 ms\n"
        f"~ schedule {queue}\n    cron: 0 9 * * * -> 0 8 * * *\n"
        f"- worker {queue}\nplan: 2 updated, 1 deleted\n"
    )
    told = run("sync", "plan", "d.json", "--json").one()
    assert told["updated"][0]["fields"][0] == ["concurrency", 5, 6]


def test_a_plan_tells_what_goes_back_to_its_default(run, tmp_path, queue):
    run("queues", "set", queue, "concurrency=5", "rate.limit=2", "perKey.concurrency=3")
    run("workers", "set", queue, "url=http://127.0.0.1:1/", "ack=response", "headers.x-key=old", "headers.x-no=no")
    declared = {
        "owner": queue,
        "queues": {queue: {"concurrency": 9}},
        "workers": {queue: {"url": "http://127.0.0.1:1/", "headers": {"x-key": "new"}}},
        "schedules": {queue: {"worker": "hello", "cron": "@daily", "priority": 1, "overlap": "allow"}},
    }
    (tmp_path / "d.json").write_text(json.dumps(declared | {"queues": {}, "workers": {}}))
    assert run("sync", "apply", "d.json", "--yes").code == 0
    declared["schedules"][queue] = {"worker": "hello", "cron": "@daily"}
    (tmp_path / "d.json").write_text(json.dumps(declared))

    plan = run("sync", "plan", "d.json")
    told = run("sync", "plan", "d.json", "--json").one()

    fields = {one["kind"]: {name: (old, new) for name, old, new in one["fields"]} for one in told["updated"]}
    owner = {"owner": (None, queue)}
    assert fields == {
        "worker": owner
        | {"ack": ("response", "receipt"), "headers.x-key": ("set", "changed"), "headers.x-no": ("set", None)},
        "queue": owner
        | {
            "concurrency": (5, 9),
            "rate.limit": (2.0, None),
            "rate.periodMs": (1000, None),
            "rate.burst": (2.0, None),
            "perKey.concurrency": (3, None),
        },
        "schedule": {"priority": (1, 5), "overlap": ("allow", "skip")},
    }
    assert "    rate.period: 1000 ms -> none\n" in plan.out
    assert "old" not in plan.out


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("d.json", "{", "cannot be read as json"),
        ("d.yaml", "a: [", "cannot be read as yaml"),
        ("d.toml", "a", "cannot be read as toml"),
        ("d.txt", "", "ends with none of .json"),
        ("d.json", "{}", "has no owner"),
        ("d.json", "[]", "is no declaration"),
    ],
)
def test_a_file_that_declares_nothing_is_told(run, tmp_path, name, text, says):
    (tmp_path / name).write_text(text)

    said = run("sync", "plan", name)

    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert says in said.err


def test_a_login_is_kept_for_nobody_else_to_read(run, guarded_url, monkeypatch):
    monkeypatch.delenv("COORDINATOR_URL")

    said = run("login", guarded_url, "--profile", "guarded", stdin=f"{TOKEN}\n")

    assert said.code == 0
    assert "as COORDINATOR_TOKENS 1, who may admin" in said.out
    assert TOKEN not in said.out + said.err
    assert stat.S_IMODE(profiles_path().stat().st_mode) == 0o600
    assert run("jobs").code == 0
    assert run("profiles", "--json").one() == {"name": "guarded", "url": guarded_url, "isDefault": True}


def test_a_token_that_opens_nothing_is_not_kept(run, guarded_url):
    said = run("login", guarded_url, stdin="wrong\n")
    named = run("login", guarded_url, "--profile", "new", "--token", "wrong")

    assert (said.code, named.code) == (4, 4)
    assert (said.err, len(named.err.splitlines())) == (named.err, 1)
    assert not profiles_path().exists()


def test_a_login_where_nobody_answers_names_the_address(run):
    said = run("login", "http://127.0.0.1:1", "--profile", "new", "--token", "any")

    assert (said.code, len(said.err.splitlines())) == (5, 1)
    assert "nobody answers at http://127.0.0.1:1 " in said.err


def test_profiles_are_chosen_by_flag_and_environment(run, url, guarded_url, monkeypatch):
    monkeypatch.delenv("COORDINATOR_URL")
    run("login", url, stdin="\n")
    run("login", guarded_url, "--profile", "guarded", "--token", TOKEN)

    assert run("queues", "set", "only-there", "--profile", "guarded").code == 0
    assert "only-there" not in run("queues", "-q").out.split()
    monkeypatch.setenv("COORDINATOR_PROFILE", "guarded")
    assert "only-there" in run("queues", "-q").out.split()
    monkeypatch.delenv("COORDINATOR_PROFILE")
    run("profiles", "use", "guarded")
    assert "only-there" in run("queues", "-q").out.split()
    assert run("profiles", "remove", "guarded").code == 0
    assert run("profiles", "-q").out == "default\n"


def test_a_profiles_token_goes_nowhere_else(run, guarded_url, monkeypatch):
    run("login", guarded_url, "--token", TOKEN)

    said = run("jobs", "--url", guarded_url)

    assert said.code == 4


def test_a_file_of_profiles_that_others_read_is_refused(run, guarded_url):
    run("login", guarded_url, "--token", TOKEN)
    profiles_path().chmod(0o644)

    said = run("profiles")

    assert said.code == 2
    assert f"chmod 600 {profiles_path()}" in said.err


def test_names_and_tokens_stand_in_the_file_as_they_are(run, guarded_url):
    profiles_path().parent.mkdir(parents=True)
    profiles_path().write_text("profiles = 3\n")
    profiles_path().chmod(0o600)

    assert run("profiles").code == 2
    assert run("login", guarded_url, "--profile", "a b", "--token", TOKEN).code == 2
