"""What the command line asks for beside what others' code does: whole answers, streams, and JSON as it stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import httpx

from coordinator.sdk.client import AsyncCoordinator, Batch, Coordinator
from coordinator.sdk.sending import Request, successful, told, unreachable


class CommandClient(Coordinator):
    """For commands that ask one thing after the other."""

    def on_headers(self, heed: Callable[[Mapping[str, str]], None]) -> None:
        """Have `heed` be told the headers of each answer."""
        self._http.event_hooks = {"response": [lambda answer: heed(answer.headers)]}

    def fetch(self, path: str, query: Mapping[str, Any] | None = None) -> bytes:
        """What a GET answers, as it stands."""
        return successful(self._exchange(Request("GET", path, query))).content

    @contextmanager
    def lines(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        silence_s: float = 60.0,
    ) -> Iterator[Iterator[str]]:
        """The lines of an answer as they come, of which none is late by more than `silence_s`. It is asked once."""
        request = Request(method, path, query, body, is_safe=False, held_s=silence_s, accept=accept)
        try:
            answer = self._http.send(self._address.to(request, self._http), stream=True)
            try:
                if not answer.is_success:
                    answer.read()
                yield successful(answer).iter_lines()
            finally:
                answer.close()
        except httpx.TransportError as why:
            raise unreachable(why) from why


class AsyncCommandClient(AsyncCoordinator):
    """For commands that ask many things at once."""

    async def enqueue_json(self, jobs: Iterable[bytes], *, idempotency_key: str) -> tuple[Batch, bool]:
        """`enqueue_many` of jobs that are JSON already; and whether the batch had been made before."""
        body = b'{"jobs":[%b]}' % b",".join(jobs)
        answer = await self._exchange(Request.of("POST", "/job/batch", None, body, idempotency_key))
        batch = cast("Batch", told(answer))
        return batch, successful(answer).headers.get("idempotency-replayed") == "true"
