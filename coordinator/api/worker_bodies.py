"""What is asked for with `PUT /worker/:name`."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta

from coordinator.api.job_bodies import TIMEOUT_LEAST_MS, TIMEOUT_MOST_MS
from coordinator.api.reading import Body, Duration, QueueName
from coordinator.calling.auth import SIGNING_HEADERS, missing_extra
from coordinator.calling.egress import EgressGuard
from coordinator.calling.references import is_reference, reference_problem, resolved
from coordinator.calling.request import RESERVED_HEADERS
from coordinator.calling.signing import secret_problem
from coordinator.domain.durations import parse_duration
from coordinator.domain.worker import Ack, Auth, AwsSigV4, Batching, Bearer, GoogleIdToken, Worker, url_problem
from coordinator.errors import Invalid

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,8192}", re.ASCII)
TOKEN = re.compile(r"[\x21-\x7e]{1,8192}", re.ASCII)
AWS_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_SECRET_HEADER = re.compile(
    r"authorization|cookie|token|secret|key|password|passwd|credential|bypass|signature|session", re.IGNORECASE
)
"""Names of headers that say that what they carry opens a door."""

_SECRET_PART = frozenset({"auth", "pass", "pwd", "sig", "apikey"})
_MAYBE_SECRET_PART = frozenset({"code", "id", "pin", "sas"})
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_LONG = re.compile(r"[A-Za-z0-9+/_=.~-]{20,}", re.ASCII)
_LENGTH_TELLING = 8

HIDDEN = "[hidden]"
"""Stands in an answer for a secret, and for a header's value, which may be one."""

_HIDDEN_GIVEN = f"is {HIDDEN}, which stands for a value that is not shown; give the value"


BATCH_SIZE_MOST = 100
"""As many as one claim takes."""

WINDOW_DEFAULT = "100ms"
WINDOW_LEAST_MS, WINDOW_MOST_MS = 10, 10_000
"""The most is what an attempt's time is surely longer than, or nearly."""


AwsName = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=1, max_length=8192)]


class BatchingBody(Body):
    """`batch` of a worker: one call for up to `size` jobs that are due within `window` of each other."""

    size: Annotated[int, Meta(ge=1, le=BATCH_SIZE_MOST)]
    window: Duration = WINDOW_DEFAULT


class BearerBody(Body, tag_field="type", tag="bearer"):
    """`auth` of a worker: `authorization: Bearer …`."""

    token: Token


class GoogleIdTokenBody(Body, tag_field="type", tag="google-id-token"):
    """`auth` of a worker on Cloud Run or Cloud Functions. The audience is the worker's URL if it is left out."""

    audience: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None


class AwsSigV4Body(Body, tag_field="type", tag="aws-sigv4"):
    """`auth` of a worker on AWS. Without keys those of the default credential chain are taken."""

    region: AwsName
    service: AwsName = "lambda"
    access_key_id: Token | None = None
    secret_access_key: Token | None = None
    session_token: Token | None = None


class WorkerBody(Body):
    """`PUT /worker/:name`."""

    url: Annotated[str, Meta(max_length=2048)]
    ack: Ack = "receipt"
    headers: Annotated[dict[str, str], Meta(max_length=32)] = msgspec.field(default_factory=dict)
    timeout: Duration | None = None
    queue: QueueName | None = None
    secret: Annotated[str, Meta(max_length=256)] | None = None
    previous_secret: Annotated[str, Meta(max_length=256)] | None = None
    auth: BearerBody | GoogleIdTokenBody | AwsSigV4Body | None = None
    batch: BatchingBody | None = None


def worker_of(body: WorkerBody, *, takes_literals: bool) -> Worker:
    """The worker that the body asks for. Without `takes_literals` its secrets are references."""
    if problem := url_problem(body.url):
        raise Invalid("url", problem)
    for name, value in body.headers.items():
        _check_header(name, value)
    _check_secrets(body)
    auth = None if body.auth is None else _auth_of(body.auth, body)
    timeout, batch = body.timeout, body.batch
    if not takes_literals:
        _refuse_literals(body)
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
        auth=auth,
        batch=None if batch is None else Batching(batch.size, _window_ms(batch)),
    )


async def check_places(guard: EgressGuard, urls: Mapping[str, str]) -> None:
    """Whether workers may be where these URLs lead; by field. Raises `Invalid` for the first that may not."""
    problems = await guard.problems(urls.values())
    for path, url in urls.items():
        if problem := problems.get(url):
            raise Invalid(path, problem)


