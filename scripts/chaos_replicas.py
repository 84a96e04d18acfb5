"""The replicas of chaos.py: processes that are killed, stopped for a while, continued and started anew.

Each process is named `r<replica>/<incarnation>`, and calls the function at a URL of its own that ends so.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from chaos_http import Answer, Client, UnknownError, UnsentError
from chaos_record import Fault, Record

from coordinator.store.embedded import die_with_parent
from tests.ports import free_port

LEASE_MS = 2000
START_LIMIT_S = 60
"""For all tries to start a process on a busy machine, while Redis may be away too."""

SOON_S = 0.5
"""For a receipt to be dealt with, and for a sign of life; what takes longer may miss a deadline, and a lease."""

SLOW = "replica stalled"
"""A fault that nobody has made."""

SETTINGS: dict[str, object] = {"lease_ms": LEASE_MS, "leader_ttl_ms": LEASE_MS, "shutdown_grace_ms": 10_000}


class Process:
    """One `coordinator serve`."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        """Starts at once."""
        self.name = name
        self.port = free_port()
        self.log = log
        self.fds = 0
        command = [sys.executable, "-m", "coordinator", "serve", "--port", str(self.port)]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - no threads hold locks that it takes
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Nothing if it has ended."""
        if self.is_running:
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Its exit code."""
        while (code := self._process.poll()) is None:
            await asyncio.sleep(0.01)
        return code

    def count_fds(self) -> int:
        """Open files and sockets."""
        files = Path(f"/proc/{self._process.pid}/fd")
        return len(list(files.iterdir())) if files.is_dir() else 0


class Replicas:
    """All that run on one store."""

    def __init__(self, record: Record, client: Client, directory: Path, rng: random.Random) -> None:
        """`environment` and `function_port` are set before the first start."""
        self.names: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}
        self.url_of: dict[str, str] = {}
        """The Redis URL of a replica, where each has its own way."""
        self.function_port = 0
        self.all: dict[str, Process] = {}
        self.ended: list[Process] = []
        self.exits: list[int] = []
        self._record, self._client, self._directory, self._rng = record, client, directory, rng
        self._incarnations: dict[str, int] = {}

    async def start(self, replica: str) -> Process:
        """Start a replica anew, and wait until it is ready."""
        async with asyncio.timeout(START_LIMIT_S):
            while True:
                process = self._spawn(replica)
                if await self._is_ready(process):
                    process.fds = process.count_fds()
                    return process
                # Redis was away at its start, or its port was taken: it says so and ends.
                self.ended.append(process)

    def _spawn(self, replica: str) -> Process:
        number = self._incarnations[replica] = self._incarnations.get(replica, 0) + 1
        name = f"{replica}/{number}"
        worker_url = f"http://127.0.0.1:{self.function_port}/{name}/"
        environment = self.environment | {"COORDINATOR_WORKER_URL": worker_url}
        if replica in self.url_of:
            environment["COORDINATOR_REDIS_URL"] = self.url_of[replica]
        process = self.all[replica] = Process(name, environment, self._directory / f"{replica}-{number}.log")
        return process

    async def _is_ready(self, process: Process) -> bool:
        while process.is_running:
            with contextlib.suppress(UnsentError, UnknownError):
                if (await self._client.send(process.port, "GET /ready")).status == HTTPStatus.OK:
                    return True
            await asyncio.sleep(0.05)
        return False

    async def kill(self, replica: str) -> None:
        """End it as a crash would."""
        process = self.all[replica]
        with self._record.fault("replica killed", process.name):
            process.signal(signal.SIGKILL)
            await process.wait()
        self._bury(process)

    async def pause(self, replica: str, seconds: float) -> None:
        """Stop it for a while, as a machine that swaps or moves does."""
        process = self.all[replica]
        with self._record.fault("replica paused", process.name):
            process.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                process.signal(signal.SIGCONT)

    async def terminate(self, replica: str) -> None:
        """Ask it to end, and wait until it has."""
        process = self.all[replica]
        with self._record.fault("replica asked to end", process.name):
            process.signal(signal.SIGTERM)
            self.exits.append(await process.wait())
        self._bury(process)

    def stop_all(self) -> None:
        """End every process, whatever its state."""
        for process in self.all.values():
            process.signal(signal.SIGKILL)

    def _bury(self, process: Process) -> None:
        self.ended.append(process)
        self._client.close(process.port)

    def running(self) -> list[Process]:
        """Those that have not ended, in an order of chance."""
        found = [process for process in self.all.values() if process.is_running]
        self._rng.shuffle(found)
        return found

    async def watch(self) -> None:
        """Note when a process does not get to run, for whatever reason; it may lose its leases then."""
        async with asyncio.TaskGroup() as watches:
            for replica in self.names:
                watches.create_task(self._watch(replica))

    async def _watch(self, replica: str) -> None:
        while True:
            await asyncio.sleep(0.1)
            process, began = self.all[replica], self._record.now()
            with contextlib.suppress(UnsentError, UnknownError):
                await self._client.send(process.port, "GET /health")
            if self._record.now() - began > SOON_S:
                self._record.faults.append(Fault(SLOW, process.name, began, self._record.now()))

    async def ask(self, head: str, body: object = None) -> Answer:
        """What the first that answers with 2xx says. Asked again and again, for half a minute."""
        async with asyncio.timeout(30):
            while True:
                for process in self.running():
                    with contextlib.suppress(UnsentError, UnknownError):
                        answer = await self._client.send(process.port, head, body)
                        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                            return answer
                await asyncio.sleep(0.1)

    async def post(self, job: str, body: object, via: set[str]) -> Answer | None:
        """Post a receipt until a replica has dealt with it, for 20 s. `via` gets those that have not, or not soon."""
        until = self._record.now() + 20
        while self._record.now() < until:
            for process in self.running():
                began = self._record.now()
                try:
                    answer = await self._client.send(process.port, f"POST /job/{job}/receipt", body)
                except (UnsentError, UnknownError):
                    via.add(process.name)
                    continue
                if self._record.now() - began > SOON_S:
                    via.add(process.name)
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return answer
                via.add("*")
                self._record.refusals[f"receipt {answer.status} {answer.body.get('code')}"] += 1
            await asyncio.sleep(0.1)
        return None
