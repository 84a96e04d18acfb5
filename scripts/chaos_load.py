"""The callers of chaos.py: they enqueue as README tells callers to, and repeat what they got no answer to."""

import asyncio
import random
from http import HTTPStatus
from typing import Any

from chaos_http import Answer, Client, UnknownError, UnsentError
from chaos_record import TIMEOUT_S, Record
from chaos_replicas import Replicas

CALLERS = 32
BATCH = 20
PATIENCE_S = 60
"""For one request with all its repetitions; then it is given up, and what became of its job is not known."""

QUEUES: dict[str, dict[str, Any]] = {
    **{f"plain-{number}": {} for number in range(6)},
    "narrow": {"concurrency": 40},
    "keyed": {"perKey": {"concurrency": 8}},
}


class Load:
    """Enqueues jobs, some alone and some in batches."""

    def __init__(self, record: Record, replicas: Replicas, client: Client, rng: random.Random) -> None:
        """Nothing is sent before `run`."""
        self.timeout_s = TIMEOUT_S
        self.padding = ""
        self._record, self._replicas, self._client, self._rng = record, replicas, client, rng
        self._left: asyncio.Queue[tuple[list[int], float]] = asyncio.Queue()

    async def run(self, numbers: range, seconds: float, tag: str) -> None:
        """Return when every job is accepted or given up. `tag` tells the keys of this load from all others'."""
        at = 0
        while at < len(numbers):
            size = BATCH if self._rng.random() < 0.02 else 1
            self._left.put_nowait((list(numbers[at : at + size]), seconds * at / len(numbers)))
            at += size
        began = self._record.now()
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._be_a_caller(began, tag))

    async def _be_a_caller(self, began: float, tag: str) -> None:
        while not self._left.empty():
            numbers, at = self._left.get_nowait()
            await asyncio.sleep(began + at - self._record.now())
            jobs = [self._job(number, tag) for number in numbers]
            if len(jobs) == 1:
                answer = await self._insist("POST /job", jobs[0], f"{tag}-{numbers[0]}")
                made = [answer.body] if answer else []
            else:
                answer = await self._insist("POST /job/batch", {"jobs": jobs}, f"{tag}-b{numbers[0]}")
                made = answer.body["jobs"] if answer else []
            for number, job in zip(numbers, made, strict=False):
                self._note(number, job)
            if not made:
                self._record.given_up.update(numbers)

    def _note(self, number: int, job: dict[str, Any]) -> None:
        if "id" in job:
            self._record.accept(job["id"], number)
        else:
            self._record.refusals[f"of a batch {job.get('error', {}).get('code')}"] += 1
            self._record.given_up.add(number)

    def _job(self, number: int, tag: str) -> dict[str, Any]:
        chance = random.Random(f"{tag}/{number}")
        queue = chance.choice(list(QUEUES))
        job: dict[str, Any] = {
            "worker": "chaos",
            "args": {"n": number, "timeout_s": self.timeout_s, "padding": self.padding},
            "queue": queue,
            "timeout": self.timeout_s * 1000,
            "maxAttempts": 20,
            "backoff": {"type": "fixed", "base": "200ms"},
        }
        if queue == "keyed" or chance.random() < 0.1:
            job["key"] = f"k{chance.randrange(10)}"
        if chance.random() < 0.1:
            job["delay"] = chance.choice([100, 500, 1500])
        if chance.random() < 0.1:
            job["priority"] = chance.randrange(10)
        return job

    async def _insist(self, head: str, body: object, key: str) -> Answer | None:
        """The 2xx answer; None if there was none in time."""
        until = self._record.now() + PATIENCE_S
        while self._record.now() < until:
            for process in self._replicas.running()[:1]:
                try:
                    answer = await self._client.send(process.port, head, body, key)
                except UnsentError:
                    self._record.refusals["not sent"] += 1
                except UnknownError:
                    self._record.refusals["unknown"] += 1
                else:
                    # Some of a batch may have been refused because Redis was away.
                    items = answer.body.get("jobs", [])
                    is_unavailable = HTTPStatus.SERVICE_UNAVAILABLE in (
                        answer.status,
                        *(item["status"] for item in items),
                    )
                    if answer.status < HTTPStatus.MULTIPLE_CHOICES and not is_unavailable:
                        return answer
                    self._record.refusals[f"{answer.status} {answer.body.get('code')}"] += 1
                    if not is_unavailable:
                        self._record.wrong.append(f"{head} {key} was answered {answer.status} {answer.body}")
                        return None
            await asyncio.sleep(0.05)
        return None
