"""The client: against a real coordinator what it is for, and against a server that fails what it does then."""

import inspect
import random
import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from coordinator.sdk.client import AsyncCoordinator, Coordinator, CoordinatorError

JOB = {"id": "j", "kind": "job", "state": "queued"}


class Awaited:
    """The same calls on both clients: `await` is done where it is needed."""

    def __init__(self, made):
        self.made = made

    async def __call__(self, name, *given, **named):
        told = getattr(self.made, name)(*given, **named)
        if hasattr(told, "__aiter__"):
            return [one async for one in told]
        if hasattr(told, "__next__"):
            return list(told)
        return await told if inspect.isawaitable(told) else told


@pytest.fixture(params=[Coordinator, AsyncCoordinator])
def make(request):
    return request.param


@pytest.fixture
async def real(make, coordinator_url):
    made = Awaited(make(coordinator_url))
    yield made
    await made("close")


@pytest.fixture
async def failing(make, server, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.01)
    made = Awaited(make(server.url, "secret"))
    yield made
    await made("close")


@pytest.fixture(autouse=True, scope="module")
def registered(coordinator_url):
    """Nobody listens there: jobs fail at once."""
    httpx.put(f"{coordinator_url}/worker/*", json={"url": "http://127.0.0.1:1/"}, trust_env=False).raise_for_status()


async def test_a_job_is_made_with_all_that_can_be_said_of_it(real):
    run_at = datetime(2030, 1, 1, 10, tzinfo=UTC)
    job = await real(
        "enqueue", "send", {"to": "a"}, run_at=run_at, max_attempts=2, timeout=timedelta(minutes=1), tags=["x"]
    )
    told = [job[name] for name in ("state", "args", "runAt", "maxAttempts", "timeoutMs", "tags")]
    assert told == ["scheduled", {"to": "a"}, "2030-01-01T10:00:00.000Z", 2, 60_000, ["x"]]
    assert await real("get", job["id"]) == job
    assert (await real("cancel", job["id"]))["state"] == "cancelled"


async def test_a_schedule_is_made_with_a_rule(real):
    schedule = await real("enqueue", "report", cron="0 9 * * 1-5", timezone="Europe/Berlin")
    assert (schedule["kind"], schedule["timezone"]) == ("schedule", "Europe/Berlin")
    with pytest.raises(ValueError, match="is a schedule"):
        await real("wait", schedule["id"])


async def test_the_same_idempotency_key_makes_one_job(real):
    made = [await real("enqueue", "send", delay="1h", idempotency_key=f"once-{id(real)}") for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]
    assert made[0]["id"] != (await real("enqueue", "send", delay="1h"))["id"]


async def test_a_job_is_waited_for(real):
    job = await real("enqueue", "send", max_attempts=1)
    final = await real("wait", job["id"], timeout=20)
    assert (final["state"], final["lastError"]["type"]) == ("dead", "ConnectError")
    assert (await real("retry", job["id"]))["id"] == job["id"]
    await real("wait", job["id"], timeout=20)


async def test_waiting_has_an_end(real):
    job = await real("enqueue", "send", delay="1h")
    with pytest.raises(TimeoutError, match="is still scheduled"):
        await real("wait", job["id"], timeout=0.1)
    await real("run", job["id"])
    assert (await real("get", job["id"]))["state"] != "scheduled"


async def test_many_jobs_are_made_and_listed_page_by_page(real):
    queue = f"many-{id(real)}"
    asked = [{"worker": "send", "args": number, "queue": queue, "delay": timedelta(hours=1)} for number in range(5)]
    batch = await real("enqueue_many", asked, on_complete={"worker": "report"})
    assert (batch["total"], [item["status"] for item in batch["jobs"]]) == (5, [201] * 5)
    listed = await real("list", queue=queue, state="scheduled", batch_id=batch["id"], limit=2)
    assert sorted(job["args"] for job in listed) == [0, 1, 2, 3, 4]
    with pytest.raises(CoordinatorError):
        await real("enqueue_many", [{"worker": "send"}, {"worker": "?"}], atomic=True)


async def test_a_refusal_tells_what_was_wrong(real):
    with pytest.raises(CoordinatorError) as caught:
        await real("enqueue", "send", max_attemps=3)
    error = caught.value
    assert (error.status, error.code) == (422, "validation_error")
    assert error.errors[0]["path"] == "maxAttemps"
    assert "maxAttempts" in error.detail
    with pytest.raises(CoordinatorError, match="404 job_not_found"):
        await real("get", "nobody")


# What fails.


async def test_what_fails_is_tried_again_with_the_same_key(server, failing):
    server.answers = [None, (503, {}, {"retry-after": "0"}), (201, JOB, {})]
    assert (await failing("enqueue", "send", {"a": 1}))["id"] == "j"
    assert [body for _, body in server.bodies()] == [{"worker": "send", "args": {"a": 1}}] * 3
    (key,) = {headers["idempotency-key"] for _, _, headers, _ in server.requests}
    assert re.fullmatch(r"[0-9a-f-]{36}", key)
    assert server.requests[0][2]["authorization"] == "Bearer secret"


