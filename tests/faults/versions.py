"""Versions of rules: what each says, and whether every event was decided by exactly one of them.

Promise   `Checked` says of each order whether its actions are all those of one version that was in force
          between its neighbours in the shard's log, and counts actions that are missing or too many.
How       The orders in the order of the log, as delivery reports told it, beside the outbox in Redis.
Limits    An event without actions says what its version was not; between two events with actions it
          may have had any version in between.
Not here  Writing and reloading them (experiments/reloads.py).
"""

import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message

from tests.faults.lone_worker import Site
from tests.integration.reading import PARTITIONS
from tests.integration.shop import Sender, Told

RULES = ("one", "two", "three")
LOW, HIGH = 98.0, 99.0  # thresholds of even and of odd versions
RULE = """
[rule.{name}]
version = {version}
on = "order.placed"
when = "amount > {threshold} and count(order.placed, {days}d) >= 1"
reason = "by {version}"
then = [{{ log = "audit", type = "v{version}" }}]
"""


def threshold_of(version: int) -> float:
    return HIGH if version % 2 else LOW


def text_of(name: str, version: int) -> str:
    days = 1 + version % 30
    threshold = threshold_of(version)
    return RULE.format(name=name, version=version, threshold=threshold, days=days)


@dataclass
class Noted(Sender):
    """Remembers when each event was sent, and where Kafka has put the orders."""

    at_ns: list[int] = field(default_factory=list)
    placed: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By partition, in the order of the log: orders that were placed."""

    def _produce(self, topic: str, each: Told) -> None:
        self.at_ns.append(time.monotonic_ns())
        super()._produce(topic, each)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        super()._report(error, message)
        value = message.value() or b""
        if b'"placed"' in value:
            self.placed[message.partition() or 0].append(value)


@dataclass
class Reloads:
    """What was reloaded, and what came of it."""

    good: list[int] = field(default_factory=lambda: [1])
    answered_ns: dict[int, int] = field(default_factory=dict)  # of the good ones
    broken_count: int = 0
    wrong: list[str] = field(default_factory=list)


def outbox_of(site: Site) -> dict[str, list[dict[str, Any]]]:
    """The actions in Redis, by the id of their cause."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with site.redis.client() as client:
        for number in range(PARTITIONS):
            keys = list(client.scan_iter(f"rapport:{{{number}}}:outbox:*", count=10_000))
            for entry in client.mget(keys) if keys else []:
                for action in msgspec.json.decode(entry):
                    found[action["cause"]].append(action)
    return found


@dataclass
class Checked:
    """What is found of the actions; `check` fills it."""

    sender: Noted
    reloads: Reloads
    decided: int = 0
    missing: int = 0
    surplus: int = 0
    late_ns_max: int = 0  # from the answer to a reload to the last event under older rules
    seen: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def check(self, site: Site) -> None:
        actions = outbox_of(site)
        self.decided = sum(map(len, actions.values()))
        known: set[str] = set()
        for values in self.sender.placed.values():
            orders = [msgspec.json.decode(value) for value in values]
            dear = [(each["id"], each["amount"]) for each in orders if each["amount"] > LOW]
            known.update(name for name, _ in dear)
            self._check_shard(dear, actions)
        strange = sum(len(each) for name, each in actions.items() if name not in known)
        if strange:
            self.surplus += strange
            self.wrong.append(f"{strange} actions have no cause.")

    def _check_shard(
        self, dear: list[tuple[str, float]], actions: dict[str, list[dict[str, Any]]]
    ) -> None:
        """One shard in the order of its log."""
        before = self.reloads.good[0]
        silent: list[float] = []
        for name, amount in dear:
            found = actions.get(name)
            if not found:
                silent.append(amount)
                continue
            version = self._check_event(name, amount, found)
            if version < before:
                self.wrong.append(f"{name} is decided by {version}, after {before}.")
            self._check_silent(silent, before, version)
            before, silent = version, []
        self._check_silent(silent, before, self.reloads.good[-1])

    def _check_event(self, name: str, amount: float, found: list[dict[str, Any]]) -> int:
        """The version that has decided an event; the newest where there are several."""
        versions: set[int] = {each["version"] for each in found}
        version = max(versions)
        self.seen |= versions
        if len(versions) > 1:
            self.wrong.append(f"{name} is decided by {sorted(versions)} at once.")
        for each in found:
            words = each["reason"], each["target"]["type"]
            said = each["version"]
            if words != (f"by {said}", f"v{said}") or said not in self.reloads.good:
                self.wrong.append(f"{name} has an action of {said} that says {words}.")
            if amount <= threshold_of(said):
                self.surplus += 1
                self.wrong.append(f"{name} has an action of {said}, whose threshold it misses.")
        fired, wanted = Counter(each["rule"] for each in found), Counter(RULES)
        if fired != wanted:
            self.missing += (wanted - fired).total()
            self.surplus += (fired - wanted).total()
            self.wrong.append(f"{name} has the actions {dict(fired)}.")
        place = bisect_right(self.reloads.good, version)
        if place < len(self.reloads.good):
            answered_ns = self.reloads.answered_ns.get(self.reloads.good[place])
            if answered_ns is not None:
                late_ns = self.sender.at_ns[int(name[1:])] - answered_ns
                self.late_ns_max = max(self.late_ns_max, late_ns)
        return version

    def _check_silent(self, amounts: list[float], first: int, last: int) -> None:
        """Events without actions: a version between their neighbours' must leave them out."""
        good = self.reloads.good
        between = good[bisect_left(good, first) : bisect_right(good, last)]
        highest = max(map(threshold_of, between), default=LOW)
        for amount in amounts:
            if amount > highest:
                self.missing += len(RULES)
                self.wrong.append(f"An order of {amount} has no actions under {first} to {last}.")
