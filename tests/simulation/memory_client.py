"""A client of the Redis in memory for asyncio, with the calls and the exceptions of redis-py.

Limits    The calls of streams/receipts_redis.py, and no others.
Not here  What may happen on the way, and to blocking calls: wire.py.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from redis._parsers import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.memory_commands import Refused, Reply
from tests.simulation.memory_redis import Session
from tests.simulation.memory_scripts import run
from tests.simulation.wire import Owner, Wire

LATENCY_MS_MAX: Final = 8

Part = bytes | str | int


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
                raise BaseParser.parse_error(reply.words)  # type: ignore[no-untyped-call]  # redis-py's own
        return replies

    async def _latency(self) -> None:
        await self._wire.loop.pass_ms(self._wire.chance.random.randint(0, LATENCY_MS_MAX))
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

    def get(self, key: bytes) -> None:
        self._add(b"GET", key)

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
