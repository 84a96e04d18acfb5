"""Whatever is sent, the answer is one that the API describes, never a fault of ours, and nothing is stored by halves.

`PROVE_LONG=1` sends a hundred thousand requests, `FUZZ_SEED=…` those of another seed.
"""

import asyncio
import json
import os
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec
import pytest

from tests.api.harness import Api
from tests.fuzz.conftest import TOKEN, Start, examples
from tests.fuzz.requests import Requests, Sent

SEED = int(os.environ.get("FUZZ_SEED", "6"))
A_ROUND = 2500
LIMIT_S = 30
ROUNDS = examples(1, 20)

OPEN = {"Problem", "ItemErrorShape"}
"""What else they hold depends on their code."""

FROM_ROUTER = {400, 404, 405}
"""What a path or a method is answered that leads to no operation, or to another one."""


@pytest.mark.parametrize("at", range(ROUNDS))
async def test_every_request_is_answered_as_described(start: Start, at: int):
    async with start() as api:
        document = (await api.client.get("/openapi.json", headers={"authorization": f"Bearer {TOKEN}"})).json()
        requests = Requests(document, SEED + at, TOKEN)
        shapes = Shapes(document)
        described = {int(status) for _, _, operation in requests.operations for status in operation["responses"]}
        for _ in range(A_ROUND):
            sent = requests.make()
            async with asyncio.timeout(LIMIT_S):
                status, headers, body = await ask(api, sent)
            problem = problem_of(sent, status, headers.get(b"content-type", b"").decode(), body, described)
            if problem is None and sent.is_of_operation and status < 400:
                problem = shapes.problem_of(sent.operation, status, body)
            assert problem is None, f"{problem}: {status} {body[:500]!r}\n{sent}"
            requests.ids += new_ids(status, body)
            del requests.ids[:-50]


async def ask(api: Api, sent: Sent) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send a request just as it is: clients would mend it."""
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": sent.method.decode(),
        "scheme": "http",
        "path": unquote(sent.path.decode("ascii")),
        "raw_path": sent.path,
        "query_string": sent.query,
        "root_path": "",
        "headers": sent.headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    messages: list[dict[str, Any]] = []
    parts = [sent.body[: len(sent.body) // 2], sent.body[len(sent.body) // 2 :]]

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0) if parts else b"", "more_body": bool(parts)}

    async def send(message: Any) -> None:
        messages.append(message)

    await api.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], dict(messages[0]["headers"]), body


def problem_of(sent: Sent, status: int, content_type: str, body: bytes, described: set[int]) -> str | None:
    """What is wrong with the answer."""
    answers = sent.operation["responses"]
    # What is stored here, no replica and no disk confirms.
    if status >= 500 and not (status == 503 and b'"code":"not_confirmed"' in body):
        return "a fault of ours"
    if sent.is_of_operation and str(status) not in answers:
        return "a status that is not described"
    if status not in described | FROM_ROUTER:
        return "a status that is described nowhere"
    if status >= 400:
        return (
            None if content_type == "application/problem+json" and is_problem(status, body) else "no problem document"
        )
    if status == 204:
        return None if body == b"" else "a body where there is none"
    if sent.is_of_operation and content_type.partition(";")[0] not in {
        name.partition(";")[0] for name in answers[str(status)]["content"]
    }:
        return "a content type that is not described"
    return None if content_type != "application/json" or is_json(body) else "no JSON"


class Shapes:
    """The described answers, each with no field but those that are described."""

    def __init__(self, document: dict[str, Any]) -> None:
        schemas = {
            name: schema
            if "additionalProperties" in schema or name in OPEN
            else schema | {"additionalProperties": False}
            for name, schema in document["components"]["schemas"].items()
        }
        self._components = {"components": {"schemas": schemas}}
        self._validators: dict[str, Any] = {}

    def problem_of(self, operation: dict[str, Any], status: int, body: bytes) -> str | None:
        schema = operation["responses"][str(status)].get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return None
        key = f"{operation['operationId']} {status}"
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema | self._components)
        # As its reader has it, which takes the last of two fields of a name and every number.
        errors = [str(error)[:500] for error in self._validators[key].iter_errors(json.loads(body))]
        return "; ".join(errors) or None


def is_problem(status: int, body: bytes) -> bool:
    found = msgspec.json.decode(body)
    return found["status"] == status and all(
        isinstance(found[name], str) for name in ("type", "title", "code", "detail")
    )


def is_json(body: bytes) -> bool:
    body.decode()
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return True


def new_ids(status: int, body: bytes) -> list[bytes]:
    """Of what has just been made."""
    found = msgspec.json.decode(body) if status in {200, 201, 207} and body.startswith(b"{") else {}
    return [found["id"].encode()] if isinstance(found.get("id"), str) else []
