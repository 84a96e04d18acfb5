"""The HTTP request of a call: whom it goes to, what it carries, and its signature."""

import re
from dataclasses import dataclass
from functools import lru_cache

import httpx

from coordinator import __version__
from coordinator.calling.references import all_resolved, resolved
from coordinator.calling.signing import sign
from coordinator.calling.transport import CONNECT_TIMEOUT_S
from coordinator.calling.unsendable import Unsendable
from coordinator.calling.worker_url import parsed
from coordinator.domain.trace import Headers
from coordinator.domain.worker import Ack, Auth

RESERVED_HEADERS = frozenset(
    {
        # Ours, or the signature and the receipt would not mean what they say.
        *("content-type", "idempotency-key", "accept-encoding"),
        # Of the trace that a job belongs to, another one with each call.
        *("traceparent", "tracestate"),
        # The connection's own (RFC 9110, 7.6.1): a worker that set them could smuggle or stall a request.
        *("host", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"),
        *("proxy-connection", "te", "trailer", "upgrade", "expect"),
    }
)
"""Names that a worker's own headers cannot set; nor any that begins with `webhook-`."""

_EXTENSIONS = {"timeout": {"connect": CONNECT_TIMEOUT_S, "read": None, "write": None, "pool": None}}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be sent, and where. `headers` are the worker's own.

    `message_id` names this call (`<job id>:<number of the call>:<nonce>`): by the standard a receiver may drop an id
    that it has seen, so a retry needs a new one. `idempotency_key` names the job and stays; a call for many jobs has
    none. `timeout_s` bounds it all. With each of `secrets` it is signed; `auth` is added by whoever sends it, and
    `trace` tells of the trace that the job belongs to. Header values, secrets and auth may be references to the
    environment.
    """

    url: str
    headers: dict[str, str]
    body: bytes
    message_id: str
    idempotency_key: str | None
    timeout_s: float
    ack: Ack
    secrets: tuple[str, ...] = ()
    auth: Auth | None = None
    trace: Headers = ()


def request_of(call: Call, sent_at: int) -> httpx.Request:
    """The request of a call that is sent now (`sent_at`, Unix seconds). Raises `Unsendable`."""
    url = parsed(call.url)
    if not _HEADER_VALUE.fullmatch(call.message_id + (call.idempotency_key or "")):
        raise Unsendable("InvalidHeader", "The job's id cannot be sent as a header: printable ASCII only.")
    headers = [
        (b"host", url.netloc),
        *_worker_headers(tuple(call.headers.items())),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(call.body)),
        (b"accept-encoding", b"identity"),
        (b"webhook-id", call.message_id.encode()),
        (b"webhook-timestamp", b"%d" % sent_at),
    ]
    if call.idempotency_key is not None:
        headers.append((b"idempotency-key", call.idempotency_key.encode()))
    headers.extend((name.encode(), value.encode()) for name, value in call.trace)
    if call.secrets:
        headers.append((b"webhook-signature", _signature(call, sent_at).encode()))
    # With a stream httpx adds no headers of its own and does not encode the body again.
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(call.body), extensions=_EXTENSIONS)


def _signature(call: Call, sent_at: int) -> str:
    try:
        return sign(all_resolved(call.secrets), call.message_id, sent_at, call.body)
    except ValueError as why:
        raise Unsendable("InvalidSecret", f"The worker's secret {why}.") from None


@lru_cache(maxsize=1024)
def _worker_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The worker's own headers, resolved and checked, without the reserved ones; ours where it sets none."""
    kept = {"accept": "*/*", "user-agent": f"coordinator/{__version__}"}
    for given, written in headers:
        name = given.lower()
        if not _HEADER_NAME.fullmatch(name):
            raise Unsendable("InvalidHeader", f"{given[:64]!a} cannot be the name of a header.")
        if name in RESERVED_HEADERS or name.startswith("webhook-"):
            continue
        value = resolved(written)
        if not _HEADER_VALUE.fullmatch(value):
            # The value itself may be a secret.
            raise Unsendable("InvalidHeader", f"The value of {name} is not printable ASCII on one line.")
        kept[name] = value.strip(" \t")
    return tuple((name.encode(), value.encode()) for name, value in kept.items())
