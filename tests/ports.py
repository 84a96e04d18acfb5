"""Ports on loopback for the servers of tests: free now, and still free when a server that was killed is started again.

They are taken from below what a kernel gives to connections by itself (32768 and up), where nothing is handed out twice
within a run; and each worker of a run has a part of its own.
"""

import itertools
import os
import socket

_FIRST = 12_000
_EACH = 2_000
_WORKERS = 10

_own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
# Two runs on one machine begin at different places.
_numbers = itertools.cycle(_FIRST + _EACH * _own + (os.getpid() * 37 + number) % _EACH for number in range(_EACH))


def free_port() -> int:
    """A port that nobody listens on."""
    for port in itertools.islice(_numbers, _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of {_EACH} ports is free")


def free_ports(count: int) -> list[int]:
    """As many, all different."""
    return [free_port() for _ in range(count)]
