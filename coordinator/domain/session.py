"""A session of the dashboard: that somebody has shown a token of the API, told by a cookie.

    s1.<key>.<token id>.<end>.<mac>

`mac` is an HMAC-SHA256 over the digest of that token and all that stands before it. So nothing is kept of a session: it
ends with its token, and when the token of the settings is another one. `end` is in Unix seconds.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.domain.keyring import mac

PURPOSE = "co/session/v1"
"""What the keys are derived for."""

VALID_FOR_S = 8 * 3600
"""A working day: a browser that is left alone overnight is signed out."""

_COOKIE = re.compile(
    r"s1\.(?P<key>[A-Za-z0-9]{1,16})\.(?P<token>[a-z0-9]{8}|env-[0-9a-f]{8})\.(?P<end>[1-9]\d{0,11})"
    r"\.(?P<mac>[A-Za-z0-9_-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Session:
    """Of which token, by its id, and until when, in Unix seconds."""

    token: str
    ends_at_s: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a cookie says, before it is known to be ours."""

    session: Session
    key_id: str
    signature: str


def end_of_session(now_s: float, token_ends_at_ms: int | None) -> int:
    """When a session that begins now ends: with its token at the latest."""
    end = int(now_s) + VALID_FOR_S
    return end if token_ends_at_ms is None else min(end, token_ends_at_ms // 1000)


def cookie_of(session: Session, digest: str, key_id: str, key: bytes) -> str:
    """The cookie of a session. `digest` is that of its token."""
    return f"s1.{key_id}.{session.token}.{session.ends_at_s}.{_sign(key, session, digest)}"


def read_claim(cookie: str) -> Claim | None:
    """What a cookie says; None if it has another form."""
    found = _COOKIE.fullmatch(cookie)
    return None if found is None else Claim(Session(found["token"], int(found["end"])), found["key"], found["mac"])


def is_valid(claim: Claim, digest: str, keys: Mapping[str, bytes], now_s: float) -> bool:
    """Whether it was signed by us for the token with this digest, and has not ended."""
    key = keys.get(claim.key_id)
    if key is None or not hmac.compare_digest(_sign(key, claim.session, digest), claim.signature):
        return False
    return now_s < claim.session.ends_at_s


def _sign(key: bytes, session: Session, digest: str) -> str:
    return mac(key, "s1", digest, session.token, f"{session.ends_at_s}")
