"""A relay without an engine follows the fences: new owners, new entries, and its lease."""

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest

from streams.clock import ManualClock
from streams.fence import Fence
from streams.follower import LEASE, LEASE_MS, Follower
from streams.store import Command, Reply

IF_OURS = """\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


@dataclass
class Lease:
    """The part of Redis that holds the lease: it does what it is told, also what it should not be told."""

    owner: bytes | None = None
    renewals: int = 0

    async def ask(self, commands: list[Command]) -> list[Reply]:
        taken, read = commands
        verb, key, nonce, *how = taken
        assert (verb, key, how) == ("SET", LEASE, ["NX", "PX", LEASE_MS])
        assert read == ("GET", LEASE)
        assert isinstance(nonce, bytes)
        if self.owner is None:
            self.owner = nonce
        return [None, self.owner]

    async def call(self, *command: bytes | str | int) -> Reply:
        match command:
            case ("PEXPIRE", key, milliseconds):
                assert (key, milliseconds) == (LEASE, LEASE_MS)
                self.renewals += 1
            case ("EVAL", script, 1, key, nonce):
                assert (script, key) == (IF_OURS, LEASE), "all that can be run here"
                if self.owner == nonce:
                    self.owner = None
            case ("DEL", key):
                assert key == LEASE
                self.owner = None
            case ("GET", key):
                assert key == LEASE
                return self.owner
            case _:
                raise AssertionError(f"nobody knows {command}")
        return None

    async def close(self) -> None: ...


@dataclass
class Fences:
    """What the reader finds."""

    found: dict[int, Fence] = field(default_factory=dict)

    async def fences(self) -> dict[int, Fence]:
        return dict(self.found)


@dataclass
class Told:
    """A relay that writes down what it is told."""

    said: list[tuple[object, ...]] = field(default_factory=list)

    def claimed(self, number: int, nonce: str, last: int) -> None:
        self.said.append(("claimed", number, nonce, last))

    def released(self, number: int) -> None:
        self.said.append(("released", number))

    def grown(self, number: int, last: int) -> None:
        self.said.append(("grown", number, last))

    def take(self) -> list[tuple[object, ...]]:
        said, self.said = self.said, []
        return said


class World:
    def __init__(self) -> None:
        self.lease = Lease()
        self.reader = Fences()
        self.relay = Told()
        self.follower = Follower(self.lease, self.reader, self.relay)

    async def after(self, **fences: Fence) -> list[tuple[object, ...]]:
        """What is said after a look at these fences, by names like `p3`."""
        self.reader.found = {int(name[1:]): fence for name, fence in fences.items()}
        await self.follower.look()
        return self.relay.take()


FENCE = Fence(epoch=1, nonce="a", generation=1, offsets={}, outbox=3)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_shard_is_taken_over_when_it_is_seen_and_again_from_a_new_owner(
    world: World,
) -> None:
    """Records are written with the owner's nonce, so the relay must know it."""
    other = msgspec.structs.replace(FENCE, epoch=2, nonce="b", outbox=4)

    assert await world.after(p0=FENCE) == [("claimed", 0, "a", 3)]
    assert await world.after(p0=FENCE) == []
    assert await world.after(p0=other, p1=FENCE) == [("claimed", 0, "b", 4), ("claimed", 1, "a", 3)]


async def test_new_entries_are_told_once(world: World) -> None:
    """The relay reads them from the outbox."""
    await world.after(p0=FENCE)
    grown = msgspec.structs.replace(FENCE, outbox=5, commits=9)

    assert await world.after(p0=grown) == [("grown", 0, 5)]
    assert await world.after(p0=msgspec.structs.replace(grown, commits=10)) == []


async def test_who_has_not_the_lease_delivers_nothing(world: World) -> None:
    """Two relays would deliver everything twice."""
    second = World()
    second.lease = world.lease
    second.follower = Follower(world.lease, second.reader, second.relay)

    assert await world.after(p0=FENCE) == [("claimed", 0, "a", 3)]
    renewals = world.lease.renewals
    assert await second.after(p0=FENCE) == []
    assert world.lease.renewals == renewals == 1, "who waits for it does not make it last"
    world.lease.owner = None  # it ran out
    assert await second.after(p0=FENCE) == [("claimed", 0, "a", 3)]
    assert await world.after(p0=FENCE) == [("released", 0)]


async def test_the_lease_is_given_back_when_what_is_under_way_is_recorded(world: World) -> None:
    """Who took it before would find those actions pending, and send them again."""
    stop = asyncio.Event()
    owners: list[bytes | None] = []

    async def resting() -> None:
        owners.append(world.lease.owner)

    stop.set()
    await world.follower.look()
    ours = world.lease.owner
    await world.follower.run(ManualClock(0), stop, resting)

    assert ours is not None
    assert owners == [ours]
    assert world.lease.owner is None


async def test_the_lease_of_another_is_left_alone(world: World) -> None:
    """Ours ran out, and a third relay would take what the second one delivers."""
    stop = asyncio.Event()
    second = World()
    second.lease = world.lease
    second.follower = Follower(world.lease, second.reader, second.relay)

    async def resting() -> None:
        world.lease.owner = None  # it ran out
        await second.follower.look()
        taken.append(world.lease.owner)

    taken: list[bytes | None] = []
    stop.set()
    await world.follower.look()
    ours = world.lease.owner
    await world.follower.run(ManualClock(0), stop, resting)

    assert None is not taken[0] != ours
    assert world.lease.owner == taken[0]
    assert await second.after(p0=FENCE) == [("claimed", 0, "a", 3)]
