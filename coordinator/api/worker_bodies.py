"""What is asked for with `PUT /worker/:name`."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from coordinator.api.job_bodies import TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS
from coordinator.api.reading import Body, Duration, QueueName
from coordinator.calling.request import RESERVED_HEADERS
from coordinator.calling.signing import secret_problem
from coordinator.domain.durations import parse_duration
from coordinator.domain.worker import Ack, Batching, Worker, url_problem
from coordinator.errors import Invalid

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,8192}", re.ASCII)
HIDDEN = "[hidden]"
"""Stands in an answer for a secret, and for a header's value, which may be one."""

_HIDDEN_GIVEN = f"is {HIDDEN}, which stands for a value that is not shown; give the value"


BATCH_SIZE_MOST = 100
"""As many as one claim takes."""

WINDOW_DEFAULT = "100ms"
WINDOW_LEAST_MS, WINDOW_MOST_MS = 10, 10_000
"""The most is what an attempt's time is surely longer than, or nearly."""


class BatchingBody(Body):
    """`batch` of a worker: one call for up to `size` jobs that are due within `window` of each other."""

    size: Annotated[int, Meta(ge=1, le=BATCH_SIZE_MOST)]
    window: Duration = WINDOW_DEFAULT


class WorkerBody(Body):
    """`PUT /worker/:name`."""

    url: Annotated[str, Meta(max_length=2048)]
    ack: Ack = "receipt"
    headers: Annotated[dict[str, str], Meta(max_length=32)] = msgspec.field(default_factory=dict)
    timeout: Duration | None = None
    queue: QueueName | None = None
    secret: Annotated[str, Meta(max_length=256)] | None = None
    previous_secret: Annotated[str, Meta(max_length=256)] | None = None
    batch: BatchingBody | None = None


def worker_of(body: WorkerBody) -> Worker:
    """The worker that the body asks for."""
    if problem := url_problem(body.url):
        raise Invalid("url", problem)
    for name, value in body.headers.items():
        _check_header(name, value)
    _check_secrets(body)
    timeout, batch = body.timeout, body.batch
    return Worker(
        url=body.url,
        ack=body.ack,
        headers=body.headers,
        timeout_ms=None
        if timeout is None
        else parse_duration(timeout, "timeout", least_ms=TIMEOUT_LEAST_MS, most_ms=TIMEOUT_MOST_MS),
        queue=body.queue,
        secret=body.secret,
        previous_secret=body.previous_secret,
        batch=None if batch is None else Batching(batch.size, _window_ms(batch)),
    )


def _window_ms(batch: BatchingBody) -> int:
    return parse_duration(batch.window, "batch.window", least_ms=WINDOW_LEAST_MS, most_ms=WINDOW_MOST_MS)


def _check_secrets(body: WorkerBody) -> None:
    for path, secret in (("secret", body.secret), ("previousSecret", body.previous_secret)):
        if secret == HIDDEN:
            raise Invalid(path, _HIDDEN_GIVEN)
        if secret is not None and (problem := secret_problem(secret)):
            raise Invalid(path, problem)
    if body.previous_secret is not None and body.secret is None:
        raise Invalid("previousSecret", "is the one that is being replaced; give the new one as secret")


def _check_header(name: str, value: str) -> None:
    """The caller checks these too, but there the error would be every job's."""
    path = f"headers.{name[:64]}"
    if not HEADER_NAME.fullmatch(name):
        raise Invalid(path, "cannot be the name of a header: letters, digits and - _ . ! # $ % & ' * + ^ ` | ~")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
        raise Invalid(path, "is set by the coordinator or by the connection; leave it out")
    if value == HIDDEN:
        raise Invalid(path, _HIDDEN_GIVEN)
    if not HEADER_VALUE.fullmatch(value):
        raise Invalid(path, "has a value that cannot be sent: one line of printable ASCII, at most 8192 characters")
