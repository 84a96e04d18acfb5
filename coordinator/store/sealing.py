"""Encryption at rest: what callers and functions say is sealed before it goes to Redis, and opened after it has come.

```
 "args", "result", … ──▶ ~k1.<base64 of nonce, ciphertext, tag>      AES-256-GCM, the newest key of the ring
                                 │
        the key of the place ◀───┴── HMAC(key k1, "job 01K… result")
```

Each place (a field of one job, schedule, batch or worker) has a key of its own, made from that of the ring. So what
somebody moves to another place does not open there, and random nonces do not run out: one key seals a handful of
values, not all that a coordinator ever sees.

A sealed text begins with `~` and a letter or digit. JSON never does; a plain text that begins with `~` is kept with one
more before it. No script ever looks into any of these.
"""

import binascii
import hmac
import re
import secrets
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from coordinator.domain.batch import Batch
from coordinator.domain.job import NO_META, Spec
from coordinator.domain.keyring import Keyring
from coordinator.errors import SettingsError

MARK = "~"

_NONCE_BYTES = 12
_SEALED = re.compile(rb"~(?P<key>[A-Za-z0-9]{1,16})\.(?P<content>[A-Za-z0-9+/]+={0,2})")
_NULL = msgspec.Raw(b"null")


class NotOpened(ValueError):
    """A sealed value whose key is not listed here, or that is not what was sealed for this place."""

    def __init__(self, key: str) -> None:
        """`key` is the id of the key that it was sealed with."""
        super().__init__(f"a value that is sealed with the key {key!r} cannot be opened")
        self.key = key


class _Payload(msgspec.Struct, array_like=True):
    """What is secret of a spec. The handle may be made of args."""

    args: msgspec.Raw
    meta: msgspec.Raw
    handle: str | None


_payload_decoder = msgspec.json.Decoder(_Payload)
_encoder = msgspec.json.Encoder()


