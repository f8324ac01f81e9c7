"""The follower: how a relay without an engine learns what there is to deliver.

Promise   Each shard's actions are delivered by this relay from the moment it has the lease, whoever owns
          the shard; a new owner is followed.
How       Fences are read again and again: another nonce is another owner, a higher outbox sequence means
          new entries.
          The lease is given back when what is under way has been recorded, so that who takes it sends
          nothing again; and only where it is still ours.
Limits    LOOK_MS until an action is seen. One relay at a time: it holds a lease, and a second one
          waits for it. Workers must run with --no-relay, or actions are delivered twice.
Not here  Delivering: relay.py.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from streams.clock import Clock
from streams.errors import StoreDownError, StoreError
from streams.fence import Fence
from streams.store import Command, Reply

LOOK_MS: Final = 100
LEASE_MS: Final = 5_000
LEASE: Final = b"rapport:relay:alone"

_GIVE_BACK: Final = """\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_log = logging.getLogger("rapport.relay")


class Asked(Protocol):
    """What the follower needs of a connection to Redis: `AsyncConnection`."""

    async def ask(self, commands: list[Command]) -> list[Reply]: ...
    async def call(self, *command: bytes | str | int) -> Reply: ...
    async def close(self) -> None: ...


class Fences(Protocol):
    """What it needs of a reader: `StoreReader`."""

    async def fences(self) -> dict[int, Fence]:
        """The fences of the shards that were ever claimed, by number."""


class Followed(Protocol):
    """What it needs of a relay: `Relay`."""

    def claimed(self, number: int, nonce: str, last: int) -> None: ...
    def released(self, number: int) -> None: ...
    def grown(self, number: int, last: int) -> None: ...


class Follower:
    """Tells a relay what the fences say, while it holds the lease."""

    def __init__(self, connection: Asked, reader: Fences, relay: Followed) -> None:
        self._connection = connection
        self._reader = reader
        self._relay = relay
        self._nonce = secrets.token_hex(8).encode()
        self._known: dict[int, Fence] = {}

    async def run(
        self, clock: Clock, stop: asyncio.Event, resting: Callable[[], Awaitable[None]]
    ) -> None:
        """Follow until `stop` is set; then `resting` ends what is under way while the lease is ours."""
        try:
            while not stop.is_set():
                try:
                    await self.look()
                except StoreDownError as error:
                    _log.warning("%s; trying again", error)
                await clock.wait(stop, clock.now_ms() + LOOK_MS)
        finally:
            try:
                await resting()
            finally:
                await self._let_go()

    async def look(self) -> None:
        """Tell what has changed since the last look.

        Raises:
            StoreError: Redis cannot be read.
        """
        if not await self._holds_lease():
            for number in self._known:
                self._relay.released(number)
            self._known = {}
            return
        fences = await self._reader.fences()
        for number, fence in fences.items():
            before = self._known.get(number)
            if before is None or before.nonce != fence.nonce:
                self._relay.claimed(number, fence.nonce, fence.outbox)
            elif before.outbox < fence.outbox:
                self._relay.grown(number, fence.outbox)
        self._known = fences

    async def _holds_lease(self) -> bool:
        """Take the lease when nobody has it; make it last when it is ours."""
        _, owner = await self._connection.ask(
            [("SET", LEASE, self._nonce, "NX", "PX", LEASE_MS), ("GET", LEASE)]
        )
        is_ours = owner == self._nonce
        if is_ours:
            await self._connection.call("PEXPIRE", LEASE, LEASE_MS)
        return is_ours

    async def _let_go(self) -> None:
        try:
            await self._connection.call("EVAL", _GIVE_BACK, 1, LEASE, self._nonce)
        except StoreError as error:
            _log.warning("the lease runs out by itself: %s", error)
        finally:
            await self._connection.close()
