"""What a function's end becomes for the coordinator, which reads every receipt here as it would read it in a post."""

import asyncio
import json
import logging
import sys

import pytest

from coordinator.domain.receipt import Receipt, parse_receipt
from coordinator.sdk.functions import (
    Cancelled,
    Failure,
    Fatal,
    Limits,
    Retry,
    Snooze,
    Throttled,
    Workers,
    wrap,
)
from tests.sdk.calls import SECRET, batch, called, clock, job

LIMITS: Limits = {"remaining": 0, "max": 40, "restoreRate": 20}


def receipt_of(function, **fields):
    """What comes of a call; the coordinator can read it."""
    status, receipt = called(wrap(function, secret=SECRET, clock=clock), job(**fields))
    assert status == 200
    assert isinstance(parse_receipt(json.dumps(receipt).encode(), now=0), Receipt)
    return receipt


def raising(error):
    def function(args):
        raise error.with_traceback(None)

    async def function_async(args):
        raise error.with_traceback(None)

    return [function, function_async]


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "coordinator.functions")


@pytest.mark.parametrize("value", [None, 0, "", "ü€😀", [], {"a": [1, 2.5, True, None]}, {1: 2}, (1, 2)])
def test_a_result_is_a_success(value):
    assert receipt_of(lambda args: value) == {"status": "success", "result": json.loads(json.dumps(value))}


def test_a_coroutine_is_awaited():
    async def function(args):
        await asyncio.sleep(0)
        return args

    assert receipt_of(function, args={"x": 1}) == {"status": "success", "result": {"x": 1}}


def test_args_and_job_are_given():
    def function(args, job):
        told = [
            job.id,
            job.worker,
            job.args,
            job.attempt,
            job.max_attempts,
            job.queue,
            job.key,
            job.meta,
            job.schedule_id,
        ]
        return [
            args,
            *told,
            job.is_last_attempt,
            job.scheduled_for.isoformat(),
            job.deadline.isoformat(),
            job.cancelled,
        ]

    fields = {"key": "k", "meta": {"m": 1}, "attempt": 3, "scheduleId": "s", "scheduledFor": "2027-01-15T08:00:00.000Z"}
    receipt = receipt_of(function, args=[1], jobId="s:1800000000", **fields)
    told = [[1], "s:1800000000", "send", [1], 3, 3, "mail", "k", {"m": 1}, "s", True]
    assert receipt["result"] == [*told, "2027-01-15T08:00:00+00:00", "2027-01-15T08:15:00+00:00", ""]


@pytest.mark.parametrize(
    ("error", "receipt"),
    [
        (Failure("no"), {"status": "failure", "error": {"type": "Failure", "message": "no"}}),
        (
            Failure("no", after="5m", retryable=False, type="NoAddress", data={"at": 1}, limits=LIMITS),
            {
                "status": "failure",
                "retryAfter": "5m",
                "retryable": False,
                "error": {"type": "NoAddress", "message": "no", "data": {"at": 1}},
                "limits": LIMITS,
            },
        ),
        (
            Retry(after=1.5),
            {"status": "failure", "retryAfter": 1.5, "error": {"type": "Retry", "message": "is to be tried again"}},
        ),
        (Fatal("never"), {"status": "failure", "retryable": False, "error": {"type": "Fatal", "message": "never"}}),
        (Snooze(after=0), {"status": "snooze", "retryAfter": 0}),
        (Snooze(after="1h", limits=LIMITS), {"status": "snooze", "retryAfter": "1h", "limits": LIMITS}),
        (Throttled(), {"status": "throttled"}),
        (Throttled(after=2, limits=LIMITS), {"status": "throttled", "retryAfter": 2, "limits": LIMITS}),
        (Cancelled(), {"status": "cancelled"}),
        (ValueError("boom"), {"status": "failure", "error": {"type": "ValueError", "message": "boom"}}),
        (SystemExit(3), {"status": "failure", "error": {"type": "SystemExit", "message": "3"}}),
        (StopIteration("x"), {"status": "failure", "error": {"type": "StopIteration", "message": "x"}}),
    ],
)
def test_what_is_raised_is_told(error, receipt):
    for function in raising(error):
        if isinstance(error, StopIteration) and asyncio.iscoroutinefunction(function):
            continue  # Python itself makes a RuntimeError of it
        told = receipt_of(function)
        stack = told.get("error", {}).pop("stack", "")
        assert told == receipt
        assert ("raise error" in stack) == ("error" in receipt)
        assert "functions.py" not in stack


