"""The store: one connection to Redis that never repeats a command by itself.

Promise   A command is sent at most once. When that cannot be told, StoreDownError is raised and the
          connection is closed, so that no reply can be taken for that of another command.
How       hiredis packs commands straight onto a blocking socket and reads the replies: 2 to 3 µs of
          client CPU a customer, where a redis-py pipeline costs 16. The next use connects again.
Limits    REPLY_SECONDS_MAX a reply. One thread at a time. No Cluster redirection.
Not here  What is written, and when a lost reply may be asked for again: commit.py. The same for
          asyncio: store_async.py.
"""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from streams.errors import StoreDownError, StoreError
from streams.packing import Words, pack

CONNECT_SECONDS_MAX: Final = 2.0
REPLY_SECONDS_MAX: Final = 5.0  # a rewrite of the append-only file may hold a reply up for seconds
RECEIVE_BYTES: Final = 1 << 16
PORT: Final = 6379

Command: TypeAlias = Words
Reply: TypeAlias = "bytes | int | list[Reply] | hiredis.ReplyError | None"

# What Redis says when it will be able to do it later: first word of its error -> our stable word.
DOWN_FOR_NOW: Final = {
    "LOADING": "loading",
    "READONLY": "read-only",
    "OOM": "oom",
    "MISCONF": "disk",
    "MASTERDOWN": "no-master",
    "CLUSTERDOWN": "cluster-down",
    "TRYAGAIN": "resharding",
    "NOREPLICAS": "no-replicas",
    "BUSY": "busy",
    "UNKILLABLE": "busy",
}


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where Redis is, and who we are to it."""

    path: str | None = None  # of a unix socket; then host and port mean nothing
    host: str = "127.0.0.1"
    port: int = PORT
    tls: bool = False
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "StoreAddress":
        """Read redis://, rediss:// or unix://, with user, password and database where given.

        Raises:
            ValueError: It is none of these.

        >>> StoreAddress.parse("redis://localhost:6380/2")
        StoreAddress(path=None, host='localhost', port=6380, tls=False, database=2, user=None)
        >>> StoreAddress.parse("unix:///run/redis.sock?db=1").path
        '/run/redis.sock'
        """
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("a Redis URL starts with redis://, rediss:// or unix://")
        is_path = parts.scheme == "unix"
        named = parse_qs(parts.query).get("db", [""])[0] or ("" if is_path else parts.path[1:])
        return cls(
            path=unquote(parts.path) if is_path else None,
            host=parts.hostname or "127.0.0.1",
            port=parts.port or PORT,
            tls=parts.scheme == "rediss",
            database=int(named or 0),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def greeting(self) -> list[Command]:
        """What a new connection says first."""
        commands: list[Command] = []
        if self.password is not None:
            user = () if self.user is None else (self.user,)
            commands.append(("AUTH", *user, self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        return commands

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def checked(reply: Reply) -> Reply:
    """The reply, or the error that it is.

    Raises:
        StoreDownError: Redis will be able to do it later.
        StoreError: It never will.
    """
    if isinstance(reply, hiredis.ReplyError):
        words = str(reply)
        reason = DOWN_FOR_NOW.get(words.partition(" ")[0])
        if reason is None and "max number of clients" in words:
            reason = "clients"
        if reason is not None:
            raise StoreDownError(reason, words)
        raise StoreError(f"Redis refused a command: {words}")
    return reply


def text_of(reply: Reply) -> bytes | None:
    """A reply that is a string or nothing. Raises as `checked` does."""
    found = checked(reply)
    if found is None or isinstance(found, bytes):
        return found
    raise StoreError(f"Redis answered with {type(found).__name__} instead of a string")


def list_of(reply: Reply) -> list[Reply]:
    """A reply that is a list; nothing is an empty one. Raises as `checked` does."""
    found = checked(reply)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    raise StoreError(f"Redis answered with {type(found).__name__} instead of a list")


def number_of(reply: Reply) -> int:
    """A reply that is a number. Raises as `checked` does."""
    found = checked(reply)
    if isinstance(found, int):
        return found
    raise StoreError(f"Redis answered with {type(found).__name__} instead of a number")


class Connection:
    """A blocking connection. It is made at the first use, and again at the first use after an error."""

    def __init__(
        self, address: StoreAddress, *, reply_seconds_max: float = REPLY_SECONDS_MAX
    ) -> None:
        self.address = address
        self._seconds_max = reply_seconds_max
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def close(self) -> None:
        """Close it. What was sent and not answered stays unknown."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, *command: bytes | str | int) -> Reply:
        """Send one command and read its reply. Raises as `ask` and `checked` do."""
        return checked(self.ask([command])[0])

    def ask(self, commands: list[Command]) -> list[Reply]:
        """Send the commands in one write and read all replies; errors stand in their places.

        Raises:
            StoreDownError: No connection, or it broke, or no reply came in time.
        """
        self.send(pack(commands))
        return self.receive(len(commands))

    def send(self, packed: bytes) -> None:
        """Send packed commands without waiting for their replies. Raises as `ask` does."""
        connected = self._socket or self._connect()
        try:
            connected.sendall(packed)
        except OSError as error:
            self.close()
            raise _down(self.address, error) from error

    def receive(self, count: int) -> list[Reply]:
        """Read as many replies. Raises as `ask` does."""
        replies: list[Reply] = []
        reader = self._reader
        while len(replies) < count:
            reply = reader.gets()
            if reply is not False:
                replies.append(reply)
                continue
            assert self._socket is not None, "send comes before receive"
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except OSError as error:
                self.close()
                raise _down(self.address, error) from error
            if not data:
                self.close()
                raise StoreDownError("connection", f"{self.address} closed the connection")
            reader.feed(data)
        return replies

    def hears(self, seconds: float) -> bool:
        """Wait so long for a reply to begin; then `receive` it. Raises as `ask` does."""
        assert self._socket is not None, "send comes before hears"
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            self._socket.settimeout(self._seconds_max)
            return False
        except OSError as error:
            self.close()
            raise _down(self.address, error) from error
        self._socket.settimeout(self._seconds_max)
        if not data:
            self.close()
            raise StoreDownError("connection", f"{self.address} closed the connection")
        self._reader.feed(data)
        return True

    def _connect(self) -> socket.socket:
        self._reader = hiredis.Reader()
        try:
            connected = _open(self.address)
        except OSError as error:
            raise _down(self.address, error) from error
        connected.settimeout(self._seconds_max)
        self._socket = connected
        greeting = self.address.greeting()
        if greeting:
            try:
                for reply in self.ask(greeting):
                    checked(reply)
            except StoreError:
                self.close()
                raise
        return connected


def information(connection: Connection, *sections: str) -> dict[str, str]:
    """What INFO says, by field. Raises as `Connection.call` does.

    Managed services forbid CONFIG, but not INFO.
    """
    found: dict[str, str] = {}
    for reply in connection.ask([("INFO", section) for section in sections]):
        for line in (text_of(reply) or b"").decode().splitlines():
            name, colon, value = line.partition(":")
            if colon:
                found[name] = value
    return found


def _open(address: StoreAddress) -> socket.socket:
    if address.path is not None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(CONNECT_SECONDS_MAX)
            connected.connect(address.path)
        except OSError:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((address.host, address.port), CONNECT_SECONDS_MAX)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if address.tls:
            context = ssl.create_default_context()
            return context.wrap_socket(connected, server_hostname=address.host)
    except OSError:
        connected.close()
        raise
    return connected


def _down(address: StoreAddress, error: OSError) -> StoreDownError:
    reason = "timeout" if isinstance(error, TimeoutError) else "connection"
    return StoreDownError(reason, f"{address}: {error}")
