"""The way from a process to the Redis in memory, on which everything may happen.

What is sent may be lost, cut, late, or carried out without an answer, and others may come between.

Promise   streams/store.py runs as it is, on a socket of ours; streams/receipts_redis.py as it is, on a
          client of ours (memory_client.py).
How       A blocking call takes no time on the virtual clock. So that others come between all the same,
          it lets another process have its turn before the reply is read.
Limits    Within one process, nothing else happens during a blocking call: it is one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

import hiredis

from tests.simulation.chance import Chance
from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import VirtualLoop

LATE_MS_MAX: Final = 3_000


class Crash(BaseException):
    """The process is dead; nothing of it runs any more."""


class Owner(Protocol):
    """A process, as the wire sees it."""

    name: str
    is_dead: bool

    def die(self) -> None: ...
    async def thawed(self) -> None:
        """Return when it is not stopped."""


@dataclass(slots=True)
class Wire:
    redis: MemoryRedis
    chance: Chance
    trace: Trace
    loop: VirtualLoop
    meanwhile: Callable[[], None]
    """Let another process have a turn."""
    is_up: bool = True
    lates_count: int = 0
    """How often something was carried out that its sender had given up."""
    lives: int = 0
    """Of Redis; what was connected to an earlier one is broken."""
    owners: dict[str, Owner] = field(default_factory=dict)
    sockets: list["MemorySocket"] = field(default_factory=list)

    def note(self, who: str, what: str, *about: object) -> None:
        self.trace.note(self.loop.now_ms, who, what, *about)

    def open(self, name: str) -> "MemorySocket":
        """Connect, as streams.store does. Raises OSError as it would."""
        owner = self.owners[name]
        if owner.is_dead or not self.is_up:
            raise ConnectionRefusedError("connection refused")
        made = MemorySocket(self, owner)
        self.sockets = [each for each in self.sockets if not each.is_closed]
        self.sockets.append(made)
        return made

    def sever(self, owner: Owner) -> None:
        """The process is gone; what it has sent may still arrive."""
        for each in self.sockets:
            if each.owner is owner:
                each.close()

    def restart(self, states: int, down_ms: int) -> int:
        """Redis dies and comes back, perhaps with an earlier state; answers how many writes it has."""
        self.lives += 1
        self.is_up = False
        self.loop.call_later(down_ms / 1_000, self._up)
        return self.redis.go_back(states)

    def _up(self) -> None:
        self.is_up = True

    def later(self, session: Session, lives: int, work: Callable[[], object]) -> None:
        """What was given up is carried out at some time, unless Redis dies before."""

        def arrive() -> None:
            if lives == self.lives:
                self.note(session.who, "late commands arrive")
                self.lates_count += 1
                work()

        delay_ms = self.chance.random.randint(1, LATE_MS_MAX)
        self.loop.call_later(delay_ms / 1_000, arrive)

    def crash(self, owner: Owner) -> NoReturn:
        owner.die()
        raise Crash(owner.name)


class MemorySocket:
    """A blocking socket with Redis at its other end."""

    def __init__(self, wire: Wire, owner: Owner) -> None:
        self.owner = owner
        self.is_closed = False
        self._wire = wire
        self._lives = wire.lives
        self._session = Session(owner.name, wire.redis)
        self._reader = hiredis.Reader()
        self._sent: list[Sequence[bytes]] = []  # and not arrived
        self._replies = b""
        self._fault: str | None = None
        self._is_broken = False

    def settimeout(self, seconds: float) -> None:
        """Time does not pass here."""

    def sendall(self, packed: bytes) -> None:
        self._check()
        wire = self._wire
        self._fault = wire.chance.at(wire.chance.call)
        if self._fault == "crash" and wire.chance.coin():
            wire.note(self.owner.name, "dies before it sends")
            wire.crash(self.owner)
        if self._fault == "lost request":
            self._break("what was sent is lost")
        self._reader.feed(packed)
        while (words := self._reader.gets()) is not False:
            self._sent.append(words)
        if self._fault is None and wire.chance.coin(0.3):
            self._arrive()

    def recv(self, _bytes: int) -> bytes:
        self._check()
        if not self._replies:
            fault, self._fault = self._fault, None
            if fault is not None:
                self._suffer(fault)
            self._arrive()
        replies, self._replies = self._replies, b""
        return replies

    def _suffer(self, fault: str) -> None:
        wire, name = self._wire, self.owner.name
        if fault == "meanwhile":
            wire.meanwhile()
            self._check()
            return
        if fault == "late":
            wire.note(name, "gives up waiting")
            raise TimeoutError("timed out")
        if fault == "cut":
            del self._sent[wire.chance.random.randrange(len(self._sent)) :]
        self._arrive()
        if fault == "crash":
            wire.note(name, "dies before it reads the reply")
            wire.crash(self.owner)
        self._replies = b""
        self._break(f"{fault} in a blocking call")

    def close(self) -> None:
        wire = self._wire
        sent, self._sent = self._sent, []
        if sent and not self._is_broken and not self.is_closed and wire.chance.coin(0.7):
            session = self._session
            wire.later(session, self._lives, lambda: [session.execute(each) for each in sent])
        self.is_closed = True

    def _arrive(self) -> None:
        sent, self._sent = self._sent, []
        self._replies += b"".join(encoded(self._session.execute(words)) for words in sent)

    def _check(self) -> None:
        if self.owner.is_dead:
            raise Crash(self.owner.name)
        if self._lives != self._wire.lives or self._is_broken:
            self._is_broken = True
            raise ConnectionResetError("connection reset by peer")

    def _break(self, why: str) -> NoReturn:
        self._wire.note(self.owner.name, why)
        self._is_broken = True
        raise ConnectionResetError("connection reset by peer")


def encoded(reply: Reply) -> bytes:
    """A reply as Redis writes it."""
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if reply is None:
        return b"*-1\r\n"
    if isinstance(reply, Refused):
        return b"-%b\r\n" % reply.words.encode()
    return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
