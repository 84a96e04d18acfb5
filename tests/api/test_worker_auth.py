"""`/worker` with `auth`, and with secrets that stand in the environment of the replicas."""

import base64
import sys

import pytest

from tests.api.harness import Api, Function, Json, refusal

URL = "https://example.com/run?key=1"
SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
AWS = {"type": "aws-sigv4", "region": "eu-central-1"}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TOKEN", "t0ken"), ("SIGNING", SECRET), ("SPACED", "a b"), ("LINES", "a\nb")):
        monkeypatch.setenv(f"COORDINATOR_SECRET_{name}", value)


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"type": "bearer", "token": "s3cret"}, {"type": "bearer", "token": "[hidden]"}),
        ({"type": "bearer", "token": "env:TOKEN"}, {"type": "bearer", "token": "env:TOKEN"}),
        ({"type": "google-id-token"}, {"type": "google-id-token", "audience": "https://example.com/run"}),
        ({"type": "google-id-token", "audience": "me"}, {"type": "google-id-token", "audience": "me"}),
        (AWS, AWS | {"service": "lambda"} | dict.fromkeys(("accessKeyId", "secretAccessKey", "sessionToken"))),
        (
            AWS | {"service": "execute-api", "accessKeyId": "s3cret", "secretAccessKey": "env:TOKEN"},
            AWS
            | {"service": "execute-api", "accessKeyId": "[hidden]"}
            | {"secretAccessKey": "env:TOKEN", "sessionToken": None},
        ),
    ],
)
async def test_auth_is_shown_without_its_secrets(idle: Api, auth: Json, shown: Json):
    put = await idle.client.put("/worker/a", json={"url": URL, "auth": auth})

    assert (put.status_code, put.json()["auth"]) == (201, shown)
    assert (await idle.client.get("/worker/a")).json() == put.json()
    assert "s3cret" not in (await idle.client.get("/worker")).text


