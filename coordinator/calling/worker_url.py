"""A worker's URL, read once and in one way: what is judged is what is called."""

import re
from functools import lru_cache
from typing import NamedTuple

import httpx

from coordinator.calling.unsendable import Unsendable

_HOST = re.compile(rb"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|[0-9a-fA-F.]*:[0-9a-fA-F:.]+")
_USUAL = "no address in its usual form, such as 192.0.2.1 or [2001:db8::1]"
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a call goes. `host` is as it goes to the resolver: lower case, ASCII, IPv6 without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The host without the dot that a name may end with."""
        return self.host.rstrip(".")


@lru_cache(maxsize=1024)
def parsed(url: str) -> httpx.URL:
    """The URL, read once per worker. Raises `Unsendable`, which does not repeat the URL: it may carry a key."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as why:
        if "IPv" in str(why):
            raise Unsendable("InvalidURL", f"The worker's URL has for its host {_USUAL}.") from None
        raise Unsendable("InvalidURL", f"The worker's URL cannot be read: {why}") from None
    if target.scheme not in _PORTS or not target.host:
        raise Unsendable("InvalidURL", "The worker's URL must begin with https:// or http:// and name a host.")
    if target.userinfo:
        raise Unsendable("InvalidURL", "The worker's URL has a user or password; use an authorization header.")
    # The rest would come out of the resolver as errors that say nothing.
    if target.port is not None and not 0 < target.port < 65_536:
        raise Unsendable("InvalidURL", "The port of the worker's URL is not between 1 and 65535.")
    if not _HOST.fullmatch(target.raw_host) or len(target.raw_host) > 253:
        raise Unsendable("InvalidURL", "The host of the worker's URL is neither a name nor an address.")
    return target


def target_of(url: str) -> Target:
    """Where a call of this URL goes. Raises `Unsendable`."""
    return target_at(parsed(url))


def target_at(url: httpx.URL) -> Target:
    """The same of a URL that was read."""
    return target(url.scheme, url.raw_host.decode("ascii"), url.port)


def target(scheme: str, host: str, port: int | None = None) -> Target:
    """The same of its parts; without a port it is the scheme's."""
    return Target(scheme, host.lower(), port or _PORTS[scheme])
