"""What is said of a job that was not accepted."""

import msgspec
import pytest

from coordinator.domain.job import Spec
from coordinator.engine.intake import refusal_of
from coordinator.store.replies import Accepted

SPEC = Spec("resize", msgspec.Raw(b"{}"))


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        (Accepted("unique_conflict", (b"J",)), "unique_conflict"),
        (Accepted("cost_exceeds_burst", (b"5",)), "cost_exceeds_burst"),
        (Accepted("idempotency_mismatch"), "idempotency_mismatch"),
    ],
)
def test_a_refusal_has_the_word_of_the_script(accepted, code):
    assert refusal_of(accepted, SPEC).code == code


@pytest.mark.parametrize("reply", ["not_created", "created", "what"])
def test_what_is_no_refusal_is_not_told_as_one(reply):
    with pytest.raises(RuntimeError, match=reply):
        refusal_of(Accepted(reply), SPEC)
