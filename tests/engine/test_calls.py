"""What a worker is sent."""

import msgspec

from coordinator.domain.job import Attempt, Spec, Tally
from coordinator.domain.worker import Worker
from coordinator.engine.calls import Desk, call_for

DESK = Desk("http://coordinator", lambda _: "token")


def _id_of(nonce, **tally):
    attempt = Attempt("01JOB", nonce, 0, Tally(**tally), Spec("any", msgspec.Raw(b"{}")))
    return call_for(attempt, Worker("http://function/"), DESK).message_id


def test_a_call_has_an_id_of_its_own_also_when_redis_forgot_the_one_before():
    first = _id_of("nonce-a", attempt=1)

    assert _id_of("nonce-a", attempt=1) == first, "the same claim, answered again"
    assert _id_of("nonce-b", attempt=1) != first, "a failover has lost the claim, and the number is given again"
    assert _id_of("nonce-a", attempt=1, throttles=1) != first
