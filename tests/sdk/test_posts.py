"""Heartbeats and receipts that a function sends while it runs, to a real server."""

import json
import time
from typing import Any, cast

import pytest

from coordinator.sdk.functions import HeartbeatError, Workers, wrap
from tests.sdk.calls import NOW, SECRET, batch, called, clock, job

DEAD = "http://127.0.0.1:1"
"""Nobody listens there."""


def sync_and_async(act):
    """A function that does it to its job, in both forms. `act` gives the heartbeats to make, one by one."""

    def function(args, job):
        return [list(job.heartbeat(**beat)) for beat in act]

    async def function_async(args, job):
        return [list(await job.heartbeat(**beat)) for beat in act]

    return [function, function_async]


def result_of(function, call=None, **given):
    options: Any = {"secret": SECRET, "clock": clock} | given
    return called(wrap(function, **options), call or job())[1]


def test_a_heartbeat_is_posted_with_the_attempts_token(server):
    for function in sync_and_async([{"progress": 50, "message": "half", "extend": 1.5}, {"extend": "10m"}, {}]):
        server.requests.clear()
        receipt = result_of(function, url=server.url + "/")
        assert receipt["result"] == [[False, True]] * 3
        own = {"token": "1.abc", "attempt": 1}
        assert server.bodies() == [
            ("/job/job1/heartbeat", {"progress": 50, "message": "half", "extend": 1500, **own}),
            ("/job/job1/heartbeat", {"extend": "10m", **own}),
            ("/job/job1/heartbeat", own),
        ]


def test_progress_is_a_heartbeat(server):
    result_of(lambda args, job: job.progress(7, "a"), url=server.url)
    assert server.bodies()[0][1] == {"progress": 7, "message": "a", "token": "1.abc", "attempt": 1}


def test_the_address_may_be_in_the_environment_and_a_token_of_the_api_is_not_sent(server, monkeypatch):
    monkeypatch.setenv("COORDINATOR_URL", server.url)
    monkeypatch.setenv("COORDINATOR_TOKEN", "t")
    assert result_of(sync_and_async([{}])[0])["result"] == [[False, True]]
    assert "authorization" not in server.requests[0][2]


def test_a_signed_call_says_where_to_post(server):
    call = job(receiptUrl=f"{server.url}/below/job/job1/receipt")
    assert result_of(sync_and_async([{}])[0], call)["result"] == [[False, True]]
    assert server.bodies()[0][0] == "/below/job/job1/heartbeat"


def test_an_unsigned_call_cannot_make_us_post_anywhere(server):
    function = wrap(sync_and_async([{}])[0], unsigned=True)
    answer = function.handle("POST", {}, json.dumps(job(receiptUrl=f"{server.url}/job/job1/receipt")).encode())
    error = json.loads(answer.body)["error"]
    assert error["type"] == "HeartbeatError"
    assert "COORDINATOR_URL" in error["message"]
    assert server.requests == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "nowhere"])
def test_only_http_is_posted_to(url):
    assert "no http(s) address" in result_of(sync_and_async([{}])[0], url=url)["error"]["message"]


def test_proxies_of_the_environment_are_not_asked(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    monkeypatch.setenv("http_proxy", DEAD)
    assert result_of(sync_and_async([{}])[0], url=server.url)["result"] == [[False, True]]


def test_redirects_are_not_followed(server):
    server.otherwise = (307, {}, {"location": f"{server.url}/elsewhere"})
    assert result_of(sync_and_async([{}])[0], url=server.url)["error"]["type"] == "HeartbeatError"
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [None, (500, {}, {}), (503, b"no JSON", {}), (429, {}, {}), (200, b"no JSON", {})])
def test_a_heartbeat_that_fails_is_tried_once_more_and_then_let_be(server, answer):
    for function in sync_and_async([{}]):
        server.requests.clear()
        server.answers = [answer]
        assert result_of(function, url=server.url)["result"] == [[False, True]]
        server.otherwise = answer
        assert result_of(function, url=server.url)["result"] == [[False, False]]
        assert len(server.requests) == 4
        server.otherwise = (200, {}, {})


@pytest.mark.parametrize("url", [DEAD, "http://a..b", "http://127.0.0.1:99999", "https://127.0.0.1:1"])
def test_a_coordinator_that_is_not_there_does_not_fail_the_work(url):
    assert result_of(sync_and_async([{}])[0], url=url)["result"] == [[False, False]]


def test_a_refused_heartbeat_is_the_functions_error(server):
    server.otherwise = (422, {"detail": "progress: use a number from 0 to 100"}, {})
    for function in sync_and_async([{"progress": 101}]):
        error = result_of(function, url=server.url)["error"]
        assert error["type"] == "HeartbeatError"
        assert error["message"] == "the coordinator answered 422: progress: use a number from 0 to 100"


