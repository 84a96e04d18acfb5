"""A way to Redis that breaks now and then: between one replica and one server, on loopback.

A request is what comes in one piece. It is cut off before it reaches the server; or after it has, so that its reply is
lost; or in the middle of its reply; or it takes a second longer.
"""

import asyncio
import contextlib
import random
from collections import Counter

from chaos_record import Record

CUTS = ("before", "after", "in the reply", "stall")
STALL_S = 1.0


class Proxy:
    """Forwards to a port, and meets each of `CUTS` with the probability `chance` per request while `is_on`."""

    def __init__(self, record: Record, who: str, port: int, chance: float, rng: random.Random) -> None:
        """Nothing is forwarded before `start`; `who` is the replica that comes this way."""
        self.port = 0
        self.is_on = False
        self.made: Counter[str] = Counter()
        self._record, self._who, self._to, self._chance, self._rng = record, who, port, chance, rng
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A server's own task that is cancelled is told as an error; it ends when all is closed, too.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            way = _Way()
            try:
                ways = [self._requests(reader, back, way), self._replies(there, writer, way)]
                both = [asyncio.ensure_future(one) for one in ways]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                back.close()
        writer.close()

    def _choose(self) -> str:
        drawn = self._rng.random()
        at = int(drawn / self._chance) if self.is_on and self._chance else len(CUTS)
        return CUTS[at] if at < len(CUTS) else ""

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, way: "_Way") -> None:
        while data := await reader.read(1 << 20):
            cut = self._choose()
            if cut:
                self.made[cut] += 1
            if cut == "before":
                return
            if cut == "stall":
                await asyncio.sleep(STALL_S)
            way.cut = cut if cut in ("after", "in the reply") else ""
            back.write(data)
            await back.drain()

    async def _replies(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, way: "_Way") -> None:
        while data := await there.read(1 << 20):
            if way.cut == "after":
                return
            if way.cut == "in the reply":
                writer.write(data[: len(data) // 2])
                await writer.drain()
                return
            writer.write(data)
            await writer.drain()


class _Way:
    """What awaits the next reply of a connection."""

    cut = ""