async def test_references_are_shown_and_can_be_put_back(idle: Api):
    body = {
        "url": URL,
        "headers": {"x-key": "env:TOKEN"},
        "secret": "env:SIGNING",
        "previousSecret": "env:SIGNING",
        "auth": {"type": "bearer", "token": "env:TOKEN"},
    }
    shown = (await idle.client.put("/worker/a", json=body)).json()

    assert {name: shown[name] for name in body} == body
    again = {name: value for name, value in shown.items() if value is not None and name != "name"}
    assert (await idle.client.put("/worker/a", json=again)).json() == shown


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"auth": {"type": "oauth"}}, "auth.type", "'oauth' is none of bearer, google-id-token, aws-sigv4"),
        ({"auth": {}}, "auth.type", "is required"),
        ({"auth": {"type": "bearer"}}, "auth.token", "is required"),
        ({"auth": {"type": "bearer", "tokn": "x"}}, "auth.tokn", "did you mean token?"),
        ({"auth": {"type": "bearer", "token": ""}}, "auth.token", "length >= 1"),
        ({"auth": {"type": "bearer", "token": "a b"}}, "auth.token", "without spaces"),
        ({"auth": {"type": "bearer", "token": "[hidden]"}}, "auth.token", "give the value"),
        ({"auth": {"type": "bearer", "token": "env:ABSENT"}}, "auth.token", "variable COORDINATOR_SECRET_ABSENT is"),
        ({"auth": {"type": "bearer", "token": "env:A-B"}}, "auth.token", "letters, digits and _"),
        ({"auth": {"type": "bearer", "token": "env:SPACED"}}, "auth.token", "without spaces"),
        ({"auth": {"type": "bearer", "region": "x"}}, "auth.region", "is not a field"),
        ({"auth": AWS | {"region": "EU"}}, "auth.region", "such as eu-central-1"),
        ({"auth": AWS | {"service": "a b"}}, "auth.service", "such as eu-central-1 or lambda"),
        ({"auth": AWS | {"accessKeyId": "a"}}, "auth", "together"),
        ({"auth": AWS | {"secretAccessKey": "a"}}, "auth", "together"),
        ({"auth": AWS | {"sessionToken": "a"}}, "auth", "together"),
        ({"auth": AWS | {"accessKeyId": "a", "secretAccessKey": "env:X"}}, "auth.secretAccessKey", "_SECRET_X"),
        ({"auth": AWS, "headers": {"X-Amz-Date": "1"}}, "headers.X-Amz-Date", "is set by auth"),
        (
            {"auth": {"type": "bearer", "token": "a"}, "headers": {"Authorization": "b"}},
            "headers.Authorization",
            "is set by auth",
        ),
        ({"headers": {"x-key": "env:ABSENT"}}, "headers.x-key", "variable COORDINATOR_SECRET_ABSENT is not set"),
        ({"headers": {"x-key": "env:LINES"}}, "headers.x-key", "printable ASCII"),
        ({"secret": "env:ABSENT"}, "secret", "variable COORDINATOR_SECRET_ABSENT is not set"),
        ({"secret": "env:TOKEN"}, "secret", "env:TOKEN is no signing secret"),
        ({"secret": "env:SIGNING", "previousSecret": "env:TOKEN"}, "previousSecret", "is no signing secret"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(idle: Api, fields: Json, path: str, says: str):
    answer = await idle.client.put("/worker/a", json={"url": URL} | fields)

    refusal(answer, 422, "validation_error", path, says)
    assert "t0ken" not in answer.text


@pytest.mark.parametrize(
    ("auth", "module", "extra"), [({"type": "google-id-token"}, "google.auth", "google"), (AWS, "botocore", "aws")]
)
async def test_auth_without_its_library_is_refused_with_the_remedy(
    idle: Api, monkeypatch: pytest.MonkeyPatch, auth: Json, module: str, extra: str
):
    monkeypatch.setitem(sys.modules, module, None)

    answer = await idle.client.put("/worker/a", json={"url": URL, "auth": auth})

    refusal(answer, 422, "validation_error", "auth.type", f"pip install 'coordinator[{extra}]'")
    assert (await idle.client.put("/worker/a", json={"url": URL})).status_code == 201


async def test_a_declaration_names_the_worker_whose_secret_is_missing(idle: Api):
    workers = {"a": {"url": URL, "auth": {"type": "bearer", "token": "env:ABSENT"}}}

    answer = await idle.post("/sync", {"owner": "me", "workers": workers})

    refusal(answer, 422, "validation_error", "workers.a.auth.token", "COORDINATOR_SECRET_ABSENT")


async def test_calls_carry_what_the_platform_asks_for(api: Api, function: Function):
    auth = {"type": "bearer", "token": "env:TOKEN"}
    await api.client.put("/worker/a", json={"url": function.url, "auth": auth, "batch": {"size": 1}})
    await api.client.put("/worker/b", json={"url": function.url, "auth": auth})

    await api.until(await api.enqueue("a"), "succeeded")
    await api.until(await api.enqueue("b"), "succeeded")

    assert [call.headers["authorization"] for call in function.calls] == ["Bearer t0ken"] * 2


async def test_the_entry_point_may_have_auth(api: Api, function: Function):
    auth = {"type": "bearer", "token": "env:TOKEN"}
    await api.client.put("/worker/*", json={"url": function.url, "auth": auth})

    await api.until(await api.enqueue("any"), "succeeded")

    assert function.calls[0].headers["authorization"] == "Bearer t0ken"


async def test_a_replica_that_lacks_a_secret_fails_the_attempt_and_says_so(
    api: Api, function: Function, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COORDINATOR_SECRET_GONE", "x")
    await api.client.put("/worker/a", json={"url": function.url, "headers": {"x-key": "env:GONE"}})
    monkeypatch.delenv("COORDINATOR_SECRET_GONE")

    job = await api.until(await api.enqueue("a", maxAttempts=1), "dead")

    assert job["lastError"]["type"] == "MissingSecret"
    assert "COORDINATOR_SECRET_GONE is not set on this replica; each replica needs it" in job["lastError"]["message"]
    assert function.calls == []


async def test_a_worker_that_a_newer_version_registered_costs_no_other(api: Api, function: Function):
    store = api.app.state["replica"].store
    record = b'{"url": "https://example.com/", "owner": "app", "auth": {"type": "of-tomorrow"}}'
    await store.connection.call("HSET", f"{store.connection.prefix}:workers", "new", record)
    await api.client.put("/worker/old", json={"url": function.url})

    await api.until(await api.enqueue("old"), "succeeded")
    dead = await api.until(await api.enqueue("new", maxAttempts=1), "dead")

    assert dead["lastError"]["type"] == "UnreadableWorker"
    assert [call.body["worker"] for call in function.calls] == ["old"], "and the entry point did not get its jobs"
    shown = (await api.client.get("/worker/new")).json()
    assert (shown["url"], shown["owner"], shown["unreadable"]) == ("https://example.com/", "app", True)
    assert (await api.post("/worker/new/ping")).json()["error"]["type"] == "UnreadableWorker"
    replaced = (await api.client.put("/worker/new", json={"url": function.url})).json()
    assert (replaced["owner"], "unreadable" in replaced) == ("app", False)
    await api.until(await api.enqueue("new"), "succeeded")
