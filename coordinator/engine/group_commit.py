"""Group commit: requests that meet in one replica go to Redis together.

A command costs Python far more than it costs Redis, so one script that carries a hundred jobs is worth a hundred
commands. Nothing waits for company: the first request of an idle shard leaves at once, and what arrives while it is
under way leaves together when it is back. A group is bounded in number and in bytes, because it holds Redis, and with
it everybody, for as long as it runs.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from coordinator.domain.durability import Durability, asked_durability
from coordinator.errors import NOT_CONFIRMED, StoreUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


BYTES_LIMIT = 1 << 20
"""A group is closed by the item that reaches this."""

Place = tuple[int, Durability | None]
"""What goes together: a shard, and how safe it is to be. Who asks for more waits longer, and may be refused."""

Waiting = tuple[Item, asyncio.Future[Answer]]
"""An item, and the future of who waits for its answer."""


class GroupCommit(Generic[Item, Answer]):
    """Calls `commit(shard, items)` with one call under way per shard, and hands each item its answer."""

    def __init__(
        self,
        commit: Callable[[int, Sequence[Item]], Awaitable[Sequence[Answer]]],
        limit: int,
        size_of: Callable[[Item], int] = lambda _item: 0,
    ) -> None:
        """`commit` answers in the order of its items, at most `limit` of them and about `BYTES_LIMIT` bytes."""
        self._commit = commit
        self._limit = limit
        self._size_of = size_of
        self._waiting: dict[Place, deque[Waiting[Item, Answer]]] = defaultdict(deque)
        self._tasks: dict[Place, asyncio.Task[None]] = {}

    async def submit(self, shard: int, item: Item) -> Answer:
        """Commit one item with whatever else is going. Raises what `commit` raises.

        A caller that is cancelled leaves its item in: it may be on its way to Redis already.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        place = shard, asked_durability()
        self._waiting[place].append((item, future))
        if place not in self._tasks:
            # The task is this request's in what it asks for, as are all that it will serve.
            self._tasks[place] = asyncio.create_task(self._flush(place))
        return await future

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _flush(self, place: Place) -> None:
        waiting = self._waiting[place]
        try:
            while waiting:
                error = await self._commit_group(place[0], self._next_group(waiting))
                if isinstance(error, StoreUnavailable) and error.code != NOT_CONFIRMED:
                    # Those behind would wait as long for the same answer, each group after the other.
                    for _, future in waiting:
                        _fail(future, error)
                    waiting.clear()
        finally:
            del self._tasks[place]

    def _next_group(self, waiting: deque[Waiting[Item, Answer]]) -> list[Waiting[Item, Answer]]:
        group = [waiting.popleft()]
        size = self._size_of(group[0][0])
        while waiting and len(group) < self._limit and size < BYTES_LIMIT:
            group.append(waiting.popleft())
            size += self._size_of(group[-1][0])
        return group

    async def _commit_group(self, shard: int, group: list[Waiting[Item, Answer]]) -> Exception | None:
        try:
            answers = await self._commit(shard, [item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
            for _, future in group:
                _fail(future, error)
            return error
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        return None


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
