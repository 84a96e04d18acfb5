"""`GET /dead`: why jobs died, those of one reason together."""

import asyncio
import json

from coordinator.api import dead_looks, listing
from coordinator.store.connection import Connection
from tests.api.harness import Reply, refusal

TOKEN = "secret-of-the-admin-0123456789abcdef"


def failing(message, kind=None):
    error = {"message": message} | ({"type": kind} if kind else {})
    return Reply(body=json.dumps({"status": "failure", "error": error, "retryable": False}).encode())


async def die(api, function, message, *, worker="send-email", kind=None, **fields):
    function.replies(failing(message, kind))
    return await api.until(await api.enqueue(worker, **fields), "dead")


async def test_jobs_that_died_of_the_same_are_one_group(api, function):
    await die(api, function, "no user 17", kind="NotFound")
    last = await die(api, function, "no user 4", kind="NotFound")
    await die(api, function, "no user 4", kind="NotFound", queue="mail")
    await die(api, function, "the printer is on fire", worker="print")

    answer = (await api.client.get("/dead")).json()

    assert (answer["looked"], answer["isTruncated"]) == (4, False)
    assert [(one["queue"], one["worker"], one["count"]) for one in answer["groups"]] == [
        ("default", "send-email", 2),
        ("default", "print", 1),
        ("mail", "send-email", 1),
    ]
    group = answer["groups"][0]
    assert group["error"] == {"type": "NotFound", "message": "no user #"}
    assert (group["jobId"], group["lastAt"]) == (last["id"], last["finishedAt"])
    found = await api.client.get("/job", params={"error~": group["match"], "queue": "default", "state": "dead"})
    assert len(found.json()["items"]) == 2


async def test_one_queue_or_worker_alone_is_told(api, function):
    await die(api, function, "a")
    await die(api, function, "b", queue="mail")
    await die(api, function, "c", worker="print", queue="mail")

    async def told(query):
        return [one["error"]["message"] for one in (await api.client.get(f"/dead?{query}")).json()["groups"]]

    assert sorted(await told("queue=mail")) == ["b", "c"]
    assert await told("queue=mail&worker=print") == ["c"]
    assert await told("queue=other") == []


async def test_more_than_can_be_looked_at_is_said_to_be_more(api, function, monkeypatch):
    monkeypatch.setattr(dead_looks, "KEPT_TIMES", 0)
    for message in ("aaaa", "bbbb", "cccc"):
        await die(api, function, message)

    assert (await api.client.get("/dead?limit=2")).json()["isTruncated"]
    monkeypatch.setattr(dead_looks, "LOOK_MOST", 2)
    answer = (await api.client.get("/dead")).json()
    assert (len(answer["groups"]), answer["looked"], answer["isTruncated"]) == (2, 2, True)


async def test_what_is_redacted_is_not_told(start, function):
    async with start(redact="message") as api:
        await die(api, function, "the secret of 17")

        (group,) = (await api.client.get("/dead")).json()["groups"]
        assert (group["error"]["message"], group["match"]) == ("[redacted]", None)


async def test_a_token_of_some_queues_has_to_name_one(start):
    async with start(tokens=TOKEN) as api:
        api.client.headers["authorization"] = f"Bearer {TOKEN}"
        made = await api.post("/token", {"name": "m", "scopes": ["read"], "queues": ["mail"]})
        bearer = {"authorization": f"Bearer {made.json()['token']}"}
        refusal(await api.client.get("/dead", headers=bearer), 403, "forbidden")
        assert (await api.client.get("/dead?queue=mail", headers=bearer)).json()["groups"] == []


async def test_a_token_of_some_queues_does_not_see_jobs_that_call_others(start, function):
    async with start(tokens=TOKEN) as api:
        api.client.headers["authorization"] = f"Bearer {TOKEN}"
        after = {"worker": "tell", "queue": "bills"}
        for fields in ({}, {"onFailure": after}):
            await die(api, function, "no user 4", queue="mail", **fields)
        made = await api.post("/token", {"name": "m", "scopes": ["read"], "queues": ["mail"]})
        bearer = {"authorization": f"Bearer {made.json()['token']}"}

        seen = (await api.client.get("/dead?queue=mail", headers=bearer)).json()
        whole = (await api.client.get("/dead?queue=mail")).json()

        assert [(answer["looked"], answer["groups"][0]["count"]) for answer in (seen, whole)] == [(1, 1), (2, 2)]


async def test_a_look_that_finds_nothing_has_an_end(api, function, monkeypatch):
    monkeypatch.setattr(dead_looks, "PAGES_MOST", 2)
    monkeypatch.setattr(listing, "LISTS_LIMIT", 1)
    for queue in ("a", "b", "c"):
        await die(api, function, "no user 4", queue=queue)

    nothing = {"groups": [], "looked": 0, "isTruncated": True}
    assert (await api.client.get("/dead?worker=print")).json() == nothing
    monkeypatch.setattr(dead_looks, "LOOK_S", 0)
    assert (await api.client.get("/dead")).json()["looked"] == 1


async def test_those_who_ask_for_the_same_share_a_look(api, monkeypatch):
    monkeypatch.setattr(dead_looks, "KEPT_TIMES", 10**6)
    ran = []
    original = Connection.run

    async def counted(self, script, *given, **values):
        ran.append(script)
        return await original(self, script, *given, **values)

    monkeypatch.setattr(Connection, "run", counted)
    answers = await asyncio.gather(*(api.client.get("/dead?queue=mail") for _ in range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert ran.count("list_jobs") == 1
    await api.client.get("/dead?queue=other")
    assert ran.count("list_jobs") == 2
