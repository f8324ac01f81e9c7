"""The observer: sees from outside when the fences in Redis move past a record.

Run       python benchmarks/latency_parts/observer.py REDIS_URL PARTITIONS FILE
Writes    [asked ns, seen ns, topic, shard, next position] for each move of each topic in a fence.
How       Redis tells it that a fence was written (CLIENT TRACKING, broadcast, for the fences' names
          alone: one message a commit), and it reads the fences. What a fence says was committed
          before the reply left Redis, so `seen` is never too early. It is too late by the way of
          the message, one round trip and the scheduler: that is `seen` - `asked` and as much again.
Caveats   It takes CPU from the same cores as the worker; how much is told with the figures.
"""

import gc
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

import hiredis
import orjson

from benchmarks.latency_parts.ending import Ending, write
from streams.keys import Keys
from streams.store import StoreAddress

WAIT_SECONDS: Final = 0.1

Moves = list[tuple[int, int, str, int, int]]


class Watching:
    """A connection that is told of writes."""

    def __init__(self, address: StoreAddress, partitions: int) -> None:
        self._socket = socket.create_connection((address.host, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(WAIT_SECONDS)
        self._reader = hiredis.Reader()
        self._fences = [Keys.of(number).fence for number in range(partitions)]
        self._ask = hiredis.pack_command(("MGET", *self._fences))  # type: ignore[arg-type]  # hiredis' stub
        prefixes = [word for fence in self._fences for word in (b"PREFIX", fence)]
        self._say(("HELLO", "3"))
        self._say(("CLIENT", "TRACKING", "ON", "BCAST", *prefixes))

    def _say(self, words: tuple[str | bytes, ...]) -> None:
        self._socket.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # hiredis' stub
        answer = self._next()
        assert not isinstance(answer, hiredis.ReplyError), str(answer)

    def _next(self) -> Any:  # noqa: ANN401  whatever Redis says
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        return reply

    def is_told(self) -> bool:
        """Wait a little for a message."""
        try:
            return self._next() is not None
        except TimeoutError:
            return False

    def fences(self) -> list[bytes | None]:
        """The fences now. Messages that arrive meanwhile tell of what the reply may already show."""
        self._socket.sendall(self._ask)
        while True:
            reply = self._next()
            if not isinstance(reply, hiredis.PushNotification):
                found: list[bytes | None] = reply
                return found


def main(url: str, partitions: int, file: Path) -> None:
    gc.disable()  # it would stop to look at all that was noted
    ending = Ending()
    watching = Watching(StoreAddress.parse(url), partitions)
    looks: list[tuple[int, int, list[bytes | None]]] = []
    while not ending.is_due:
        is_told = watching.is_told()
        asked_ns = time.monotonic_ns()
        if is_told or not looks:
            fences = watching.fences()
            looks.append((asked_ns, time.monotonic_ns(), fences))
    write(file, moves_of(looks))


def moves_of(looks: list[tuple[int, int, list[bytes | None]]]) -> Moves:
    """Where positions moved, in the order of looking; done at the end, as it takes CPU."""
    moves: Moves = []
    before: dict[tuple[str, int], int] = {}
    known: dict[int, bytes | None] = {}
    for asked_ns, seen_ns, fences in looks:
        for shard, fence in enumerate(fences):
            if fence is None or known.get(shard) == fence:
                continue
            known[shard] = fence
            for topic, position in orjson.loads(fence)["offsets"].items():
                if before.get((topic, shard)) != int(position):
                    before[topic, shard] = int(position)
                    moves.append((asked_ns, seen_ns, topic, shard, int(position)))
    return moves


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
