"""Who is let in: Standard Webhooks 1.0, with the library of its authors on the other side."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from coordinator.sdk.functions import Workers, wrap
from tests.sdk.calls import NOW, OTHER, SECRET, called, clock, job, signed

BODY = json.dumps(job()).encode()


@pytest.fixture
def ran():
    return []


@pytest.fixture
def function(ran):
    return wrap(ran.append, secret=SECRET, clock=clock)


def answer_of(function, headers, body=BODY):
    answer = function.handle("POST", headers, body)
    return answer.status, json.loads(answer.body)


def refusal(function, ran, headers, body=BODY):
    """Why a call is not let in."""
    status, told = answer_of(function, headers, body)
    assert (status, told["code"], ran) == (401, "invalid_signature", [])
    return told["error"]


def test_the_vector_of_the_specification_is_accepted():
    headers = {
        "webhook-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "webhook-timestamp": "1674087231",
        "webhook-signature": "v1,1C2lk7GheKXa4whl6mUru07NWbqoa8KuRBN41WCKbjs=",
    }
    function = wrap(lambda args: None, secret=SECRET, clock=lambda: 1674087231.0)
    # It is signed, and no call of ours.
    assert answer_of(function, headers, b'{"a":1}')[0] == 400
    assert answer_of(function, headers, b'{"a":2}')[0] == 401


def test_a_call_that_the_standards_library_signed_is_run(function, ran):
    assert answer_of(function, signed(BODY)) == (200, {"status": "success", "result": None})
    assert ran == [None]


@pytest.mark.parametrize("change", [str.upper, str.title, str.lower])
def test_headers_may_be_in_any_case(function, change):
    assert answer_of(function, {change(name): value for name, value in signed(BODY).items()})[0] == 200


def test_a_tampered_body_is_refused(function, ran):
    assert "another secret or another body" in refusal(function, ran, signed(BODY), BODY.replace(b"job1", b"job2"))


def test_a_signature_of_another_secret_is_refused(function, ran):
    refusal(function, ran, signed(BODY, OTHER))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_what_is_signed_cannot_be_changed(function, ran, name):
    headers = signed(BODY)
    refusal(function, ran, headers | {name: headers[name][:-1] + "7"})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_missing_header_is_named(function, ran, name, how):
    headers = signed(BODY)
    headers = headers | {name: ""} if how == "empty" else {key: value for key, value in headers.items() if key != name}
    assert name in refusal(function, ran, headers)


@pytest.mark.parametrize(
    "timestamp", ["soon", "-1800000000", "NaN", "inf", "1e9", "1800000000.0", "٢٠٠٠", "9" * 5000, " "]
)
def test_a_timestamp_that_is_no_unix_time_is_refused(function, ran, timestamp):
    assert "webhook-timestamp" in refusal(function, ran, signed(BODY) | {"webhook-timestamp": timestamp})


@pytest.mark.parametrize(
    ("sent_at", "status"), [(NOW - 300, 200), (NOW + 300, 200), (NOW - 301, 401), (NOW + 301, 401)]
)
def test_a_call_is_let_in_for_five_minutes(function, sent_at, status):
    assert answer_of(function, signed(BODY, sent_at=sent_at))[0] == status


def test_the_tolerance_can_be_changed():
    function = wrap(lambda args: None, secret=SECRET, clock=clock, tolerance=1)
    assert answer_of(function, signed(BODY, sent_at=NOW - 2))[0] == 401


RIGHT = signed(BODY)["webhook-signature"]


@pytest.mark.parametrize(
    "signature",
    [
        *("v1", "v1,", ",", "v1,***", "v1,AAAA", "v1,\x00\xff", "v1,ü", "v1,\ud800", "1,2,3"),
        *(
            RIGHT.replace("v1,", "v1a,"),
            RIGHT.replace("v1,", "v2,"),
            RIGHT.removeprefix("v1,"),
            RIGHT[:-2],
            RIGHT + "=",
        ),
        *(RIGHT.replace(",", ", "), RIGHT.upper(), "v1," + RIGHT),
    ],
)
def test_what_is_no_signature_of_ours_is_refused(function, ran, signature):
    refusal(function, ran, signed(BODY) | {"webhook-signature": signature})


@pytest.mark.parametrize(
    "signature",
    [f"v1,AAAA {RIGHT}", f"{RIGHT} v1,AAAA", f"v1  {RIGHT}", f"  {RIGHT}  ", f"v1a,c2ln {RIGHT}", f"v1,*** {RIGHT}"],
)
def test_one_right_signature_among_others_is_enough(function, signature):
    assert answer_of(function, signed(BODY) | {"webhook-signature": signature})[0] == 200


def test_bad_utf_8_is_answered_as_no_call():
    body = b'{"jobId": "\xff"}'
    sent_at = datetime.fromtimestamp(NOW, UTC)
    mac = Webhook(SECRET)
    # The library signs text only; latin-1 in, so that these bytes come out.
    import base64
    import hashlib
    import hmac

    signature = base64.b64encode(hmac.digest(mac._whsecret, f"m.{NOW}.".encode() + body, hashlib.sha256)).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": f"{sent_at.timestamp():.0f}"}
    status, told = answer_of(
        wrap(lambda args: None, secret=SECRET, clock=clock), headers | {"webhook-signature": f"v1,{signature}"}, body
    )
    assert (status, told["code"]) == (400, "invalid_call")


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_each_of_several_secrets_counts(secret):
    function = wrap(lambda args: None, secret=[SECRET, OTHER], clock=clock)
    assert called(function, job(), secret=secret)[0] == 200


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_the_environment_may_hold_several_secrets(monkeypatch, separator):
    monkeypatch.setenv("COORDINATOR_SECRET", f"{SECRET}{separator}{OTHER}")
    function = wrap(lambda args: None, clock=clock)
    assert [called(function, job(), secret=secret)[0] for secret in (SECRET, OTHER)] == [200, 200]


def test_a_given_secret_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("COORDINATOR_SECRET", OTHER)
    assert called(wrap(lambda args: None, secret=SECRET, clock=clock), job(), secret=OTHER)[0] == 401


@pytest.mark.parametrize("value", [None, "", " "])
def test_without_any_secret_nothing_is_run(monkeypatch, ran, value):
    monkeypatch.delenv("COORDINATOR_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("COORDINATOR_SECRET", value)
    status, told = called(wrap(ran.append, clock=clock), job())
    assert (status, told["code"], ran) == (500, "no_secret", [])
    assert "COORDINATOR_SECRET" in told["error"]
    assert "unsigned=True" in told["error"]


def test_a_secret_that_is_not_set_lets_nobody_in(monkeypatch):
    """`os.environ.get` of a variable that is missing gives None."""
    monkeypatch.delenv("COORDINATOR_SECRET", raising=False)
    assert called(wrap(lambda args: None, secret=None), job())[0] == 500


def test_unsigned_calls_are_taken_when_that_is_asked_for():
    answer = wrap(lambda args: args, unsigned=True).handle("POST", {}, json.dumps(job(args=7)).encode())
    assert json.loads(answer.body) == {"status": "success", "result": 7}


BAD_SECRETS = ["hunter2", "whsec_", "whsec_hunter2", "whsec_***", "whsec_" + "A" * 28, "whsec_" + "A" * 100, SECRET[6:]]


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_what_is_no_secret_is_an_error_at_once_that_does_not_show_it(secret):
    with pytest.raises(ValueError, match="24 to 64 bytes in base64") as caught:
        Workers(secret=secret)
    assert secret.removeprefix("whsec_") == "" or secret.removeprefix("whsec_") not in str(caught.value)


def test_what_is_no_secret_in_the_environment_is_told_and_not_shown(monkeypatch):
    monkeypatch.setenv("COORDINATOR_SECRET", "hunter2")
    status, told = called(wrap(lambda args: None), job())
    assert status == 500
    assert "COORDINATOR_SECRET: a secret is whsec_" in told["error"]
    assert "hunter2" not in told["error"]


@pytest.mark.parametrize("secret", ["", []])
def test_an_empty_secret_is_an_error_at_once(secret):
    with pytest.raises(ValueError, match="secret is empty"):
        wrap(lambda args: None, secret=secret)
