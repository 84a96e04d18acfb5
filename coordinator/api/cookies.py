"""The cookie of a session, and which pages may have it used: a browser sends it along whoever asks.

`__Host-` has the browser itself see to it that no other host, path or plain connection has set it. It takes `Secure`,
and that HTTPS; so on loopback, where nobody listens in, plain HTTP has a name and a cookie of its own.
"""

import time
from urllib.parse import urlsplit

from coordinator.api.context import Connection
from coordinator.domain.session import Session
from coordinator.errors import Forbidden

SECURE_NAME = "__Host-co"
PLAIN_NAME = "co_session"

_SAFE = frozenset({"GET", "HEAD"})


def cookie_in(connection: Connection) -> str | None:
    """The cookie that was sent, under the name that it has on such a connection."""
    return connection.cookies.get(PLAIN_NAME if _is_plain(connection) else SECURE_NAME)


def cookie_header(connection: Connection, session: Session, cookie: str) -> str:
    """What has the browser keep it until the session ends."""
    return _header(connection, cookie, max(0, session.ends_at_s - int(time.time())))


def no_cookie_header(connection: Connection) -> str:
    """What has the browser drop it."""
    return _header(connection, "", 0)


def check_page(connection: Connection) -> None:
    """Refuse what changes something by the right of a cookie, unless a page of ours asks. Raises `Forbidden`."""
    if connection.scope.get("method") not in _SAFE and not is_ours(connection):
        raise Forbidden("forbidden", "A session may be used by pages of this coordinator only; programs send a token.")


def check_sign_in(connection: Connection) -> None:
    """Refuse another site's page that would sign its visitor in, as somebody else. Raises `Forbidden`.

    What tells nothing of a page is a program.
    """
    is_page = "sec-fetch-site" in connection.headers or "origin" in connection.headers
    if is_page and not is_ours(connection):
        raise Forbidden("forbidden", "Only pages of this coordinator, and programs, may sign in.")


def is_ours(connection: Connection) -> bool:
    """Whether a page of our own origin has asked, by what no page can write itself."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers of before 2023, and what is reached neither by HTTPS nor on loopback.
    host = connection.headers.get("host", "").lower()
    try:
        return host != "" and urlsplit(connection.headers.get("origin", "")).netloc.lower() == host
    except ValueError:
        return False


def _is_plain(connection: Connection) -> bool:
    state = connection.app.state
    # A proxy that ends TLS on this machine says so in the public URL; the connection from it is plain.
    return bool(state["is_loopback"]) and connection.scope["scheme"] == "http" and not state["is_https"]


def _header(connection: Connection, cookie: str, seconds: int) -> str:
    name, secure = (PLAIN_NAME, "") if _is_plain(connection) else (SECURE_NAME, "; Secure")
    return f"{name}={cookie}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"
