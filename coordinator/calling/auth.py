"""What platforms ask for before they let a call through to a function: a bearer token, Google's ID token, AWS SigV4.

```
 request ─▶ bearer ───────────────────────────────────────▶ authorization
         ─▶ google-id-token ─▶ kept? else google-auth, in a thread ─▶ authorization
         ─▶ aws-sigv4 ──────▶ kept? else botocore, in a thread ─▶ keys ─▶ signature over what is sent
```

The two libraries are their vendors' own, because how a machine proves who it is differs by platform and changes: they
are extras, and only this file knows them. They block, so they run in threads, and what they find is kept and shared.
Their exceptions may quote what they were sent, tokens too: of most only the name is told.
"""

import asyncio
import contextlib
import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import httpx

from coordinator.calling.references import resolved
from coordinator.calling.unsendable import Unsendable
from coordinator.domain.worker import Auth, AwsSigV4, Bearer, GoogleIdToken

FETCH_LIMIT_S = 30.0
"""A fetch that takes longer is given up, and the next call begins another."""

FAILURE_KEPT_S = 1.0
"""A failure holds for all calls of this time: a thousand jobs that are due at once ask once."""

ID_TOKEN_MARGIN_S = 300
"""So long before its end a token is fetched anew: beyond any call's way and the difference of two clocks."""

ID_TOKEN_FRESH_S = 10
"""No token is fetched anew sooner."""

KEYS_FRESH_S, KEYS_GOOD_S = 60, 300
"""Keys of a chain are asked for again after a minute; botocore hands out none that end within ten minutes."""

KEPT_MOST = 1024

Value = TypeVar("Value")

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_LIBRARIES: dict[type[Auth], tuple[str, tuple[str, ...]]] = {
    GoogleIdToken: ("google", ("google", "google.auth", "requests")),
    AwsSigV4: ("aws", ("botocore",)),
}
"""By auth: the extra, and what it brings."""

# What may be changed on the way although the function is sent the same; botocore leaves out `user-agent` itself.
_UNSIGNED = frozenset({"accept", "accept-encoding", "content-length", "user-agent"})
_SET_BY_SIGNING = ("authorization", "x-amz-date", "x-amz-security-token")
SIGNING_HEADERS = frozenset({*_SET_BY_SIGNING, "date", "x-amz-content-sha256"})
"""What a worker with `aws-sigv4` cannot set itself: the signature says what they are."""

