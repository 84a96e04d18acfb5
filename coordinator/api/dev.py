"""What only `coordinator dev` has: time that can be moved on, a fresh start, and what its function was sent."""

import html
import json
from collections.abc import Iterable
from typing import Protocol

import msgspec
from litestar import Response, get, post
from litestar.params import RawBody
from litestar.types import Message, Scope

from coordinator.api.answers import json_response
from coordinator.api.batches import BODY_LIMIT_BYTES
from coordinator.api.context import Request
from coordinator.api.dev_bodies import AdvanceBody
from coordinator.api.guards import PUBLIC
from coordinator.api.reading import decode
from coordinator.api.setting_answers import pass_answer
from coordinator.api.waiting import wait_of
from coordinator.domain.durations import parse_duration
from coordinator.domain.instants import format_instant
from coordinator.engine.clockwork import Clockwork

_WAIT_MS, _WAIT_MOST_MS = 25_000, 900_000
_YEAR_MS = 366 * 86_400_000

_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">'
    "<title>What the demo function was sent</title><h1>What the demo function was sent</h1>"
    '<p>The last 100 calls, the newest first. As JSON: <a href="/demo/requests">/demo/requests</a></p>'
)


class DemoCall(msgspec.Struct, frozen=True):
    """One call that the demo function got (`at`, Unix ms of the real time), and what it answered.

    Long texts are cut off; what opens something is left out.
    """

    at: int
    headers: dict[str, str]
    body: str
    status: int
    answer: str


class DemoFunction(Protocol):
    """A function that remembers its calls, the newest last."""

    @property
    def calls(self) -> Iterable[DemoCall]:
        """The last ones."""

    async def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a call."""


class ClockTeller:
    """Says with each answer how far the time was moved on: what tells of instants as seen from now goes by that now.

    `Clock-Ahead` are whole ms beside what `Date` says; without the header there are none.
    """

    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork = clockwork

    async def heed(self, message: Message, _: Scope) -> None:
        """Is told of each message of each answer, before it is sent."""
        if message["type"] == "http.response.start" and self._clockwork.ahead_ms:
            ahead = (b"clock-ahead", str(self._clockwork.ahead_ms).encode())
            message["headers"] = [*message["headers"], ahead]


@post("/dev/advance", status_code=200)
async def advance_time(request: Request, body: RawBody) -> Response[bytes]:
    """Move the time on, and do all that is due by then; answer when it is done, or after `wait`."""
    wait_ms = wait_of(request.query_params, unasked_ms=_WAIT_MS, most_ms=_WAIT_MOST_MS)
    by_ms = parse_duration(decode(body, AdvanceBody).by, "by", least_ms=1, most_ms=_YEAR_MS)
    advanced = await _clockwork_of(request).advance(by_ms, wait_ms / 1000)
    told = {"now": format_instant(advanced.now), "aheadMs": advanced.ahead_ms}
    return json_response(told | pass_answer(advanced.passed))


@post("/dev/reset", status_code=204)
async def reset_store(request: Request) -> None:
    """Forget all jobs, schedules, batches and queues, and go back to the present; workers and tokens stay."""
    await _clockwork_of(request).reset()


@post("/demo", status_code=200, opt=PUBLIC, include_in_schema=False, request_max_body_size=BODY_LIMIT_BYTES)
async def call_demo(request: Request, body: RawBody) -> Response[bytes]:
    """The function that `dev` has the coordinator call."""
    status, answer = await _demo_of(request).answer(dict(request.headers), body)
    return Response(answer, status_code=status, media_type="application/json")


@get("/demo/requests")
async def list_demo_requests(request: Request) -> Response[bytes]:
    """The last calls of the demo function, the newest first, with what it answered."""
    items = [
        {"at": format_instant(call.at), "headers": call.headers, "body": _read(call.body)}
        | {"status": call.status, "answer": _read(call.answer)}
        for call in _newest_first(request)
    ]
    return json_response({"items": items})


@get("/demo", include_in_schema=False)
async def show_demo(request: Request) -> Response[bytes]:
    """The same as a page."""
    shown = "".join(_shown(call) for call in _newest_first(request)) or "<p>None yet.</p>"
    return Response((_HEAD + shown).encode(), media_type="text/html")


HANDLERS = [advance_time, reset_store, call_demo, list_demo_requests, show_demo]
"""They are there for `coordinator dev` only."""


def _clockwork_of(request: Request) -> Clockwork:
    clockwork: Clockwork = request.app.state["clockwork"]
    return clockwork


def _demo_of(request: Request) -> DemoFunction:
    demo: DemoFunction = request.app.state["demo"]
    return demo


def _newest_first(request: Request) -> list[DemoCall]:
    return list(_demo_of(request).calls)[::-1]


def _read(text: str) -> object:
    """JSON as what it is, anything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(call: DemoCall) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in call.headers.items())
    told = f"{headers}\n\n{_indented(call.body)}\n\n{call.status}\n{_indented(call.answer)}"
    return f"<h2>{format_instant(call.at)}</h2><pre>{html.escape(told)}</pre>"


def _indented(text: str) -> str:
    read = _read(text)
    return read if isinstance(read, str) else json.dumps(read, indent=2, ensure_ascii=False)
