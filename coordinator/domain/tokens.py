"""API tokens: who may do what, and in which queues.

    co_3kf09ap2_u7Vh2F…43 characters…Qx
       └─ its id    └─ 32 random bytes

Only the SHA-256 of a token is kept: there is so much chance in it that no slow hash is needed. Its id is no secret; it
tells tokens apart in lists and logs, and the prefix lets scanners of repositories find those that got into one.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import msgspec

Scope = Literal["enqueue", "receipt", "read", "manage", "admin"]
"""What a token may be for. `admin` includes the others."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

ANY_QUEUE = "*"

_TEXT = re.compile(r"co_(?P<id>[a-z0-9]{8})_[A-Za-z0-9_-]{43}", re.ASCII)
_PLAIN_LEAST = 16
_LEFT_LEAST = 12
_DIGEST = re.compile(r"sha256:(?P<digest>[0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_WORDS = re.compile(
    r"change|me\b|please|pass|word|secret|token|qwerty|letmein|admin|example|default|test|long|random|text",
    re.IGNORECASE,
)
"""What stands where somebody meant to put something else."""


class Token(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A token as it is kept, under its id. `digest` is the SHA-256 of its text in hex.

    Without `queues` it is for all of them; each is a name, or the beginning of names and a star. Instants are Unix ms.
    """

    name: str
    digest: str
    scopes: tuple[Scope, ...]
    queues: tuple[str, ...] = ()
    created_at: int = 0
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What whoever sent a request may do. `token` is the id of the token that it came with; empty without one."""

    token: str
    scopes: frozenset[Scope]
    queues: tuple[str, ...] = ()

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what needs this scope."""
        return scope in self.scopes or "admin" in self.scopes

    def covers(self, queue: str) -> bool:
        """Whether it may do so in this queue."""
        return not self.queues or any(_matches(queue, pattern) for pattern in self.queues)


EVERYTHING = Grant("", frozenset({"admin"}))
"""What whoever is on this machine may do while there are no tokens."""


def grant_of(token_id: str, token: Token) -> Grant:
    """What a token allows."""
    return Grant(token_id, frozenset(token.scopes), token.queues)


def token_text(token_id: str, secret: str) -> str:
    """A new token, of an id (8 letters or digits in lower case) and 32 random bytes in URL-safe base64."""
    return f"co_{token_id}_{secret}"


def id_in(text: str) -> str | None:
    """The id that a token names; None for what is not of our making."""
    found = _TEXT.fullmatch(text)
    return found["id"] if found else None


def digest_of(text: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_same(digest: str, other: str) -> bool:
    """Whether two digests are equal, in a time that does not depend on how far."""
    return hmac.compare_digest(digest, other)


def token_of_setting(written: str, number: int) -> tuple[str, Token]:
    """A token of the settings, for everything: its text, or `sha256:` and the digest of it in hex. With its id."""
    found = _DIGEST.fullmatch(written)
    digest = found["digest"].lower() if found else digest_of(written)
    return f"env-{digest[:8]}", Token(f"COORDINATOR_TOKENS {number}", digest, ("admin",))


def weakness(written: str) -> str | None:
    """What is wrong with a token of the settings, with the remedy and without the token; None if nothing is."""
    if _DIGEST.fullmatch(written):
        return None
    if written.lower().startswith("sha256:"):
        return "begins with sha256: and is no SHA-256: 64 hexadecimal digits have to follow"
    if len(written) >= _PLAIN_LEAST and not _is_foreseeable(written):
        return None
    return f"can be guessed: give at least {_PLAIN_LEAST} characters by chance; make one: openssl rand -hex 32"


def _is_foreseeable(text: str) -> bool:
    """Whether it is made of known words, counts up or down, or says the same again."""
    left = _WORDS.sub("", text)
    is_repeated = text in (text + text)[1:-1] or len({text[at : at + 3] for at in range(len(text))}) < len(text) * 2 / 3
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    counting = sum(step == before and step in (-1, 0, 1) for before, step in pairwise(steps))
    return is_repeated or counting > len(steps) / 3 or len(left) < _LEFT_LEAST or len(set(left)) < _PLAIN_LEAST // 2


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with the name of queues that a token is for; None if nothing is."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\*?|\*", pattern, re.ASCII):
        return None
    return "is no queue: a name, or the beginning of names and a star, such as mail-*"


def _matches(queue: str, pattern: str) -> bool:
    return queue.startswith(pattern[:-1]) if pattern.endswith(ANY_QUEUE) else queue == pattern
