"""The store without set-up: a server as a child process."""

import contextlib
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from coordinator.errors import SettingsError
from coordinator.store import embedded
from coordinator.store.embedded import EmbeddedServer, Program, find_program, identify

PROGRAM = find_program()

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no server on this machine")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], EmbeddedServer]]:
    """Makes servers on one data directory, and ends them."""
    made: list[EmbeddedServer] = []

    def make() -> EmbeddedServer:
        assert PROGRAM
        made.append(EmbeddedServer(PROGRAM, tmp_path / "data"))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@contextlib.contextmanager
def client_of(server: EmbeddedServer) -> Iterator["Redis"]:
    """A client with its connection closed at the end."""
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    state = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def executable(path: Path, script: str) -> str:
    """A program that a test made up."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_data_survives_a_stop_and_a_start(serve: Callable[[], EmbeddedServer]):
    server = serve()
    server.start()
    with client_of(server) as client:
        client.set("kept", "yes")
    first = server.pid
    server.stop()
    assert not is_running(first)

    server.start()

    with client_of(server) as client:
        assert client.get("kept") == "yes"
    assert server.pid != first


def test_data_survives_another_server_on_the_same_directory(serve: Callable[[], EmbeddedServer]):
    first = serve()
    first.start()
    with client_of(first) as client:
        client.set("kept", "yes")
    first.stop()

    second = serve()
    second.start()

    assert second.url != first.url
    with client_of(second) as client:
        assert client.get("kept") == "yes"


def test_data_survives_a_kill(serve: Callable[[], EmbeddedServer]):
    server = serve()
    server.start()
    with client_of(server) as client:
        for number in range(100):
            client.rpush("kept", number)
    server.kill()

    server.start()

    with client_of(server) as client:
        assert client.llen("kept") == 100


def test_nothing_can_be_evicted_and_everything_is_written(serve: Callable[[], EmbeddedServer]):
    server = serve()
    server.start()

    with client_of(server) as client:
        told = client.config_get("maxmemory-policy", "appendonly", "port")

    assert told == {"maxmemory-policy": "noeviction", "appendonly": "yes", "port": "0"}


def test_two_on_one_directory_are_refused(serve: Callable[[], EmbeddedServer], tmp_path: Path):
    first, second = serve(), serve()
    first.start()

    with pytest.raises(SettingsError) as error:
        second.start()

    assert str(error.value) == (
        f"{tmp_path / 'data'} is in use by another coordinator; stop it, or choose another --data-dir."
    )
    with client_of(first) as client:
        assert client.ping()


def test_who_was_refused_leaves_the_other_as_it_was(serve: Callable[[], EmbeddedServer], tmp_path: Path):
    first, second = serve(), serve()
    first.start()

    with contextlib.suppress(SettingsError):
        second.start()
    second.stop()

    assert (tmp_path / "data" / "server.pid").read_text().partition(" ")[0] == str(first.pid)


def test_a_stop_leaves_the_directory_to_the_next(serve: Callable[[], EmbeddedServer], tmp_path: Path):
    first = serve()
    first.start()
    socket = Path(first.url.removeprefix("unix://"))
    assert socket.exists()

    first.stop()
    first.stop()

    assert not socket.parent.exists()
    assert not (tmp_path / "data" / "server.pid").exists()
    second = serve()
    second.start()


def test_a_killed_parent_takes_its_server_along(tmp_path: Path):
    """Without a chance to say so."""
    script = (
        "import sys, time; from pathlib import Path; from coordinator.store.embedded import *;"
        "server = EmbeddedServer(find_program(), Path(sys.argv[1])); server.start();"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()

    until = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(pid)


def test_an_orphan_is_ended_at_the_next_start(
    serve: Callable[[], EmbeddedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where the kernel does not end it, it would write the same file."""
    monkeypatch.setattr(embedded, "die_with_parent", lambda: None)
    orphan = serve()
    orphan.start()
    with client_of(orphan) as client:
        client.set("kept", "yes")
    assert orphan._lock
    orphan._lock.close()
    pid = orphan.pid
    # Its parent is this very process, which has to take note of its end.
    assert orphan._process
    threading.Thread(target=orphan._process.wait).start()

    server = serve()
    server.start()

    assert not is_running(pid)
    with client_of(server) as client:
        assert client.get("kept") == "yes"


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path):
    path = executable(tmp_path / "valkey-server", "echo first words; echo no space left >&2; exit 1")
    server = EmbeddedServer(Program(path, "Valkey 9.9"), tmp_path / "data")

    with pytest.raises(SettingsError) as error:
        server.start()

    assert str(error.value) == f"Valkey 9.9 did not start in {tmp_path / 'data'}:\nfirst words\nno space left"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Redis server v=7.0.15 sha=0 malloc=libc bits=64 build=0", "Redis 7.0.15"),
        ("Redis server v=8.2.1 sha=0", "Redis 8.2.1"),
        ("Valkey server v=9.1.2 sha=0", "Valkey 9.1.2"),
        ("Valkey server v=10.0 sha=0", "Valkey 10.0"),
        ("Redis server v=6.2.14 sha=0", None),
        ("Redis server v=10", None),
        ("nothing of ours", None),
    ],
)
def test_a_program_is_known_by_what_it_says_of_itself(tmp_path: Path, said: str, name: str | None):
    path = executable(tmp_path / "server", f"echo '{said}'")

    assert identify(path) == (Program(path, name) if name else None)


def test_what_does_not_run_is_no_program(tmp_path: Path):
    assert identify(str(tmp_path / "nothing")) is None
    assert identify(executable(tmp_path / "server", "echo Redis server v=7.2.0; exit 1")) is None


def test_an_installed_server_goes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    executable(tmp_path / "redis-server", "echo Redis server v=7.2.0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_program() == Program(str(tmp_path / "redis-server"), "Redis 7.2.0")


def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    executable(tmp_path / "redis-server", "echo Redis server v=6.0.16")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "bundled_program", lambda: Program("/bundled", "Valkey 9.1.2"))

    assert find_program() == Program("/bundled", "Valkey 9.1.2")
