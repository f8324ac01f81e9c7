"""A proxy that carries bytes between a client and a server, and does harm to them as it is told.

Promise   Which connections and replies are hurt depends on the seed and on the order of what passes,
          and on nothing else. Each harm that was done is counted. A reply that was lost belongs to a
          request that the server has carried out. Without faults every byte passes, in order, and so
          does each side's end.
How       One event loop in a thread of its own; two pumps a connection. Where Redis is spoken, requests
          and replies are counted, so that the reply to a certain command can be told from others.
Limits    A reply that is delayed holds up those behind it. Redis only as clients of RESP2 speak it,
          without subscriptions. A Kafka broker must advertise the proxy's port: else its clients come
          here once, and then go to the broker itself.
Not here  Which reply answers which request (exchanges.py). Frozen and killed servers are signals
          (tests/integration/redis_server.py).
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from tests.faults.exchanges import Exchanges
from tests.faults.loop_thread import LoopThread

BYTES_AT_ONCE: Final = 1 << 16
LINGER_NOT: Final = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN

Address: TypeAlias = Path | int
"""A unix socket, or a port on loopback."""

Sleep: TypeAlias = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Faults:
    """What is done from now on. Shares are chances from 0 to 1, drawn for each reply."""

    delay_ms: float = 0.0
    """Each reply comes so much later."""
    slice_bytes: int | None = None
    """Replies come in pieces of so many bytes."""
    slice_ms: float = 0.0
    """So long after each piece."""
    silent: bool = False
    """Connections are made and stay, and nothing passes in either direction until this is over."""
    lose: Mapping[bytes, float] = field(default_factory=dict)
    """Redis only: by command, the share whose reply is lost together with the connection."""
    reset: float = 0.0
    """Share of replies that are lost, for the connection is reset."""
    half_close: float = 0.0
    """Share of replies that are lost, for the client is told that nothing comes any more; what it
    sends still arrives."""


@dataclass(slots=True, eq=False)
class _Link:
    """One connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    chance: random.Random
    exchanges: Exchanges | None
    is_deaf: bool = False  # the client was told that nothing comes any more

    def reset(self) -> None:
        for each in (self.client, self.server):
            spoken: socket.socket = each.get_extra_info("socket")
            if spoken.family != socket.AF_UNIX:
                with suppress(OSError):  # it is closed already
                    spoken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            each.transport.abort()

    def close(self) -> None:
        for each in (self.client, self.server):
            each.close()

    def deaden(self) -> None:
        for each in (self.client, self.server):
            reading = each.transport
            assert isinstance(reading, asyncio.Transport), "sockets are read, too"
            reading.pause_reading()

    def half_close(self) -> None:
        self.is_deaf = True
        with suppress(OSError):  # it is closed already
            self.client.write_eof()


