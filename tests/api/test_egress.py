"""Workers are refused where they may not be, at once where that is known, and else at their calls."""

import pytest

from coordinator.domain.worker import Batching, Worker
from tests.api.conftest import Start
from tests.api.harness import Api, Function, refusal

OWN_PLACES = [
    ("https://10.0.0.1/", "10.0.0.1 is private; a worker may not be there"),
    ("https://169.254.169.254/", "is the metadata service of a cloud"),
    ("http://[::1]/", "is loopback"),
    ("https://127.1/", "is no address in its usual form"),
    ("https://[::ffff:127.0.0.1]/", "in the form of an IPv6 one"),
    ("http://8.8.8.8/", "use https, or list the host in COORDINATOR_EGRESS_ALLOW"),
    ("https://8.8.8.8:6379/", "use one of 80, 443, 8080, 8443"),
]


@pytest.mark.parametrize(("url", "says"), OWN_PLACES)
async def test_a_worker_is_refused_where_it_may_not_be(idle: Api, url: str, says: str):
    refusal(await idle.client.put("/worker/a", json={"url": url}), 422, "validation_error", "url", says)
    declared = {"owner": "app", "workers": {"b": {"url": "https://8.8.8.8/"}, "a": {"url": url}}}
    for query in ("", "?dryRun=true"):
        answer = await idle.post(f"/sync{query}", declared)
        refusal(answer, 422, "validation_error", "workers.a.url", says)

    assert (await idle.client.get("/worker")).json() == {"items": []}


async def test_a_name_that_leads_inside_is_refused(start: Start):
    async with start(egress_allow="") as api:
        answer = await api.client.put("/worker/a", json={"url": "https://localhost/"})

    refusal(answer, 422, "validation_error", "url", "where localhost leads, is loopback")


@pytest.mark.parametrize("url", ["https://absent.invalid/", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/"])
async def test_what_is_public_or_not_known_yet_is_accepted(idle: Api, url: str):
    assert (await idle.client.put("/worker/a", json={"url": url})).status_code == 201
    assert (await idle.post("/sync", {"owner": "app", "workers": {"b": {"url": url}}})).status_code == 200


async def test_a_worker_that_was_registered_when_it_was_allowed_is_not_called_any_more(
    start: Start, function: Function
):
    """The list of an operator holds for what is registered already, and for pings."""
    async with start(egress_allow="", worker_url="") as api:
        await api.app.state["replica"].store.workers.put("a", Worker(function.url))
        job = await api.until(await api.enqueue("a", maxAttempts=1), "dead")
        pinged = (await api.post("/worker/a/ping")).json()

    assert job["lastError"]["type"] == pinged["error"]["type"] == "EgressRefused"
    assert "127.0.0.1 is loopback" in job["lastError"]["message"]
    assert function.calls == []


async def test_the_function_of_the_settings_is_open_without_being_listed(start: Start, function: Function):
    async with start(egress_allow="") as api:
        await api.until(await api.enqueue("any"), "succeeded")

    assert len(function.calls) == 1


async def test_the_members_of_a_joint_call_are_each_refused(start: Start, function: Function):
    async with start(egress_allow="", worker_url="") as api:
        worker = Worker(function.url, batch=Batching(2, 10))
        await api.app.state["replica"].store.workers.put("a", worker)
        jobs = [await api.until(await api.enqueue("a", maxAttempts=1), "dead") for _ in range(2)]

    assert [job["lastError"]["type"] for job in jobs] == ["EgressRefused"] * 2
