"""What the token of a call lets a function do, and what not: each attack is refused and changes nothing."""

import base64
import json
import os

import pytest

from coordinator.api import receipts
from tests.api.harness import ACCEPTED, Api, Function, Json, eventually, refusal
from tests.api.test_permissions import everything

ADMIN = "token-of-the-administrator"
OTHER_KEY = f"k9:{base64.b64encode(os.urandom(32)).decode()}"
AT_ONCE = {"type": "fixed", "base": 0}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def guarded(start, function: Function):
    """The application with a token, which its client does not have; its function reports later."""
    function.replies(ACCEPTED)
    async with start(tokens=ADMIN) as api:
        yield api


async def call_of(api: Api, function: Function, **fields) -> Json:
    """The body of a job's first call, when the coordinator knows that it was accepted."""
    number = len(function.calls)
    answer = await api.post("/job", {"worker": "w", "backoff": AT_ONCE} | fields, headers=bearer(ADMIN))
    assert answer.status_code == 201, answer.text
    body = (await function.called(number + 1))[number].body

    async def accepted() -> Json | None:
        job = await job_of(api, body["jobId"])
        return job if job["answered"] else None

    await eventually(accepted)
    return body


async def job_of(api: Api, job_id: str) -> Json:
    answer = await api.client.get(f"/job/{job_id}", headers=bearer(ADMIN))
    found: Json = answer.json()
    return found


@pytest.mark.parametrize("way", ["body", "bearer", "header"])
async def test_a_function_reports_its_own_attempt_with_nothing_else(guarded: Api, function: Function, way: str):
    call = await call_of(guarded, function)
    body = {"token": call["token"]} if way == "body" else {}
    headers = {"bearer": bearer(call["token"]), "header": {"x-receipt-token": call["token"]}}.get(way, {})
    path = f"/job/{call['jobId']}"

    beaten = await guarded.post(f"{path}/heartbeat", body | {"progress": 5}, headers=headers)
    settled = await guarded.post(f"{path}/receipt", body | {"status": "success", "result": 1}, headers=headers)
    repeated = await guarded.post(f"{path}/receipt", body | {"status": "success", "result": 1}, headers=headers)

    assert (beaten.status_code, settled.json()["state"]) == (200, "succeeded")
    assert repeated.json()["reason"] == "already_recorded"
    assert (await job_of(guarded, call["jobId"]))["result"] == 1


async def test_no_token_is_not_enough(guarded: Api, function: Function):
    call = await call_of(guarded, function)

    for path, body in (("receipt", {"status": "success"}), ("heartbeat", {}), ("receipt", {"status": "nonsense"})):
        refusal(await guarded.post(f"/job/{call['jobId']}/{path}", body), 401, "unauthenticated")
    assert (await job_of(guarded, call["jobId"]))["state"] == "running"


async def test_a_wrong_token_of_a_call_is_refused_whatever_else_is_shown(guarded: Api, function: Function):
    call, other = await call_of(guarded, function), await call_of(guarded, function)
    token = call["token"]
    head, _, mac = token.rpartition(".")
    attempt = token.replace(".1.", ".2.", 1)
    wrong = {
        "other job": other["token"],
        "other attempt": attempt,
        "truncated": token[:-1],
        "extended": token + "A",
        "other mac": f"{head}.{'A' * 43}",
        "other key": token.replace("rt1.r0.", "rt1.k9.", 1),
        "other algorithm": token.replace("rt1.", "rt2.", 1),
        "no mac": head + ".",
        "old form": "1." + token.split(".")[3],
        "expires later": token.replace(token.split(".")[4], str(int(token.split(".")[4]) + 1), 1),
        "lower case": f"{head}.{mac.lower()}",
    }
    before = await everything(guarded)

    for name, forged in wrong.items():
        for headers in ({}, bearer(ADMIN)):
            for path, body in (("receipt", {"status": "success"}), ("heartbeat", {"extend": "1h"})):
                answer = await guarded.post(f"/job/{call['jobId']}/{path}", body | {"token": forged}, headers=headers)
                assert refusal(answer, 401, "unauthenticated"), name
        many = await guarded.post(
            "/receipt", {"receipts": [{"jobId": call["jobId"], "status": "success", "token": forged}]}
        )
        assert many.json()["items"][0]["status"] == 401, name
    unchanged = await everything(guarded)
    assert {key: unchanged[key] for key in before if b":job:" in key} == {
        key: before[key] for key in before if b":job:" in key
    }
    assert (await job_of(guarded, call["jobId"]))["attempts"] == []


