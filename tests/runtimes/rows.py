"""The rows of the table: what a coordinator and a function do together, whatever the language and the platform."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from tests.runtimes.harness import SECOND, STRANGE, Bench

ARGS = {"text": "äöü €", "list": [1, 2.5, None, True], "nested": {"a": {"b": []}}}
DEPLOYED = [
    "beats",
    "cancels",
    "fails",
    "fatal",
    "retries",
    "sleeps",
    "snoozes",
    "sorts",
    "succeeds",
    "throttled",
    "throws",
]
Check = Callable[[Bench], None]


@dataclass(frozen=True)
class Row:
    """`is_alone`: it registers a worker anew that others use, or has little time; it is run when they are over."""

    name: str
    check: Check
    is_alone: bool = False


def success(bench: Bench) -> None:
    job = bench.run("succeeds", ARGS)
    assert (job["state"], job["result"], outcomes(job)) == ("succeeded", {"echo": ARGS}, ["success"])


def failure(bench: Bench) -> None:
    job = bench.run("fails", maxAttempts=1)
    assert (job["state"], job["lastError"]["message"], outcomes(job)) == ("dead", "no such address", ["failure"])
    assert job["lastError"]["type"] == "Failure"


def throw(bench: Bench) -> None:
    job = bench.run("throws", maxAttempts=1)
    assert (job["state"], job["lastError"]["message"]) == ("dead", "boom")
    assert "throws" in job["lastError"]["stack"]


def retry(bench: Bench) -> None:
    job = bench.run("retries", maxAttempts=3, backoff={"type": "fixed", "base": "10ms", "jitter": 0})
    assert (job["state"], outcomes(job)) == ("succeeded", ["failure", "success"])
    assert pause_s(job) >= 1


def snooze(bench: Bench) -> None:
    job = bench.run("snoozes", maxAttempts=1)
    assert (job["state"], job["attempt"], outcomes(job)) == ("succeeded", 1, ["snoozed", "success"])
    assert pause_s(job) >= 1


def throttled(bench: Bench) -> None:
    queue = f"throttled-{uuid4().hex}"
    bench.request("PUT", f"/queue/{queue}", {"perKey": {"rate": {"limit": 100, "period": "1s", "burst": 100}}})
    job = bench.run("throttled", maxAttempts=1, queue=queue, key="shop")
    assert (job["state"], job["attempt"], outcomes(job)) == ("succeeded", 1, ["throttled", "success"])
    assert pause_s(job) >= 1
    # Of the 100 that the queue has, the API has 40: what the function saw of it counts from now on.
    assert bench.request("GET", f"/queue/{queue}/key/shop")["tokens"] <= 40


def fatal(bench: Bench) -> None:
    job = bench.run("fatal", maxAttempts=5)
    assert (job["state"], job["lastError"]["message"], outcomes(job)) == ("dead", "never", ["failure"])


def timeout(bench: Bench) -> None:
    job = bench.run("sleeps", {"seconds": 2}, timeout="1s", maxAttempts=1)
    assert (job["state"], job["lastError"]["type"], outcomes(job)) == ("dead", "Timeout", ["timeout"])


def heartbeat(bench: Bench) -> None:
    job = bench.run("beats", timeout="1s", maxAttempts=1)
    assert (job["state"], job["progress"], job["message"]) == ("succeeded", 50, "half"), job["attempts"]


def cancel(bench: Bench) -> None:
    job_id = bench.enqueue("cancels", maxAttempts=2)
    until = time.monotonic() + 10
    while bench.request("GET", f"/job/{job_id}")["state"] != "running":
        assert time.monotonic() < until, "it does not begin"
        time.sleep(0.02)
    bench.request("POST", f"/job/{job_id}/cancel")
    job = bench.final(job_id)
    assert (job["state"], outcomes(job)) == ("cancelled", ["cancelled"])


def batch_with_partial_failure(bench: Bench) -> None:
    asked = [{"worker": "sorts", "args": {"n": n, "fail": n == 2}, "maxAttempts": 1} for n in range(4)]
    made = bench.request("POST", "/job/batch", {"jobs": asked})["jobs"]
    jobs = [bench.final(one["id"]) for one in made]
    assert [job["result"] for job in jobs] == [{"n": 0}, {"n": 1}, None, {"n": 3}]
    assert [job["state"] for job in jobs] == ["succeeded", "succeeded", "dead", "succeeded"]
    assert jobs[2]["lastError"]["type"] == "Failure"


def batch_of_a_plain_worker(bench: Bench) -> None:
    """Each job is given to the function by itself."""
    bench.register("retries", batch={"size": 10, "window": "500ms"})
    asked = {"worker": "retries", "maxAttempts": 2, "backoff": {"type": "fixed", "base": "10ms", "jitter": 0}}
    made = bench.request("POST", "/job/batch", {"jobs": [asked] * 3})["jobs"]
    jobs = [bench.final(one["id"]) for one in made]
    assert [outcomes(job) for job in jobs] == [["failure", "success"]] * 3


def unknown_worker(bench: Bench) -> None:
    job = bench.run("nobody", maxAttempts=1)
    assert (job["state"], job["attempts"][0]["httpStatus"]) == ("dead", 404)
    assert "worker_not_deployed" in job["lastError"]["body"]
    assert "succeeds" in job["lastError"]["body"]


def ping(bench: Bench) -> None:
    told = bench.request("POST", "/worker/succeeds/ping")
    assert (told["ok"], told["httpStatus"], told["error"], told["note"]) == (True, 200, None, None)
    assert sorted(told["workers"]) == DEPLOYED


def ping_by_hand(bench: Bench) -> None:
    answer = bench.call({"ping": True, "worker": "succeeds"})
    told = answer.json()
    assert (answer.status_code, told["pong"], sorted(told["workers"])) == (200, True, DEPLOYED)
    assert told["sdk"].split()[0] in {"python", "javascript"}
    assert bench.call({"ping": True, "worker": "succeeds"}, secret=STRANGE).status_code == 401


def wrong_secret(bench: Bench) -> None:
    bench.register("wronged", secret=STRANGE)
    job = bench.run("wronged", maxAttempts=1)
    assert (job["state"], job["attempts"][0]["httpStatus"]) == ("dead", 401)
    assert "invalid_signature" in job["lastError"]["body"]


def worker_with_a_new_secret(bench: Bench) -> None:
    """The function knows only the previous one."""
    bench.register("succeeds", secret=STRANGE, previousSecret=SECOND)
    assert bench.run("succeeds")["state"] == "succeeded"


def function_with_both_secrets(bench: Bench) -> None:
    bench.register("fatal", secret=SECOND)
    assert bench.run("fatal")["lastError"]["message"] == "never"


def batch_by_hand(bench: Bench) -> None:
    """One call, and a receipt for each of its jobs."""
    jobs = [bench.job(f"batch-{n}", "sorts", {"n": n, "fail": n == 1}) for n in range(3)]
    call = {"worker": "sorts", "queue": "default", "key": None, "deadline": jobs[0]["deadline"], "jobs": jobs}
    answer = bench.call(call)
    receipts = {one["jobId"]: one for one in answer.json()["receipts"]}
    assert (answer.status_code, set(receipts)) == (200, {"batch-0", "batch-1", "batch-2"})
    assert [receipts[job["jobId"]]["status"] for job in jobs] == ["success", "failure", "success"]
    assert receipts["batch-2"]["result"] == {"n": 2}


def tampered_body(bench: Bench) -> None:
    refused(bench, tamper=True)


def old_timestamp(bench: Bench) -> None:
    refused(bench, age_s=301)


def future_timestamp(bench: Bench) -> None:
    refused(bench, age_s=-330)


def missing_signature(bench: Bench) -> None:
    refused(bench, leave_out="webhook-signature")


def refused(bench: Bench, **how: Any) -> None:
    """The call is answered 401 and nothing is run: `snoozes` snoozes a job that it sees for the first time."""
    call = bench.job(uuid4().hex, "snoozes", {})
    answer = bench.call(call, **how)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_signature")
    assert bench.call(call).json()["status"] == "snooze"
    assert bench.call(call).json()["status"] == "success"


def outcomes(job: dict[str, Any]) -> list[str]:
    return [attempt["outcome"] for attempt in job["attempts"]]


def pause_s(job: dict[str, Any]) -> float:
    first, second = job["attempts"]
    began, ended = datetime.fromisoformat(second["startedAt"]), datetime.fromisoformat(first["finishedAt"])
    return (began - ended).total_seconds()


TOGETHER: list[Check] = [
    *(success, failure, throw, retry, snooze, throttled, fatal, timeout, cancel),
    *(batch_with_partial_failure, batch_by_hand, unknown_worker, ping, ping_by_hand, wrong_secret),
    *(tampered_body, old_timestamp, future_timestamp, missing_signature),
]
ALONE: list[Check] = [heartbeat, batch_of_a_plain_worker, worker_with_a_new_secret, function_with_both_secrets]

ROWS = [Row(check.__name__, check) for check in TOGETHER] + [
    Row(check.__name__, check, is_alone=True) for check in ALONE
]
