"""`/worker`: where the functions are."""

import base64

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from coordinator.calling.request import RESERVED_HEADERS
from tests.api.conftest import Start
from tests.api.harness import Api, Function, Json, refusal

URL = "https://example.com/run"
PLAIN = {"url": URL, "ack": "receipt", "headers": {}, "timeoutMs": None, "queue": None, "secret": None} | dict.fromkeys(
    ("previousSecret", "auth", "batch", "owner")
)
"""A worker of which nothing but its URL was given, without its name."""

NEW, OLD = (f"whsec_{base64.b64encode(bytes([fill]) * 32).decode()}" for fill in (1, 2))


async def test_a_worker_is_new_once(api: Api):
    shown = {"name": "a"} | PLAIN

    created = await api.client.put("/worker/a", json={"url": URL})
    replaced = await api.client.put("/worker/a", json={"url": URL})

    assert (created.status_code, created.json()) == (201, shown)
    assert (replaced.status_code, replaced.json()) == (200, shown)
    assert (await api.client.get("/worker/a")).json() == shown
    assert (await api.client.get("/worker")).json() == {"items": [shown]}


async def test_what_a_worker_is_replaced_by_is_all_that_it_has(api: Api):
    full = {"url": URL, "ack": "response", "headers": {"x-key": "1"}, "timeout": "30s", "queue": "mail"}
    shown = (await api.client.put("/worker/a", json=full)).json()
    assert (shown["ack"], shown["timeoutMs"], shown["queue"]) == ("response", 30_000, "mail")

    shown = (await api.client.put("/worker/a", json={"url": URL})).json()

    assert shown == {"name": "a"} | PLAIN


async def test_header_values_are_sent_and_never_shown(api: Api, function: Function):
    headers = {"Authorization": "Bearer s3cret", "x-empty": ""}

    put = await api.client.put("/worker/a", json={"url": function.url, "headers": headers})
    await api.until(await api.enqueue("a"), "succeeded")

    assert put.json()["headers"] == {"Authorization": "[hidden]", "x-empty": "[hidden]"}
    for answer in (await api.client.get("/worker"), await api.client.get("/worker/a"), put):
        assert "s3cret" not in answer.text
    assert function.calls[0].headers["authorization"] == "Bearer s3cret"


