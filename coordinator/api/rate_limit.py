"""How often one may come: requests of a token, wrong tokens of an address. Each replica counts for itself, in memory.

```
 token right ──▶ Shedding.admit ── over API_RATE ──▶ 429 rate_limited
 token wrong ──▶ Shedding.count_wrong_token ── more than 10 a minute ──▶ 429 rate_limited, else 401
```

Behind a proxy all come from one address: whose token is right passes, however many wrong ones came before.
"""

import logging
import math
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address, ip_network

from coordinator.errors import RateLimited

log = logging.getLogger(__name__)

BURST_S = 2
"""How many seconds' worth of requests may come at once."""

NAMES_MOST = 10_000
"""What is kept of; beyond, the one that came longest ago is forgotten."""

WRONG_TOKENS_MOST = 10
WRONG_TOKENS_WINDOW_S = 60

NEVER_SHED = frozenset({"receive_receipt", "receive_receipts", "receive_heartbeat", "ready"})
"""Who is awaited by a job that runs, and the probe that would have the replica killed; `/health` wants no token."""

_V6_SITE_BITS = 64


class RateLimit:
    """Token buckets by name: `rate` a second, and `burst` at once.

    Of each only the instant is kept from which it is full again (the generic cell rate algorithm, ITU-T I.371).
    """

    def __init__(self, rate: float, burst: float, most: int = NAMES_MOST) -> None:
        """At most `most` names are known."""
        self._cost_s = 1 / rate
        self._whole_s = burst / rate
        self._most = most
        self._full_at: dict[str, float] = {}

    def take(self, name: str, now: float) -> float:
        """Take a token at the monotonic instant `now`, s. Returns 0, or in how many seconds there will be one."""
        full_at = max(self._full_at.pop(name, now), now)
        wait_s = full_at + self._cost_s - self._whole_s - now
        # What is less than a nanosecond is what adding up fractions leaves.
        is_taken = wait_s < 1e-9
        # Popped and put: who came last stands last.
        self._full_at[name] = full_at + self._cost_s if is_taken else full_at
        if len(self._full_at) > self._most:
            del self._full_at[next(iter(self._full_at))]
        return 0 if is_taken else wait_s


class Tally:
    """Counts by name within windows of `window_s`, each from its first count on."""

    def __init__(self, window_s: float, most: int = NAMES_MOST) -> None:
        """At most `most` names are known."""
        self._window_s = window_s
        self._most = most
        self._counts: dict[str, tuple[float, int]] = {}

    def add(self, name: str, now: float) -> tuple[int, float]:
        """Count one more at the monotonic instant `now`, s. Returns the count, and in how many seconds it ends."""
        ends_at, count = self._counts.get(name, (now, 0))
        if ends_at <= now:
            self._counts.pop(name, None)
            ends_at, count = now + self._window_s, 0
        self._counts[name] = ends_at, count + 1
        if len(self._counts) > self._most:
            # Windows are all of one length, so the first is the oldest.
            del self._counts[next(iter(self._counts))]
        return count + 1, ends_at - now


class Shedding:
    """What the guard asks of a request, when it knows whether its token is right."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` is requests a second of one token, 0 for any number; `clock` tells monotonic seconds."""
        self._rate = rate
        self._limit = RateLimit(rate, rate * BURST_S) if rate else None
        self._wrong = Tally(WRONG_TOKENS_WINDOW_S)
        self._clock = clock

    def admit(self, caller: str, handler: str) -> None:
        """Let a request of a caller come to a handler. Raises `RateLimited`."""
        if self._limit is None or handler in NEVER_SHED:
            return
        wait_s = self._limit.take(caller, self._clock())
        if wait_s:
            detail = f"This token makes more than {self._rate} requests a second; COORDINATOR_API_RATE says so."
            raise RateLimited(detail, self._rate, math.ceil(wait_s))

    def count_wrong_token(self, address: str) -> None:
        """A wrong token came. Raises `RateLimited` for one too many of its address."""
        count, left_s = self._wrong.add(_site_of(address), self._clock())
        if count <= WRONG_TOKENS_MOST:
            return
        if count == WRONG_TOKENS_MOST + 1:
            told = {"address": address}
            log.warning(
                "more than %d wrong tokens in a minute", WRONG_TOKENS_MOST, extra={"event": "token.guessed", **told}
            )
        detail = f"More than {WRONG_TOKENS_MOST} wrong tokens a minute came from this address; a right one passes."
        raise RateLimited(detail, WRONG_TOKENS_MOST, math.ceil(left_s))


def _site_of(address: str) -> str:
    """Who comes from an address: of IPv6 its network, because whoever has one address has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return address  # Of a socket that has none.
    if isinstance(found, IPv4Address) or found.ipv4_mapped:
        return address
    return str(ip_network((found.packed, _V6_SITE_BITS), strict=False))
