"""The way from a process to the Redis in memory: what is sent may be lost, cut, late, or carried out
without an answer, and others may come between.

Promise   streams/store.py runs as it is, on a socket of ours; streams/receipts_redis.py as it is, on a
          client of ours with the calls and the exceptions of redis-py.
How       A blocking call takes no time on the virtual clock. So that others come between all the same,
          it lets another process have its turn before the reply is read.
Limits    Within one process, nothing else happens during a blocking call: it is one thread.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

import hiredis
from redis._parsers import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.chance import Chance
from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import MemoryRedis, Session
from tests.simulation.memory_scripts import run
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import VirtualLoop

LATE_MS_MAX: Final = 3_000
LATENCY_MS_MAX: Final = 8

Part = bytes | str | int


class Crash(BaseException):  # noqa: N818  it is no error of anybody's
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


class MemoryClient:
    """What streams/receipts_redis.py needs of redis-py's asyncio client."""

    def __init__(self, wire: Wire, owner: Owner) -> None:
        self._wire = wire
        self._owner = owner

    async def get(self, key: bytes) -> Any:  # noqa: ANN401  as redis-py has it
        return await self._one(b"GET", key)

    async def mget(self, keys: Sequence[bytes]) -> Any:  # noqa: ANN401
        return await self._one(b"MGET", *keys)

    async def hmget(self, key: bytes, members: Sequence[str]) -> Any:  # noqa: ANN401
        return await self._one(b"HMGET", key, *members)

    async def hgetall(self, key: bytes) -> dict[bytes, bytes]:
        return paired(await self._one(b"HGETALL", key))

    def pipeline(self, *, transaction: bool) -> "MemoryPipeline":
        assert not transaction, "nothing of ours needs one here"
        return MemoryPipeline(self)

    def register_script(self, text: str) -> Callable[..., Any]:
        async def script(keys: Iterable[Part], args: Iterable[Part]) -> Any:  # noqa: ANN401
            named, given = [*map(word, keys)], [*map(word, args)]
            return (await self.ask([lambda session: run(session, text, named, given)]))[0]

        return script

    async def aclose(self) -> None:
        """Nothing was opened."""

    async def _one(self, *words: Part) -> Any:  # noqa: ANN401
        return (await self.ask([executing(words)]))[0]

    async def ask(self, works: list[Callable[[Session], Reply]]) -> list[Any]:
        """Carry them out one after the other; others may come between."""
        wire, owner, chance = self._wire, self._owner, self._wire.chance
        await owner.thawed()
        lives, session = wire.lives, Session(owner.name, wire.redis)
        fault = chance.at(chance.call)
        if fault == "crash" and chance.coin():
            await self._die("dies before it asks")
        await self._latency()
        self._check(lives)
        if fault == "lost request":
            raise RedisConnectionError(fault)
        if fault == "late":
            wire.later(session, lives, lambda: [work(session) for work in works])
            raise RedisTimeoutError(fault)
        if fault == "cut":
            works = works[: chance.random.randrange(len(works))]
        replies = []
        for work in works:
            replies.append(work(session))
            if fault == "meanwhile":
                await self._latency()
                self._check(lives)
        if fault == "crash":
            await self._die("dies before it hears")
        await self._latency()
        self._check(lives)
        if fault in {"lost reply", "cut"}:
            wire.note(owner.name, fault, "of the relay")
            raise RedisConnectionError(fault)
        for reply in replies:
            if isinstance(reply, Refused):
                raise BaseParser.parse_error(reply.words)
        return replies

    async def _latency(self) -> None:
        await asyncio.sleep(self._wire.chance.random.randint(0, LATENCY_MS_MAX) / 1_000)
        await self._owner.thawed()

    async def _die(self, how: str) -> None:
        self._wire.note(self._owner.name, how)
        self._owner.die()
        await asyncio.Event().wait()

    def _check(self, lives: int) -> None:
        if lives != self._wire.lives or not self._wire.is_up or self._owner.is_dead:
            raise RedisConnectionError("Connection closed by server.")


class MemoryPipeline:
    def __init__(self, client: MemoryClient) -> None:
        self._client = client
        self._works: list[Callable[[Session], Reply]] = []
        self._shapes: list[Callable[[Any], Any]] = []

    def hmget(self, key: bytes, members: Sequence[str]) -> None:
        self._add(b"HMGET", key, *members)

    def hlen(self, key: bytes) -> None:
        self._add(b"HLEN", key)

    def hgetall(self, key: bytes) -> None:
        self._add(b"HGETALL", key, shape=paired)

    def zrange(self, key: bytes, first: int, last: int, *, withscores: bool) -> None:
        assert withscores
        self._add(b"ZRANGE", key, first, last, b"WITHSCORES", shape=scored)

    def _add(self, *words: Part, shape: Callable[[Any], Any] = lambda reply: reply) -> None:
        self._works.append(executing(words))
        self._shapes.append(shape)

    async def execute(self) -> list[Any]:
        replies = await self._client.ask(self._works)
        return [shape(reply) for shape, reply in zip(self._shapes, replies, strict=True)]


def paired(reply: list[bytes]) -> dict[bytes, bytes]:
    """A hash, as redis-py has it."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


def scored(reply: list[bytes]) -> list[tuple[bytes, float]]:
    """Members with their scores, as redis-py has them."""
    return [(reply[at], float(reply[at + 1])) for at in range(0, len(reply), 2)]


def executing(words: Sequence[Part]) -> Callable[[Session], Reply]:
    packed = [word(each) for each in words]
    return lambda session: session.execute(packed)


def word(part: Part) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
