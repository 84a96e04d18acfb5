"""The token of a call: with it a function may report its own attempt, and nothing else.

    rt1.<key>.<attempt>.<nonce>.<expires>.<mac>

`mac` is an HMAC-SHA256 over the job's id and all that stands before it, so a token is of no use for another job or
attempt, and a forged one is found out without a look into Redis. `expires` is in Unix seconds.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.domain.keyring import mac

PURPOSE = "cr/receipt/v1"
"""What the keys are derived for."""

VALID_FOR_MS = 86_400_000
"""Beyond the deadline: heartbeats may move that by a day, and a late success counts while the job is not final."""

_BEGINNING = "rt1."
_TOKEN = re.compile(
    r"rt1\.(?P<key>[A-Za-z0-9]{1,16})\.(?P<attempt>[1-9]\d{0,8})\.(?P<nonce>[A-Za-z0-9_-]{1,64})"
    r"\.(?P<expires>[1-9]\d{0,11})\.(?P<mac>[A-Za-z0-9_-]{43})",
    re.ASCII,
)

_SECRET = re.compile(r"(?<![A-Za-z0-9])rt1\.[A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fence:
    """Which attempt is meant: its number and its nonce. What is None or empty stands for the current one."""

    attempt: int | None = None
    nonce: str = ""


def is_receipt_token(text: str) -> bool:
    """Whether a bearer token is meant to be one of these."""
    return text.startswith(_BEGINNING)


def without_receipt_tokens(text: str, stand_in: str) -> str:
    """The text with `stand_in` for each of these, also for one that was cut off."""
    return _SECRET.sub(stand_in, text)


def key_in(text: str) -> str | None:
    """The id of the key that a token names; None for what has another form."""
    found = _TOKEN.fullmatch(text)
    return found["key"] if found else None


def issue(key_id: str, key: bytes, job_id: str, fence: Fence, expires_at_s: int) -> str:
    """The token of an attempt's call."""
    signature = mac(key, "rt1", job_id, f"{fence.attempt}", fence.nonce, f"{expires_at_s}")
    return f"{_BEGINNING}{key_id}.{fence.attempt}.{fence.nonce}.{expires_at_s}.{signature}"


def verify(keys: Mapping[str, bytes], text: str, job_id: str, now_s: float) -> Fence | None:
    """The attempt that a token is for; None if it is not for this job, not of our making, or has expired."""
    found = _TOKEN.fullmatch(text)
    key = keys.get(found["key"]) if found else None
    if found is None or key is None:
        return None
    signature = mac(key, "rt1", job_id, found["attempt"], found["nonce"], found["expires"])
    if not hmac.compare_digest(signature, found["mac"]) or int(found["expires"]) < now_s:
        return None
    return Fence(int(found["attempt"]), found["nonce"])
