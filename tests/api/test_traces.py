"""The trace of a request goes with its job to the function, whatever becomes of the job on its way."""

import re

import httpx
import pytest

from tests.api.harness import Api, Function, Reply

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
TRACED = {"traceparent": PARENT, "tracestate": "vendor=1"}
FAILURE = Reply(body=b'{"status":"failure","error":"no"}')
OURS = re.compile(rf"00-{TRACE_ID}-([0-9a-f]{{16}})-01")


async def enqueue(api: Api, headers: dict[str, str] | list[tuple[str, str]], **fields: object) -> str:
    answer = await api.client.post("/job", json={"worker": "send-email", **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def span_of(headers: dict[str, str]) -> str:
    """The id of the span that a function was told of, in the trace that the tests send."""
    found = OURS.fullmatch(headers["traceparent"])
    assert found, headers
    return found[1]


async def test_each_attempt_is_another_span_of_the_same_trace(api: Api, function: Function):
    function.replies(FAILURE, Reply())
    job_id = await enqueue(api, TRACED, backoff={"base": "1ms"})
    await api.until(job_id, "succeeded")
    first, second = (call.headers for call in function.calls)

    assert len({span_of(first), span_of(second), PARENT.split("-")[2]}) == 3
    assert first["tracestate"] == second["tracestate"] == "vendor=1"


async def test_without_a_trace_nothing_is_sent(api: Api, function: Function):
    await api.until(await api.enqueue(), "succeeded")
    schedule = await api.client.post(
        "/job", json={"worker": "w", "every": "1s", "startAt": "2020-01-01", "maxRuns": 1}, headers=TRACED
    )
    assert schedule.status_code == 201, schedule.text
    await api.post(f"/schedule/{schedule.json()['id']}/trigger")
    calls = await function.called(2)

    assert not [name for call in calls for name in call.headers if name.startswith("trace")]


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "nonsense", "tracestate": "vendor=1"},
        {"tracestate": "vendor=1"},
        [("traceparent", PARENT), ("traceparent", PARENT)],
    ],
)
async def test_a_trace_that_cannot_be_read_is_ignored(api: Api, function: Function, headers):
    await api.until(await enqueue(api, headers), "succeeded")

    assert "traceparent" not in function.calls[0].headers
    assert "tracestate" not in function.calls[0].headers


async def test_a_callback_belongs_to_the_trace_of_its_job(api: Api, function: Function):
    function.replies(FAILURE, Reply())
    await enqueue(api, TRACED, maxAttempts=1, onFailure={"worker": "tell"})
    job, callback = await function.called(2)

    assert callback.body["worker"] == "tell"
    assert span_of(job.headers) != span_of(callback.headers)


async def test_the_jobs_of_a_batch_and_its_callback_belong_to_its_trace(api: Api, function: Function):
    body = {"jobs": [{"worker": "a"}, {"worker": "b"}], "onComplete": {"worker": "tell"}}
    answer = await api.client.post("/job/batch", json=body, headers=TRACED)
    assert answer.status_code == 201, answer.text
    calls = await function.called(3)

    assert {call.body["worker"] for call in calls} == {"a", "b", "tell"}
    assert len({span_of(call.headers) for call in calls}) == 3


async def test_one_call_for_many_jobs_tells_of_their_trace_if_they_have_one(api: Api, function: Function):
    batch = {"url": function.url, "batch": {"size": 2, "window": "5s"}}
    assert (await api.client.put("/worker/index", json=batch)).status_code == 201
    await api.client.post("/job/batch", json={"jobs": [{"worker": "index"}] * 2}, headers=TRACED)
    (together,) = await function.called(1)
    await api.client.post("/job", json={"worker": "index", "queue": "mixed"}, headers=TRACED)
    await api.client.post("/job", json={"worker": "index", "queue": "mixed"})
    _, mixed = await function.called(2)

    assert len(together.body["jobs"]) == len(mixed.body["jobs"]) == 2
    span_of(together.headers)
    assert "traceparent" not in mixed.headers


async def test_a_worker_cannot_send_a_trace_of_its_own(api: Api, function: Function):
    answer = await api.client.put("/worker/w", json={"url": function.url, "headers": {"traceparent": PARENT}})

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def test_the_trace_is_no_part_of_what_the_function_is_given(api: Api, function: Function):
    await api.until(await enqueue(api, TRACED, args={"a": 1}), "succeeded")

    assert function.calls[0].body["args"] == {"a": 1}
    assert TRACE_ID not in function.calls[0].raw.decode()
