"""A calm world: one without faults, and processes to which nothing happens, for tests that play by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from streams.claimer import Claimer
from streams.shard import Shard
from streams.store import StoreAddress
from streams.work import Ports
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World, installed


@dataclass
class Calm:
    """A process to which nothing happens."""

    name: str
    is_dead: bool = False

    def die(self) -> None:
        raise AssertionError("nothing goes wrong here")

    async def thawed(self) -> None:
        """It is never stopped."""


@contextmanager
def calm_world() -> Iterator[World]:
    """A world without faults, in which nobody looks at what is written."""
    with installed(0) as world:
        world.chance.is_calm = True
        world.redis.wrote = lambda *_: None
        yield world
        world.loop.close()


@contextmanager
def claimed(world: World, name: str, stale_ms: int | None = None) -> Iterator[Shard]:
    """Shard 0, claimed by a process of this name."""
    world.wire.owners[name] = Calm(name)
    ports = Ports(
        dead_letters=None,  # type: ignore[arg-type]  # there are none
        committed=lambda *_: None,
        stored=lambda *_: None,
        rolled_back=lambda *_: None,
    )
    address = StoreAddress(path=name)
    shard = Claimer(address, lambda: world.engine, ports, lambda: START_MS, stale_ms)(0, 0)
    try:
        yield shard
    finally:
        shard.close()
