"""Signatures of calls, by the Standard Webhooks specification 1.0 (https://www.standardwebhooks.com).

A function that knows its secret can tell a call of ours from anybody else's. Signed are the message's id, its timestamp
and the raw body, so an old call cannot be sent again later, nor a part of it changed. With two secrets there are two
signatures, and a function that knows either of them accepts the call: that is how a secret is replaced.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache

PREFIX = "whsec_"
KEY_BYTES_LEAST, KEY_BYTES_MOST = 24, 64
"""The specification's."""


def sign(secrets: Iterable[str], message_id: str, sent_at: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,<base64 of HMAC-SHA256>` per secret, separated by spaces.

    `sent_at` is in Unix seconds. Raises `ValueError` for what is no secret.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), sent_at, body)
    macs = (hmac.digest(_key_of(secret), signed, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def secret_problem(secret: str) -> str | None:
    """What is wrong with a secret, with the remedy and without the secret; None if nothing is."""
    try:
        _key_of(secret)
    except ValueError as why:
        return str(why)
    return None


@lru_cache(maxsize=1024)
def _key_of(secret: str) -> bytes:
    remedy = f"make one with: echo {PREFIX}$(head -c 32 /dev/urandom | base64)"
    if not secret.startswith(PREFIX):
        raise ValueError(f"is no signing secret: it has to begin with {PREFIX}; {remedy}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is no signing secret: what follows {PREFIX} is not base64; {remedy}") from None
    if not KEY_BYTES_LEAST <= len(key) <= KEY_BYTES_MOST:
        wanted = f"{KEY_BYTES_LEAST} to {KEY_BYTES_MOST} bytes"
        raise ValueError(f"is no signing secret: it holds {len(key)} bytes, and {wanted} are wanted; {remedy}")
    return key
