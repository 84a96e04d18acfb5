"""`COORDINATOR_EGRESS_ALLOW`: the places that an operator opens for workers, beside the public internet.

| Entry                               | Opens                                                     |
|-------------------------------------|-----------------------------------------------------------|
| `10.1.0.0/16`, `10.1.2.3`, `fd12::/48` | these addresses, under whatever name                   |
| `jobs.internal`, `*.jobs.internal`  | this name, those below it, where private addresses are    |
| `jobs.internal:9000`, `10.1.2.3:80`, `[fd12::1]:80` | the same at one port only                 |

An entry opens every port, if it names none, and plain http.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from coordinator.calling.egress_addresses import METADATA, NAT64_WELL_KNOWN, Address, Network, Place, place_of
from coordinator.errors import SettingsError

VARIABLE = "COORDINATOR_EGRESS_ALLOW"

DEVELOPMENT = "127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"
"""What `coordinator dev` opens: this machine and private networks."""

_OPENED_BY_NAME = {None, Place.LOOPBACK, Place.PRIVATE, Place.SHARED}
"""Whoever answers for a name in the DNS may have it lead anywhere; what lies elsewhere needs its address listed."""

_BITS_LEAST = {4: 8, 6: 16}
"""Nobody was ever handed out a wider network for himself, so a wider one says "everything"."""

_PRIVATE_V6 = IPv6Network("fc00::/7")
"""The one that is wider, and private all the same."""

_NOT_DELEGATED = frozenset({"internal", "intranet", "private", "local", "localhost", "lan", "home", "corp", "test"})
"""Last labels that nobody can register; below any other, `*` would be open to whoever buys a name."""

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_LABEL}\.)*{_LABEL}", re.ASCII)
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)", re.ASCII)
_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is opened: a network, or a name (`below`: the names that end with it). Without a port at every port."""

    network: Network | None = None
    name: str = ""
    below: bool = False
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is opened, all in all."""

    entries: tuple[Entry, ...] = ()

    @property
    def has_networks(self) -> bool:
        """Whether it may depend on a name's addresses what is allowed there."""
        return any(entry.network is not None for entry in self.entries)

    def is_open(self, address: Address, port: int) -> bool:
        """Whether a network that is listed holds the address; for a metadata service, whether it is listed itself."""
        return any(
            entry.network.version == address.version
            and address in entry.network
            and (address not in METADATA or entry.network.num_addresses == 1)
            for entry in self._at(port)
            if entry.network is not None
        )

    def has_nat64(self, address: IPv6Address, port: int) -> bool:
        """Whether the prefix of a NAT64 that holds the address is listed, or the address."""
        return any(
            isinstance(entry.network, IPv6Network) and entry.network.prefixlen >= 96 and address in entry.network
            for entry in self._at(port)
        )

    def has_name(self, host: str, port: int) -> bool:
        """Whether the name is listed. It is in lower case, without a dot at its end."""
        return any(
            host.endswith(f".{entry.name}") if entry.below else host == entry.name
            for entry in self._at(port)
            if entry.name
        )

    @staticmethod
    def opens_by_name(place: Place | None) -> bool:
        """Whether the name's being listed is enough for an address at this place."""
        return place in _OPENED_BY_NAME

    def _at(self, port: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.port in (None, port)]


def read_allowed(text: str) -> Allowed:
    """What the setting says. Raises `SettingsError`."""
    return Allowed(tuple(_entry(entry.strip()) for entry in text.split(",") if entry.strip()))


def entry_of(host: str, port: int) -> Entry:
    """The entry for one host, as it stands in a URL without brackets."""
    try:
        return Entry(ip_network(host), port=port)
    except ValueError:
        return Entry(name=host, port=port)


def _entry(text: str) -> Entry:
    host, port = text, None
    if found := _PORT.fullmatch(text):
        host, port = found["host"], int(found["port"])
        if not 0 < port < 65_536:
            raise _wrong(text, "a port is between 1 and 65535")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if "%" in host:
        raise _wrong(text, "an address with a scope is never called")
    if "/" in host or ":" in host or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2].lower()):
        return Entry(_network(text, host), port=port)
    return _name_entry(text, host, port)


def _network(text: str, written: str) -> Network:
    try:
        network = ip_network(written)
    except ValueError as why:
        try:
            remedy = f"did you mean {ip_network(written, strict=False)}?"
        except ValueError:
            remedy = "write 10.1.0.0/16, 10.1.2.3, fd12::/48 or [fd12::1]:9000"
        raise _wrong(text, f"{why}; {remedy}") from None
    if network.prefixlen < _BITS_LEAST[network.version] and network != _PRIVATE_V6:
        least = f"/{_BITS_LEAST[network.version]}"
        raise _wrong(text, f"it is wider than {least} and opens nearly everything; list the networks of your functions")
    place = place_of(network.network_address)
    if place is Place.EMBEDDING and place_of(network.broadcast_address) is place:
        raise _wrong(text, f"it is {place.value}, which is never called; list the IPv4 address")
    if place is Place.NAT64 and network.prefixlen < 96:
        raise _wrong(text, f"give all 96 bits of your NAT64's prefix, such as {NAT64_WELL_KNOWN}")
    return network


def _name_entry(text: str, written: str, port: int | None) -> Entry:
    below = written.startswith("*.")
    try:
        # As a URL's host comes to the transport.
        name = httpx.URL(scheme="http", host=written.removeprefix("*.").rstrip(".")).raw_host.decode()
    except (httpx.InvalidURL, ValueError):
        name = ""
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise _wrong(text, "an entry is a network, an address, a host, host:port or *.host")
    if below and "." not in name and name not in _NOT_DELEGATED:
        raise _wrong(text, "it opens names that anybody can register; name the domain too, as in *.example.com")
    return Entry(name=name, below=below, port=port)


def _wrong(entry: str, why: str) -> SettingsError:
    return SettingsError(f"{VARIABLE} holds {entry!r}: {why}.")


def literal_of(host: str) -> Address | None:
    """The address that a host is written as, None for a name. Raises `ValueError` for what is neither, or has a scope.

    What has a colon or only digits and dots is no name: a resolver reads `127.1` and `2130706433` as addresses.
    """
    if ":" in host or host.replace(".", "").isdigit():
        if "%" in host:
            raise ValueError("has a scope")
        return ip_address(host)
    return None
