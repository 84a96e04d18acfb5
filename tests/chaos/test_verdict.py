"""The verdict of a fault run: it finds what it is there to find."""

from types import SimpleNamespace
from typing import cast

import pytest
from chaos_record import Call, Fault, Record
from chaos_verdict import Verdict
from chaos_world import World

JOB = "01JOB"


def _call(number, *, at, by="r1/1", deed="success", token=None):
    made = Call(JOB, number, token or f"{number}.nonce{number}", by, deed, at, answered=at + 0.1, done=at + 0.1)
    made.said_success = deed == "success"
    return made


def _verdict(calls=(), faults=(), **allowed):
    record = Record()
    record.accepted[JOB] = 0
    record.faults.extend(faults)
    record.calls[JOB] = list(calls)
    flags = {"rolls_back": False, "may_lose": False, "purges": False}
    return Verdict(cast("World", SimpleNamespace(record=record)), **{**flags, **allowed})


def _judge(calls, *faults, **allowed):
    made = _verdict(calls, faults, **allowed)
    made._judge_calls(JOB, calls)
    return made


def test_a_further_call_without_a_cause_is_found():
    assert _judge([_call(1, at=10), _call(2, at=12)]).wrong[0] == f"{JOB} call 2 has no cause"


@pytest.mark.parametrize(
    ("who", "began", "is_cause"),
    [("r1/1", 10.05, True), ("r1/1", 3, False), ("r1/1", 20, False), ("r2/1", 10.05, False), ("*", 10.05, True)],
)
def test_a_fault_is_a_cause_for_whom_it_met_and_when(who, began, is_cause):
    judged = _judge([_call(1, at=10), _call(2, at=14)], Fault("replica killed", who, began, began + 0.1))

    assert (judged.wrong == [], judged.causes["replica killed"]) == (is_cause, int(is_cause))


def test_each_further_call_needs_a_cause_of_its_own():
    failed = [_call(1, at=10, deed="failure"), _call(2, at=11), _call(3, at=12)]

    assert _judge(failed).wrong[0] == f"{JOB} call 3 has no cause"


def test_a_receipt_with_a_wrong_token_that_was_believed_is_found():
    call = _call(1, at=10)
    call.was_believed = True

    assert _judge([call]).wrong[0] == f"{JOB} was settled by a receipt with a wrong token"


def test_a_call_that_is_made_twice_is_found_unless_redis_forgot_its_claim():
    fault = Fault("primary killed", "*", 10, 12)
    twice, anew = ([_call(1, at=10, token="1.a"), _call(1, at=11, token=token)] for token in ("1.a", "1.b"))

    assert _judge(twice, fault).wrong
    assert _judge(twice, fault, rolls_back=True).wrong
    assert _judge(anew, fault).wrong
    assert not _judge(anew, fault, rolls_back=True).wrong
    assert _judge(anew, rolls_back=True).wrong


@pytest.mark.parametrize(
    ("state", "reason", "deed", "complaint"),
    [
        (None, None, "success", "was accepted and is lost"),
        ("running", None, "success", "is running and has not ended"),
        ("succeeded", None, "failure", "succeeded, and no call of it did"),
        ("dead", "non_retryable", "failure", "is dead for good, and no call of it said so"),
        ("dead", "lost_too_often", "success", "is dead: lost_too_often"),
        ("succeeded", None, "success", None),
    ],
)
def test_a_job_has_to_have_ended_as_its_function_said(state, reason, deed, complaint):
    judged = _verdict([_call(1, at=10, deed=deed)])

    judged._judge_job(JOB, state, reason)

    assert judged.wrong[:1] == ([f"{JOB} {complaint}"] if complaint else [])


def test_another_end_than_the_one_that_was_acknowledged_or_seen_is_found():
    judged = _verdict([_call(1, at=10)])
    judged._record.acknowledge(JOB, "dead")
    judged._record.sample(JOB, "dead")

    judged._judge_job(JOB, "succeeded", None)

    assert [line for line in judged.wrong if line.startswith(JOB)] == [
        f"{JOB} was acknowledged as dead and is succeeded",
        f"{JOB} was seen as dead and is succeeded",
    ]


def test_what_was_acknowledged_and_lost_is_counted_where_it_may_be():
    judged = _verdict(may_lose=True)

    judged._judge_job(JOB, None, None)

    assert (judged.wrong, judged.lost) == ([], [JOB])
