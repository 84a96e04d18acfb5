"""A function to try things on, and a tour that runs real jobs through it.

The function is what a user would deploy: it takes the coordinator's call and answers with a receipt. It is served by
`coordinator dev` at `/demo`, and is called over HTTP like any other.
"""

import asyncio
import sys
import time
from collections import deque
from typing import Any

import httpx
import msgspec

from coordinator.api.dev import DemoCall
from coordinator.api.redaction import REDACTED
from coordinator.domain.job import FINAL_STATES
from coordinator.domain.receipt_token import without_receipt_tokens

PATH = "/demo"
"""Where `api/dev.py` serves it."""

CALLS_KEPT = 100

KEPT_MOST_BYTES = 65_536
"""Of a body and of an answer: anyone may call, with megabytes."""

_SECRET_HEADERS = frozenset({"authorization", "cookie", "x-receipt-token"})

_LIMIT_S = 50


class Demo:
    """A worker for every name: `flaky` fails its first attempt, `slow` takes `seconds`, all others greet.

    It remembers its last calls, for people to see what a function is sent.
    """

    def __init__(self) -> None:
        """Nobody has called yet."""
        self.calls: deque[DemoCall] = deque(maxlen=CALLS_KEPT)

    async def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to a call."""
        at = time.time_ns() // 1_000_000
        try:
            status, receipt = 200, await _work(msgspec.json.decode(body))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            status, receipt = 400, {"error": f"this is no call of a coordinator, or its args cannot be used: {error}"}
        answer = msgspec.json.encode(receipt)
        # What opens something is not kept: whoever may read sees this.
        kept = {name: REDACTED if name in _SECRET_HEADERS else _kept(of.encode()) for name, of in headers.items()}
        self.calls.append(DemoCall(at, kept, _kept(body), status, _kept(answer)))
        return status, answer


def _kept(text: bytes) -> str:
    return without_receipt_tokens(text[:KEPT_MOST_BYTES].decode(errors="replace"), REDACTED)


async def _work(call: dict[str, Any]) -> dict[str, Any]:
    if call.get("ping") is True:
        return {"pong": True, "sdk": "demo", "workers": [call["worker"]]}
    args = call["args"] if isinstance(call["args"], dict) else {}
    if call["worker"] == "flaky" and call["attempt"] == 1:
        return {"status": "failure", "error": "the first attempt of 'flaky' always fails"}
    if call["worker"] == "slow":
        await asyncio.sleep(min(float(args.get("seconds", 2)), 60))
    return {"status": "success", "result": f"Hello {args.get('name', 'world')}, this is attempt {call['attempt']}"}


class Tour:
    """Enqueues jobs of every kind and shows what becomes of them."""

    def __init__(self, url: str, token: str = "") -> None:
        """`url` is the coordinator's."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=10, trust_env=False)
        self._began = time.monotonic()
        self._shown: dict[str, str] = {}

    async def run(self) -> None:
        """Run it to its end. Raises `RuntimeError` if a job did not end as it should."""
        async with self._client:
            jobs = {
                await self._enqueue("now", worker="hello", args={"name": "now"}),
                await self._enqueue("later", worker="hello", args={"name": "later"}, delay="2s"),
                await self._enqueue("retried", worker="flaky", args={"name": "again"}, backoff={"base": "1s"}),
            }
            every_3_s = {"cron": "*/3 * * * * *", "seconds": True, "maxRuns": 2}
            schedule = await self._enqueue("cron", worker="hello", args={"name": "cron"}, **every_3_s)
            await self._watch(jobs, schedule, runs=2)

    async def _enqueue(self, label: str, **job: object) -> str:
        answer = await self._client.post("/job", json=job)
        if answer.status_code != httpx.codes.CREATED:
            raise RuntimeError(f"POST /job answered {answer.status_code}: {answer.text}")
        made = answer.json()
        shown = ", ".join(f"{name}={value}" for name, value in job.items() if name != "args")
        self._say(f"POST /job  {label:8} {made['id']}  {shown}")
        return str(made["id"])

    async def _watch(self, jobs: set[str], schedule: str, runs: int) -> None:
        until = time.monotonic() + _LIMIT_S
        while time.monotonic() < until:
            ticks = {job["id"] for job in await self._jobs() if job["scheduleId"] == schedule}
            states = [await self._show(job_id) for job_id in sorted(jobs | ticks)]
            if len(ticks) == runs and all(state in FINAL_STATES for state in states):
                if set(states) != {"succeeded"}:
                    raise RuntimeError(f"not every job of the tour succeeded: {sorted(states)}")
                self._say(f"all {len(states)} jobs succeeded")
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the tour's jobs did not end within {_LIMIT_S} s")

    async def _jobs(self) -> list[dict[str, Any]]:
        answer = await self._client.get("/job", params={"queue": "default", "limit": 200})
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    async def _show(self, job_id: str) -> str:
        job = (await self._client.get(f"/job/{job_id}")).raise_for_status().json()
        line = f"{job['state']:10} attempt {job['attempt']}"
        if job["state"] == "succeeded":
            line += f"  {job['result']}"
        elif job["lastError"]:
            line += f"  {job['lastError'].get('message')}"
        if self._shown.get(job_id) != line:
            self._shown[job_id] = line
            self._say(f"{job_id:38} {line}")
        return str(job["state"])

    def _say(self, line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._began:5.1f} s  {line}\n")
        sys.stdout.flush()
