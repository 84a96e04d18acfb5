"""`/openapi.json` describes what there is, all of it."""

from typing import get_args

import msgspec
import pytest
from litestar.routes import HTTPRoute

from coordinator.api.job_bodies import ListQuery, NewJobBody
from coordinator.api.openapi import document
from coordinator.api.operations import OPERATIONS, HeartbeatBody, ReceiptBody
from coordinator.api.queue_bodies import QueueBody
from coordinator.api.worker_bodies import WorkerBody
from coordinator.domain.job import State
from coordinator.domain.receipt import STATUSES, parse_receipt
from coordinator.errors import Invalid
from tests.api.harness import Api, Json

STATES = get_args(State)


@pytest.fixture
async def described(idle: Api) -> Json:
    """The document as it is served."""
    answer = await idle.client.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document: Json = answer.json()
    return document


def fields(shape: type[msgspec.Struct]) -> set[str]:
    """The names of a body's fields, as callers write them."""
    return set(shape.__struct_encode_fields__)


def body_of(described: Json, path: str, method: str) -> Json:
    """The schema of a request's body."""
    reference = described["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema: Json = described["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


async def test_every_route_is_described(idle: Api, described: Json):
    routes = {
        (route.path_format, method.lower())
        for route in idle.app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/ui")  # Files, and no interface.
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    # What is done to a key or a worker is the last word of its path, which the router does not know.
    routes ^= {("/queue/{name}/key/{key}", "post"), ("/queue/{name}/key/{key}/{action}", "post")}
    routes ^= {("/worker/{name}", "post"), ("/worker/{name}/ping", "post")}

    assert {(path, method) for path, item in described["paths"].items() for method in item} == routes


async def test_every_operation_says_what_it_does_and_answers(described: Json):
    operations = [operation for item in described["paths"].values() for operation in item.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith((".", "="))
        assert any(status.startswith("2") for status in operation["responses"])
        is_asked_who = bool(operation["security"]) or operation["operationId"] == "open_session"
        assert ("401" in operation["responses"]) == is_asked_who


@pytest.mark.parametrize(
    ("path", "method", "shape"),
    [
        ("/job", "post", NewJobBody),
        ("/job/{job_id}/receipt", "post", ReceiptBody),
        ("/job/{job_id}/heartbeat", "post", HeartbeatBody),
        ("/queue/{name}", "put", QueueBody),
        ("/worker/{name}", "put", WorkerBody),
    ],
)
async def test_the_bodies_are_described_field_by_field(
    described: Json, path: str, method: str, shape: type[msgspec.Struct]
):
    assert set(body_of(described, path, method)["properties"]) == fields(shape)


async def test_no_other_request_has_a_body(described: Json):
    with_body = {
        (path, method) for path, item in described["paths"].items() for method in item if "requestBody" in item[method]
    }

    assert with_body == {
        ("/job", "post"),
        ("/job/batch", "post"),
        ("/job/bulk", "post"),
        ("/job/{job_id}", "patch"),
        ("/job/{job_id}/heartbeat", "post"),
        ("/job/{job_id}/receipt", "post"),
        ("/job/{job_id}/retry", "post"),
        ("/queue/{name}", "put"),
        ("/receipt", "post"),
        ("/schedule/preview", "post"),
        ("/schedule/{schedule_id}", "patch"),
        ("/schedule/{schedule_id}", "put"),
        ("/session", "post"),
        ("/sync", "post"),
        ("/token", "post"),
        ("/worker/{name}", "put"),
    }


async def test_the_parameters_are_described(described: Json):
    def parameters(path: str, method: str) -> set[tuple[str, str]]:
        return {(found["name"], found["in"]) for found in described["paths"][path][method]["parameters"]}

    assert parameters("/job", "get") == {(name, "query") for name in fields(ListQuery)}
    assert parameters("/job/{job_id}", "get") == {("job_id", "path"), ("wait", "query")}
    assert parameters("/worker/{name}", "put") == {("name", "path")}


async def test_what_is_done_to_a_key_is_one_of_three_words(described: Json):
    parameters = described["paths"]["/queue/{name}/key/{key}/{action}"]["post"]["parameters"]

    assert [found["name"] for found in parameters] == ["name", "key", "action"]
    assert parameters[-1]["schema"]["enum"] == ["pause", "resume", "reset"]


async def test_the_headers_of_a_request_that_may_be_repeated_are_described(described: Json):
    enqueue = described["paths"]["/job"]["post"]

    assert [(found["name"], found["in"]) for found in enqueue["parameters"]] == [
        ("dryRun", "query"),
        ("durability", "query"),
        ("Idempotency-Key", "header"),
    ]
    assert set(enqueue["responses"]["201"]["headers"]) == {"Idempotency-Replayed"}


async def test_a_heartbeat_needs_no_body_and_no_status(described: Json):
    assert described["paths"]["/job/{job_id}/heartbeat"]["post"]["requestBody"]["required"] is False
    assert body_of(described, "/job/{job_id}/heartbeat", "post").get("required", []) == []
    assert body_of(described, "/job/{job_id}/receipt", "post")["required"] == ["status"]


@pytest.mark.parametrize(
    ("path", "method", "names"),
    [
        ("/job", "post", {"JobAnswer", "PurgedJobShape", "DryJobAnswer", "DryScheduleAnswer"}),
        ("/job/{job_id}", "delete", {"JobAnswer", "ErasedAnswer"}),
        ("/schedule/{schedule_id}", "delete", {"ErasedAnswer"}),
        ("/schedule", "get", {"SchedulePage"}),
        ("/queue/{name}/key", "get", {"KeyPage"}),
        ("/queue/{name}", "get", {"QueueShape"}),
        ("/worker", "get", {"WorkerList"}),
    ],
)
async def test_an_answer_is_described(described: Json, path: str, method: str, names: set[str]):
    schema = described["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]

    assert {found["$ref"].rpartition("/")[2] for found in schema.get("anyOf", [schema])} == names


async def test_states_and_statuses_are_told_word_by_word(described: Json):
    schemas = described["components"]["schemas"]

    assert schemas["JobAnswer"]["properties"]["state"]["enum"] == list(STATES)
    assert schemas["ScheduleAnswer"]["properties"]["state"]["enum"] == ["active", "ended", "paused"]
    assert set(schemas["ReceiptBody"]["properties"]["status"]["enum"]) == {*STATUSES, "error"}
    assert {"items", "cursor"} == set(schemas["SchedulePage"]["properties"]) == set(schemas["KeyPage"]["properties"])


async def test_unknown_fields_are_said_to_be_refused(described: Json):
    assert body_of(described, "/job", "post")["additionalProperties"] is False
    assert body_of(described, "/job", "post")["required"] == ["worker"]


async def test_every_reference_leads_somewhere(described: Json):
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) <= known


async def test_the_receipts_fields_are_those_that_are_read():
    """The one body that no struct reads: what is described must be known, and what is not must be refused."""
    for name in fields(ReceiptBody):
        try:
            parse_receipt(msgspec.json.encode({"status": "success", name: None} | {"status": "success"}), 0)
        except Invalid as refused:
            pytest.fail(f"{name}: {refused}")
    with pytest.raises(Invalid) as unknown:
        parse_receipt(b'{"status":"success","nothing":1}', 0)
    assert all(name in unknown.value.detail for name in fields(ReceiptBody))


async def test_a_route_that_is_not_described_is_noticed(idle: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(OPERATIONS, "health")

    with pytest.raises(KeyError, match="health"):
        document(idle.app.routes)