def test_an_own_class_of_failure_has_its_own_type():
    class NoSuchAddress(Failure):
        pass

    assert receipt_of(raising(NoSuchAddress("x"))[0])["error"]["type"] == "NoSuchAddress"


def test_a_long_error_is_cut_and_keeps_its_end():
    def function(args):
        if args:
            function(args - 1)
        raise ValueError("x" * 10_000)

    error = receipt_of(function, args=300)["error"]
    assert (len(error["message"]), len(error["stack"])) == (4096, 4096)
    assert error["stack"].endswith("xx\n")


def test_an_error_that_cannot_be_shown_is_a_failure_all_the_same():
    class Hidden(Exception):
        def __str__(self):
            raise RuntimeError

    error = receipt_of(raising(Hidden())[0])["error"]
    assert (error["type"], error["message"]) == ("Hidden", "a Hidden that cannot be shown")


def test_half_a_surrogate_pair_in_a_message_is_replaced():
    assert receipt_of(raising(ValueError("a\ud800b"))[0])["error"]["message"] == "a?b"


def endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), "\ud800", {(1, 2): 3}, b"x", endless()])
def test_what_json_cannot_hold_is_a_failure_that_says_so(value):
    receipt = receipt_of(lambda args: value)
    assert (receipt["error"]["type"], receipt["retryable"]) == ("UnserializableResult", False)
    assert "JSON" in receipt["error"]["message"]


def test_what_json_cannot_hold_in_an_error_is_a_failure_that_says_so():
    assert receipt_of(raising(Failure("x", data=object()))[0])["error"]["type"] == "UnserializableResult"


def test_a_result_that_nests_too_deep_is_a_failure():
    value = []
    for _ in range(sys.getrecursionlimit() * 100):
        value = [value]
    assert receipt_of(lambda args: value)["error"]["type"] == "UnserializableResult"


def test_a_large_result_is_told_by_its_size():
    assert receipt_of(lambda args: "x" * 70_000)["result"] == {"tooLarge": 70_002, "limit": 65_536}


def test_limits_that_were_seen_go_into_the_receipt():
    def function(args, job):
        job.limits({"used": 3, "max": 40})
        if args:
            raise Cancelled
        return 1

    assert receipt_of(function) == {"status": "success", "result": 1, "limits": {"used": 3, "max": 40}}
    assert receipt_of(function, args=1) == {"status": "cancelled"}


def test_a_coroutine_that_cancels_itself_has_failed():
    async def function(args):
        task = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    assert receipt_of(function)["error"]["type"] == "CancelledError"


# Registries and batches.


@pytest.fixture
def workers():
    return Workers(secret=SECRET, clock=clock)


def test_each_worker_is_called_by_its_name(workers):
    workers.worker("a")(lambda args: "a")
    workers.worker("b")(lambda args: "b")
    assert [called(workers, job(name))[1]["result"] for name in "ab"] == ["a", "b"]


def test_an_unknown_worker_is_not_deployed(workers):
    workers.worker("b")(lambda args: 1)
    workers.worker("a")(lambda args: 1)
    answer = {"code": "worker_not_deployed", "error": "no worker 'x' is deployed here; deployed are: a, b"}
    assert called(workers, job("x")) == (404, answer)
    assert called(workers, batch(job("x"))) == (404, answer)


def test_a_name_is_registered_once(workers):
    workers.worker("a")(lambda args: 1)
    with pytest.raises(ValueError, match="two functions for the worker 'a'"):
        workers.worker("a")(lambda args: 2)


def test_a_registered_function_stays_what_it_was(workers):
    @workers.worker("a")
    def double(number: int) -> int:
        return number * 2

    assert double(4) == 8


def jobs_of(*args):
    return batch(*(job("sorts", one, jobId=f"job{number}") for number, one in enumerate(args)))


