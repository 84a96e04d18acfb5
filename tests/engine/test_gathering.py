"""What a group comes to when something is wrong with its call, or with one of its members."""

import asyncio

import msgspec
import pytest

from coordinator.calling.caller import Caller, CallLimit
from coordinator.domain.job import Attempt, Spec, Tally
from coordinator.domain.outcome import Failure, Success
from coordinator.domain.worker import Batching, Worker
from coordinator.engine.calls import Desk
from coordinator.engine.gathering import BYTES_LIMIT, Gatherer

DESK = Desk("http://coordinator", lambda _: "token")
WORKER = Worker("http://function/", batch=Batching(3, window_ms=20))
SPEC = Spec("bulk", msgspec.Raw(b"{}"))


class Calls(Caller):
    """Remembers what it is asked to call for, and succeeds, or raises what it was given."""

    def __init__(self, fault=None):
        self.made = []
        self._fault = fault

    async def call_for_many(self, call, job_ids, on_sent):
        on_sent()
        self.made.append((call.url, list(job_ids)))
        if self._fault:
            raise self._fault
        return dict.fromkeys(job_ids, Success())


def attempt(job_id, spec=SPEC, nonce="n"):
    return Attempt(job_id, nonce, 0, Tally(1), spec)


def call(gatherer, one, worker=WORKER, limit_s=5.0):
    return asyncio.create_task(gatherer.call(one, worker, CallLimit(limit_s), lambda: None))


async def test_a_fault_of_ours_reaches_each_member():
    gatherer = Gatherer(Calls(ZeroDivisionError()), DESK)

    ended = await asyncio.gather(*(call(gatherer, attempt(name)) for name in "abc"), return_exceptions=True)

    assert [type(error) for error in ended] == [ZeroDivisionError] * 3


async def test_two_attempts_of_one_job_are_never_in_one_call():
    caller = Calls()
    gatherer = Gatherer(caller, DESK)

    ended = await asyncio.gather(*(call(gatherer, attempt("a", nonce=nonce)) for nonce in "12"))

    assert ended == [Success(), Success()]
    assert [ids for _, ids in caller.made] == [["a"], ["a"]]


async def test_a_worker_that_was_replaced_gets_a_call_of_its_own():
    caller = Calls()
    gatherer = Gatherer(caller, DESK)
    moved = msgspec.structs.replace(WORKER, url="http://moved/")

    await asyncio.gather(call(gatherer, attempt("a")), call(gatherer, attempt("b"), moved))

    assert caller.made == [("http://function/", ["a"]), ("http://moved/", ["b"])]


async def test_a_call_is_bounded_in_bytes():
    caller = Calls()
    gatherer = Gatherer(caller, DESK)
    large = msgspec.structs.replace(SPEC, args=msgspec.Raw(b'"' + b"x" * (BYTES_LIMIT // 2) + b'"'))

    await asyncio.gather(*(call(gatherer, attempt(name, large)) for name in "abc"))

    assert sorted(len(ids) for _, ids in caller.made) == [1, 1, 1]


async def test_who_is_cut_off_before_the_call_was_surely_not_sent():
    caller = Calls()
    gatherer = Gatherer(caller, DESK)
    sent = []
    slow = msgspec.structs.replace(WORKER, batch=Batching(3, window_ms=10_000))
    waiting = asyncio.create_task(gatherer.call(attempt("a"), slow, CallLimit(60), lambda: sent.append("a")))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gatherer.flush()
    await asyncio.sleep(0)

    assert (sent, caller.made) == ([], [])


async def test_who_has_no_time_left_times_out_alone():
    answered = asyncio.Event()

    class Slow(Calls):
        async def call_for_many(self, call, job_ids, on_sent):
            await answered.wait()
            return await super().call_for_many(call, job_ids, on_sent)

    gatherer = Gatherer(Slow(), DESK)
    pair = msgspec.structs.replace(WORKER, batch=Batching(2, window_ms=10))
    short, long = call(gatherer, attempt("a"), pair, 0.05), call(gatherer, attempt("b"), pair)

    timed_out = await short
    answered.set()

    assert isinstance(timed_out, Failure)
    assert timed_out.kind == "timeout"
    assert await long == Success()