async def test_the_token_of_an_older_attempt_cannot_fail_the_next(guarded: Api, function: Function):
    first = await call_of(guarded, function)
    path = f"/job/{first['jobId']}/receipt"
    await guarded.post(path, {"status": "failure", "token": first["token"]})
    second = (await function.called(2))[1].body

    refusal(await guarded.post(path, {"status": "cancelled", "token": first["token"]}), 409, "stale_receipt")

    assert second["attempt"] == 2
    assert (await job_of(guarded, first["jobId"]))["state"] == "running"


async def test_the_token_of_a_call_opens_nothing_else(guarded: Api, function: Function):
    call = await call_of(guarded, function)

    for method, path in (("GET", "/queue"), ("GET", f"/job/{call['jobId']}"), ("POST", "/job"), ("POST", "/tick")):
        answer = await guarded.client.request(method, path, headers=bearer(call["token"]), json={"worker": "w"})
        refusal(answer, 401, "unauthenticated")


async def test_keys_of_the_settings_are_used_for_what_is_new_and_all_are_believed(start, function: Function):
    function.replies(ACCEPTED)
    new = f"k10:{base64.b64encode(os.urandom(32)).decode()}"
    async with start(tokens=ADMIN, keys=f"{new},{OTHER_KEY}") as api:
        call = await call_of(api, function)
        assert call["token"].startswith("rt1.k10.1.")
        answer = await api.post(f"/job/{call['jobId']}/receipt", {"status": "success", "token": call["token"]})
        assert answer.json()["state"] == "succeeded"


async def test_in_a_batch_of_receipts_each_shows_its_own_right(guarded: Api, function: Function):
    one, other = await call_of(guarded, function), await call_of(guarded, function)
    receipts = [
        {"jobId": one["jobId"], "status": "success", "token": one["token"]},
        {"jobId": other["jobId"], "status": "success"},
    ]

    items = (await guarded.post("/receipt", {"receipts": receipts})).json()["items"]

    assert (items[0]["state"], items[1]["status"]) == ("succeeded", 401)
    assert (await job_of(guarded, other["jobId"]))["state"] == "running"


async def test_who_may_report_nothing_has_nothing_read(guarded: Api, function: Function, monkeypatch):
    """Anybody can send eight megabytes; all others would wait while they were looked through."""
    call = await call_of(guarded, function)
    read: list[str] = []

    def watch(name: str) -> None:
        original = getattr(receipts, name)

        def watched(*given: object) -> object:
            read.append(name)
            return original(*given)

        monkeypatch.setattr(receipts, name, watched)

    watch("check_nesting")
    watch("parse_receipt")
    deep = {"jobId": call["jobId"], "status": "success", "result": [[]] * 400}

    for token in (None, "rt1.r0.1.x.9999999999." + "A" * 43, 7):
        content = json.dumps({"receipts": [deep | {"token": token}]}).encode()
        answer = await guarded.post("/receipt", content=content)
        assert answer.json()["items"][0]["status"] == 401

    assert read == []
    content = json.dumps({"receipts": [deep | {"token": call["token"]}]}).encode()
    assert (await guarded.post("/receipt", content=content)).json()["items"][0]["state"] == "succeeded"
    assert read == ["check_nesting", "parse_receipt"]


async def test_a_wrong_token_in_a_receipt_of_many_is_not_helped_by_another_right(guarded: Api, function: Function):
    call = await call_of(guarded, function)
    for token in ("x" * 600, "", 7, "".join(f"\\u{ord(letter):04x}" for letter in "wrong")):
        quoted = f'"{token}"' if isinstance(token, str) else token
        content = f'{{"receipts":[{{"jobId":"{call["jobId"]}","status":"success","token":{quoted}}}]}}'.encode()
        answer = await guarded.post("/receipt", content=content, headers=bearer(ADMIN))
        assert answer.json()["items"][0]["status"] in (401, 422), token
    assert (await job_of(guarded, call["jobId"]))["state"] == "running"