def receipts_of(workers, call):
    status, told = called(workers, call)
    assert status == 200
    receipts = {one.pop("jobId"): one for one in told["receipts"]}
    for receipt in receipts.values():
        receipt.get("error", {}).pop("stack", None)
        assert isinstance(parse_receipt(json.dumps(receipt).encode(), now=0), Receipt)
    return list(receipts.values())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_batch_worker_gets_all_jobs_at_once(workers, is_async):
    def sorts(jobs):
        return [job.args or Snooze(after=1) for job in jobs[:-1]] + [ValueError("boom")]

    async def sorts_async(jobs):
        return sorts(jobs)

    workers.worker("sorts", batch=True)(sorts_async if is_async else sorts)
    assert receipts_of(workers, jobs_of(1, 0, 3)) == [
        {"status": "success", "result": 1},
        {"status": "snooze", "retryAfter": 1},
        {"status": "failure", "error": {"type": "ValueError", "message": "boom"}},
    ]
    assert called(workers, job("sorts", 1))[1]["error"]["message"] == "boom"


@pytest.mark.parametrize(("given", "told"), [([1], "1 entries"), (None, "a NoneType"), ({"a": 1, "b": 2}, "a dict")])
def test_a_batch_of_the_wrong_length_fails_altogether(workers, given, told):
    workers.worker("sorts", batch=True)(lambda jobs: given)
    problem = f"the function returned {told} for 2 jobs; it has to return a list, one entry for each"
    failure = {"status": "failure", "error": {"type": "InvalidBatchResult", "message": problem}}
    assert receipts_of(workers, jobs_of(1, 2)) == [failure, failure]


def test_what_a_batch_raises_is_the_end_of_all(workers):
    def sorts(jobs):
        raise Throttled(after=3)

    workers.worker("sorts", batch=True)(sorts)
    assert receipts_of(workers, jobs_of(1, 2)) == [{"status": "throttled", "retryAfter": 3}] * 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_plain_worker_runs_once_for_each_job_of_a_batch_at_the_same_time(workers, is_async):
    import threading

    together, together_async = threading.Barrier(3), asyncio.Barrier(3)

    def sorts(args):
        together.wait(10)
        return 10 // args

    async def sorts_async(args):
        async with asyncio.timeout(10):
            await together_async.wait()
        return 10 // args

    workers.worker("sorts")(sorts_async if is_async else sorts)
    receipts = receipts_of(workers, jobs_of(1, 0, 5))
    assert [receipt["status"] for receipt in receipts] == ["success", "failure", "success"]
    assert [receipts[0]["result"], receipts[2]["result"]] == [10, 2]


# What is no call.


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_only_posts_are_calls(workers, method):
    answer = workers.handle(method, {}, b"")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "call",
    [
        *([], "x", None, 7, {}, {"worker": "a"}, {"worker": "a", "jobs": []}, {"worker": "a", "jobs": [1]}),
        *(
            {"worker": "a", "jobs": 7},
            {"worker": ["a"]},
            job("a", jobId=7),
            job("a", attempt="x"),
            job("a", deadline="soon"),
        ),
    ],
)
def test_what_is_no_call_is_told_so(workers, call):
    workers.worker("a")(lambda args: 1)
    status, told = called(workers, call)
    assert (status, told["code"]) == (400, "invalid_call")


def test_a_body_over_the_limit_is_not_looked_at(workers):
    assert workers.handle("POST", {}, b"x" * (16 * 1024 * 1024 + 1)).status == 413


@pytest.mark.parametrize("names", [["b", "a"], []])
def test_a_ping_is_answered_with_what_is_deployed(workers, names):
    for name in names:
        workers.worker(name)(lambda args: pytest.fail("a ping runs nothing"))
    answer = {"pong": True, "sdk": "python 0.1.0", "workers": sorted(names)}
    assert called(workers, {"ping": True, "worker": "x"}) == (200, answer)


def test_a_function_of_every_name_tells_so():
    answer = called(wrap(lambda args: 1, secret=SECRET, clock=clock), {"ping": True, "worker": "x"})
    assert answer == (200, {"pong": True, "sdk": "python 0.1.0", "workers": None})
