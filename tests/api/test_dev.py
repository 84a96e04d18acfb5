"""What only `coordinator dev` has: time that is moved on, a fresh start, and a function that shows its calls."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest

from coordinator.app import build_app
from coordinator.demo import CALLS_KEPT, KEPT_MOST_BYTES, Demo
from coordinator.engine.clockwork import Clockwork
from coordinator.settings import Settings
from coordinator.store.embedded import bundled_program
from coordinator.store.open import Store, open_store, store_on
from tests.api.harness import LOCAL, Api, Function, client_of, living, refusal

DAY_MS = 86_400_000
_prefixes = itertools.count()

Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def dev_store(kind: str, server_url: Callable[[str], str]) -> Store:
    """An empty store whose time can be moved."""
    family = kind if kind == "in-process" else "valkey" if bundled_program() else "redis"
    return open_store(server_url(family), prefix=f"d{next(_prefixes)}", shards=2, dev_clock=True)


@pytest.fixture
def start_dev(dev_store: Store, function: Function) -> Start:
    """Starts it as `dev` does; `function` serves all workers."""

    @contextlib.asynccontextmanager
    async def run(**settings: object) -> AsyncIterator[Api]:
        given = {"worker_url": function.url, "egress_allow": LOCAL, "shutdown_grace_ms": 0} | settings
        app = build_app(msgspec.convert(given, Settings), dev_store, demo=Demo())
        async with living(app), client_of(app) as client:
            yield Api(app, client)

    return run


@pytest.fixture
async def dev(start_dev: Start) -> AsyncIterator[Api]:
    async with start_dev() as started:
        yield started


async def advance(api: Api, by: str) -> dict[str, object]:
    """Move the time on and be told what was done."""
    answer = await api.post("/dev/advance", {"by": by})
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


async def test_what_is_due_tomorrow_runs_now(dev: Api, function: Function):
    later = await dev.enqueue(delay="20h")
    sooner = await dev.enqueue(delay="10h")
    never = await dev.enqueue(delay="25h")
    told = await advance(dev, "1d")

    assert (await dev.job(later))["state"] == (await dev.job(sooner))["state"] == "succeeded"
    assert [call.body["jobId"] for call in function.calls] == [sooner, later]
    assert (await dev.job(never))["state"] == "scheduled"
    assert (told["aheadMs"], told["called"], told["inFlight"]) == (DAY_MS, 2, 0)
    assert told["nextDueAt"] is not None
    assert (await advance(dev, "2h"))["aheadMs"] == DAY_MS + 2 * 3_600_000
    assert (await dev.job(never))["state"] == "succeeded"


async def test_each_answer_says_how_far_the_time_was_moved_on(dev: Api, dev_store: Store):
    async def ahead(path: str) -> str | None:
        told: str | None = (await dev.client.get(path)).headers.get("clock-ahead")
        return told

    assert await ahead("/job") is None
    moved = await dev.post("/dev/advance", {"by": "1d"})
    assert (moved.headers["clock-ahead"], await ahead("/job"), await ahead("/nowhere")) == (str(DAY_MS),) * 3
    # One that is started on a store that was moved goes on at its time.
    later = Clockwork(dev_store, dev.app.state["replica"].passes, "later")
    await later.begin()
    assert later.ahead_ms == DAY_MS

    await dev.client.post("/dev/reset")
    assert await ahead("/job") is None


async def test_a_schedule_fires_by_its_misfire_policy(dev: Api, function: Function):
    every = {"cron": "0 12 * * *", "maxRuns": 10}
    one = await dev.enqueue("one", **every)
    all_of_them = await dev.enqueue("all", **every, misfire="all", overlap="allow")
    told = await advance(dev, "3d")
    workers = [call.body["worker"] for call in function.calls]

    assert workers.count("one") == 1
    assert workers.count("all") == 3
    assert told["ticked"] == 4
    assert (await dev.job(one))["runs"] == 1
    assert (await dev.job(all_of_them))["runs"] == 3


async def test_a_call_in_flight_is_not_lost_by_the_jump(dev: Api, function: Function):
    function.hold()
    job_id = await dev.enqueue(timeout="24h")
    await function.called(1)
    told = await dev.post("/dev/advance?wait=300ms", {"by": "1h"})
    assert (told.json()["ended"], told.json()["inFlight"]) == (0, 1)
    function.release()
    job = await dev.until(job_id, "succeeded")

    assert (job["attempt"], len(function.calls)) == (1, 1)


async def test_a_deadline_passes_with_the_jump(dev: Api, function: Function):
    function.hold()
    job_id = await dev.enqueue(timeout="30m", maxAttempts=1)
    await function.called(1)
    await dev.post("/dev/advance?wait=300ms", {"by": "1h"})
    job = await dev.until(job_id, "dead")

    assert job["lastError"]["type"] == "Timeout"


async def test_a_reset_leaves_no_job_and_goes_back_to_the_present(dev: Api, function: Function):
    await dev.client.put("/worker/kept", json={"url": function.url})
    await dev.enqueue(queue="mails", delay="2d", key="a", tags=["night"])
    await dev.enqueue(cron="0 0 * * *")
    await advance(dev, "1d")
    answer = await dev.client.post("/dev/reset")
    assert answer.status_code == 204, answer.text

    for path in ("/job", "/queue", "/schedule"):
        assert (await dev.client.get(path)).json()["items"] == []
    assert [worker["name"] for worker in (await dev.client.get("/worker")).json()["items"]] == ["kept"]
    assert (await advance(dev, "1s"))["aheadMs"] == 1000
    await dev.until(await dev.enqueue(queue="mails"), "succeeded")
    replica = dev.app.state["replica"]
    assert (await replica.store.leadership.roster()).unled == []


async def test_time_is_not_moved_where_others_work_by_the_real_one(dev: Api, dev_store: Store, function: Function):
    other = build_app(Settings(worker_url=function.url, shutdown_grace_ms=0), store_on(dev_store.connection))
    replica = other.state["replica"]
    await replica.store.leadership.register("other", 60_000)

    refusal(await dev.post("/dev/advance", {"by": "1d"}), 409, "invalid_state", says="other")
    refusal(await dev.client.post("/dev/reset"), 409, "invalid_state")


@pytest.mark.parametrize("by", ["-1d", "0s", "soon", "400d"])
async def test_time_goes_forward_and_not_too_far(dev: Api, by: str):
    refusal(await dev.post("/dev/advance", {"by": by}), 422, "validation_error", path="by")


async def test_elsewhere_there_is_none_of_it(idle: Api):
    for method, path in (
        ("POST", "/dev/advance"),
        ("POST", "/dev/reset"),
        ("GET", "/demo/requests"),
        ("GET", "/demo"),
        ("POST", "/demo"),
    ):
        refusal(await idle.client.request(method, path, json={}), 404, "not_found")
    assert not [
        path for path in (await idle.client.get("/openapi.json")).json()["paths"] if path.startswith(("/dev", "/demo"))
    ]


async def test_it_is_for_administrators(start_dev: Start):
    async with start_dev(tokens="x" * 40) as api:
        everything = {"authorization": f"Bearer {'x' * 40}"}
        made = await api.post("/token", {"name": "one", "scopes": ["read", "manage"]}, headers=everything)
        assert made.status_code == 201, made.text
        api.client.headers["authorization"] = f"Bearer {made.json()['token']}"

        refusal(await api.post("/dev/advance", {"by": "1d"}), 403, "forbidden")
        refusal(await api.client.post("/dev/reset"), 403, "forbidden")
        assert (await api.client.get("/demo/requests")).status_code == 200
        del api.client.headers["authorization"]
        refusal(await api.client.get("/demo/requests"), 401, "unauthenticated")


async def test_the_demo_function_shows_what_it_was_sent(dev: Api):
    call = {"worker": "hello", "attempt": 1, "args": {"name": "<you>"}}
    for number in range(CALLS_KEPT + 1):
        answer = await dev.client.post(
            "/demo", json=call | {"attempt": number}, headers={"idempotency-key": str(number)}
        )
    assert answer.json() == {"status": "success", "result": f"Hello <you>, this is attempt {CALLS_KEPT}"}
    assert (await dev.client.post("/demo", content=b"none")).status_code == 400
    first, second, *_, last = (await dev.client.get("/demo/requests")).json()["items"]
    page = await dev.client.get("/demo")

    assert (first["status"], first["body"]) == (400, "none")
    assert (second["status"], second["headers"]["idempotency-key"]) == (200, str(CALLS_KEPT))
    assert second["body"] == call | {"attempt": CALLS_KEPT}
    assert last["headers"]["idempotency-key"] == "2"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Hello &lt;you&gt;" in page.text
    assert "<you>" not in page.text


async def test_the_demo_function_keeps_no_more_than_the_beginning_and_no_secrets(dev: Api):
    token = f"rt1.k1.1.n-o_nce.1799999999.{'m' * 43}"
    call = {"worker": "hello", "attempt": 1, "args": {"name": "x" * (1 << 20)}, "token": token}
    secret = {"authorization": "Bearer of-an-administrator", "x-receipt-token": token, "cookie": "s=of-a-session"}
    assert (await dev.client.post("/demo", json=call, headers=secret)).status_code == 200
    assert (await dev.client.post("/demo", json=call | {"args": None}, headers={"x-token": token})).status_code == 200
    short, long = (await dev.client.get("/demo/requests")).json()["items"]

    assert short["body"] == call | {"args": None, "token": "[redacted]"}
    assert short["headers"]["x-token"] == "[redacted]"
    assert {long["headers"][name] for name in secret} == {"[redacted]"}
    assert len(long["body"]) == len(long["answer"]) == KEPT_MOST_BYTES
    assert token not in (await dev.client.get("/demo")).text


async def test_the_demo_function_answers_a_ping(dev: Api):
    answer = await dev.client.post("/demo", json={"ping": True, "worker": "hello"})

    assert (answer.status_code, answer.json()) == (200, {"pong": True, "sdk": "demo", "workers": ["hello"]})
