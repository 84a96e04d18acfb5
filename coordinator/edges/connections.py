"""Connections that are looked after: whoever lets us wait is cut off, and there are only so many.

```
                 ┌───────────────────── next request ───────────────────────┐
 connected ──▶ HEAD ──complete──▶ BODY ──complete──▶ IDLE: being answered, or kept alive
               │ 10 s: closed     │ 10 s of silence,    │ an answer that is not read for 30 s: closed
               │ too large: 431   │ 30 s in all: 408    │
```

The server's own protocols know no such limits. Both are completed here by the same class, through what they offer to
be overridden; the server calls `look` every half second, so that a request costs no timer.
"""

import asyncio
import contextlib
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from coordinator.edges.gate import probes_only
from coordinator.edges.limits import HEAD_BYTES, Limits
from coordinator.edges.refusals import BODY_TOO_SLOW, BROKEN, HEADERS_TOO_LARGE, OVERLOADED, Refused

if TYPE_CHECKING:
    # The two have everything in common that is used here, and no ancestor of their own.
    Protocol = H11Protocol
else:
    Protocol = object


class Phase(Enum):
    """What is expected of the client."""

    HEAD = auto()
    BODY = auto()
    IDLE = auto()


class Guarded(Protocol):
    """What both protocols get. `limits` are set by `guarded_protocol`."""

    limits: ClassVar[Limits] = Limits()

    _began = _heard = _read = 0.0
    _head_bytes = _unread = 0
    _linger_until: float | None = None
    _opened_cycle: Any = None
    cycle: Any

    @property
    def phase(self) -> Phase:
        """What is expected now."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or a connection too many only for health checks, or not at all."""
        super().connection_made(transport)
        self._began = self._heard = self._read = self.loop.time()
        too_many = len(self.connections) - self.limits.connections
        if too_many > self.limits.spare:
            self.transport.write(OVERLOADED.raw)
            self.transport.close()
        elif too_many > 0:
            self.app = probes_only(self.app)

    def data_received(self, data: bytes) -> None:
        """Read on, and know how long a head has been coming, and how much of it."""
        self._heard = self.loop.time()
        if self._linger_until is not None:
            return
        if self.phase is Phase.IDLE:
            self._begin()
        super().data_received(data)
        if self.cycle is not self._opened_cycle:
            # A head is complete. Of what else has come, nothing is counted: one reading's worth.
            self._opened_cycle = self.cycle
            self._begin()
        elif self.phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HEADERS_TOO_LARGE)

    def eof_received(self) -> None:
        """Nothing more is read, so a refused client has nothing more to be given time for."""
        if self._linger_until is not None:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read. The h11 one counts the bytes of a head too, and may do it first."""
        del msg
        is_too_large = getattr(sys.exception(), "error_status_hint", 0) == HEADERS_TOO_LARGE.status
        self._refuse(HEADERS_TOO_LARGE if is_too_large else BROKEN)

    def look(self, now: float) -> None:
        """Cut off a client that has let us wait too long. Called again and again, also for a closing connection."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread < self._unread:
            self._read = now
        self._unread = unread
        if now - self._read > self.limits.unread_s:
            self.transport.abort()
        elif self._linger_until is not None:
            if now > self._linger_until:
                self.transport.abort()
        elif self.flow.read_paused:
            # It waits for us.
            self._began = self._heard = now
        elif self._is_late(now):
            if self.phase is Phase.BODY and not self._is_answered():
                self._refuse(BODY_TOO_SLOW)
            else:
                self.transport.close()

    def _is_late(self, now: float) -> bool:
        match self.phase:
            case Phase.HEAD:
                return now - self._began > self.limits.head_s
            case Phase.BODY:
                silent_s = now - self._heard
                return silent_s > self.limits.body_pause_s or now - self._began > self.limits.body_s
        # The server's own timer ends when the rest of a body comes after its answer.
        is_kept = self.cycle is not None and self.cycle.response_complete and self.timeout_keep_alive_task is None
        return is_kept and now - self._heard > self.timeout_keep_alive

    def _is_answered(self) -> bool:
        """Whether an answer has begun, or must come before this one."""
        return self.cycle.response_started or bool(getattr(self, "pipeline", ()))

    def _begin(self) -> None:
        self._began = self._heard
        self._head_bytes = 0

    def _refuse(self, refused: Refused) -> None:
        """Say why, read no more, and close when the client has had time to read it.

        Closing at once while data comes in resets the connection, and the client would see nothing but that.
        """
        self._linger_until = self.loop.time() + self.limits.linger_s
        self._unset_keepalive_if_required()
        cycle = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self.transport.write(refused.raw)
        if cycle is not None and not cycle.response_complete:
            # Whoever waits for the rest of the request is told that nothing comes.
            cycle.disconnected = True
            cycle.message_event.set()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


class GuardedH11(Guarded, H11Protocol):
    """On the parser that is always there."""

    @property
    def phase(self) -> Phase:
        """As the parser's state says it."""
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            return Phase.BODY
        is_reading = state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        return Phase.HEAD if is_reading else Phase.IDLE


def guarded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol to serve with, the faster one where it is installed."""
    protocol: type[Guarded] = GuardedH11
    with contextlib.suppress(ImportError):
        from coordinator.edges.faster_connections import GuardedHttpTools  # noqa: PLC0415

        protocol = GuardedHttpTools
    return type(protocol.__name__, (protocol,), {"limits": limits})