def test_a_heartbeat_that_a_proxy_refuses_is_the_functions_error(server):
    server.otherwise = (404, b"<html>", {})
    assert result_of(sync_and_async([{}])[0], url=server.url)["error"]["type"] == "HeartbeatError"
    assert len(server.requests) == 1


def test_a_job_is_told_that_it_is_cancelled(server):
    server.answers = [(200, {"cancelRequested": False}, {}), (200, {"cancelRequested": True}, {})]

    def function(args, job):
        assert [job.cancelled, job.heartbeat().cancel_requested, job.cancelled] == ["", False, ""]
        job.raise_if_cancelled()
        assert job.heartbeat().cancel_requested
        assert job.cancelled == "requested"
        # It stays so, whatever is answered now.
        assert job.heartbeat().cancel_requested
        job.raise_if_cancelled()

    assert result_of(function, url=server.url) == {"status": "cancelled"}


def test_a_coroutine_that_is_cancelled_by_request_is_cancelled(server):
    import asyncio

    server.otherwise = (200, {"cancelRequested": True}, {})

    async def function(args, job):
        if (await job.heartbeat()).cancel_requested:
            raise asyncio.CancelledError

    assert result_of(function, url=server.url) == {"status": "cancelled"}


def test_an_attempt_that_is_not_the_current_one_is_told(server):
    server.otherwise = (409, {"detail": "The job is running, attempt 2"}, {})

    def function(args, job):
        job.heartbeat()
        assert job.cancelled == "superseded"
        job.raise_if_cancelled()

    assert result_of(function, url=server.url) == {"status": "cancelled"}


@pytest.mark.parametrize(("late", "moved"), [(0, 0), (1.9, 0), (2, 2), (-3, -3), (200, 200)])
def test_a_clock_that_is_right_moves_no_deadline(late, moved):
    """Timestamps of calls are in whole seconds."""
    seconds = result_of(lambda args, job: job.deadline.timestamp() - NOW, clock=lambda: NOW + late)["result"]
    assert seconds == 900 + moved


def test_the_deadline_counts_on_our_own_clock(server):
    """This clock is 200 s ahead of the coordinator's, which gave 900 s."""
    now = [NOW + 200.0]
    server.otherwise = (200, {"deadline": "2027-01-15T08:25:00.000Z"}, {})

    def function(args, job):
        seen = [job.deadline.timestamp() - NOW]
        now[0] += 899
        seen.append(job.cancelled)
        now[0] += 1
        seen.append(job.cancelled)
        job.heartbeat(extend="10m")
        seen += [job.cancelled, job.deadline.timestamp() - NOW]
        now[0] += 1000
        job.raise_if_cancelled()
        return seen

    seen = []
    receipt = result_of(lambda args, job: seen.append(function(args, job)), url=server.url, clock=lambda: now[0])
    assert receipt["error"]["type"] == "DeadlinePassed"
    now[0] = NOW + 200.0
    without_end = lambda args, job: [job.deadline.timestamp() - NOW, job.cancelled, job.heartbeat() and None]
    assert result_of(without_end, url=server.url, clock=lambda: now[0])["result"] == [1100, "", None]


# Receipts that are posted.


@pytest.mark.parametrize(
    ("report", "took", "posts"), [("always", 0, 1), ("never", 99, 0), ("auto", 9.9, 0), ("auto", 10, 1)]
)
def test_a_receipt_is_posted_before_it_is_answered_if_it_took_long(server, report, took, posts):
    now = [float(NOW)]

    def function(args):
        now[0] += took
        return 7

    receipt = result_of(function, url=server.url, report=report, clock=lambda: now[0])
    assert receipt == {"status": "success", "result": 7}
    posted = ("/job/job1/receipt", {"status": "success", "result": 7, "token": "1.abc", "attempt": 1})
    assert server.bodies() == [posted] * posts


def test_receipts_of_a_batch_are_posted_together(server):
    workers = Workers(secret=SECRET, clock=clock, url=server.url, report="always")
    workers.worker("sorts")(lambda args: args)
    called(workers, batch(job("sorts", 1, jobId="a"), job("sorts", 2, jobId="b", token="2.x", attempt=2)))
    first = {"jobId": "a", "status": "success", "result": 1, "token": "1.abc", "attempt": 1}
    second = {"jobId": "b", "status": "success", "result": 2, "token": "2.x", "attempt": 2}
    assert server.bodies() == [("/receipt", {"receipts": [first, second]})]


