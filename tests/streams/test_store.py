"""Addresses and replies of the store, without a server."""

import hiredis
import pytest

from streams.errors import StoreDownError, StoreError
from streams.packing import pack
from streams.store import (
    DOWN_FOR_NOW,
    Connection,
    StoreAddress,
    checked,
    list_of,
    number_of,
    text_of,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", StoreAddress(host="localhost")),
        ("rediss://:pw@10.0.0.1:6380/3", StoreAddress(None, "10.0.0.1", 6380, True, 3, None, "pw")),
        ("redis://me:p%40w@[::1]:1", StoreAddress(None, "::1", 1, False, 0, "me", "p@w")),
        ("redis://host?db=4", StoreAddress(host="host", database=4)),
        ("unix:///run/my%20redis.sock?db=2", StoreAddress(path="/run/my redis.sock", database=2)),
    ],
)
def test_urls_are_read_as_redis_clients_read_them(url: str, expected: StoreAddress) -> None:
    """One setting serves us and redis-py in the relay."""
    assert StoreAddress.parse(url) == expected


@pytest.mark.parametrize("url", ["http://host", "redis://host/x", "redis://host:port"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """It comes from a user."""
    with pytest.raises(ValueError, match=r"."):
        StoreAddress.parse(url)


def test_the_password_is_not_shown() -> None:
    """Addresses are logged."""
    address = StoreAddress.parse("redis://me:secret@host")

    assert "secret" not in repr(address) + str(address)
    assert address.greeting() == [("AUTH", "me", "secret")]


@pytest.mark.parametrize("word", DOWN_FOR_NOW)
def test_what_passes_by_itself_is_told_apart(word: str) -> None:
    """The shard waits for it; anything else needs a person."""
    with pytest.raises(StoreDownError) as caught:
        checked(hiredis.ReplyError(f"{word} for some reason"))

    assert caught.value.reason == DOWN_FOR_NOW[word]


@pytest.mark.parametrize("words", ["WRONGTYPE Operation", "NOAUTH Authentication", "ERR LOADING"])
def test_what_never_passes_is_an_error_at_once(words: str) -> None:
    """Trying again for ever would hide it."""
    with pytest.raises(StoreError) as caught:
        checked(hiredis.ReplyError(words))

    assert not isinstance(caught.value, StoreDownError)
    assert words in str(caught.value)


def test_replies_have_the_type_that_was_asked_for() -> None:
    """A reply of another type means that replies and requests are out of step."""
    assert (text_of(b"a"), text_of(None), list_of(None), number_of(3)) == (b"a", None, [], 3)
    for convert, reply in ((text_of, 3), (list_of, b"a"), (number_of, b"3")):
        with pytest.raises(StoreError):
            convert(reply)


def test_commands_are_packed_as_the_protocol_has_it() -> None:
    """Binary values go through as they are."""
    assert pack([("SET", b"k\xff", 12)]) == b"*3\r\n$3\r\nSET\r\n$2\r\nk\xff\r\n$2\r\n12\r\n"


def test_nobody_there_is_down_and_not_an_error_of_its_own() -> None:
    """The engine starts before Redis does."""
    connection = Connection(StoreAddress(path="/nowhere/at/all.sock"))
    with pytest.raises(StoreDownError) as caught:
        connection.call("PING")

    assert caught.value.reason == "connection"
    assert not connection.is_open
