"""How often one may come: token buckets and tallies by themselves, and what the API answers whoever is over them."""

import itertools
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.api.operations import OPERATIONS
from coordinator.api.rate_limit import NEVER_SHED, RateLimit, Shedding, Tally
from tests.api.harness import Api, refusal, resting

JOB = {"worker": "a", "delay": "1h"}


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def guarded(clock: Clock) -> AsyncIterator[Api]:
    """The application with two tokens, two requests a second of each; its client has none."""
    async with resting(tokens="first-token,second-token") as api:
        api.app.state["shedding"] = Shedding(2, clock)
        yield api


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


FIRST, SECOND = bearer("first-token"), bearer("second-token")


async def guess(api: Api, token: str = "wrong", address: str = "") -> httpx.Response:
    """A request with a wrong token, or any other, from an address."""
    if not address:
        return await api.client.get("/queue", headers=bearer(token))
    app: Any = api.app  # The framework's type of it is narrower than the client's.
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/queue", headers=bearer(token))


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate():
    limit = RateLimit(10, 20)

    assert [limit.take("a", 5.0) for _ in range(20)] == [0] * 20
    assert limit.take("a", 5.0) == pytest.approx(0.1)
    assert limit.take("a", 5.06) == pytest.approx(0.04)
    assert limit.take("a", 5.1) == 0
    assert limit.take("a", 5.1) == pytest.approx(0.1)


def test_who_is_refused_pays_nothing_for_it():
    limit = RateLimit(1, 1)
    limit.take("a", 0.0)

    assert all(limit.take("a", 0.5) for _ in range(100))
    assert limit.take("a", 1.0) == 0


def test_each_name_has_a_bucket_of_its_own():
    limit = RateLimit(1, 1)

    assert [limit.take(name, 0.0) for name in "abab"] == [0, 0, 1, 1]


def test_buckets_are_bounded_and_who_came_longest_ago_is_forgotten():
    limit = RateLimit(1, 1, most=2)
    for name in "abac":
        limit.take(name, 0.0)

    assert limit.take("a", 0.0) > 0
    assert limit.take("b", 0.0) == 0


@given(
    rate=st.sampled_from([0.5, 3, 7, 1000]),
    burst=st.integers(1, 9),
    pauses=st.lists(st.floats(0, 3), max_size=60),
)
def test_no_window_has_more_than_its_burst_and_its_rate_and_who_waits_as_told_passes(
    rate: float, burst: int, pauses: list[float]
):
    limit, now, taken = RateLimit(rate, burst), 1e6, []
    for pause in pauses:
        now += pause / rate
        wait_s = limit.take("a", now)
        if wait_s:
            now += wait_s
            assert limit.take("a", now + 1e-9) == 0
        taken.append(now)

    for at, since in enumerate(taken):
        for count, until in enumerate(taken[at:], 1):
            assert count <= burst + (until - since) * rate + 1e-3


def test_a_tally_counts_within_a_window_and_begins_anew_after_it():
    tally = Tally(60)

    assert [tally.add("a", now) for now in (0, 1, 59.5)] == [(1, 60), (2, 59), (3, 0.5)]
    assert tally.add("b", 59.5) == (1, 60)
    assert tally.add("a", 60) == (1, 60)


def test_tallies_are_bounded_and_the_oldest_is_forgotten():
    tally = Tally(60, most=2)
    for name in "aab":
        tally.add(name, 0)
    tally.add("c", 1)

    assert tally.add("b", 2)[0] == 2
    assert tally.add("a", 2)[0] == 1


def test_who_is_never_shed_is_a_handler():
    assert set(OPERATIONS) >= NEVER_SHED


