"""The process: one replica behind one HTTP server, until a signal says stop.

SIGTERM and SIGINT begin the drain: the replica claims nothing more and hands over its shards, the calls in flight end
within the grace while their functions can still report here, the rest is left to receipts that others take, and then
the door is closed. A second signal ends the process at once.
"""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import uvicorn

from coordinator.edges.connections import Guarded, guarded_protocol
from coordinator.edges.gate import gate
from coordinator.edges.limits import HEAD_BYTES, Limits
from coordinator.engine.replica import Replica
from coordinator.errors import SettingsError
from coordinator.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 1024
KEEP_ALIVE_S = 75
"""Longer than proxies and clients keep an idle connection: the one who closes it must not be the one who is sent to."""

LOOKUPS = 64
"""Threads, made as they are needed."""

FILES = 65_536
"""Open at once, where that is allowed: more than the most calls and connections together."""

Application = Callable[..., Coroutine[Any, Any, None]]
"""An ASGI application."""

Meanwhile = Callable[[], Coroutine[None, None, None]]
"""What is done while it is served."""


def bind(settings: Settings) -> socket.socket:
    """The listening socket: a taken port stops the start, and port 0 becomes a number. Raises `SettingsError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        remedy = "an address of this machine as --host" if isinstance(error, socket.gaierror) else "another --port"
        msg = f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose {remedy}."
        raise SettingsError(msg) from None
    listener.listen(BACKLOG)
    return listener


def run(main: Coroutine[None, None, int]) -> int:
    """Run to the end, on the faster event loop where it is installed."""
    _raise_file_limit()
    # A thousand calls in flight are a large young heap that the collector would walk again and again: a fifth of all
    # CPU was its. What is garbage here is freed by its reference counts.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - the extra `fast`
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def _raise_file_limit() -> None:
    """Connections and calls are files, and the usual limit of 1024 is less than what the settings allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(
    app: Application,
    replica: Replica,
    listener: socket.socket,
    meanwhile: Meanwhile | None = None,
    *,
    limits: Limits,
    trusted_proxies: str = "",
) -> bool:
    """Serve a replica's application until a signal, or until `meanwhile`, begun when the server is up, has ended.

    `limits` are those of clients; `trusted_proxies` are believed for whom they stand. Returns whether the server came
    up and `meanwhile`, if any, ended well.
    """
    # Names are looked up in threads, and one name server that does not answer must not hold up the others' calls.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup"))
    config = uvicorn.Config(
        gate(app),
        http=guarded_protocol(limits),
        ws="none",
        h11_max_incomplete_event_size=HEAD_BYTES,
        server_header=False,
        log_config=None,
        lifespan="on",
        # Not by default, as the server has it: any program on this machine could give itself another address.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        access_log=False,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config, replica, meanwhile, limits)
    await server.serve(sockets=[listener])
    return server.started and server.went_well


class _Server(uvicorn.Server):
    """Uvicorn's server that begins something of ours when it is up."""

    def __init__(
        self,
        config: uvicorn.Config,
        replica: Replica,
        meanwhile: Meanwhile | None,
        limits: Limits,
    ) -> None:
        super().__init__(config)
        self._look_s = limits.look_s
        self._looked_at = 0.0
        self._replica = replica
        self._meanwhile = meanwhile
        self._task: asyncio.Task[None] | None = None
        self.went_well = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals begin the drain, and that is all: the server's own way raises them again when it has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, any further one ends at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            told = {"address": [":".join(map(str, at.getsockname()[:2])) for at in sockets or ()]}
            log.info("listening", extra={"event": "replica.listening", "replica": self._replica.id, **told})
        if self._meanwhile and self.started:
            self._task = asyncio.create_task(self._meanwhile())
            self._task.add_done_callback(self._finish)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look after the connections now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= self._look_s:
            self._looked_at = now
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Guarded):
                    connection.look(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """The calls in flight end first, while their functions can still report here; then the door is closed."""
        if self._task:
            self._task.cancel()
        drain = asyncio.create_task(self._replica.stop())
        while not drain.done() and not self.force_exit:
            await asyncio.wait({drain}, timeout=0.1)
        await super().shutdown(sockets)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception():
            log.error("%s", task.exception(), exc_info=task.exception(), extra={"event": "fault"})
            self.went_well = False
        self.should_exit = True
