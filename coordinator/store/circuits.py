"""Circuits of workers that fail, as the scripts tell of them."""

import logging
from collections.abc import Iterable
from typing import Any

log = logging.getLogger(__name__)


def announce(changes: Iterable[Any]) -> None:
    """Nobody should have to guess why a queue stands still."""
    for change, queue, worker, failures in changes:
        told = {"queue": queue.decode(), "worker": worker.decode(), "failures": failures}
        if change == b"opened":
            log.warning(
                "the circuit of a worker opened: %d failures in a row, its jobs wait",
                failures,
                extra={"event": "circuit.opened", **told},
            )
        else:
            log.warning(
                "the circuit of a worker closed: its jobs are called again", extra={"event": "circuit.closed", **told}
            )