class FaultProxy:
    """The proxy. `set` and all that harms links are for other threads, and in force on return.

    counts: connections, refused, requests and replies (pieces that passed), lost (Redis), reset,
    half_closed, deadened, delayed, slices, held (pieces that had to wait for the end of `silent`). Each
    is there before its client can notice.
    """

    def __init__(
        self,
        target: Address,
        *,
        listen: Address | None = None,
        seed: int = 0,
        redis: bool = False,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Prepare a proxy before `target`.

        Args:
            target: the server; it need not be there yet.
            listen: where clients find the proxy; None: any free port, or a name beside the target.
            seed: of everything that is left to chance.
            redis: whether Redis is spoken.
            sleep: waits so many seconds.
        """
        self.target = target
        self.counts: Counter[str] = Counter()
        self.faults = Faults()
        beside = target.with_name(f"proxy-{seed}.sock") if isinstance(target, Path) else 0
        self.address: Address = beside if listen is None else listen
        self._seed, self._redis, self._sleep = seed, redis, sleep
        self._passing = asyncio.Event()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = LoopThread()

    def start(self) -> None:
        self._passing.set()
        self._thread.start()
        try:
            self._server = self._thread.do(self._listen())
        except BaseException:
            self._thread.stop()
            raise

    def stop(self) -> None:
        """End all connections."""
        self._thread.do(self._end())
        self._thread.stop()
        if isinstance(self.address, Path):
            self.address.unlink(missing_ok=True)

    def set(self, faults: Faults) -> None:
        """Do this from now on, and nothing else."""

        async def change() -> None:
            self.faults = faults
            (self._passing.clear if faults.silent else self._passing.set)()

        self._thread.do(change())

    def reset_all(self) -> int:
        """Reset each connection that there is, and say how many."""
        return self._thread.do(self._hurt("reset", _Link.reset))

    def deaden_all(self) -> int:
        """Let nothing pass any more on each connection that there is, and say how many; new ones are well."""
        return self._thread.do(self._hurt("deadened", _Link.deaden))

    def half_close_all(self) -> int:
        """Tell each client that nothing comes any more, and say how many."""
        return self._thread.do(self._hurt("half_closed", _Link.half_close))

    async def _hurt(self, name: str, harm: Callable[[_Link], None]) -> int:
        links = [each for each in self._links if not each.is_deaf]
        self.counts[name] += len(links)
        for each in links:
            harm(each)
        return len(links)

    async def _listen(self) -> asyncio.Server:
        if isinstance(self.address, Path):
            return await asyncio.start_unix_server(self._accept, self.address)
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.address)
        self.address = server.sockets[0].getsockname()[1]
        return server

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(
            0
        )  # aborted transports let go of their sockets in the loop's next round

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.counts["connections"]
        self.counts["connections"] += 1
        task = self._thread.loop.create_task(self._serve(reader, writer, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, number: int
    ) -> None:
        try:
            await self._passing.wait()
            if isinstance(self.target, Path):
                answers, server = await asyncio.open_unix_connection(self.target)
            else:
                answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.counts["refused"] += 1
            client.transport.abort()
            return
        except asyncio.CancelledError:
            client.transport.abort()
            raise
        chance = random.Random(f"{self._seed}:{number}")
        link = _Link(client, server, chance, Exchanges() if self._redis else None)
        self._links.add(link)
        end = link.reset  # unless both sides have said all that they wanted to say
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._carry_requests(reader, link))
                pumps.create_task(self._carry_replies(answers, link))
            end = link.close
        except* (OSError, EOFError):
            pass  # one side is gone, or was made to go
        finally:
            self._links.discard(link)
            end()

    async def _carry_requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(BYTES_AT_ONCE):
            await self._pass()
            self.counts["requests"] += 1
            if link.exchanges is not None:
                link.exchanges.ask(data, partial(self._is_lost, link))
            link.server.write(data)
            await link.server.drain()
        link.server.write_eof()

    def _is_lost(self, link: _Link, word: bytes) -> bool:
        share = self.faults.lose.get(word, 0.0)
        return bool(share) and link.chance.random() < share

    async def _carry_replies(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(BYTES_AT_ONCE):
            await self._pass()
            if link.exchanges is not None:
                # From the moment when the request was sent on, nothing comes back but its loss.
                is_losing, is_done = link.exchanges.is_losing, link.exchanges.answer(data)
                if is_losing:
                    if is_done:
                        self.counts["lost"] += 1
                        raise EOFError
                    continue
            await self._reply(data, link)
        if not link.is_deaf:
            link.client.write_eof()

    async def _reply(self, data: bytes, link: _Link) -> None:
        faults = self.faults
        if link.is_deaf:
            return
        if faults.reset and link.chance.random() < faults.reset:
            self.counts["reset"] += 1
            raise EOFError
        if faults.half_close and link.chance.random() < faults.half_close:
            self.counts["half_closed"] += 1
            link.half_close()
            return
        if faults.delay_ms:
            self.counts["delayed"] += 1
            await self._sleep(faults.delay_ms / 1_000)
        self.counts["replies"] += 1
        size = faults.slice_bytes or len(data)
        for begin in range(0, len(data), size):
            link.client.write(data[begin : begin + size])
            await link.client.drain()
            if size < len(data):
                self.counts["slices"] += 1
                await self._sleep(faults.slice_ms / 1_000)

    async def _pass(self) -> None:
        if not self._passing.is_set():
            self.counts["held"] += 1
            await self._passing.wait()


@contextmanager
def fault_proxy(
    target: Address, *, listen: Address | None = None, seed: int = 0, redis: bool = False
) -> Iterator[FaultProxy]:
    """A proxy that ends with the block."""
    proxy = FaultProxy(target, listen=listen, seed=seed, redis=redis)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