class Sealer:
    """Seals with the newest key and opens with any. Without a keyring it seals nothing."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        """Raises `SettingsError` if there are keys, and not the library that they need."""
        self._keys = {} if keyring is None else keyring.derived("coordinator/seal/v1")
        self.newest = None if keyring is None else keyring.newest
        self.fingerprints = (
            {}
            if keyring is None
            else {name: key.hex()[:32] for name, key in keyring.derived("coordinator/seal/fingerprint/v1").items()}
        )
        """What tells keys of one id apart, and nothing of the keys."""
        if keyring is not None:
            self._encrypt, self._decrypt, self._invalid = _load_cipher()

    def seal(self, plain: bytes, place: str) -> str:
        """A value as it is kept in a place. Only with keys."""
        assert self.newest is not None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        content = self._encrypt(_key_of(self._keys[self.newest], place), nonce, plain)
        return f"{MARK}{self.newest}.{binascii.b2a_base64(nonce + content, newline=False).decode()}"

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed in a place. Raises `NotOpened`."""
        found = _SEALED.fullmatch(sealed)
        key_id = found["key"].decode() if found else "?"
        key = self._keys.get(key_id)
        if found is None or key is None:
            raise NotOpened(key_id)
        try:
            content = binascii.a2b_base64(found["content"])
            return self._decrypt(_key_of(key, place), content[:_NONCE_BYTES], content[_NONCE_BYTES:])
        except (self._invalid, ValueError):
            raise NotOpened(key_id) from None

    def seal_json(self, value: bytes, place: str) -> bytes:
        """A JSON value, or nothing, as it is kept."""
        return value if self.newest is None or not value else self.seal(value, place).encode()

    def open_json(self, value: bytes, place: str) -> bytes:
        """The same as it was; what cannot be opened is `{"sealed": <id of its key>}`."""
        if not value.startswith(b"~"):
            return value
        try:
            return self.open(value, place)
        except NotOpened as lost:
            return placeholder(lost.key)

    def seal_text(self, text: str, place: str) -> str:
        """A text as it is kept; nothing stays nothing."""
        if self.newest is not None and text:
            return self.seal(text.encode(), place)
        return f"{MARK}{text}" if text.startswith(MARK) else text

    def open_text(self, text: str, place: str) -> str:
        """The same as it was. Raises `NotOpened`."""
        if not _SEALED.fullmatch(text.encode()):
            return text.removeprefix(MARK) if text.startswith(MARK * 2) else text
        return self.open(text.encode(), place).decode()

    def show_text(self, text: str | None, place: str) -> str | None:
        """The same for people: what cannot be opened says with which key it is sealed."""
        try:
            return None if text is None else self.open_text(text, place)
        except NotOpened as lost:
            return f"[sealed with the key {lost.key}]"

    def seal_spec(self, spec: Spec, owner: str, field: str = "spec") -> Spec:
        """A spec as it is kept by `owner`, such as `job 01K…`. What could not be opened stays as it is."""
        if self.newest is None or spec.sealed is not None:
            return spec
        unique = spec.unique
        payload = _encoder.encode(_Payload(spec.args, spec.meta, None if unique is None else unique.handle))
        return replace(
            spec,
            args=_NULL,
            meta=NO_META,
            unique=None if unique is None else replace(unique, handle=""),
            sealed=self.seal(payload, f"{owner} {field}"),
            on_success=spec.on_success and self.seal_spec(spec.on_success, owner, f"{field}.onSuccess"),
            on_failure=spec.on_failure and self.seal_spec(spec.on_failure, owner, f"{field}.onFailure"),
        )

    def open_spec(self, spec: Spec, owner: str, field: str = "spec") -> Spec:
        """The same as it was. One that cannot be opened keeps `sealed`, and says so where its args were."""
        if spec.sealed is None:
            return spec
        try:
            payload = _payload_decoder.decode(self.open(spec.sealed.encode(), f"{owner} {field}"))
        except (NotOpened, msgspec.DecodeError):
            lost = msgspec.Raw(placeholder(key_of(spec)))
            return self._open_callbacks(replace(spec, args=lost, meta=lost), owner, field)
        unique = spec.unique if spec.unique is None else replace(spec.unique, handle=payload.handle or "")
        opened = replace(spec, args=payload.args, meta=payload.meta, unique=unique, sealed=None)
        return self._open_callbacks(opened, owner, field)

    def _open_callbacks(self, spec: Spec, owner: str, field: str) -> Spec:
        if spec.on_success is None and spec.on_failure is None:
            return spec
        return replace(
            spec,
            on_success=spec.on_success and self.open_spec(spec.on_success, owner, f"{field}.onSuccess"),
            on_failure=spec.on_failure and self.open_spec(spec.on_failure, owner, f"{field}.onFailure"),
        )

    def seal_batch(self, batch: Batch, batch_id: str) -> Batch:
        """A batch with its callbacks as they are kept."""
        return _each_callback(batch, lambda spec, field: self.seal_spec(spec, f"batch {batch_id}", field))

    def open_batch(self, batch: Batch, batch_id: str) -> Batch:
        """The same as it was."""
        return _each_callback(batch, lambda spec, field: self.open_spec(spec, f"batch {batch_id}", field))


PLAIN = Sealer()
"""Keeps everything readable."""


def key_of(spec: Spec) -> str:
    """The id of the key that a spec which could not be opened is sealed with."""
    return (spec.sealed or "").partition(".")[0].removeprefix(MARK)


def placeholder(key: str) -> bytes:
    """The JSON that is shown for what cannot be opened."""
    return _encoder.encode({"sealed": key})


def _each_callback(batch: Batch, change: Callable[[Spec, str], Spec]) -> Batch:
    return replace(
        batch,
        on_complete=batch.on_complete and change(batch.on_complete, "onComplete"),
        on_success=batch.on_success and change(batch.on_success, "onSuccess"),
        on_failure=batch.on_failure and change(batch.on_failure, "onFailure"),
    )


def _key_of(key: bytes, place: str) -> bytes:
    return hmac.digest(key, place.encode(), "sha256")


_Cipher = Callable[[bytes, bytes, bytes], bytes]
"""Key, nonce, text."""


def _load_cipher() -> tuple[_Cipher, _Cipher, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra that may be missing
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except ImportError:
        msg = "COORDINATOR_KEYS need a library that is missing: pip install 'coordinator[crypto]'."
        raise SettingsError(msg) from None

    def encrypt(key: bytes, nonce: bytes, plain: bytes) -> bytes:
        return AESGCM(key).encrypt(nonce, plain, None)

    def decrypt(key: bytes, nonce: bytes, content: bytes) -> bytes:
        return AESGCM(key).decrypt(nonce, content, None)

    return encrypt, decrypt, InvalidTag
