"""A platform that functions run on, started as a process of its own.

`{port}` stands for the port in the command and in the environment's values. The process finds `PORT`,
`COORDINATOR_SECRET` (two secrets, separated by a space) and `COORDINATOR_URL` in its environment.
"""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.ports import free_port

APPS = Path(__file__).parent / "apps"
READY_LIMIT_S = 30
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Runtime:
    """`needs`: programs, by name or path, and Python modules as `python:<name>`; without them it cannot be started.

    `is_serial`: it takes one call at a time, and holds others up meanwhile. `path`: where it answers.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    is_serial: bool = False
    path: str = "/"

    def missing(self) -> list[str]:
        """What it needs, and is not here."""
        return [need for need in self.needs if not _is_here(need)]

    @contextlib.contextmanager
    def started(self, environment: Mapping[str, str], log: Path) -> Iterator[str]:
        """Gives its URL when it answers. What it prints goes to `log`."""
        port = free_port()
        given = dict(os.environ) | dict(environment) | dict(self.environment) | {"PORT": str(port)}
        given = {name: value.replace("{port}", str(port)) for name, value in given.items()}
        command = [part.replace("{port}", str(port)) for part in self.command]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=given,
                cwd=APPS,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_ends_with_us(),  # noqa: PLW1509 - what it calls takes no lock
            )
        url = f"http://127.0.0.1:{port}{self.path}"
        try:
            _await_answer(process, url, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_here(need: str) -> bool:
    if need.startswith("python:"):
        return importlib.util.find_spec(need.removeprefix("python:")) is not None
    return shutil.which(need) is not None or Path(need).exists()


def _ends_with_us() -> Callable[[], object] | None:
    # Without it a killed test run would leave servers behind.
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _await_answer(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + READY_LIMIT_S
    with httpx.Client(trust_env=False, timeout=READY_LIMIT_S) as client:
        while not _answers(client, url):
            assert process.poll() is None, f"it ended at its start: {log.read_text()}"
            assert time.monotonic() < until, f"no answer within {READY_LIMIT_S} s: {log.read_text()}"
            time.sleep(0.02)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        status = client.get(url).status_code
    except httpx.TransportError:
        return False
    assert status == httpx.codes.METHOD_NOT_ALLOWED, f"a GET was answered {status}"
    return True
