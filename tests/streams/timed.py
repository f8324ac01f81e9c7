"""What the tests of timers share: a shard on a Redis in memory, clicks, and the index."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from processors.batch import Origin, Records
from streams.keys import Keys
from streams.shard import Shard
from streams.work import Work
from tests.replaying import engine_of
from tests.simulation import calm
from tests.simulation.calm import calm_world
from tests.simulation.memory_commands import Scores
from tests.simulation.virtual_loop import START_MS
from tests.simulation.world import World

KEYS = Keys.of(0)
SILENCE_MS = 1_000
STALE_MS = 60_000
CART = """
[rule.cart]
sequence = ["click.add_to_cart", "no click.checkout within 1s"]
then = [{ webhook = "crm" }]
"""
PLAIN = """
[rule.other]
on = "click.search"
then = [{ webhook = "crm" }]
"""


@contextmanager
def timed_world() -> Iterator[World]:
    """A world of the simulation without faults, and with one rule that waits."""
    with calm_world() as world:
        world.engine = engine_of(CART)
        yield world


@contextmanager
def claimed(world: World, name: str = "one") -> Iterator[Shard]:
    """Shard 0, for whom a timer's action may be stale."""
    with calm.claimed(world, name, STALE_MS) as shard:
        yield shard


def clicks(*events: tuple[str, str, int]) -> Records:
    """Customer, action and when, in ms since the start."""
    values: list[bytes | None] = [
        msgspec.json.encode(
            {
                "id": f"{customer}-{action}-{at_ms}",
                "type": "click",
                "action": action,
                "customer_id": customer,
                "at_ms": START_MS + at_ms,
            }
        )
        for customer, action, at_ms in events
    ]
    return Records(
        values,
        [START_MS] * len(values),
        lambda index: Origin("clicks", 0, str(index), None, (), START_MS),
    )


def fold(shard: Shard, *events: tuple[str, str, int]) -> None:
    shard.step(clicks(*events), {"clicks": "1"})()


def fire(shard: Shard, at_ms: int) -> Work | None:
    work = shard.fire(START_MS + at_ms)
    if work is not None:
        work()
    return work


def index(world: World) -> dict[str, int]:
    found = world.redis.data.get(KEYS.timers, Scores())
    assert isinstance(found, Scores)
    return {name.decode(): int(due_ms) - START_MS for name, due_ms in found.items()}
