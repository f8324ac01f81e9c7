"""The coverage of rules by their tests: which rules have fired, which clauses were seen true, and false.

Promise   What counts is what the engine had in its registers when a rule was judged: a rule with `on` at
          its events, every other rule at each event and timer of a customer.
How       The clauses of a rule are what its `where`, and its `when` and not `unless`, are made of at the
          top: the operands of an `and` or `or`, else the whole.
Limits    Steps of sequences, and what holds a rule back, are no clauses.
Not here  Values of clauses (rules/grounds.py). Running tests (rule_tests.py).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from processors.event import Event
from processors.fold import ADMITTED
from rules.clauses import condition_of
from rules.expression import Expression, Operation
from rules.fires import Bound
from rules.grounds import Comparison, Grounds
from rules.rule import Rule
from rules.spell import spell
from streams.step import Engine, Observed

Judge = Comparison | Grounds


@dataclass(slots=True)
class Clause:
    """One clause of a rule, and how often it was seen."""

    text: str
    seen_true: int = 0
    seen_false: int = 0

    @property
    def met(self) -> int:
        """How many of the two have been seen."""
        return (self.seen_true > 0) + (self.seen_false > 0)


@dataclass(slots=True)
class RuleCoverage:
    """One rule, and what tests have made it do."""

    rule: Rule
    clauses: list[Clause]
    fires: int = 0

    @property
    def met(self) -> int:
        """How much of `of` the tests have shown."""
        return (self.fires > 0) + sum(each.met for each in self.clauses)

    @property
    def of(self) -> int:
        """That it fires, and each clause true and false."""
        return 1 + 2 * len(self.clauses)


@dataclass(slots=True)
class Coverage:
    """What all tests together have shown; a rule is known by its file and name."""

    rules: dict[tuple[str, str], RuleCoverage] = field(default_factory=dict)

    @property
    def met(self) -> int:
        """How much has been shown."""
        return sum(each.met for each in self.rules.values())

    @property
    def of(self) -> int:
        """How much there is to show."""
        return sum(each.of for each in self.rules.values())

    @property
    def share(self) -> float:
        """The part that has been shown."""
        return self.met / self.of if self.of else 1.0

    def add(self, rules: Iterable[Rule]) -> None:
        """Know these rules, also if no test makes them do anything."""
        for rule in rules:
            clauses = [Clause(spell(each)) for each in clauses_of(rule)]
            self.rules.setdefault((rule.file, rule.name), RuleCoverage(rule, clauses))

    def observer(self, engine: Engine) -> Callable[[Observed], None]:
        """What notes each batch of this engine."""
        bounds = engine.rule_plan.bound
        self.add(bound.rule for bound in bounds)
        found = [self.rules[bound.rule.file, bound.rule.name] for bound in bounds]
        judges = [_judges(bound) for bound in bounds]

        def observe(seen: Observed) -> None:
            for _, number, _ in seen.fires:
                found[number].fires += 1
            judged = range(len(seen.events))
            indexes = judged if seen.are_timers else np.flatnonzero(seen.status == ADMITTED)
            for index in map(int, indexes):
                event = seen.events[index]
                for each, inside in zip(found, judges, strict=True):
                    if _is_judged(each.rule, event, is_timer=seen.are_timers):
                        _note(each.clauses, inside, seen, index)

        return observe


def clauses_of(rule: Rule) -> list[Expression]:
    """The clauses of `where`, then those of `when` and not `unless`."""
    where = None if rule.on is None else rule.on.where
    return [part for each in (where, condition_of(rule)) for part in _parts(each)]


def _parts(condition: Expression | None) -> tuple[Expression, ...]:
    if isinstance(condition, Operation) and condition.sign in ("and", "or"):
        return condition.operands
    return () if condition is None else (condition,)


def _judges(bound: Bound) -> list[Judge]:
    """How to know whether each clause holds, in the order of `clauses_of`."""
    where = None if bound.rule.on is None else bound.rule.on.where
    conditions = [each for each in (where, condition_of(bound.rule)) if each is not None]
    found = list(_joined(conditions, bound.grounds.inside))
    assert len(found) == len(clauses_of(bound.rule)), "both are of the same conditions"
    return found


def _joined(conditions: list[Expression], grounds: tuple[Judge, ...]) -> Iterator[Judge]:
    for condition, ground in zip(conditions, grounds, strict=True):
        is_joined = isinstance(condition, Operation) and condition.sign in ("and", "or")
        if is_joined and isinstance(ground, Grounds):
            yield from ground.inside
        else:
            yield ground


def _is_judged(rule: Rule, event: Event, *, is_timer: bool) -> bool:
    if rule.on is None:
        return True
    return not is_timer and event.type == rule.on.kind and rule.on.action in ("*", event.action)


def _note(clauses: list[Clause], judges: list[Judge], seen: Observed, index: int) -> None:
    event = seen.events[index]
    for clause, judge in zip(clauses, judges, strict=True):
        if judge.holds(seen.registers, index, event):
            clause.seen_true += 1
        else:
            clause.seen_false += 1
