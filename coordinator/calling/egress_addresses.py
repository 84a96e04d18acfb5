"""Where an IP address is: in the public internet, or at a place that is no business of a worker.

The lists are our own, from the registries of special-purpose addresses (RFC 6890 and what IANA added since). The flags
of `ipaddress` are made for other questions: `is_private` and `is_global` let a dozen of these through, and change with
the version of Python. Of IPv6 only 2000::/3 is handed out (RFC 4291), so all else is closed without being named.
"""

import enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Place(enum.Enum):
    """What an address is that is not public, in words that follow "is"."""

    UNSPECIFIED = "unspecified, which means this machine"
    LOOPBACK = "loopback, this machine itself"
    PRIVATE = "private"
    SHARED = "in the address space that carriers share"
    LINK_LOCAL = "link-local"
    SITE_LOCAL = "site-local"
    METADATA = "the metadata service of a cloud"
    EMBEDDING = "an IPv4 address in the form of an IPv6 one"
    NAT64 = "an IPv4 address behind NAT64"
    DOCUMENTATION = "for documentation"
    BENCHMARK = "for benchmarks"
    MULTICAST = "multicast"
    RESERVED = "reserved"


METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Google Cloud, Azure, Oracle, DigitalOcean, Hetzner, …
            "169.254.170.2",  # roles of AWS' containers
            "169.254.170.23",  # roles of AWS' pods
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # roles of AWS' pods
            "fd20:ce::254",  # Google Cloud
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host
            "192.0.0.192",  # Oracle
        ),
    )
)
"""They hand out the keys of the machine to whoever asks from it."""

NAT64_WELL_KNOWN = IPv6Network("64:ff9b::/96")
"""RFC 6052."""

_V6_HANDED_OUT = IPv6Network("2000::/3")

_WITHIN: tuple[tuple[str, Place], ...] = (
    ("0.0.0.0/8", Place.UNSPECIFIED),
    ("10.0.0.0/8", Place.PRIVATE),
    ("100.64.0.0/10", Place.SHARED),
    ("127.0.0.0/8", Place.LOOPBACK),
    ("169.254.0.0/16", Place.LINK_LOCAL),
    ("172.16.0.0/12", Place.PRIVATE),
    ("192.0.0.0/24", Place.RESERVED),
    ("192.0.2.0/24", Place.DOCUMENTATION),
    ("192.88.99.0/24", Place.RESERVED),  # relays of 6to4
    ("192.168.0.0/16", Place.PRIVATE),
    ("198.18.0.0/15", Place.BENCHMARK),
    ("198.51.100.0/24", Place.DOCUMENTATION),
    ("203.0.113.0/24", Place.DOCUMENTATION),
    ("224.0.0.0/4", Place.MULTICAST),
    ("240.0.0.0/4", Place.RESERVED),  # and 255.255.255.255, to all
    ("::/128", Place.UNSPECIFIED),
    ("::1/128", Place.LOOPBACK),
    ("::/96", Place.EMBEDDING),  # compatible, RFC 4291
    ("::ffff:0:0/96", Place.EMBEDDING),  # mapped, RFC 4291
    ("::ffff:0:0:0/96", Place.EMBEDDING),  # translated, RFC 2765
    ("64:ff9b::/96", Place.NAT64),
    ("64:ff9b:1::/48", Place.NAT64),  # RFC 8215
    ("100::/64", Place.RESERVED),  # thrown away
    ("2001::/32", Place.EMBEDDING),  # Teredo, RFC 4380
    ("2001::/23", Place.RESERVED),
    ("2001:db8::/32", Place.DOCUMENTATION),
    ("2002::/16", Place.EMBEDDING),  # 6to4, RFC 3056
    ("3fff::/20", Place.DOCUMENTATION),
    ("5f00::/16", Place.RESERVED),  # segment routing
    ("fc00::/7", Place.PRIVATE),
    ("fe80::/10", Place.LINK_LOCAL),
    ("fec0::/10", Place.SITE_LOCAL),
    ("ff00::/8", Place.MULTICAST),
)
"""The narrower first, where one is inside another."""

_CLOSED = tuple((ip_network(network), place) for network, place in _WITHIN)


def place_of(address: Address) -> Place | None:
    """Where it is; None for the public internet."""
    if address in METADATA:
        return Place.METADATA
    for network, place in _CLOSED:
        if address in network:
            return place
    return None if address.version == 4 or address in _V6_HANDED_OUT else Place.RESERVED


def behind_nat64(address: IPv6Address) -> IPv4Address:
    """The address that a NAT64 with a prefix of 96 bits translates this one to."""
    return IPv4Address(int(address) & 0xFFFF_FFFF)
