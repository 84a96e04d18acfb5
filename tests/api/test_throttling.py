"""What functions tell of the limits of what they call, and what is told of a job that waits for them."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.harness import ACCEPTED, SUCCESS, Api, Function, Json, Reply, refusal

HOURLY = {"rate": {"limit": 1, "period": "1h", "burst": 40}}


@pytest.fixture
async def running(api: Api, function: Function) -> str:
    """A job of the key `a` whose function is yet to report; the key has 40 tokens, and next to none flow in."""
    await api.client.put("/queue/shop", json={"perKey": HOURLY})
    function.replies(ACCEPTED)
    job_id = await api.enqueue(queue="shop", key="a", cost=10)
    await function.called(1)
    await api.until(job_id, "running")
    return job_id


async def key(api: Api, name: str = "a") -> Json:
    shown: Json = (await api.client.get(f"/queue/shop/key/{name}")).json()
    return shown


@pytest.mark.parametrize(
    ("limits", "tokens", "burst"),
    [
        ({"used": 32, "max": 40}, 7, 40),
        ({"used": 5, "max": 20}, 14.5, 20),
        ({"remaining": 12, "max": 40}, 11, 40),
        ({"remaining": 12, "max": 40, "restoreRate": 50, "cost": 4}, 11, 40),
        ({"remaining": 12}, 11, 40),
        ({"max": 20}, 20, 20),
        ({"cost": 4}, 36, 40),
        ({"used": 0, "max": 400}, 30, 40),
    ],
)
@pytest.mark.parametrize("status", ["success", "failure"])
async def test_each_form_of_limits_corrects_the_bucket_of_the_key(
    api: Api, running: str, status: str, limits: Json, tokens: float, burst: float
):
    answer = await api.receipt(running, status=status, limits=limits)

    assert answer.status_code == 200
    shown = await key(api)
    assert shown["tokens"] == pytest.approx(tokens, abs=0.1)
    assert shown["burst"] == burst
    assert (await key(api, "other"))["tokens"] == 40


@pytest.mark.parametrize("kind", ["in-process"])
@pytest.mark.parametrize(
    ("limits", "path", "says"),
    [
        ({}, "limits", "tells no limits"),
        ("32/40", "limits", '{"used": 32, "max": 40}'),
        ({"used": 32}, "limits.used", "needs max beside it"),
        ({"used": 32, "remaining": 8, "max": 40}, "limits.used", "no remaining"),
        ({"used": -1, "max": 40}, "limits.used", "0 or more"),
        ({"remaining": "8", "max": 40}, "limits.remaining", "0 or more"),
        ({"remaining": 8, "max": 0}, "limits.max", "a limit of 0"),
        ({"remaining": 8, "max": 40, "restoreRate": 0}, "limits.restoreRate", "a limit of 0"),
        ({"remaining": 8, "max": 40, "cost": None}, "limits.cost", "0 or more"),
        ({"remaining": 8, "limit": 40}, "limits.limit", "unknown field"),
    ],
)
async def test_wrong_limits_are_refused_by_the_field(api: Api, running: str, limits: object, path: str, says: str):
    refusal(await api.receipt(running, status="success", limits=limits), 422, "validation_error", path, says)

    assert (await api.job(running))["state"] == "running"
    assert (await key(api))["tokens"] == pytest.approx(30, abs=0.1)


async def test_limits_inside_an_answer_count_as_well(api: Api, function: Function):
    await api.client.put("/queue/shop", json={"perKey": HOURLY})
    function.replies(Reply(200, b'{"status":"success","limits":{"used":32,"max":40}}'))

    await api.until(await api.enqueue(queue="shop", key="a"), "succeeded")

    assert (await key(api))["tokens"] == pytest.approx(7, abs=0.1)


async def test_wrong_limits_inside_an_answer_fail_the_attempt(api: Api, function: Function):
    function.replies(Reply(200, b'{"status":"success","limits":{"used":32}}'))

    job = await api.until(await api.enqueue(maxAttempts=1), "dead")

    assert job["lastError"]["type"] == "InvalidReceipt"
    assert "limits.used" in job["lastError"]["message"]


def seconds_from_now(seconds: float) -> str:
    return f"{time.time() + seconds:.0f}"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry-after": "3600"}),
        (429, {"retry-after": "3600.0"}),
        (503, {"retry-after": "3600"}),
        (429, {"x-ratelimit-reset": "in an hour"}),
        (503, {"x-ratelimit-reset": "in an hour"}),
        (429, {"x-ratelimit-reset-after": "3600"}),
        (503, {"ratelimit-reset": "3600"}),
        (429, {"retry-after": "a date"}),
    ],
)
async def test_an_answer_that_says_when_blocks_the_key_and_no_other_and_spends_no_attempt(
    api: Api, function: Function, status: int, headers: Json
):
    if "in an hour" in headers.values():
        headers = {"x-ratelimit-reset": seconds_from_now(3600)}
    if "a date" in headers.values():
        headers = {"retry-after": (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    function.replies(Reply(status, b"", headers), SUCCESS)
    throttled = await api.enqueue(queue="shop", key="a", maxAttempts=1)
    job = await api.until(throttled, "scheduled")
    assert (job["attempt"], job["throttles"]) == (0, 1)

    same, other = [await api.enqueue(queue="shop", key=name) for name in ("a", "b")]

    await api.until(other, "succeeded")
    job = await api.job(same)
    assert (job["state"], job["waitingFor"][0]["type"]) == ("queued", "retryAfter")
    # The job waits for the hour that it was told, its key for five minutes and then asks again.
    until, wait = datetime.fromisoformat((await key(api))["blockedUntil"]), timedelta(minutes=5)
    assert abs(until - datetime.now(UTC) - wait) < timedelta(seconds=30)
    assert len(function.calls) == 2


@pytest.mark.parametrize(
    ("status", "state", "throttles"), [(429, "scheduled", 1), (503, "retrying", 0), (500, "retrying", 0)]
)
async def test_without_a_time_only_429_is_a_throttle(
    api: Api, function: Function, status: int, state: str, throttles: int
):
    function.replies(Reply(status))

    job = await api.until(await api.enqueue(queue="shop", key="a"), state)

    assert job["throttles"] == throttles
    assert ((await key(api))["blockedUntil"] is not None) == bool(throttles)


async def test_a_receipt_that_says_throttled_blocks_the_key_as_long(api: Api, running: str):
    await api.receipt(running, status="throttled", retryAfter="1m", limits={"used": 40, "max": 40})

    waits = await api.enqueue(queue="shop", key="a")

    reasons = (await api.job(waits))["waitingFor"]
    assert [reason["type"] for reason in reasons] == ["retryAfter", "limit", "turn"]
    assert reasons[0]["until"] == (await key(api))["blockedUntil"]


# What `waitingFor` tells of each kind.


async def only(api: Api, job_id: str) -> Json:
    """The one thing that a job waits for, beside its turn."""
    (reason,) = [reason for reason in (await api.job(job_id))["waitingFor"] if reason["type"] != "turn"]
    found: Json = reason
    return found


async def test_a_job_waits_for_its_time(api: Api):
    job = await api.job(await api.enqueue(delay="1h"))
    assert job["waitingFor"] == [{"type": "runAt", "until": job["runAt"]}]


async def test_a_job_waits_for_a_pause_to_end(api: Api):
    await api.client.post("/queue/shop/pause")
    job_id = await api.enqueue(queue="shop", key="a")
    assert await only(api, job_id) == {"type": "paused", "queue": "shop"}
    await api.client.post("/queue/shop/key/a/pause")
    await api.client.post("/queue/shop/resume")
    assert await only(api, job_id) == {"type": "paused", "queue": "shop", "key": "a"}


async def test_a_job_waits_for_a_slot(api: Api, function: Function):
    await api.client.put("/queue/shop", json={"concurrency": 1})
    function.replies(ACCEPTED)
    await api.until(await api.enqueue(queue="shop"), "running")
    assert await only(api, await api.enqueue(queue="shop")) == {"type": "concurrency", "queue": "shop", "limit": 1}


async def test_a_job_waits_for_tokens_until_there_are_enough(api: Api, running: str):
    reason = await only(api, await api.enqueue(queue="shop", key="a", cost=31))
    until = datetime.fromisoformat(reason.pop("until"))
    assert reason == {"type": "limit", "queue": "shop", "key": "a"}
    assert timedelta(minutes=55) < until - datetime.now(UTC) <= timedelta(hours=1)


async def test_a_job_waits_for_a_circuit(api: Api, function: Function):
    await api.client.put("/queue/shop", json={"circuit": {"failures": 1, "open": "1h"}})
    function.replies(Reply(500))
    await api.until(await api.enqueue("bad", queue="shop", maxAttempts=1), "dead")
    waits = await api.enqueue("bad", queue="shop")

    reason = await only(api, waits)

    (circuit,) = (await api.client.get("/queue/shop")).json()["circuits"]
    assert reason == {"type": "circuit", "worker": "bad", "until": circuit["openUntil"]}


async def test_a_job_waits_for_its_turn(api: Api, running: str):
    # Those that came in the same millisecond go by their ids, which chance makes.
    first, second = [await api.enqueue(queue="shop", key="a", cost=40, priority=at) for at in (1, 2)]

    async def turn(job_id: str) -> Json:
        found: Json = (await api.job(job_id))["waitingFor"][-1]
        return found

    assert await turn(first) == {"type": "turn", "queue": "shop", "key": "a", "ahead": 0}
    assert await turn(second) == {"type": "turn", "queue": "shop", "key": "a", "ahead": 1}


async def test_a_job_that_runs_waits_for_nothing(api: Api, running: str):
    assert (await api.job(running))["waitingFor"] == []
