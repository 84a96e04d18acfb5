"""Signatures are those of the Standard Webhooks specification."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from coordinator.calling.signing import secret_problem, sign

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"


def test_a_known_message_has_its_known_signature():
    assert sign([SECRET], ID, 1674087231, b'{"a":1}') == "v1,1C2lk7GheKXa4whl6mUru07NWbqoa8KuRBN41WCKbjs="


def test_two_secrets_sign_side_by_side():
    other = f"whsec_{base64.b64encode(bytes(32)).decode()}"

    signed = sign([SECRET, other], ID, 1674087231, b"{}")

    assert signed == f"{sign([SECRET], ID, 1674087231, b'{}')} {sign([other], ID, 1674087231, b'{}')}"


@given(key=st.binary(min_size=24, max_size=64), message_id=st.text("abc:019_-", min_size=1), body=st.text())
def test_another_implementation_signs_alike(key, message_id, body):
    secret = f"whsec_{base64.b64encode(key).decode()}"
    sent_at = 1_790_000_000

    theirs = Webhook(secret).sign(message_id, datetime.fromtimestamp(sent_at, UTC), body)

    assert sign([secret], message_id, sent_at, body.encode()) == theirs


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "has to begin with whsec_"),
        ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "has to begin with whsec_"),
        ("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY", "is not base64"),
        ("whsec_\n" + "A" * 44, "is not base64"),
        ("whsec_ü", "is not base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "holds 23 bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "holds 65 bytes"),
    ],
)
def test_what_is_no_secret_is_told_without_showing_it(secret, says):
    problem = secret_problem(secret)

    assert says in problem
    assert "/dev/urandom" in problem
    assert secret.removeprefix("whsec_")[:12] not in problem or not secret


def test_a_secret_is_a_secret():
    assert secret_problem(SECRET) is None
