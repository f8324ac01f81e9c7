"""Which addresses may be connected to."""

import socket

import pytest

from sinks.errors import ForbiddenAddressError
from sinks.guard import forbidden, guarded_socket

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "fd12:3456::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "::127.0.0.1",
]
NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",  # noqa: S104  nothing is bound to it
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "64:ff9b:1::1",
    "192.0.2.1",
    "198.18.0.1",
    "2001:db8::1",
    "localhost",
    "",
]
PUBLIC = [
    "93.184.215.14",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_our_own_network_need_to_be_allowed(address: str) -> None:
    """A webhook must not be a way into the network that we stand in."""
    assert forbidden(address) is not None
    assert forbidden(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_meaningless_addresses_are_never_allowed(address: str) -> None:
    """A cloud's metadata service hands out credentials to whoever asks."""
    assert forbidden(address) is not None
    assert forbidden(address, allow_private=True) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_allowed(address: str) -> None:
    """A guard that refuses everything would pass all the tests above."""
    assert forbidden(address) is None


def test_a_socket_is_made_only_after_its_address_was_judged() -> None:
    """The last place where nothing can be translated any more."""
    make = guarded_socket(allow_private=False)
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))

    with pytest.raises(ForbiddenAddressError, match="is a loopback address") as caught:
        make(info)
    assert isinstance(caught.value, OSError)
    guarded_socket(allow_private=True)(info).close()


def test_a_unix_socket_is_no_address_of_a_receiver() -> None:
    """It would reach services of this machine that trust whoever can open the file."""
    make = guarded_socket(allow_private=True)

    with pytest.raises(ForbiddenAddressError, match="not an internet address"):
        make((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", ("run/redis.sock",)))
