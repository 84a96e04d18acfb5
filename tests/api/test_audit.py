"""Who has changed what: what is noted, what is not, and that nobody's answer depends on it."""

import logging

import pytest

from coordinator.errors import StoreUnavailable
from coordinator.store.audit import AuditEntry
from tests.api.harness import Api, Json, refusal, resting

ADMIN = "token-of-the-administrator"


@pytest.fixture
async def api():
    async with resting(tokens=ADMIN) as api:
        api.client.headers.update({"authorization": f"Bearer {ADMIN}"})
        yield api


async def entries(api: Api, query: str = "") -> list[Json]:
    """What was noted, when all of it is kept."""
    await api.app.state["auditor"].drain()
    items: list[Json] = (await api.client.get(f"/audit{query}")).json()["items"]
    return items


async def test_a_change_is_noted_with_its_token_and_place(api: Api):
    await api.client.put("/queue/mail", json={"concurrency": 1})
    await api.post("/queue/mail/pause")

    newest, oldest = await entries(api)

    (known,) = (await api.client.get("/token")).json()["items"]
    assert (newest["action"], newest["path"], newest["status"]) == ("pause_queue", "/queue/mail/pause", 200)
    assert (oldest["action"], oldest["path"], oldest["status"]) == ("put_queue", "/queue/mail", 200)
    assert newest["token"] == oldest["token"] == known["id"]
    assert newest["address"] == "127.0.0.1"


async def test_what_changes_nothing_is_not_noted(api: Api):
    await api.client.get("/queue")
    await api.enqueue(delay="1h")
    refusal(await api.client.put("/queue/mail", json={"concurrency": "many"}), 422, "validation_error")
    refusal(await api.client.delete("/queue/none"), 404, "queue_not_found")
    refusal(await api.client.delete("/queue/none", headers={"authorization": "Bearer x"}), 401, "unauthenticated")

    assert await entries(api) == []


async def test_making_and_revoking_tokens_is_noted_without_them(api: Api, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    made = (await api.post("/token", {"name": "t", "scopes": ["read"]})).json()
    await api.client.delete(f"/token/{made['id']}")

    noted = await entries(api)

    assert [entry["action"] for entry in noted] == ["revoke_token", "make_token"]
    assert {entry["path"] for entry in noted} == {f"/token/{made['id']}"}
    assert made["token"] not in str(noted) + caplog.text
    assert ADMIN not in str(noted) + caplog.text


async def test_the_list_is_read_page_by_page(api: Api):
    for number in range(5):
        await api.post(f"/queue/q{number}/pause")
        await api.app.state["auditor"].drain()

    first = (await api.client.get("/audit?limit=3")).json()
    last = (await api.client.get(f"/audit?limit=3&cursor={first['cursor']}")).json()

    paths = [entry["path"] for entry in first["items"] + last["items"]]
    assert paths == [f"/queue/q{number}/pause" for number in (4, 3, 2, 1, 0)]
    assert last["cursor"] is None
    refusal(await api.client.get("/audit?cursor=-1"), 422, "validation_error", "cursor")


async def test_the_oldest_give_way(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coordinator.store.audit.KEPT", 3)
    store = api.app.state["replica"].store.audit
    for number in range(5):
        await store.add(AuditEntry(number, "t", "a", "/", 200, ""))

    assert [entry.at for entry in await store.page(0, 10)] == [4, 3, 2]


async def test_a_list_that_cannot_be_written_costs_nobody_an_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The log has it all the same."""
    caplog.set_level(logging.INFO)

    async def away(_: AuditEntry) -> None:
        raise StoreUnavailable("redis_unavailable", "gone")

    monkeypatch.setattr(api.app.state["replica"].store.audit, "add", away)

    assert (await api.post("/queue/mail/pause")).status_code == 200
    await api.app.state["auditor"].drain()
    assert [record.message for record in caplog.records if record.name.endswith("audit")] == [
        "pause_queue",
        "an entry of the audit log could not be kept",
    ]


async def test_a_schedule_is_noted_by_whatever_way_it_was_made(api: Api):
    schedule_id = await api.enqueue(cron="@daily")
    await api.post("/job?dryRun=true", {"worker": "w", "cron": "@daily"})
    await api.enqueue(delay="1h")

    (noted,) = await entries(api)

    assert (noted["action"], noted["path"]) == ("enqueue_job", f"/job/{schedule_id}")
