"""What the log tells of jobs: a death to everybody, each attempt to who asks for it."""

import logging

import pytest

from coordinator.engine.witness import ERROR_SHOWN, error_text
from tests.api.harness import Api, Function, Reply

FAILURE = Reply(body=b'{"status":"failure","error":{"type":"NoSuchShop","message":"a.example is gone"}}')


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    """The fields of all lines about an event."""
    names = ("job", "queue", "worker", "attempt", "outcome", "reason", "error")
    records = [record.__dict__ for record in caplog.records if record.__dict__.get("event") == event]
    return [{name: record[name] for name in names if name in record} for record in records]


async def test_a_death_is_a_warning_with_all_that_is_known(
    api: Api, function: Function, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "coordinator")
    function.replies(FAILURE)
    job_id = await api.enqueue("sync", queue="shops", maxAttempts=2, backoff={"base": "1ms"})
    await api.until(job_id, "dead")

    known = {"job": job_id, "queue": "shops", "worker": "sync", "attempt": 2, "outcome": "failure"}
    end = {"reason": "attempts_exhausted", "error": "NoSuchShop: a.example is gone"}
    assert told(caplog, "job.dead") == [known | end]
    assert told(caplog, "attempt.failed") == []


async def test_attempts_are_told_of_where_the_level_is_debug(
    api: Api, function: Function, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "coordinator.engine.witness")
    function.replies(FAILURE, Reply())
    job_id = await api.enqueue("sync", backoff={"base": "1ms"})
    await api.until(job_id, "succeeded")

    (failed,), (succeeded,) = told(caplog, "attempt.failed"), told(caplog, "attempt.succeeded")
    assert (failed["attempt"], failed["outcome"], failed["error"]) == (1, "failure", "NoSuchShop: a.example is gone")
    assert (succeeded["attempt"], succeeded["error"]) == (2, None)


@pytest.mark.parametrize(
    ("error", "whole", "text"),
    [
        (b'{"type":"A","message":"b"}', True, "A: b"),
        (b'{"type":"A","message":"b"}', False, "A"),
        (b'{"message":"b"}', True, "b"),
        (b'{"message":"b"}', False, None),
        (b'"b"', True, "b"),
        (b"", True, None),
        (b'{"message":"%s"}' % (b"x" * 1000), True, "x" * ERROR_SHOWN),
    ],
)
def test_an_error_is_told_in_brief_and_by_its_type_where_it_is_sealed(error: bytes, text: str | None, *, whole: bool):
    assert error_text(error, whole=whole) == text