async def test_calls_are_signed_with_the_new_secret_and_the_one_that_it_replaces(api: Api, function: Function):
    body = {"url": function.url, "secret": NEW, "previousSecret": OLD}

    put = await api.client.put("/worker/a", json=body)
    await api.until(await api.enqueue("a"), "succeeded")

    assert (put.json()["secret"], put.json()["previousSecret"]) == ("[hidden]", "[hidden]")
    (call,) = function.calls
    for secret in (NEW, OLD):
        Webhook(secret).verify(call.raw, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(call.raw, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(call.raw + b" ", call.headers)


async def test_without_a_secret_nothing_is_signed(api: Api, function: Function):
    await api.until(await api.enqueue("a"), "succeeded")

    assert "webhook-signature" not in function.calls[0].headers


async def test_the_entry_point_of_the_settings_has_its_secrets_from_there(start: Start, function: Function):
    async with start(worker_secret=f"{NEW}, {OLD}") as api:
        await api.until(await api.enqueue("a"), "succeeded")

    for secret in (NEW, OLD):
        Webhook(secret).verify(function.calls[0].raw, function.calls[0].headers)


async def test_a_hidden_value_cannot_be_put_back(api: Api):
    """Who reads a worker, changes its URL and puts it back would lose the secret without a word."""
    await api.client.put("/worker/a", json={"url": URL, "headers": {"x-key": "s3cret"}})
    shown = (await api.client.get("/worker/a")).json()

    answer = await api.client.put("/worker/a", json={"url": URL, "headers": shown["headers"]})

    refusal(answer, 422, "validation_error", "headers.x-key", "give the value")


@pytest.mark.parametrize("name", ["a/b", "team/mail/send", "a.b:c-d_e", "0"])
async def test_names_may_hold_slashes(api: Api, function: Function, name: str):
    assert (await api.client.put(f"/worker/{name}", json={"url": function.url})).json()["name"] == name
    assert (await api.client.get(f"/worker/{name}")).status_code == 200

    await api.until(await api.enqueue(name), "succeeded")

    assert function.calls[0].body["worker"] == name
    assert (await api.client.delete(f"/worker/{name}")).status_code == 204
    refusal(await api.client.get(f"/worker/{name}"), 404, "worker_not_found")


async def test_the_star_serves_every_other_name(start: Start, function: Function):
    async with start(worker_url="") as api:
        refusal(await api.post("/job", {"worker": "any"}), 422, "unknown_worker", "worker", "PUT /worker/any")
        answer = await api.client.put("/worker/*", json={"url": function.url})
        assert (answer.status_code, answer.json()["name"]) == (201, "*")

        await api.until(await api.enqueue("any"), "succeeded")
        assert (await api.client.delete("/worker/*")).status_code == 204

        refusal(await api.post("/job", {"worker": "any"}), 422, "unknown_worker", "worker", "COORDINATOR_WORKER_URL")
    assert [call.body["worker"] for call in function.calls] == ["any"]


async def test_a_worker_of_its_own_goes_before_the_star(api: Api, function: Function):
    await api.client.put("/worker/*", json={"url": function.url, "headers": {"x-from": "star"}})
    await api.client.put("/worker/a", json={"url": function.url, "headers": {"x-from": "a"}})

    await api.until(await api.enqueue("a"), "succeeded")
    await api.until(await api.enqueue("b"), "succeeded")

    assert [call.headers["x-from"] for call in function.calls] == ["a", "star"]


async def test_a_schedule_needs_a_known_worker_too(start: Start):
    async with start(worker_url="") as api:
        answer = await api.post("/job", {"worker": "any", "cron": "@daily"})

    refusal(answer, 422, "unknown_worker", "worker")


async def test_the_workers_defaults_stand_in_for_what_a_job_leaves_out(api: Api, function: Function):
    function.hold()
    await api.client.put("/worker/a", json={"url": function.url, "timeout": "1h", "queue": "mail"})

    schedule = await api.job(await api.enqueue("a", cron="@daily"))
    own = await api.job(await api.enqueue("a", cron="@daily", timeout="2h", queue="own"))

    assert (schedule["timeoutMs"], schedule["queue"]) == (3_600_000, "mail")
    assert (own["timeoutMs"], own["queue"]) == (7_200_000, "own")


async def test_who_is_not_registered_cannot_be_removed(api: Api):
    refusal(await api.client.delete("/worker/nobody"), 404, "worker_not_found", says="'nobody'")


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"url": None}, "url", "expected text"),
        ({"url": "example.com/run"}, "url", "host"),
        ({"url": "ftp://example.com/"}, "url", "http or https"),
        ({"url": "http:///run"}, "url", "host"),
        ({"url": "http://exa mple.com/"}, "url", "host"),
        ({"url": "http://u:p@example.com/"}, "url", "send them in headers"),
        ({"url": "http://example.com/#top"}, "url", "fragment"),
        ({"url": "http://example.com:99999/"}, "url", "Port out of range"),
        ({"url": "http://" + "a" * 2048}, "url", "2048"),
        ({"ack": "maybe"}, "ack", "maybe"),
        ({"timeout": "1ms"}, "timeout", "the least is 1s"),
        ({"timeout": "2d"}, "timeout", "the most is 1d"),
        ({"queue": "a/b"}, "queue", "is not a name"),
        ({"header": {}}, "header", "did you mean headers?"),
        ({"headers": {"x-key": 1}}, "headers.x-key", "expected text"),
        ({"headers": {"x key": "1"}}, "headers.x key", "cannot be the name"),
        ({"headers": {"": "1"}}, "headers.", "cannot be the name"),
        ({"headers": {"x-key": "a\r\nb: c"}}, "headers.x-key", "one line of printable ASCII"),
        ({"headers": {"x-key": "ü"}}, "headers.x-key", "printable ASCII"),
        ({"headers": {"webhook-id": "1"}}, "headers.webhook-id", "leave it out"),
        ({"headers": {"Host": "x"}}, "headers.Host", "leave it out"),
        ({"headers": {f"x-{n}": "1" for n in range(33)}}, "headers", "32"),
        ({"secret": "s3cret"}, "secret", "has to begin with whsec_; make one with"),
        ({"secret": "whsec_***"}, "secret", "is not base64"),
        ({"secret": "whsec_c2hvcnQ="}, "secret", "holds 5 bytes, and 24 to 64 bytes are wanted"),
        ({"secret": "[hidden]"}, "secret", "give the value"),
        ({"secret": NEW, "previousSecret": "whsec_"}, "previousSecret", "holds 0 bytes"),
        ({"previousSecret": OLD}, "previousSecret", "give the new one as secret"),
        ({"batch": {}}, "batch.size", "is required"),
        ({"batch": {"size": 0}}, "batch.size", ">= 1"),
        ({"batch": {"size": 101}}, "batch.size", "<= 100"),
        ({"batch": {"size": 5, "window": "1m"}}, "batch.window", "the most is 10s"),
        ({"batch": {"size": 5, "wait": "1s"}}, "batch.wait", "is not a field"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(idle: Api, fields: Json, path: str, says: str):
    refusal(await idle.client.put("/worker/a", json={"url": URL} | fields), 422, "validation_error", path, says)

    assert (await idle.client.get("/worker")).json() == {"items": []}


async def test_no_reserved_header_can_be_set(idle: Api):
    for name in sorted(RESERVED_HEADERS):
        answer = await idle.client.put("/worker/a", json={"url": URL, "headers": {name.title(): "1"}})
        refusal(answer, 422, "validation_error", f"headers.{name.title()}")


@pytest.mark.parametrize("name", ["-a", "a b", "**", "a" * 129, "a%0A"])
async def test_a_worker_needs_a_proper_name(idle: Api, name: str):
    path = f"/worker/{name}"
    for answer in (
        await idle.client.get(path),
        await idle.client.put(path, json={"url": URL}),
        await idle.client.delete(path),
    ):
        refusal(answer, 422, "validation_error", "name", "is not a worker name")
