"""The secrets that all replicas share: one list of keys, from which the key for each purpose is derived.

The first key is used for whatever is made new, all of them for what was made before. So a key is replaced by putting a
new one in front, and dropped when nothing of its time is left.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

KEY_LEAST_BYTES = 32
"""As long as the digest that keys are derived with; a shorter one would be what limits the strength of all."""

_ENTRY = re.compile(r"(?P<id>[A-Za-z0-9]{1,16}):(?P<key>[A-Za-z0-9+/_-]+={0,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by their ids, the one for new things first. Not shown by `repr`."""

    keys: dict[str, bytes] = field(repr=False)

    @property
    def newest(self) -> str:
        """The id of the key for what is made new."""
        return next(iter(self.keys))

    def derived(self, purpose: str) -> dict[str, bytes]:
        """Keys of 32 bytes for one purpose, in the same order: HKDF-SHA256 (RFC 5869) without a salt."""
        return {name: hkdf(key, purpose) for name, key in self.keys.items()}


def parse_keyring(text: str) -> Keyring:
    """Keys as `id:base64,id:base64`. Raises `ValueError` with the remedy, and without a key in it."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), 1):
        found = _ENTRY.fullmatch(entry.strip())
        key = b"" if found is None else _decoded(found["key"])
        if found is None or len(key) < KEY_LEAST_BYTES or len(set(key)) == 1:
            raise ValueError(
                f"key number {number} is not <id>:<base64 of {KEY_LEAST_BYTES} random bytes>, with an id of up to 16 "
                f"letters and digits; make one: echo k{number}:$(openssl rand -base64 {KEY_LEAST_BYTES})"
            )
        if found["id"] in keys:
            raise ValueError(f"key number {number} has the id {found['id']!r} of another one; each needs its own")
        keys[found["id"]] = key
    return Keyring(keys)


def read_keyring(setting: str) -> Keyring | None:
    """The keys of the settings, None if there are none. Raises as `parse_keyring` does."""
    return parse_keyring(setting) if setting else None


def hkdf(key: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from which neither the key nor those for another purpose can be told."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), key, hashlib.sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)


def mac(key: bytes, *parts: str) -> str:
    """The HMAC-SHA256 of parts that hold no line feed, in URL-safe base64: 43 characters."""
    digest = hmac.digest(key, "\n".join(parts).encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""
