"""What a relay's life becomes in the metrics, and what watches it."""

import msgspec
import pytest
from rich.console import Console

from rules.action import Action
from sinks.memory import MemorySink
from sinks.retry import Policy
from sinks.sink import RetryAfter
from streams import relaying
from streams.clock import ManualClock
from streams.delivery import Delivery, after, ended, opened, pending
from streams.endpoint_table import Rate
from streams.endpoints import Outside
from streams.lane import Destination
from streams.metrics import Metrics
from streams.owned import OwnedShard
from streams.receipts_memory import MemoryReceipts
from streams.relay import Relay
from streams.relaying import Means, Timed
from streams.settings import Endpoint
from streams.token_bucket import TokenBucket
from tests.actions import action


class Silent:
    """A relay that only listens."""

    def __init__(self) -> None:
        self.offers: list[tuple[int, int, int]] = []

    def offer(self, number: int, sequence: int, actions: list[Action]) -> None:
        self.offers.append((number, sequence, len(actions)))


class World:
    def __init__(self, *endpoints: Endpoint) -> None:
        self.clock = ManualClock(now_ms=1_000)
        self.metrics = Metrics("test")
        self.seen: list[Delivery] = []
        outside = Outside(self.clock.now_ms, Console())
        means = Means(
            "",
            {each.name: each for each in endpoints},
            outside,
            self.clock,
            self.metrics,
            self.seen.append,
        )
        self.timed = Timed(means)
        self.relay = Silent()
        self.timed.relay = self.relay  # type: ignore[assignment]  # it needs no more here

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value("rapport_" + name, labels) or 0.0


def test_a_delivery_counts_with_the_time_since_its_commit() -> None:
    """It is what "milliseconds" means to whoever receives it."""
    world = World()
    world.timed.offer(0, 1, [action(1)])
    world.clock.advance(40)
    delivery = ended(pending(action(1), 1_000), "delivered", "HTTP 204", 1_040, 1)
    world.timed.changed(delivery)

    assert world.relay.offers == [(0, 1, 1)]
    assert world.seen == [delivery]
    assert world.value("actions_total", result="delivered", kind=delivery.target.kind) == 1
    assert world.value("delivery_seconds_sum") == 0.04


def test_what_was_recovered_from_the_outbox_has_no_such_time() -> None:
    """It waited for a process to come back; that is another figure."""
    world = World()
    world.timed.changed(ended(pending(action(1), 1_000), "delivered", "", 1_040, 1))
    rejected = ended(pending(action(2), 1_000), "rejected", "no such endpoint", 1_040, 1)
    world.timed.changed(rejected)

    assert world.value("delivery_seconds_count") == 0
    assert world.value("actions_total", result="rejected", kind=rejected.target.kind) == 1


def test_what_is_stale_is_counted_apart() -> None:
    """It is no failure, and must not set off the alert on failures."""
    world = World()
    world.timed.offer(0, 1, [action(1)])
    world.timed.changed(opened(msgspec.structs.replace(action(1), is_stale=True), 1_000))

    assert world.value("actions_total", result="stale", kind="webhook") == 1
    assert world.value("delivery_seconds_count") == 0


def test_what_an_endpoint_does_not_take_is_counted_by_its_name() -> None:
    """Names of the settings only: a series must not come of every typing error in a rule."""
    world = World(Endpoint("crm", "http://127.0.0.1:1/"))
    failed = after(pending(action(1), 1_000), RetryAfter("HTTP 500"), Policy(), 1_040)
    world.timed.changed(failed)
    world.timed.changed(ended(pending(action(2, name="cmr"), 1_000), "rejected", "", 1_040, 1))

    assert world.value("endpoint_failures_total", endpoint="crm") == 1
    assert world.value("endpoint_failures_total", endpoint="cmr") == 0


def test_commit_times_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is down for hours must not cost memory, nor end the measuring of the others."""
    monkeypatch.setattr(relaying, "OFFERED_MAX", 3)
    world = World()
    world.timed.offer(0, 1, [action(1), action(2), action(3)])
    world.timed.offer(0, 2, [action(4)])
    world.timed.changed(ended(pending(action(1), 1_000), "delivered", "", 1_040, 1))

    assert world.relay.offers == [(0, 1, 3), (0, 2, 1)]
    assert world.value("delivery_seconds_count") == 0

    world.timed.changed(ended(pending(action(4), 1_000), "delivered", "", 1_040, 1))
    assert world.value("delivery_seconds_count") == 1


async def test_who_waits_for_a_rate_is_told_by_endpoint() -> None:
    """Else a limit that is too low looks like a receiver that is slow."""
    slow = Endpoint("crm", "https://crm.example/", rate=Rate(1, "m"))
    world = World(slow, Endpoint("risk", "https://risk.example/"))
    bucket = TokenBucket(1 / 60, 1)

    def destination(kind: str, name: str) -> Destination:
        return Destination(MemorySink(), f"{kind}:{name}", bucket=bucket if name == "crm" else None)

    relay = Relay(MemoryReceipts(), destination, world.clock, world.timed.changed)
    world.timed.relay = relay
    world.timed.observe_lanes(1_000)
    assert world.value("endpoint_paced", endpoint="crm") == 0

    shard = OwnedShard(0, "ours", 1)
    both = [*(action(number) for number in range(4)), action(9, name="risk")]
    relay.dispatch.take(shard, 1, both)
    world.timed.observe_lanes(1_000)

    assert world.value("endpoint_paced", endpoint="crm") == 3
    assert (
        world.metrics.registry.get_sample_value("rapport_endpoint_paced", {"endpoint": "risk"})
        is None
    )
