"""How much a client may send, how long it may take, and how many of them there may be."""

from dataclasses import dataclass

HEAD_BYTES = 16 * 1024
HEAD_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one server. Times are in seconds; one that is over is noticed up to `look_s` later."""

    connections: int = 2000
    spare: int = 100
    """Connections beyond, on which only health checks are answered; one more is closed at once."""

    head_s: float = 10
    """From the first byte of a request, or from the connection, to the end of the headers."""

    body_pause_s: float = 10
    """Without a byte of a body."""

    body_s: float = 30
    """For a whole body."""

    unread_s: float = 30
    """Without a byte read of an answer that is waiting for it."""

    linger_s: float = 2
    """For a refused client to read why, while what it still sends is thrown away."""

    look_s: float = 0.5
