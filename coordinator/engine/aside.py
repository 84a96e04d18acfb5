"""What is done beside an answer, and nobody waits for but who stops the process."""

import asyncio
from collections.abc import Coroutine


class Aside:
    """Tasks that are kept until they have ended, or they might be collected before."""

    def __init__(self) -> None:
        """There are none yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Have it done. What it raises is lost, so it raises nothing."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait for what has begun."""
        while self._tasks:
            await asyncio.wait(self._tasks)
