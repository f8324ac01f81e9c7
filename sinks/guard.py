"""The guard: which addresses an endpoint may have.

Promise   No webhook connects to this machine, its network or a cloud's metadata service unless its
          endpoint allows it; metadata services never. Names, numbers and redirects change nothing,
          because the address is judged where the socket is made, after every translation.
How       A `socket_factory` for aiohttp's connector sees each address just before connect, also
          IP literals, which never pass through a resolver. Deny lists of our own: `is_global` of
          the standard library is no deny list (its answers changed with Python's versions).
Source    IANA special-purpose address registries; RFC 6890, 6598, 6052, 3056, 4380, 4193.
Limits    An address that embeds another (mapped, NAT64) is judged by the embedded one; tunnels
          (6to4, Teredo) are refused whole.
Not here  Redirects: post.py never follows one.
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from sinks.errors import ForbiddenAddressError

# (family, type, protocol, canonical name, address), as getaddrinfo gives them
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

# Allowed by an endpoint's `allow_private`.
_PRIVATE: Final = tuple(
    (ip_network(network), what)
    for network, what in (
        ("127.0.0.0/8", "a loopback address"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("100.64.0.0/10", "a carrier's shared address"),
        ("::1/128", "a loopback address"),
        ("fc00::/7", "a private address"),
        ("fec0::/10", "a private address"),
    )
)
# Never allowed: nobody receives webhooks there, and much is to be stolen.
_NEVER: Final = tuple(
    (ip_network(network), what)
    for network, what in (
        ("100.100.100.200/32", "a cloud metadata address"),  # Alibaba
        ("168.63.129.16/32", "a cloud metadata address"),  # Azure
        ("192.0.0.192/32", "a cloud metadata address"),  # Oracle
        ("fd00:ec2::254/128", "a cloud metadata address"),  # Amazon
        ("fd20:ce::254/128", "a cloud metadata address"),  # Google
        ("169.254.0.0/16", "a link-local or metadata address"),
        ("fe80::/10", "a link-local address"),
        ("0.0.0.0/8", "an unspecified address"),  # Linux connects it to loopback
        ("::/128", "an unspecified address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "an example's address"),
        ("192.88.99.0/24", "a reserved address"),
        ("198.18.0.0/15", "a benchmark's address"),
        ("198.51.100.0/24", "an example's address"),
        ("203.0.113.0/24", "an example's address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved or broadcast address"),
        ("64:ff9b:1::/48", "a local translation address"),
        ("100::/64", "a discarding address"),
        ("2001::/23", "a reserved or tunnel address"),  # Teredo among them
        ("2001:db8::/32", "an example's address"),
        ("2002::/16", "a tunnel address"),  # 6to4
        ("3fff::/20", "an example's address"),
        ("5f00::/16", "a reserved address"),
        ("ff00::/8", "a multicast address"),
    )
)
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address
_COMPATIBLE: Final = IPv6Network("::/96")  # long deprecated, yet understood by some


def forbidden(address: str, *, allow_private: bool = False) -> str | None:
    """Why an address must not be connected to, or None when it may.

    >>> forbidden("::ffff:169.254.169.254", allow_private=True)
    'a link-local or metadata address'
    >>> forbidden("93.184.215.14") is None
    True
    """
    try:
        parsed = _innermost(ip_address(address.partition("%")[0]))
    except ValueError:
        return "not an IP address"
    lists = _NEVER if allow_private else (*_NEVER, *_PRIVATE)
    for network, what in lists:
        if parsed.version == network.version and parsed in network:
            return what
    return None


def guarded_socket(*, allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """A `socket_factory` that raises ForbiddenAddressError instead of making a socket."""

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if family not in {socket.AF_INET, socket.AF_INET6}:
            raise ForbiddenAddressError(str(address), "not an internet address")
        reason = forbidden(str(address[0]), allow_private=allow_private)
        if reason is not None:
            raise ForbiddenAddressError(str(address[0]), reason)
        return socket.socket(family, kind, protocol)

    return make


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    embeds = address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1)
    return IPv4Address(int(address) & 0xFFFF_FFFF) if embeds else address