# These name a file, a variable or a profile, and quote nothing that is in them.
_TELLING = {"DefaultCredentialsError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}

_log = logging.getLogger(__name__)


def missing_extra(auth: Auth) -> str | None:
    """The extra without which this auth cannot be had here; None if it is there."""
    return _missing_extra(type(auth))


def no_auth_in_time(limit_s: float) -> tuple[str, str]:
    """Type and message of the error when the call's time was over before it could be sent."""
    return "AuthError", f"What the platform asks for could not be had within {limit_s:g} s; the call was not sent."


class Authorizer:
    """Adds to requests what their platform asks for. One for the whole replica."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._clock = clock
        self._kept: dict[Auth | None, Kept[Any]] = {}

    async def authorize(self, request: httpx.Request, body: bytes, auth: Auth) -> None:
        """Set the headers. Raises `Unsendable`, and no other but `CancelledError`."""
        try:
            match auth:
                case Bearer():
                    request.headers["authorization"] = f"Bearer {_checked(resolved(auth.token))}"
                case GoogleIdToken():
                    token = await self._keep(auth, partial(_fetch_id_token, auth.audience)).value()
                    request.headers["authorization"] = f"Bearer {_checked(token)}"
                case AwsSigV4():
                    _sign(request, body, await self._keys_of(auth), auth)
        except Unsendable:
            raise
        # Libraries raise what they like; whatever it is, nothing was sent.
        except Exception as why:  # noqa: BLE001
            _log.error("auth failed in an unforeseen way", extra={"event": "auth.failed", "error": type(why).__name__})
            raise Unsendable("AuthError", f"The call could not be authorized: {type(why).__name__}.") from None

    async def _keys_of(self, auth: AwsSigV4) -> object:
        if auth.access_key_id is None or auth.secret_access_key is None:
            return await self._keep(None, _chain()).value()
        session_token = None if auth.session_token is None else resolved(auth.session_token)
        fetch = partial(_given, resolved(auth.access_key_id), resolved(auth.secret_access_key), session_token)
        return await self._keep(auth, fetch).value()

    def _keep(self, key: Auth | None, fetch: "Callable[[float], Fetched[Any]]") -> "Kept[Any]":
        if key not in self._kept:
            if len(self._kept) >= KEPT_MOST:
                self._kept.clear()
            self._kept[key] = Kept(fetch, self._clock)
        return self._kept[key]


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Value]):
    """What a fetch found; from `fresh_until` on (Unix s) another is wanted, from `good_until` on it is needed."""

    value: Value
    fresh_until: float
    good_until: float


class Kept(Generic[Value]):
    """A value that is fetched in a thread, once for all who want it, and again before it ends."""

    def __init__(self, fetch: Callable[[float], Fetched[Value]], clock: Callable[[], float]) -> None:
        """`fetch` is given the time (Unix s) and may block; it may raise anything."""
        self._fetch = fetch
        self._clock = clock
        self._found: Fetched[Value] | None = None
        self._fetching: asyncio.Task[Fetched[Value]] | None = None
        self._failed: tuple[float, Unsendable] | None = None

    async def value(self) -> Value:
        """The value. Who stops waiting leaves the fetch to the others. Raises `Unsendable`."""
        now, found = self._clock(), self._found
        if found is not None and now < found.fresh_until:
            return found.value
        is_good = found is not None and now < found.good_until
        if self._failed is not None and 0 <= now - self._failed[0] < FAILURE_KEPT_S:
            if found is not None and is_good:
                return found.value
            error = self._failed[1]
            raise Unsendable(error.error_type, error.message)
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_anew())
            self._fetching.add_done_callback(self._end_fetch)
        if found is not None and is_good:
            return found.value
        return (await asyncio.shield(self._fetching)).value

    async def _fetch_anew(self) -> Fetched[Value]:
        try:
            async with asyncio.timeout(FETCH_LIMIT_S):
                self._found = await _in_thread(partial(self._fetch, self._clock()))
        except TimeoutError:
            raise Unsendable(*no_auth_in_time(FETCH_LIMIT_S)) from None
        return self._found

    def _end_fetch(self, task: "asyncio.Task[Fetched[Value]]") -> None:
        self._fetching = None
        error = None if task.cancelled() else task.exception()
        self._failed = (self._clock(), error) if isinstance(error, Unsendable) else None
        if error is not None:
            _log.warning("a fetch for auth failed", extra={"event": "auth.failed", "error": str(error)})


def _in_thread(act: Callable[[], Value]) -> "asyncio.Future[Value]":
    """What `act` comes to, in a thread of its own.

    Not in the loop's pool, where a metadata server that hangs would hold up the look-ups of names; and nobody waits for
    the thread when the process ends.
    """
    loop = asyncio.get_running_loop()
    came_to: asyncio.Future[Value] = loop.create_future()

    def settle(value: Value | None, error: Exception | None) -> None:
        if came_to.done():
            return
        if error is not None:
            came_to.set_exception(error)
        else:
            came_to.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = act()
        except Unsendable as why:
            error = why
        except Exception as why:  # noqa: BLE001 - whatever a library raises; see the module
            error = _unsendable(why)
        with contextlib.suppress(RuntimeError):  # The loop has been closed meanwhile.
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="auth", daemon=True).start()
    return came_to


def _unsendable(why: Exception) -> Unsendable:
    """The error of a library, by its name; see the module."""
    name = type(why).__name__
    if isinstance(why, ImportError):
        return Unsendable("AuthError", f"A library of this auth is missing or broken on this replica: {name}.")
    told = f": {why.args[0] if name == 'DefaultCredentialsError' else why}" if name in _TELLING else ""
    return Unsendable("AuthError", f"What the platform asks for could not be had ({name}{told}).")


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise Unsendable("AuthError", "The token cannot be sent as a header: printable ASCII without spaces only.")
    return token


def _need_extra(auth: type[Auth]) -> None:
    """Raises `Unsendable` if the library is missing here."""
    extra = _missing_extra(auth)
    if extra is not None:
        raise Unsendable("AuthError", f"This replica lacks a library: pip install 'coordinator[{extra}]'.")


def _missing_extra(auth: type[Auth]) -> str | None:
    extra, modules = _LIBRARIES.get(auth, ("", ()))
    return None if all(importlib.util.find_spec(module) for module in modules) else extra


def _fetch_id_token(audience: str, now: float) -> Fetched[str]:
    """An ID token from the metadata server, or by the file that GOOGLE_APPLICATION_CREDENTIALS names."""
    _need_extra(GoogleIdToken)
    from google.auth.transport.requests import Request  # noqa: PLC0415 - an extra, may be absent
    from google.oauth2.id_token import fetch_id_token_credentials  # noqa: PLC0415

    request = Request()
    with contextlib.closing(request.session):
        credentials = fetch_id_token_credentials(audience, request)  # type: ignore[no-untyped-call]
        credentials.refresh(request)
    ends_at = credentials.expiry.replace(tzinfo=UTC).timestamp()
    # A metadata server keeps tokens too, and may give one that is near its end.
    fresh_until = max(ends_at - ID_TOKEN_MARGIN_S, min(now + ID_TOKEN_FRESH_S, ends_at))
    return Fetched(credentials.token, fresh_until, ends_at)


def _chain() -> Callable[[float], Fetched[Any]]:
    """Fetches the keys of AWS' default chain: environment, profile, container, instance."""
    sessions: list[Any] = []

    def fetch(now: float) -> Fetched[Any]:
        _need_extra(AwsSigV4)
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - an extra, may be absent
        from botocore.session import Session  # noqa: PLC0415

        if not sessions:
            sessions.append(Session())
        credentials = sessions[0].get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return Fetched(credentials.get_frozen_credentials(), now + KEYS_FRESH_S, now + KEYS_GOOD_S)

    return fetch


def _given(key_id: str, secret: str, session_token: str | None, _now: float) -> Fetched[Any]:
    # In a thread like all else: the first import of botocore takes a tenth of a second.
    _need_extra(AwsSigV4)
    from botocore.credentials import ReadOnlyCredentials  # noqa: PLC0415 - an extra, may be absent

    return Fetched(ReadOnlyCredentials(key_id, secret, session_token), float("inf"), float("inf"))


def _sign(request: httpx.Request, body: bytes, keys: object, auth: AwsSigV4) -> None:
    """Sign the headers and the body as they are sent (AWS Signature Version 4)."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - an extra, may be absent
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    headers = {name: value for name, value in request.headers.items() if name not in _UNSIGNED}
    # Given by name and value they are quoted as the standard wants it, which a URL need not be.
    pairs = [pair.partition("=") for pair in request.url.query.decode().split("&") if pair]
    params = [(unquote(name), unquote(value)) for name, _, value in pairs]
    signed = AWSRequest(request.method, str(request.url), headers=headers, data=body, params=params)
    SigV4Auth(keys, auth.service, auth.region).add_auth(signed)
    for name in _SET_BY_SIGNING:
        if name in signed.headers:
            request.headers[name] = signed.headers[name]
