"""A test request to a function: it says whether it can be reached and knows our signature, and runs nothing."""

import time
from dataclasses import dataclass, field

import msgspec

from coordinator.calling.answer import Answer, error_bytes, error_of
from coordinator.calling.caller import Caller
from coordinator.domain.outcome import Failure, JsonBytes, Outcome, Unsent
from coordinator.domain.worker import ENTRY_POINT, Worker
from coordinator.engine.calls import ping_call, unreadable_worker

LIMIT_S = 10.0

_UNKNOWING = 'It answered, but not {"pong":true}: whether it understands pings, and signatures, is not known.'


class Pong(msgspec.Struct):
    """What a function with our SDK says of itself. `workers` are the names that it serves; None is any."""

    pong: bool = False
    sdk: str | None = None
    workers: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Pinged:
    """What a ping came to. `is_ok` is any 2xx; `http_status` is None when there was no answer."""

    is_ok: bool
    http_status: int | None
    duration_ms: int
    pong: Pong = field(default_factory=Pong)
    error: JsonBytes | None = None
    note: str | None = None


async def ping(caller: Caller, name: str, worker: Worker) -> Pinged:
    """Send a test request to the worker that serves this name, and wait for its answer."""
    if worker.unreadable:
        return Pinged(is_ok=False, http_status=None, duration_ms=0, error=unreadable_worker(worker))
    began = time.monotonic()
    answer = await caller.ask(ping_call(name, worker, LIMIT_S))
    duration_ms = round((time.monotonic() - began) * 1000)
    if not isinstance(answer, Answer):
        return Pinged(is_ok=False, http_status=None, duration_ms=duration_ms, error=_error_of(answer))
    if not 200 <= answer.status < 300:
        return Pinged(is_ok=False, http_status=answer.status, duration_ms=duration_ms, error=error_of(answer))
    pong = _read(answer.body)
    return Pinged(is_ok=True, http_status=answer.status, duration_ms=duration_ms, pong=pong, note=_note(name, pong))


def _error_of(outcome: Outcome) -> JsonBytes:
    match outcome:
        case Failure(error=error):
            return error
        case Unsent(reason=reason):
            return error_bytes("Unsent", f"The call was not sent: {reason}.")
        case _:
            return error_bytes("ConnectionLost", "There was no complete answer.")


def _read(body: bytes) -> Pong:
    try:
        pong = msgspec.json.decode(body, type=Pong)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Pong()
    # What else an answer says may mean anything.
    return pong if pong.pong else Pong()


def _note(name: str, pong: Pong) -> str | None:
    if not pong.pong:
        return _UNKNOWING
    if pong.workers is not None and name not in (ENTRY_POINT, *pong.workers):
        return f"It serves no worker {name!r}: jobs of that name will fail."
    return None