@pytest.mark.parametrize(
    ("answers", "posts"),
    [
        ([None, (500, {}, {})], 3),
        ([(429, {}, {}), (502, {}, {}), (503, {}, {}), (200, {}, {})], 3),
        *(([(status, {}, {})], 1) for status in (400, 404, 405, 409, 413)),
    ],
)
def test_posting_a_receipt_is_tried_three_times_and_changes_nothing(server, answers, posts):
    server.answers = answers
    receipt = result_of(lambda args: 7, url=server.url, report="always")
    assert (receipt, len(server.requests)) == ({"status": "success", "result": 7}, posts)


def test_a_receipt_that_cannot_be_posted_is_answered():
    for options in ({"url": DEAD}, {"url": "nowhere"}):
        assert result_of(lambda args: 7, report="always", **options) == {"status": "success", "result": 7}


def test_what_can_be_reported_is_checked_at_once():
    with pytest.raises(ValueError, match="'auto', 'always' or 'never'"):
        wrap(lambda args: 1, report=cast("Any", "sometimes"))


# Trials, without a server.


def test_a_trial_gives_the_receipt_and_the_heartbeats():
    def function(args, job):
        job.progress(10, "begun")
        job.heartbeat(extend=60)
        job.raise_if_cancelled()
        return [args, job.attempt, job.max_attempts, job.is_last_attempt, job.meta, job.worker]

    trial = wrap(function).test({"a": (1,)}, attempt=2, max_attempts=2, meta={"m": 1}, worker="w")
    assert trial.receipt == {"status": "success", "result": [{"a": [1]}, 2, 2, True, {"m": 1}, "w"]}
    assert trial.heartbeats == [{"progress": 10, "message": "begun"}, {"extend": 60000}]


async def test_a_coroutine_is_tried_on_the_tests_own_loop():
    async def function(args, job):
        for percent in range(3):
            await job.progress(percent)
            job.raise_if_cancelled()

    workers = Workers()
    workers.worker("counts")(function)
    trial = await workers.test_async(worker="counts", on_heartbeat=lambda beat: beat["progress"] == 1)
    assert trial.receipt == {"status": "cancelled"}
    assert trial.heartbeats == [{"progress": 0}, {"progress": 1}]


def test_a_coroutine_is_tried_without_a_loop():
    async def function(args):
        return args

    assert wrap(function).test(3).receipt == {"status": "success", "result": 3}


def test_a_trial_refuses_what_a_job_does_not_have():
    with pytest.raises(TypeError, match="a job has no maxAttemps"):
        wrap(lambda args: 1).test(max_attemps=3)


# What is wrapped.


def test_a_wrapped_function_can_be_called_as_before():
    @wrap(secret=SECRET)
    def double(args: int, times: int = 2) -> int:
        """Doubles."""
        return args * times

    assert (double(2), double(2, times=3), vars(double)["__name__"], double.__doc__) == (4, 6, "double", "Doubles.")
    # The second parameter is its own.
    assert called(double, job(args=4), sent_at=int(time.time()))[1]["result"] == 8


def test_what_is_wrapped_twice_keeps_the_outer_settings():
    function = wrap(wrap(lambda args: args, unsigned=True), secret=SECRET, clock=clock)
    assert function.handle("POST", {}, b"{}").status == 401
    assert called(function, job(args=5))[1]["result"] == 5


class Callable:
    async def __call__(self, args, job):
        return job.id


@pytest.mark.parametrize(
    "function",
    [
        lambda args, job: job.id,
        lambda args, job=None: job.id,
        Callable(),
        Callable().__call__,
        lambda *given: given[1].id,
    ],
)
def test_whatever_can_be_called_with_args_and_job_can_be_wrapped(function):
    assert wrap(function).test().receipt["result"] == "test"


@pytest.mark.parametrize("function", [lambda: 1, lambda a, b, c: 1, lambda *, args: 1, lambda **args: 1])
def test_what_cannot_take_a_job_is_an_error_at_once(function):
    with pytest.raises(TypeError, match=r"has to take \(args, job\) or \(args\)"):
        wrap(function)


def test_what_cannot_take_jobs_is_an_error_at_once():
    with pytest.raises(TypeError, match=r"has to take \(jobs\)"):
        Workers().worker("x", batch=True)(lambda a, b: 1)


def test_an_unknown_option_is_an_error_at_once():
    with pytest.raises(TypeError, match="secrets"):
        Workers(**cast("Any", {"secrets": SECRET}))


def test_a_heartbeat_error_can_be_told_from_others():
    def function(args, job):
        with pytest.raises(HeartbeatError):
            job.heartbeat()

    assert result_of(function, job(receiptUrl=""))["status"] == "success"


def test_the_version_is_that_of_the_package():
    import coordinator
    from coordinator.sdk import functions

    assert coordinator.__version__ == functions.VERSION
