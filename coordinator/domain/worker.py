"""A worker: the named cloud function that does the work, and how its answers are to be read."""

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|[0-9A-Fa-f:.]+")

ENTRY_POINT = "*"
"""The worker whose URL serves every name that has none of its own."""

Ack = Literal["receipt", "response"]
"""What says that the work is done: a receipt (the default), or any plain 2xx answer."""


class Batching(msgspec.Struct, frozen=True, rename="camel"):
    """One call for up to `size` jobs of one lane, those that are due within `window_ms` of the first."""

    size: int
    window_ms: int


class Bearer(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="bearer"):
    """`authorization: Bearer <token>`."""

    token: str


class GoogleIdToken(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="google-id-token"):
    """An ID token of the identity that the coordinator runs as, for whoever goes by the name of `audience`."""

    audience: str


class AwsSigV4(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type", tag="aws-sigv4", kw_only=True
):
    """AWS Signature Version 4, with these keys or those of the default credential chain."""

    region: str
    service: str
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


Auth = Bearer | GoogleIdToken | AwsSigV4
"""What a platform asks for before it lets a call through to the function."""


class Worker(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`headers` are sent with every call; `timeout_ms` and `queue` are the defaults of jobs that name none.

    Calls are signed with `secret`, and while it is being replaced with `previous_secret` too. What may be secret may be
    `env:NAME` instead, a variable of each replica. `owner` says with which declaration it came. One that is
    `unreadable` was written by another version, in words that this one does not know, or is sealed with the key
    `lost_key`, which is missing; it is not called.
    """

    url: str
    ack: Ack = "receipt"
    headers: dict[str, str] = {}
    timeout_ms: int | None = None
    queue: str | None = None
    owner: str | None = None
    secret: str | None = None
    previous_secret: str | None = None
    batch: Batching | None = None
    auth: Auth | None = None
    unreadable: bool = False
    lost_key: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What calls are signed with, the new one first."""
        return tuple(secret for secret in (self.secret, self.previous_secret) if secret)


def url_problem(url: str) -> str | None:
    """What is wrong with a worker's URL, with the remedy; None if nothing is."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        return f"{url!r} is not a URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        return f"{url!r} is not an http or https URL with a host, such as https://example.com/jobs"
    host = parts.hostname
    try:
        # As it goes to the resolver; a colon only stands in an IPv6 address.
        is_host = bool(_HOST.fullmatch(host if ":" in host else host.encode("idna").decode()))
    except UnicodeError:
        is_host = False
    if not is_host or re.search(r"[\s\x00-\x1f\x7f]", url):
        return f"{url!r} does not name a host that can be looked up"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password; send them in headers instead"
    if parts.fragment:
        return f"holds a fragment (#{parts.fragment}), which is never sent; leave it out"
    return None
