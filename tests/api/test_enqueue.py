"""`POST /job`: every field, and what is refused with the field's name and the remedy."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.harness import Api, Function, Json, refusal


def after(job: Json, ms: int) -> str:
    """The instant so many ms after the job was made, as the API writes it."""
    at = datetime.fromisoformat(job["createdAt"]) + timedelta(milliseconds=ms)
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ASKED_DEFAULTS = {
    "timeoutMs": 900_000,
    "heartbeatTimeoutMs": None,
    "expiresInMs": None,
    "backoff": {"type": "exponential", "baseMs": 15_000, "factor": 2, "maxMs": 3_600_000, "jitter": 0.1},
    "retry": None,
    "maxRetryDurationMs": None,
    "onSuccess": None,
    "onFailure": None,
}


async def test_a_job_with_nothing_but_a_worker_has_the_defaults(api: Api, function: Function):
    function.hold()

    made = (await api.post("/job", {"worker": "send-email"})).json()

    assert (
        made
        == {
            "id": made["id"],
            "kind": "job",
            "worker": "send-email",
            "args": {},
            "queue": "default",
            "key": None,
            "priority": 5,
            "cost": 1,
            "waitingFor": [],
            "batchId": None,
            "tags": [],
            "meta": {},
            "unique": None,
            "progress": None,
            "message": None,
            "cancelRequested": False,
            "state": "queued",
            "reason": None,
            "attempt": 0,
            "maxAttempts": 10,
            "snoozes": 0,
            "throttles": 0,
            "createdAt": made["createdAt"],
            "runAt": made["createdAt"],
            "startedAt": None,
            "deadline": None,
            "finishedAt": None,
            "answered": None,
            "nextAttemptAt": made["createdAt"],
            "scheduledFor": None,
            "scheduleId": None,
            "result": None,
            "lastError": None,
            "attempts": [],
        }
        | ASKED_DEFAULTS
    )


async def test_what_was_answered_is_what_is_read(api: Api):
    fields = {"args": [1, {"a": None}], "delay": "1h", "queue": "mail", "maxAttempts": 3, "timeout": "5m"}

    made = (await api.post("/job", {"worker": "a/b.c:d-e_f"} | fields)).json()

    assert await api.job(made["id"]) == made
    assert (made["queue"], made["maxAttempts"], made["args"]) == ("mail", 3, [1, {"a": None}])


@pytest.mark.parametrize("rule", [{}, {"every": "1h"}], ids=["job", "schedule"])
async def test_what_was_asked_for_is_shown(idle: Api, rule: Json):
    fields = {"heartbeatTimeout": "30s", "expiresIn": "1h", "maxRetryDuration": "2h", "timeout": "5m"}
    waits: Json = {"backoff": {"type": "linear", "base": "5s", "max": "1m", "jitter": 0}}
    after: Json = {"onSuccess": {"worker": "b"}, "onFailure": {"worker": "c", "args": [1.0], "queue": "alarms"}}

    shown = await idle.job(await idle.enqueue(**fields, **waits, **after, **rule))

    asked = {
        "timeoutMs": 300_000,
        "heartbeatTimeoutMs": 30_000,
        "expiresInMs": 3_600_000,
        "backoff": {"type": "linear", "baseMs": 5000, "factor": 2, "maxMs": 60_000, "jitter": 0},
        "retry": None,
        "maxRetryDurationMs": 7_200_000,
        "onSuccess": {"worker": "b", "args": {}, "queue": "default"},
        "onFailure": {"worker": "c", "args": [1.0], "queue": "alarms"},
    }
    assert {name: shown[name] for name in asked} == asked


async def test_a_timetable_is_shown_in_place_of_the_backoff(idle: Api):
    shown = await idle.job(await idle.enqueue(retry=["1s", "5m"]))

    assert (shown["retry"], shown["backoff"], shown["maxAttempts"]) == ([1000, 300_000], None, 3)


@pytest.mark.parametrize(
    ("delay", "ms"),
    [(90_000, 90_000), ("90s", 90_000), ("5m", 300_000), ("7d", 604_800_000), ("PT5M", 300_000), ("1h30m", 5_400_000)],
)
async def test_a_delay_counts_from_now(api: Api, delay: object, ms: int):
    made = (await api.post("/job", {"worker": "a", "delay": delay})).json()

    assert (made["state"], made["runAt"]) == ("scheduled", after(made, ms))


@pytest.mark.parametrize(
    ("run_at", "timezone", "shown"),
    [
        ("2120-07-01 10:00:00 AM", None, "2120-07-01T10:00:00.000Z"),
        ("2120-07-01 10:00:00 PM", None, "2120-07-01T22:00:00.000Z"),
        ("2120-07-01 12:00:00 AM", None, "2120-07-01T00:00:00.000Z"),
        ("2120-07-01 22:00:00", None, "2120-07-01T22:00:00.000Z"),
        ("2120-07-01T22:00:00", None, "2120-07-01T22:00:00.000Z"),
        ("2120-07-01T22:00:00.5Z", None, "2120-07-01T22:00:00.500Z"),
        ("2120-07-01T22:00:00+02:00", None, "2120-07-01T20:00:00.000Z"),
        ("2120-07-01T22:00:00+02:00", "America/New_York", "2120-07-01T20:00:00.000Z"),
        ("2120-01-01 10:00:00 AM", "America/New_York", "2120-01-01T15:00:00.000Z"),
        (4_733_510_400, None, "2120-01-01T00:00:00.000Z"),
        (4_733_510_400_250, None, "2120-01-01T00:00:00.250Z"),
    ],
)
async def test_run_at_is_read_in_many_forms(idle: Api, run_at: object, timezone: str | None, shown: str):
    made = (await idle.post("/job", {"worker": "a", "runAt": run_at, "timezone": timezone})).json()

    assert (made["state"], made["runAt"]) == ("scheduled", shown)


async def test_a_null_is_the_same_as_a_field_left_out(idle: Api):
    names = ["runAt", "delay", "timezone", "cron", "every", "queue", "backoff", "timeout", "misfire", "endAt"]

    answer = await idle.post("/job", {"worker": "a"} | dict.fromkeys(names))

    assert (answer.status_code, answer.json()["kind"]) == (201, "job")


async def test_a_schedule_shows_all_that_it_was_given(api: Api):
    asked = {"cron": "CRON_TZ=Europe/Berlin 0 9 * * *", "misfire": "skip", "misfireWindow": "2h", "maxRuns": 5}
    asked |= {"startAt": "2120-07-01 00:00:00", "endAt": "2121-07-01 00:00:00", "queue": "reports", "timeout": "30s"}
    asked |= {"key": "a.example", "priority": 2, "cost": 3, "tags": ["night"], "meta": {"a": 1}}
    asked |= {"overlap": "queue", "dst": {"gap": "skip", "fold": "both"}}

    made = (await api.post("/job", {"worker": "report", "args": {"n": 1}} | asked)).json()

    read = await api.job(made["id"])
    assert read | {"createdAt": None} == ASKED_DEFAULTS | {
        "id": made["id"],
        "kind": "schedule",
        "name": None,
        "owner": None,
        "state": "active",
        "worker": "report",
        "args": {"n": 1},
        "queue": "reports",
        "key": "a.example",
        "priority": 2,
        "cost": 3,
        "tags": ["night"],
        "meta": {"a": 1},
        "cron": "0 9 * * *",
        "everyMs": None,
        "timezone": "Europe/Berlin",
        "dst": {"gap": "skip", "fold": "both"},
        "overlap": "queue",
        "misfire": "skip",
        "misfireWindowMs": 7_200_000,
        "startAt": "2120-06-30T22:00:00.000Z",
        "endAt": "2121-06-30T22:00:00.000Z",
        "maxRuns": 5,
        "maxAttempts": 10,
        "timeoutMs": 30_000,
        "createdAt": None,
        "nextRunAt": "2120-07-01T07:00:00.000Z",
        "lastRunAt": None,
        "runs": 0,
        "missed": 0,
        "skipped": 0,
        "heldRun": None,
    }


@pytest.mark.parametrize(
    ("fields", "next_run"),
    [
        ({"cron": "@yearly", "runAt": "2120-06-01"}, "2121-01-01T00:00:00.000Z"),
        ({"cron": "@daily", "timezone": "Asia/Tokyo", "startAt": "2120-06-01"}, "2120-05-31T15:00:00.000Z"),
        ({"every": "90m", "startAt": "2120-06-01T10:00:00Z"}, "2120-06-01T10:00:00.000Z"),
    ],
)
async def test_the_first_run_is_not_before_its_start(idle: Api, fields: Json, next_run: str):
    made = (await idle.post("/job", {"worker": "a"} | fields)).json()

    assert made["nextRunAt"] == next_run


async def test_an_interval_counts_from_now(api: Api):
    made = (await api.post("/job", {"worker": "a", "every": "2h"})).json()

    assert (made["everyMs"], made["cron"]) == (7_200_000, None)
    begun, next_run = (datetime.fromisoformat(made[name]) for name in ("createdAt", "nextRunAt"))
    assert abs(next_run - begun - timedelta(hours=2)) < timedelta(seconds=1)


SCHEDULE_ONLY = "is for schedules; give it with cron or every"


@pytest.mark.parametrize(
    ("fields", "code", "path", "says"),
    [
        ({"worker": None}, "validation_error", "worker", "expected text"),
        ({"worker": ""}, "validation_error", "worker", "a letter or digit first"),
        ({"worker": "/a"}, "validation_error", "worker", "a letter or digit first"),
        ({"worker": "a b"}, "validation_error", "worker", "letters, digits and _ . : -"),
        ({"worker": "a\n"}, "validation_error", "worker", "is not a name"),
        ({"worker": "ü"}, "validation_error", "worker", "is not a name"),
        ({"worker": "a" * 129}, "validation_error", "worker", "up to 128"),
        ({"worker": "*"}, "validation_error", "worker", "is not a name"),
        ({"wroker": "a"}, "validation_error", "wroker", "did you mean worker?"),
        ({"run_at": 1}, "validation_error", "run_at", "did you mean runAt?"),
        ({"id": "x"}, "validation_error", "id", "is not a field"),
        ({"queue": "a/b"}, "validation_error", "queue", "is not a name"),
        ({"queue": "a\n"}, "validation_error", "queue", "is not a name"),
        ({"runAt": "soon"}, "invalid_run_at", "runAt", "YYYY-MM-DD hh:mm:ss AM"),
        ({"runAt": "2026-02-30 10:00:00 AM"}, "invalid_run_at", "runAt", "is not an instant"),
        ({"runAt": "2026-02-20 13:00:00 PM"}, "invalid_run_at", "runAt", "is not an instant"),
        ({"runAt": True}, "validation_error", "runAt", "got true or false"),
        ({"runAt": 1e300}, "invalid_run_at", "runAt", "outside the years 1970 to 9999"),
        ({"runAt": "2120-01-01", "timezone": "Mars/Base"}, "invalid_timezone", "timezone", "IANA name"),
        ({"timezone": "Europe/Berln"}, "invalid_timezone", "timezone", "Europe/Berlin"),
        ({"delay": "soon"}, "validation_error", "delay", '"1h30m"'),
        ({"delay": "30"}, "validation_error", "delay", "milliseconds as a number"),
        ({"delay": -1}, "validation_error", "delay", "too short"),
        ({"delay": "400d"}, "validation_error", "delay", "366d"),
        ({"delay": "1s", "runAt": 1}, "validation_error", "delay", "give one of them"),
        ({"cron": "every day"}, "invalid_cron", "cron", "five fields"),
        ({"cron": "* * * * * *"}, "invalid_cron", "cron", "6 fields"),
        ({"cron": "R * * * *"}, "invalid_cron", "cron", "is not understood"),
        ({"cron": "@reboot"}, "invalid_cron", "cron", "@hourly"),
        ({"cron": "0 0 31 2 *"}, "invalid_cron", "cron", "never comes"),
        ({"cron": "TZ=Mars/Base 0 0 * * *"}, "invalid_timezone", "cron", "IANA name"),
        ({"cron": "TZ=UTC 0 0 * * *", "timezone": "Asia/Tokyo"}, "invalid_cron", "cron", "another timezone"),
        ({"cron": "@daily", "every": "1d"}, "validation_error", "every", "give one of them"),
        ({"cron": "@daily", "delay": "1d"}, "validation_error", "delay", "startAt or runAt"),
        ({"cron": "@daily", "runAt": 1, "startAt": 1}, "validation_error", "startAt", "give one of them"),
        ({"cron": "@daily", "endAt": "2020-01-01"}, "validation_error", "endAt", "leaves no tick"),
        (
            {"every": "1h", "startAt": "2120-01-02", "endAt": "2120-01-01"},
            "validation_error",
            "endAt",
            "leaves no tick",
        ),
        ({"cron": "@daily", "startAt": "9999-12-31T12:00:00Z"}, "validation_error", "startAt", "leaves no tick"),
        ({"cron": "@daily", "misfire": "never"}, "validation_error", "misfire", "none of one, skip, all"),
        ({"cron": "@daily", "maxRuns": 0}, "validation_error", "maxRuns", ">= 1"),
        ({"every": "999ms"}, "validation_error", "every", "the least is 1s"),
        ({"misfire": "one"}, "validation_error", "misfire", SCHEDULE_ONLY),
        ({"misfireWindow": "1s"}, "validation_error", "misfireWindow", SCHEDULE_ONLY),
        ({"startAt": 1}, "validation_error", "startAt", SCHEDULE_ONLY),
        ({"endAt": 1}, "validation_error", "endAt", SCHEDULE_ONLY),
        ({"maxRuns": 1}, "validation_error", "maxRuns", SCHEDULE_ONLY),
        ({"maxAttempts": 0}, "validation_error", "maxAttempts", ">= 1"),
        ({"maxAttempts": 101}, "validation_error", "maxAttempts", "<= 100"),
        ({"maxAttempts": "3"}, "validation_error", "maxAttempts", "expected a whole number"),
        ({"key": ""}, "validation_error", "key", "length >= 1"),
        ({"key": "a\nb"}, "validation_error", "key", "printable text"),
        ({"priority": 10}, "validation_error", "priority", "<= 9"),
        ({"cost": 0}, "validation_error", "cost", "> 0"),
        ({"retry": []}, "validation_error", "retry", "length >= 1"),
        ({"retry": ["x"]}, "validation_error", "retry[0]", "is not a duration"),
        ({"retry": ["1s"], "backoff": {}}, "validation_error", "retry", "give one of them"),
        ({"retry": ["1s"], "maxAttempts": 3}, "validation_error", "maxAttempts", "is 2 with this retry"),
        ({"maxRetryDuration": 1}, "validation_error", "maxRetryDuration", "too short"),
        ({"heartbeatTimeout": "25h"}, "validation_error", "heartbeatTimeout", "the most is 1d"),
        ({"expiresIn": 0}, "validation_error", "expiresIn", "too short"),
        ({"tags": ["a b"]}, "validation_error", "tags[0]", "is not a tag"),
        ({"tags": [str(n) for n in range(21)]}, "validation_error", "tags", "length <= 20"),
        ({"meta": []}, "validation_error", "meta", "is not an object"),
        ({"unique": ""}, "validation_error", "unique", "length >= 1"),
        ({"unique": {"by": ["state"]}}, "validation_error", "unique.by", "none of these: worker"),
        ({"unique": {"by": ["args.id"]}}, "validation_error", "unique.by", "has not: args.id"),
        ({"unique": {"by": ["worker"], "states": "x"}}, "validation_error", "unique.states", "none of waiting,"),
        ({"timeout": "999ms"}, "validation_error", "timeout", "the least is 1s"),
        ({"timeout": "25h"}, "validation_error", "timeout", "the most is 1d"),
        ({"backoff": "fast"}, "validation_error", "backoff", "expected an object"),
        ({"backoff": {"type": "fibonacci"}}, "validation_error", "backoff.type", "fibonacci"),
        ({"backoff": {"bse": 1}}, "validation_error", "backoff.bse", "did you mean base?"),
        ({"backoff": {"base": "x"}}, "validation_error", "backoff.base", "is not a duration"),
        ({"backoff": {"factor": 0.5}}, "validation_error", "backoff.factor", ">= 1"),
        ({"backoff": {"max": "2d"}}, "validation_error", "backoff.max", "the most is 1d"),
        ({"backoff": {"jitter": 2}}, "validation_error", "backoff.jitter", "<= 1"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(idle: Api, fields: Json, code: str, path: str, says: str):
    answer = await idle.post("/job", {"worker": "a"} | fields)

    refusal(answer, 422, code, path, says)


async def test_a_job_needs_a_worker(idle: Api):
    refusal(await idle.post("/job", {"args": {}}), 422, "validation_error", "worker", "is required")


async def test_nothing_is_kept_of_a_refused_job(api: Api):
    await api.post("/job", {"worker": "a", "delay": "soon", "queue": "q"})

    assert (await api.client.get("/job")).json()["items"] == []
    refusal(await api.client.get("/queue/q"), 404, "queue_not_found")
