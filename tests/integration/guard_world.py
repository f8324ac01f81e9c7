"""A process with rules and a guard, on a real Redis and on time made by hand: for the tests of the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processors.batch import Origin, Records
from processors.decode import decode
from processors.layout import Layout
from rules.action import Action
from streams.clock import ManualClock
from streams.guard import Limits
from streams.guard_counts import HOUR_MS, Counts
from streams.guard_watch import LOOK_MS, GuardWatch
from streams.loader import Sources
from streams.metrics import Metrics
from streams.rule_life import RuleLife
from streams.rulebook import Rulebook
from streams.step import run
from streams.store import StoreAddress
from streams.store_async import AsyncConnection
from tests.integration.redis_server import RedisServer

RULE = """
[rule.loud]
version = {version}
stage = "{stage}"
on = "order.placed"
then = [{{ log = "orders" }}, {{ log = "again" }}]
"""
NOON_MS = 12 * HOUR_MS + 20_000 * 24 * HOUR_MS
BATCH_MS = 50
A_BATCH = 20  # events: 400 a second
CUSTOMERS = 5_000


@dataclass
class World:
    """One process: its rules, its guard, and a step that is given events by hand."""

    rulebook: Rulebook
    connection: AsyncConnection
    clock: ManualClock
    metrics: Metrics
    limits: Limits
    counts: Counts = field(default_factory=Counts)
    acted: list[Action] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        known = (self.counts, self.limits, self.metrics, self.clock)
        self.guard = GuardWatch(self.connection, self.rulebook, *known)
        self.life = RuleLife(self.connection)
        self.engine = self.rulebook.current()
        self.table = self.engine.table()

    def orders(self, count: int, customers: int = CUSTOMERS) -> None:
        """A batch of so many orders, as a shard would take it."""
        if self.engine is not self.rulebook.current():
            self.engine = self.rulebook.current()
            self.table.migrate(self.engine.plan.layout, self.engine.plan.memos)
        at_ms = self.clock.now_ms()
        values: list[bytes | None] = [
            b'{"id":"e%d","type":"order","action":"placed","customer_id":"c-%d","at_ms":%d,'
            b'"amount":1}' % (k, k % customers, at_ms)
            for k in range(self.events, self.events + count)
        ]
        self.events += count
        origin = Origin("", 0, "", None, (), at_ms)
        records = Records(values, [at_ms] * count, lambda _index: origin)
        decoded = decode(records)
        missing = self.table.missing(decoded.customer_ids)
        layouts: dict[bytes, Layout] = {}
        self.table.insert(missing, [None] * len(missing), layouts.__getitem__)
        outcome = run(self.engine, self.table, records, decoded, 0)
        self.counts.add(outcome.actions)
        self.acted += [each for each in outcome.actions if not each.withheld]

    async def storm(self, seconds: int, customers: int = CUSTOMERS) -> None:
        """Orders without end, and the looks in between."""
        for k in range(seconds * 1_000 // BATCH_MS):
            if k * BATCH_MS % LOOK_MS == 0:
                await self.guard.look()
            self.orders(A_BATCH, customers)
            self.clock.advance(BATCH_MS)

    @property
    def fires(self) -> int:
        return len({(each.customer_id, each.cause) for each in self.acted})

    def trips(self) -> float:
        name = "rapport_rule_guard_trips_total"
        return self.metrics.registry.get_sample_value(name) or 0.0


def wrote(folder: Path, version: int, stage: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(RULE.format(version=version, stage=stage))


@asynccontextmanager
async def opened(
    server: RedisServer, folder: Path, limits: Limits, stage: str = "shadow"
) -> AsyncIterator[World]:
    """A process that has begun, with as many customers in Redis as there are."""
    wrote(folder, 1, stage)
    connection = AsyncConnection(StoreAddress.parse(server.url))
    clock, metrics = ManualClock(NOON_MS), Metrics("test")
    world = World(
        Rulebook(Sources(rules=folder), metrics, clock), connection, clock, metrics, limits
    )
    pairs = [
        f"rapport:{{0}}:{kind}:c-{k}" for k in range(CUSTOMERS) for kind in ("row", "customer")
    ]
    await connection.call("MSET", *(word for pair in pairs for word in (pair, "x")))
    await world.guard.begin()
    try:
        yield world
    finally:
        await connection.close()