async def test_who_comes_too_often_is_refused_by_its_token_until_there_is_room(guarded: Api, clock: Clock):
    for _ in range(4):
        assert (await guarded.client.post("/job", json=JOB, headers=FIRST)).status_code == 201
    answer = await guarded.client.post("/job", json=JOB, headers=FIRST)

    refusal(answer, 429, "rate_limited", says="more than 2 requests a second")
    told = {name: answer.headers[name] for name in answer.headers if name.startswith(("ratelimit", "retry"))}
    assert told == {"retry-after": "1", "ratelimit-limit": "2", "ratelimit-remaining": "0", "ratelimit-reset": "1"}
    assert "first-token" not in answer.text
    assert (await guarded.client.get("/queue/default", headers=SECOND)).json()["scheduled"] == 4
    clock.now += 0.5
    assert (await guarded.client.post("/job", json=JOB, headers=FIRST)).status_code == 201


async def test_receipts_heartbeats_and_probes_are_never_shed(guarded: Api):
    for _ in range(5):
        answer = await guarded.client.get("/queue", headers=FIRST)
    assert answer.status_code == 429

    for method, path, status in (
        ("POST", "/job/x/receipt", 404),
        ("POST", "/job/x/heartbeat", 422),
        ("POST", "/receipt", 422),
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
    ):
        answer = await guarded.client.request(method, path, headers=FIRST, json={"status": "success"})
        assert answer.status_code == status, (path, answer.text)


async def test_without_tokens_or_with_a_rate_of_0_any_number_is_answered(idle: Api, guarded: Api, clock: Clock):
    idle.app.state["shedding"] = Shedding(1, clock)
    guarded.app.state["shedding"] = Shedding(0, clock)

    for _ in range(9):
        assert (await idle.client.get("/queue")).status_code == 200
        assert (await guarded.client.get("/queue", headers=FIRST)).status_code == 200


async def test_many_wrong_tokens_of_an_address_are_answered_429_and_a_right_one_passes(guarded: Api, clock: Clock):
    for number in range(10):
        refusal(await guess(guarded, f"wrong-{number}"), 401, "unauthenticated")
    clock.now += 20

    answer = await guess(guarded)

    refusal(answer, 429, "rate_limited", says="a right one passes")
    assert (answer.headers["retry-after"], answer.headers["ratelimit-limit"]) == ("40", "10")
    assert (await guess(guarded, "first-token")).status_code == 200
    refusal(await guess(guarded, address="192.0.2.7"), 401, "unauthenticated")
    clock.now += 40
    refusal(await guess(guarded), 401, "unauthenticated")


async def test_a_missing_token_does_not_count(guarded: Api):
    for header in ("", "Bearer", "Bearer ", "Basic eDp5"):
        for _ in range(11):
            answer = await guarded.client.get("/queue", headers={"authorization": header} if header else {})
            refusal(answer, 401, "unauthenticated")

    refusal(await guess(guarded), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["2001:db8::1", "2001:db8::2"], 429),
        (["2001:db8::1", "2001:db8:0:1::1"], 401),
        (["::ffff:192.0.2.1", "::ffff:192.0.2.2"], 401),
        (["fe80::1%eth0", "fe80::2%eth0"], 429),
        (["192.0.2.1", "192.0.2.2"], 401),
    ],
)
async def test_who_has_a_network_of_ipv6_is_one(guarded: Api, addresses: list[str], status: int):
    for _ in range(10):
        await guess(guarded, address=addresses[0])

    assert (await guess(guarded, address=addresses[1])).status_code == status


async def test_it_is_logged_once_a_minute_and_address_without_the_token(
    guarded: Api, clock: Clock, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "coordinator.api.rate_limit"):
        for _, address in itertools.product(range(20), ("192.0.2.1", "192.0.2.2")):
            await guess(guarded, "mistyped-secret", address)
        clock.now += 60
        for _ in range(20):
            await guess(guarded, "mistyped-secret", "192.0.2.1")

    told = [(record.levelname, vars(record)["address"]) for record in caplog.records]
    assert told == [("WARNING", "192.0.2.1"), ("WARNING", "192.0.2.2"), ("WARNING", "192.0.2.1")]
    assert "mistyped" not in json.dumps([vars(record) for record in caplog.records], default=str)
