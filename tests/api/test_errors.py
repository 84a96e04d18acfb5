"""What is wrong is refused as `application/problem+json`, and never by a fault of ours."""

import asyncio
import logging
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.api.reading import ARGS_LIMIT_BYTES, BODY_LIMIT_BYTES, NESTING_LIMIT
from coordinator.app import build_app
from coordinator.settings import Settings
from coordinator.store.open import open_store
from tests.api.harness import JSON, Api, Function, Json, living, refusal, resting

BODIES = [("POST", "/job"), ("PUT", "/queue/q"), ("PUT", "/worker/w"), ("POST", "/job/x/receipt")]


def nested(depth: int) -> bytes:
    """Lists within lists."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/jobs", "/job/x/y", "/job/x/receipt/z", "/schema", "/docs", "/%00", "/ü"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_path_is_not_found(idle: Api, method: str, path: str):
    problem = refusal(await idle.client.request(method, path), 404, "not_found", says="/openapi.json")
    assert problem["title"] == (await idle.client.get("/job/x")).json()["title"] == "Not found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("PUT", "/job", "GET, OPTIONS, POST"), ("POST", "/health", "GET, HEAD, OPTIONS")]
)
async def test_a_wrong_method_is_told_the_right_ones(idle: Api, method: str, path: str, allowed: str):
    answer = await idle.client.request(method, path)

    refusal(answer, 405, "method_not_allowed", says=method)
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


@pytest.mark.parametrize("public", ["/health", "/ready", "/openapi.json"])
async def test_who_looks_is_told_what_a_route_does_not_take(idle: Api, public: str):
    refusal(await idle.client.get(public, params={"verbose": "1"}), 422, "validation_error", "verbose")


async def test_no_route_takes_a_parameter_that_it_does_not_know(idle: Api):
    document = (await idle.client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method in operations:
            filled = path.replace("{", "").replace("}", "")
            answer = await idle.client.request(method, filled, params={"nothing": "1"}, headers=JSON)
            refusal(answer, 422, "validation_error", "nothing", "is not a parameter here")


@pytest.mark.parametrize("query", ["limit=1&limit=2", "error=a&error~=b", "error~=a&error~=b"])
async def test_a_parameter_that_is_given_twice_is_refused(idle: Api, query: str):
    refusal(await idle.client.get(f"/job?{query}"), 422, "validation_error", says="is given twice")


async def test_only_an_error_is_sought_with_a_tilde(idle: Api):
    refusal(await idle.client.get("/job?state~=dead"), 422, "validation_error", "state~", "did you mean state?")


async def test_a_dry_run_that_is_not_offered_stores_nothing(idle: Api):
    answer = await idle.client.put("/queue/x", params={"dryRun": "true"}, json={"concurrency": 5})

    refusal(answer, 422, "validation_error", "dryRun", "there are none")
    refusal(await idle.client.get("/queue/x"), 404, "queue_not_found")


async def test_an_act_on_many_is_dry_by_its_query_too(idle: Api):
    job_id = await idle.enqueue(delay="1h")
    act = {"action": "cancel", "filter": {"queue": "default"}}

    counted = await idle.post("/job/bulk?dryRun=true", act)

    assert counted.json() == {"matched": 1, "done": 0, "more": False}
    assert (await idle.job(job_id))["state"] == "scheduled"
    refusal(await idle.post("/job/bulk?dryRun=maybe", act), 422, "validation_error", "dryRun")


async def test_the_nearest_parameter_is_named(idle: Api):
    refusal(await idle.client.get("/job", params={"stat": "dead"}), 422, "validation_error", "stat", "mean state?")
    refusal(await idle.post("/job?dryrun=true"), 422, "validation_error", "dryrun", "did you mean dryRun?")


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}x",
        b'{"worker":"a"} {}',
        b"{'worker':'a'}",
        b'{"worker":"a",}',
        b'{"worker":NaN}',
        b'{"worker":Infinity}',
        b"\xef\xbb\xbf{}",
        b'{"\xff":1}',
        b'{"worker":"a","status":"\xff"}',
        b'{"worker":"\xed\xa0\x80"}',
        b'{"worker":"\\ud800"}',
        '{"worker":"a"}'.encode("utf-16"),
        b'{"worker":' + nested(2000) + b"}",
        b'{"worker":' * 2000,
    ],
)
async def test_what_is_no_json_is_refused(idle: Api, method: str, path: str, body: bytes):
    answer = await idle.client.request(method, path, content=body, headers=JSON)

    # What the struct does not want is not looked into.
    if answer.status_code != 422:
        refusal(answer, 400, "invalid_json")


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b"true", nested(200)])
async def test_a_body_is_an_object(idle: Api, method: str, path: str, body: bytes):
    refusal(
        await idle.client.request(method, path, content=body, headers=JSON), 422, "validation_error", "body", "object"
    )


async def test_args_are_nested_as_deep_as_we_say_and_no_deeper(api: Api, function: Function):
    accepted = await api.post("/job", content=b'{"worker":"a","args":%s}' % nested(NESTING_LIMIT - 1))
    refused = await api.post("/job", content=b'{"worker":"a","args":%s}' % nested(NESTING_LIMIT))

    refusal(refused, 400, "invalid_json", says=f"deeper than {NESTING_LIMIT}")
    await api.until(accepted.json()["id"], "succeeded")
    assert nested(NESTING_LIMIT - 1) in function.calls[0].raw
    assert len((await api.client.get("/job")).json()["items"]) == 1


@pytest.mark.parametrize(
    "args",
    [
        b'["[[[["]',
        b'"' + rb"\"[" * 400 + b'"',
        b"[" + b"[]," * 400 + b"[]]",
        b"[" + rb'"\\","","[\\\"[","]","[",{"\"[":"\n\\"},"{",' * 200 + b"0]",
    ],
)
async def test_brackets_side_by_side_or_in_strings_are_not_nested(idle: Api, args: bytes):
    assert (await idle.post("/job", content=b'{"worker":"a","args":%s}' % args)).status_code == 201


async def test_args_are_limited(api: Api, function: Function):
    most = b'"' + b"x" * (ARGS_LIMIT_BYTES - 2) + b'"'

    accepted = await api.post("/job", content=b'{"worker":"a","args":%s}' % most)
    refused = await api.post("/job", content=b'{"worker":"a","args": "x%s}' % most[1:])

    problem = refusal(refused, 413, "payload_too_large", says="args: 262145 bytes are more than 262144")
    assert problem["limitBytes"] == 262_144
    await api.until(accepted.json()["id"], "succeeded")
    assert most in function.calls[0].raw


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_is_limited_however_it_comes(idle: Api, method: str, path: str, *, is_chunked: bool):
    async def chunks():
        for _ in range(6):
            yield b" " * 65_536

    answer = await idle.client.request(
        method, path, content=chunks() if is_chunked else b" " * (BODY_LIMIT_BYTES + 1), headers=JSON
    )

    assert refusal(answer, 413, "payload_too_large", says="327680")["limitBytes"] == BODY_LIMIT_BYTES == 327_680


@pytest.fixture
async def broken():
    """The application on a Redis that is not there."""
    async with resting(url="redis://127.0.0.1:1") as api:
        yield api


async def test_without_redis_a_request_is_to_be_repeated(broken: Api):
    calls = [broken.client.get("/queue/q"), broken.client.get("/worker"), broken.post("/job", {"worker": "a"})]

    for answer in await asyncio.gather(
        *calls, broken.client.get("/ready"), broken.receipt("01M85P9P7E00DDH5YFHM896VEH")
    ):
        if answer.status_code != 422:
            refusal(answer, 503, "redis_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    assert (await broken.client.get("/health")).status_code == 200


async def test_a_replica_that_stops_is_not_ready(api: Api):
    assert (await api.client.get("/ready")).json()["status"] == "ready"

    await api.app.state["replica"].stop()

    refusal(await api.client.get("/ready"), 503, "stopping", says="ask another")


async def test_a_fault_of_ours_tells_nothing_and_is_logged(
    idle: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def fail():
        raise RuntimeError("redis://:s3cret@host")

    monkeypatch.setattr(idle.app.state["replica"].store.workers, "read_all", fail)

    answer = await idle.client.get("/worker")

    refusal(answer, 500, "internal_error", says="its log has the details")
    assert "s3cret" not in answer.text
    assert "RuntimeError" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "GET /worker failed by a fault of ours"
    assert record.exc_info


NAMES = [
    *("worker", "args", "runAt", "delay", "timezone", "cron", "seconds", "every", "queue", "maxAttempts", "backoff"),
    *("type", "base", "factor", "max", "jitter", "timeout", "misfire", "misfireWindow", "startAt", "endAt", "maxRuns"),
    *("concurrency", "rate", "limit", "period", "burst", "paused", "retention", "dead", "age", "count"),
    *("url", "ack", "headers", "status", "error", "result", "retryable", "retryAfter", "attempt", "token"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    ["a", "*", "@daily", "* * * * *", "1h", "-1s", "UTC", "2026-02-30", "success", "http://x/", "1.a"]
)
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), SCALARS | WORDS, max_size=6),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(target=st.sampled_from(BODIES), body=OBJECTS, is_new_job=st.booleans())
def test_no_body_is_a_fault_of_ours(target: tuple[str, str], body: dict[str, Any], *, is_new_job: bool):
    """Names that we know with values that make no sense, most of them."""
    wanted = {"worker": "a", "url": "http://x/", "status": "failure"} if is_new_job else {}

    async def send() -> httpx.Response:
        async with resting() as api:
            return await api.client.request(*target, content=msgspec.json.encode(wanted | body), headers=JSON)

    assert asyncio.run(send()).status_code in {200, 201, 404, 422}


async def test_a_client_that_goes_away_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture):
    app = build_app(Settings(shutdown_grace_ms=0), open_store("memory://", shards=1))
    events = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/job",
        "query_string": b"",
        "http_version": "1.1",
        "app": app,
    }
    scope |= {"headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "scheme": "http"}

    async def receive():
        return next(events)

    async def send(_: object):
        return None

    async with living(app):
        await app(scope, receive, send)

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


DAILY = {"worker": "a", "cron": "@daily"}
KEPT = {"age": 1, "count": 1}


@pytest.mark.parametrize(
    ("request_line", "body", "path", "says"),
    [
        ("POST /job", DAILY | {"overlap": "foo"}, "overlap", "'foo' is none of skip, allow, queue, cancel"),
        ("POST /job", DAILY | {"misfire": "x" * 200}, "misfire", "x is none of one, skip, all"),
        ("POST /job", DAILY | {"dst": {"gap": "no"}}, "dst.gap", "'no' is none of next, skip"),
        (
            "POST /job",
            {"worker": "a", "backoff": {"type": "cubic"}},
            "backoff.type",
            "'cubic' is none of exponential, linear, fixed, polynomial",
        ),
        (
            "POST /job",
            {"worker": "a", "unique": {"by": ["worker"], "states": "some"}},
            "unique.states",
            "'some' is none of waiting, incomplete, all",
        ),
        (
            "POST /job",
            {"worker": "a", "unique": {"by": ["worker"], "onConflict": "no"}},
            "unique.onConflict",
            "'no' is none of keep, replace, reject",
        ),
        ("PUT /worker/a", {"url": "http://a/", "ack": "no"}, "ack", "'no' is none of receipt, response"),
        ("POST /job/bulk", {"action": "kill"}, "action", "'kill' is none of"),
        ("POST /job/bulk", {"action": "run", "filter": {"state": "done"}}, "filter.state", "is none of scheduled,"),
        ("GET /job?state=done", None, "state", "'done' is none of scheduled, queued, running,"),
        ("DELETE /schedule/a?runs=all", None, "runs", "'all' is none of keep, cancel"),
        ("PUT /queue/a", {"retention": {"failed": {}}}, "retention", "'failed' is none of succeeded, dead, cancelled"),
    ],
)
async def test_a_word_that_is_none_of_the_choices_is_told_them(
    idle: Api, request_line: str, body: Json | None, path: str, says: str
):
    method, _, target = request_line.partition(" ")

    answer = await idle.client.request(method, target, json=body, headers=JSON)

    refusal(answer, 422, "validation_error", path, says)


@pytest.mark.parametrize(
    ("request_line", "body", "path"),
    [
        (
            "PUT /queue/a",
            {"retention": {"succeeded": {"age": 1, "count": 1}, "dead": {"age": 1}}},
            "retention.dead.count",
        ),
        ("PUT /queue/a", {"retention": {"dead": KEPT | {"x": 1}}}, "retention.dead.x"),
        ("PUT /worker/a", {"url": "http://a/", "headers": {"a": "b", "X-Key": 1}}, "headers.X-Key"),
        ("POST /sync", {"owner": "a", "workers": {"w": {"url": "http://a/"}, "v": {}}}, "workers.v.url"),
        (
            "POST /sync",
            {"owner": "a", "queues": {"p": {}, "q": {"retention": {"dead": {"age": 1, "count": "x"}}}}},
            "queues.q.retention.dead.count",
        ),
        (
            "POST /sync",
            {"owner": "a", "schedules": {"x": DAILY, "y.z": DAILY | {"overlap": 1}}},
            "schedules.y.z.overlap",
        ),
    ],
)
async def test_what_is_wrong_in_one_of_many_is_said_of_the_one(idle: Api, request_line: str, body: Json, path: str):
    method, _, target = request_line.partition(" ")

    refusal(await idle.client.request(method, target, json=body), 422, "validation_error", path)


@pytest.mark.parametrize("wait", ["10", "0.0", "10ms"])
async def test_digits_in_a_query_are_a_duration(idle: Api, wait: str):
    job_id = await idle.enqueue(delay="1h")

    assert (await idle.client.get(f"/job/{job_id}", params={"wait": wait})).status_code == 200
    refusal(await idle.client.get(f"/job/{job_id}?wait=60001"), 422, "validation_error", "wait", "the most is 1m")
    refusal(await idle.client.get(f"/job/{job_id}?wait=-1"), 422, "validation_error", "wait", "too short")
    refusal(await idle.client.get(f"/job/{job_id}?wait=1e3"), 422, "validation_error", "wait", "is not a duration")


async def test_digits_in_a_query_are_an_instant(idle: Api):
    job_id = await idle.enqueue(delay="1h", key="7")

    def found(page: httpx.Response) -> list[str]:
        return [job["id"] for job in page.json()["items"]]

    assert found(await idle.client.get("/job?createdAfter=1795558000&key=7")) == [job_id]
    assert found(await idle.client.get("/job?createdAfter=4102444800000")) == []
    assert found(await idle.client.get("/job?createdAfter=4102444800.5")) == []
    for name in ("createdAfter", "finishedBefore"):
        refusal(await idle.client.get(f"/job?{name}=soon"), 422, "validation_error", name, "is not an instant")