async def test_each_call_has_a_key_of_its_own(server, failing):
    server.otherwise = (201, JOB, {})
    await failing("enqueue", "send")
    await failing("enqueue_many", [{"worker": "send"}])
    assert len({headers["idempotency-key"] for _, _, headers, _ in server.requests}) == 2
    assert server.bodies()[1] == ("/job/batch", {"jobs": [{"worker": "send"}]})


async def test_a_trace_is_sent_as_headers_and_not_as_a_field(server, failing):
    server.otherwise = (201, JOB, {})
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
    await failing("enqueue", "send", trace=trace)
    await failing("enqueue_many", [{"worker": "send"}], trace=trace)
    assert [{name: headers[name] for name in trace} for _, _, headers, _ in server.requests] == [trace, trace]
    assert [body for _, body in server.bodies()] == [{"worker": "send"}, {"jobs": [{"worker": "send"}]}]


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        *(
            (answer, 3)
            for answer in (None, (502, {}, {}), (503, {}, {}), (504, b"<html>", {}), (429, {}, {"retry-after": "0"}))
        ),
        *((answer, 1) for answer in ((429, {}, {}), (429, {}, {"retry-after": "3600"}), (500, {}, {}), (501, {}, {}))),
        *(((status, {}, {}), 1) for status in (400, 401, 403, 404, 409, 413, 422, 302)),
    ],
)
async def test_three_tries_are_made_where_another_may_help(server, failing, answer, tries):
    server.otherwise = answer
    for act in (("enqueue", "send"), ("get", "j"), ("cancel", "j")):
        server.requests.clear()
        with pytest.raises(CoordinatorError) as caught:
            await failing(*act)
        assert len(server.requests) == tries
        assert caught.value.status == (answer[0] if answer else 0)
        assert caught.value.code == ("http_error" if answer else "unreachable")


async def test_a_job_may_be_tried_anew_with_other_args(server, failing):
    server.otherwise = (200, JOB, {})
    await failing("retry", "j")
    await failing("retry", "j", {"to": "a@b.c"})
    await failing("retry", "j", args=None)
    assert server.bodies() == [
        ("/job/j/retry", None),
        ("/job/j/retry", {"args": {"to": "a@b.c"}}),
        ("/job/j/retry", {"args": None}),
    ]


@pytest.mark.parametrize("act", ["retry", "run"])
async def test_what_would_be_refused_the_second_time_is_asked_once(server, failing, act):
    for answer, tries in ((None, 1), ((503, {}, {}), 1), ((429, {}, {"retry-after": "0"}), 3)):
        server.requests.clear()
        server.otherwise = answer
        with pytest.raises(CoordinatorError):
            await failing(act, "j")
        assert len(server.requests) == tries


async def test_the_pause_that_is_asked_for_is_made(server, failing):
    server.answers = [(429, {}, {"retry-after": "1"}), (200, JOB, {})]
    began = time.monotonic()
    await failing("get", "j")
    assert time.monotonic() - began >= 1


async def test_a_coordinator_that_is_not_there_is_unreachable(make, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.01)
    made = Awaited(make("http://127.0.0.1:1"))
    with pytest.raises(CoordinatorError, match="unreachable: ConnectError"):
        await made("retry", "j")
    await made("close")


async def test_address_and_token_may_be_in_the_environment(make, server, monkeypatch):
    with pytest.raises(ValueError, match="COORDINATOR_URL"):
        make()
    monkeypatch.setenv("COORDINATOR_URL", f"{server.url}/below/")
    monkeypatch.setenv("COORDINATOR_TOKEN", "t")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    made = Awaited(make())
    server.otherwise = (200, JOB, {})
    await made("get", "morning:1800000000")
    await made("close")
    ((_, path, headers, _),) = server.requests
    assert (path, headers["authorization"]) == ("/below/job/morning:1800000000", "Bearer t")


def test_a_client_of_ones_own_is_used(server):
    server.otherwise = (200, JOB, {})
    with httpx.Client(headers={"x-own": "1"}, trust_env=False) as http, Coordinator(server.url, http=http) as made:
        made.get("j")
    assert server.requests[0][2]["x-own"] == "1"


async def test_both_clients_can_do_the_same():
    def surface(kind):
        return {
            name: [(one.name, one.default) for one in inspect.signature(member).parameters.values()]
            for name, member in vars(kind).items()
            if callable(member) and not name.startswith("_")
        }

    assert surface(Coordinator) == surface(AsyncCoordinator)
    async with AsyncCoordinator("http://127.0.0.1:1"):
        pass
