"""The cost of rules: nanoseconds an event, and bytes of state a customer, worked out from the plan.

Promise   What one rule adds to all others, and what all of them add to none: pieces that several rules share
          are paid once. Bytes are those of the row's layout. Nanoseconds are a model: the sum of what
          each piece took where it was measured, for an event of the mix below, in large batches.
How       Each rule is compiled by itself beside the model's scores, and its pieces are told apart by their
          names, by which the plan shares them.
Measured  By `python -m benchmarks.rule_fit`, which prints the constants below: rule sets of one kind of piece
          each and of the packs' mix, on the workload of benchmarks/workload.py; non-negative least squares.
          One core of an AMD EPYC. What it put at nothing is paid with its neighbours, such as `check`.
Limits    Caches and wide rows move the figure: expect it within a factor of two. Fires are not in it.
Not here  Measuring (benchmarks/rules.py). The plan (processors/plan.py).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.aggregate import AggregateKind
from processors.model import Model
from processors.plan import PlanBuilder
from processors.register import Stage
from processors.scores import Scores
from processors.tables import Plan
from rules.rule import Rule
from rules.rule_table import EACH, EDGE, SEQUENCE, TRIGGER
from rules.ruleset import RuleSet

BUDGET_NS: Final = 20_000.0  # an event, by all rules; see docs/rules.md
BUDGET_BYTES: Final = 65_536  # a customer
WORD_BYTES: Final = 8

# What share of all events an action is, where nothing is known of who will send what: clicks are most.
SHARES: Final = {"click": 0.60, "order": 0.25, "service": 0.12, "customer": 0.03}
ACTIONS_EACH: Final = 6  # different actions of a kind that come often
_ACTION: Final = re.compile(r"kind\.action (click|order|service|customer)\.([^\s,()|]+)")

# Nanoseconds an event, of one piece of each kind.
NS: Final[Mapping[str, float]] = {
    "average": 14.4,
    "check": 8.8,
    "field": 0.0,
    "fold decay": 9.7,
    "fold distinct": 80.7,
    "fold events": 228.1,
    "fold first": 4.7,
    "fold last": 0.0,
    "fold maximum": 0.0,
    "fold minimum": 11.4,
    "fold moments": 0.0,
    "fold total": 10.0,
    "fold window": 73.5,
    "operation": 1.0,
    "read decay": 22.4,
    "read distinct": 59.4,
    "read events": 6.6,
    "read first": 4.7,
    "read last": 5.6,
    "read maximum": 0.0,
    "read minimum": 11.4,
    "read moments": 48.2,
    "read total": 10.0,
    "rule edge": 7.2,
    "rule on": 5.3,
    "rule sequence": 5.4,
    "test": 0.6,
    "word": 1.0,
}

_READ: Final = {kind: f"read {kind.name.lower()}" for kind in AggregateKind}
_FOLD: Final = {kind: f"fold {kind.name.lower()}" for kind in AggregateKind}
_TRIGGERS: Final = {EDGE: "rule edge", EACH: "rule on", SEQUENCE: "rule sequence"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that the plan has once, whoever asks for it."""

    amounts: Mapping[str, float]  # by name of a constant: how often an event meets it
    words: int = 0

    @property
    def ns(self) -> float:
        """What it takes an event."""
        return sum(NS[name] * amount for name, amount in self.amounts.items())


@dataclass(frozen=True, slots=True)
class Cost:
    """What one rule, or all of them, cost."""

    ns: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What rules cost: each beside all others, and all beside none."""

    rules: Mapping[str, Cost]
    total: Cost


class _Named(PlanBuilder):
    """A builder whose registers can be told by name."""

    @property
    def register_names(self) -> dict[int, str]:
        return {each.number: each.name for each in self._by_name.values()}


@dataclass(slots=True)
class Costing:
    """Works out costs beside one model."""

    model: Model
    base: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.base = frozenset(self._pieces(RuleSet()))

    def costs(self, rules: Sequence[Rule]) -> Costs:
        """The costs of these rules; drafts cost nothing."""
        pieces = {rule.name: self.pieces(rule) for rule in rules}
        asked = Counter(name for mine in pieces.values() for name in mine)
        all_pieces = {name: piece for mine in pieces.values() for name, piece in mine.items()}
        return Costs(
            {
                rule: _cost([piece for name, piece in mine.items() if asked[name] == 1])
                for rule, mine in pieces.items()
            },
            _cost(list(all_pieces.values())),
        )

    def pieces(self, rule: Rule) -> dict[str, Piece]:
        """What the rule asks for and the model does not, by name."""
        found = self._pieces(RuleSet((rule,)))
        return {name: piece for name, piece in found.items() if name not in self.base}

    def _pieces(self, rules: RuleSet) -> dict[str, Piece]:
        builder = _Named(
            duplicates_kept=self.model.admit.duplicates_kept,
            lateness_ms=self.model.admit.lateness_ms,
        )
        Scores.compile(builder, self.model)
        compiled = rules.compile(builder)
        found = _pieces_of(builder.build(), builder.register_names)
        for bound, trigger in zip(compiled.bound, compiled.table[:, TRIGGER].tolist(), strict=True):
            found[f"rule {bound.rule.name}"] = Piece({_TRIGGERS[trigger]: 1.0})
        return found


def _pieces_of(plan: Plan, names: Mapping[int, str]) -> dict[str, Piece]:
    asked = plan.asked
    found: dict[str, Piece] = {}
    for stage in Stage:
        for _, target, _, _ in asked.operations[stage]:
            found[f"operation {names[target]}"] = Piece({"operation": 1.0})
    for tests in asked.tests.values():
        for _, target in tests:
            found[f"test {names[target]}"] = Piece({"test": 1.0})
    for target in (*asked.numbers.values(), *asked.hashes.values(), *asked.told.values()):
        found[f"field {names[target]}"] = Piece({"field": 1.0})
    for kept in asked.aggregates:
        windows = {each.window_ms for each in asked.reads if each.aggregate is kept}
        share = share_of(kept.name)
        amounts = {"check": 1.0, _FOLD[kept.kind]: share}
        found[f"fold {kept.name}"] = Piece(amounts)
        if kept.kind == AggregateKind.EVENTS:
            for window_ms in windows:
                found[f"window {kept.name} {window_ms}"] = Piece({"fold window": share})
    for read in asked.reads:
        found[f"read {read.target.name}"] = Piece({_READ[read.aggregate.kind]: 1.0})
    for average in asked.averages:
        found[f"average {average.target.name}"] = Piece({"average": 1.0})
    for name, (_, words) in plan.layout.columns.items():
        found[f"column {name}"] = Piece({"word": float(words)}, words)
    return found


def share_of(name: str) -> float:
    """The share of all events that an aggregate of this name counts; a further condition is not judged.

    >>> share_of("decay|kind.action click.*|1|600000|0"), share_of("total|kind.action order.paid|1|0|0")
    (0.6, 0.041666666666666664)
    """
    action = _ACTION.search(name)
    if action is None:
        return 1.0
    share = SHARES[action[1]]
    return share if action[2] == "*" else share / ACTIONS_EACH


def _cost(pieces: Sequence[Piece]) -> Cost:
    return Cost(sum(each.ns for each in pieces), WORD_BYTES * sum(each.words for each in pieces))
