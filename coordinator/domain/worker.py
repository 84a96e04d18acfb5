"""A worker: the named cloud function that does the work, and how its answers are to be read."""

from typing import Literal

import msgspec

ENTRY_POINT = "*"
"""The worker whose URL serves every name that has none of its own."""

Ack = Literal["receipt", "response"]
"""What says that the work is done: a receipt (the default), or any plain 2xx answer."""


class Worker(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`headers` are sent with every call; `timeout_ms` and `queue` are the defaults of jobs that name none."""

    url: str
    ack: Ack = "receipt"
    headers: dict[str, str] = {}
    timeout_ms: int | None = None
    queue: str | None = None