def _refuse_literals(body: WorkerBody) -> None:
    """Refuse what would stand readable in Redis."""
    given = [("secret", body.secret), ("previousSecret", body.previous_secret)]
    given += [(f"headers.{name}", value) for name, value in body.headers.items() if _may_be_secret(name, value)]
    for parameter, said in parse_qsl(urlsplit(body.url).query):
        if _may_be_secret(parameter, said):
            raise Invalid("url", f"{parameter[:64]} would stand readable in Redis; send it as a header, by env:NAME")
    match body.auth:
        case BearerBody(token=token):
            given.append(("auth.token", token))
        case AwsSigV4Body():
            given += [
                ("auth.accessKeyId", body.auth.access_key_id),
                ("auth.secretAccessKey", body.auth.secret_access_key),
            ]
            given.append(("auth.sessionToken", body.auth.session_token))
    for path, value in given:
        if value is not None and not is_reference(value):
            remedy = "set COORDINATOR_KEYS, which has it sealed, or give env:NAME"
            raise Invalid(path, f"would stand readable in Redis; {remedy}")


def _may_be_secret(name: str, value: str) -> bool:
    """Whether a header or a parameter opens a door, by its name, or by a value that looks like drawn by chance."""
    parts = {part.lower() for part in _PARTS.findall(name)}
    if _SECRET_HEADER.search(name) or parts & _SECRET_PART:
        return True
    if parts & _MAYBE_SECRET_PART and len(value) >= _LENGTH_TELLING:
        return True
    return any(_is_mixed(found) for found in _LONG.findall(value))


def _is_mixed(text: str) -> bool:
    """Whether letters and digits stand in it as chance puts them, and not as words, versions and paths have them."""
    changes = sum(before.isdigit() != after.isdigit() for before, after in pairwise(text))
    return changes >= len(text) / 6 and len(set(text)) >= _LENGTH_TELLING


def _window_ms(batch: BatchingBody) -> int:
    return parse_duration(batch.window, "batch.window", least_ms=WINDOW_LEAST_MS, most_ms=WINDOW_MOST_MS)


def _auth_of(asked: BearerBody | GoogleIdTokenBody | AwsSigV4Body, body: WorkerBody) -> Auth:
    taken = {"authorization"}
    auth: Auth
    match asked:
        case BearerBody():
            auth = Bearer(_token(asked.token, "token"))
        case GoogleIdTokenBody():
            auth = GoogleIdToken(asked.audience or body.url.partition("?")[0])
        case AwsSigV4Body():
            auth = _aws_auth(asked)
            taken |= SIGNING_HEADERS
    for name in body.headers:
        if name.lower() in taken:
            raise Invalid(f"headers.{name}", "is set by auth; leave out one of the two")
    if extra := missing_extra(auth):
        raise Invalid("auth.type", f"needs a library that is missing here: pip install 'coordinator[{extra}]'")
    return auth


def _aws_auth(asked: AwsSigV4Body) -> AwsSigV4:
    for name, value in (("region", asked.region), ("service", asked.service)):
        if not AWS_NAME.fullmatch(value):
            raise Invalid(f"auth.{name}", "is a name such as eu-central-1 or lambda: small letters, digits and -")
    keys = asked.access_key_id, asked.secret_access_key
    if (None in keys) != (keys == (None, None)) or (asked.session_token is not None and None in keys):
        raise Invalid("auth", "takes accessKeyId and secretAccessKey together, and sessionToken beside them")
    return AwsSigV4(
        region=asked.region,
        service=asked.service,
        access_key_id=_token(asked.access_key_id, "accessKeyId"),
        secret_access_key=_token(asked.secret_access_key, "secretAccessKey"),
        session_token=_token(asked.session_token, "sessionToken"),
    )


Given = TypeVar("Given", str, str | None)


def _token(value: Given, field: str) -> Given:
    """A token or key of `auth`, as it is to be kept."""
    if value is not None:
        path = f"auth.{field}"
        if not TOKEN.fullmatch(_plain(value, path)):
            raise Invalid(path, "cannot be sent: printable ASCII without spaces")
    return value


def _plain(value: str, path: str) -> str:
    """What a value that may be a secret comes to on this replica, now. Raises `Invalid`."""
    if value == HIDDEN:
        raise Invalid(path, _HIDDEN_GIVEN)
    if problem := reference_problem(value):
        raise Invalid(path, problem)
    return resolved(value)


def _check_secrets(body: WorkerBody) -> None:
    for path, secret in (("secret", body.secret), ("previousSecret", body.previous_secret)):
        if secret is not None and (problem := secret_problem(_plain(secret, path))):
            raise Invalid(path, f"{secret if is_reference(secret) else ''} {problem}".lstrip())
    if body.previous_secret is not None and body.secret is None:
        raise Invalid("previousSecret", "is the one that is being replaced; give the new one as secret")


def _check_header(name: str, value: str) -> None:
    """The caller checks these too, but there the error would be every job's."""
    path = f"headers.{name[:64]}"
    if not HEADER_NAME.fullmatch(name):
        raise Invalid(path, "cannot be the name of a header: letters, digits and - _ . ! # $ % & ' * + ^ ` | ~")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
        raise Invalid(path, "is set by the coordinator or by the connection; leave it out")
    if not HEADER_VALUE.fullmatch(_plain(value, path)):
        raise Invalid(path, "has a value that cannot be sent: one line of printable ASCII, at most 8192 characters")
