"""The function that chaos.py has called: it does what the seed says, and keeps a record of every call.

The path of a call names the replica's process that made it. What it does is a deed, a few steps long; which one,
follows from the seed, the job's number and the call's number, whatever else happens.
"""

import asyncio
import json
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from chaos_http import Answer
from chaos_record import TIMEOUT_S, Call, Record

DEEDS: dict[str, tuple[str, ...]] = {
    "success": ("work", "answer success"),
    "posted": ("answer 202", "work", "post success"),
    "posted before": ("work", "post success", "answer 202"),
    "failure": ("work", "answer failure"),
    "final failure": ("work", "answer final"),
    "error": ("work", "answer 500"),
    "gateway": ("answer 502", "work", "post success"),
    "dropped": ("work", "drop"),
    "vanished": ("answer 202",),
    "hung": ("miss the deadline", "drop"),
    "late": ("answer 202", "miss the deadline", "post success"),
    "late failure": ("answer 202", "miss the deadline", "post failure"),
    "twice": ("answer 202", "post success", "post success"),
    "success, then failure": ("answer 202", "post success", "post failure"),
    "failure, then success": ("answer 202", "post failure", "post success"),
    "success, and an error": ("post success", "answer 500"),
    "success, answered as failure": ("post success", "answer failure"),
    "forged": ("post forged", "work", "answer success"),
    "another's token": ("post foreign", "work", "answer success"),
    "mute": ("work", "answer 200"),
    "long": ("work long", "answer success"),
    "longer than a lease": ("work beyond", "answer success"),
}
"""What the function may do, step by step."""

IS_CALLED_AGAIN = frozenset(
    {"failure", "error", "dropped", "vanished", "hung", "late", "late failure", "failure, then success", "mute"}
)
"""Deeds after which the coordinator is to call again, or may."""

Deeds = Mapping[str, int]
"""Deeds by their weights."""

HONEST: Deeds = {
    "success": 790,
    "long": 40,
    "longer than a lease": 20,
    "posted": 50,
    "posted before": 20,
    "failure": 30,
    "error": 10,
    "gateway": 5,
    "final failure": 5,
    "dropped": 10,
    "vanished": 5,
    "hung": 5,
    "late": 10,
}
TALKING: Deeds = {
    "success": 830,
    "posted": 50,
    "posted before": 20,
    "failure": 30,
    "error": 10,
    "final failure": 5,
    "long": 40,
    "longer than a lease": 20,
}
SUCCEED: Deeds = {"success": 1}
LYING: Deeds = {**dict.fromkeys(DEEDS, 4), "success": 15, "posted": 15, "final failure": 1}
LONG: Deeds = {"success": 1, "long": 1}
POSTED: Deeds = {"posted": 1}

WORK_S = {"": (0.001, 0.04), "long": (0.2, 0.6), "beyond": (2.2, 2.6)}
"""What work takes, at least and at most; `beyond` is more than a lease, and less than a time-out."""

DEEDS_LIMIT = 6
"""Calls of one job that may be bad: every job comes to an end."""

ANSWERS: dict[str, tuple[int, bytes]] = {
    "success": (200, b'{"status":"success"}'),
    "failure": (200, b'{"status":"failure","error":"as the seed says"}'),
    "final": (200, b'{"status":"failure","error":"for good","retryable":false}'),
    **{status: (int(status), b"") for status in ("200", "202", "500", "502")},
}

Post = Callable[[str, object, set[str]], Awaitable[Answer | None]]
"""Posts a receipt for a job until a replica answers; the set gets those that did not. None if none did."""


class Function:
    """Serves calls on a free port of loopback."""

    def __init__(self, record: Record, post: Post, deeds: Deeds, seed: str) -> None:
        """Nothing is served before `start`."""
        self.port = 0
        self.gate = asyncio.Event()
        """Those who work wait until it is set."""
        self.gate.set()
        self._record, self._post, self._deeds, self._seed = record, post, deeds, seed
        self._tokens: deque[tuple[str, str]] = deque(maxlen=1000)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections and whatever is still to be posted."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.hang_up()

    def hang_up(self) -> None:
        """Close all connections; callers come back on new ones."""
        for writer in list(self._open):
            writer.close()

    @property
    def is_idle(self) -> bool:
        """Whether all has been said."""
        return not self._tasks

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                by = head[0].split()[1].strip("/")
                answered = asyncio.Event()
                task = asyncio.create_task(self._act(self._received(by, headers, body), writer, answered))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                await answered.wait()
        except (EOFError, OSError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)

    def _received(self, by: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Call:
        # Header values came through in lower case; ids are upper case.
        number = int(headers["webhook-id"].rsplit(":", 2)[1])
        chance = random.Random(f"{self._seed}/{body['args'].get('n', body['jobId'])}/{number}")
        deed = chance.choices(list(self._deeds), list(self._deeds.values()))[0] if number <= DEEDS_LIMIT else "success"
        limit_s = body["args"].get("timeout_s", TIMEOUT_S)
        call = Call(body["jobId"], number, body["token"], by, deed, self._record.now(), limit_s)
        self._record.call(call, body["args"].get("n"))
        self._tokens.append((call.job, call.token))
        return call

    async def _act(self, call: Call, writer: asyncio.StreamWriter, answered: asyncio.Event) -> None:
        chance = random.Random(f"{self._seed}/{call.job}/{call.number}")
        try:
            for step in DEEDS[call.deed]:
                verb, _, what = step.partition(" ")
                match verb:
                    case "work":
                        await asyncio.sleep(chance.uniform(*WORK_S[what]))
                        await self.gate.wait()
                    case "miss":
                        await asyncio.sleep(call.limit_s + 0.3)
                    case "answer":
                        await self._answer(call, what, writer)
                    case "drop":
                        call.answered = self._record.now()
                        writer.close()
                    case "post":
                        await self._report(call, what)
                if call.answered is not None:
                    answered.set()
        finally:
            call.done = self._record.now()
            answered.set()

    async def _answer(self, call: Call, what: str, writer: asyncio.StreamWriter) -> None:
        status, body = ANSWERS[what]
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        call.said_success |= what == "success"
        call.said_final |= what == "final"
        call.answered = self._record.now()
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def _report(self, call: Call, what: str) -> None:
        token = call.token
        if what == "forged":
            token = f"{call.token.rpartition('.')[0]}.{secrets.token_urlsafe(32)}"
        if what == "foreign":
            token = next((other for job, other in self._tokens if job != call.job), "rt1.r0.1.other.1.mac")
        is_true = what in ("success", "failure")
        call.said_success |= what == "success"
        status = what if is_true else "success"
        answer = await self._post(call.job, {"status": status, "token": token}, call.via)
        told = "not delivered" if answer is None else f"{answer.status} {answer.body}"
        call.receipts.append(f"{what} {self._record.now():.3f}: {told}")
        if answer is not None and answer.status == HTTPStatus.OK and answer.body["accepted"]:
            self._record.acknowledge(call.job, answer.body["state"])
            if not is_true:
                call.was_believed = True
