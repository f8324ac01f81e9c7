"""Lift over a history: who a rule would have been for, who was held out of it, and what they did then.

Promise   The engine that runs live, with its hold-outs by the same hash; nothing is delivered.
How       One replay. The outcome is one more rule, which fires at each such event, so that it may have a
          `where`; it acts for nobody.
Limits    OUTCOMES_MAX outcomes. Fires that a stage withholds are no exposures: in shadow there is no lift.
Not here  What the groups say (lift.py).
"""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from processors.fold import ADMITTED
from rules.fires import withheld
from rules.rule import Rule
from streams.errors import StreamsError
from streams.inquiry import rule_named
from streams.lift import Exposure, Lift, groups, lift
from streams.loader import Sources
from streams.replay import Watchers, replay
from streams.source import Source
from streams.step import Engine, Observed

OUTCOMES_MAX: Final = 20_000_000
OPTION: Final = "--outcome"  # stands for a file in messages about the outcome

Progress = Callable[[int], None]


class LiftError(StreamsError):
    """The lift cannot be known; one sentence that says why."""


@dataclass(slots=True)
class _Noted:
    """What the replay has shown so far."""

    rule: Rule
    numbers: dict[int, bool]  # of the rule: False, of the outcome: True
    first: dict[str, Exposure] = field(default_factory=dict)  # of each customer
    outcomes: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    outcomes_count: int = 0
    newest_ms: int = 0

    def observe(self, seen: Observed) -> None:
        times_ms = [event.at_ms for event in seen.events]
        admitted = np.flatnonzero(seen.status == ADMITTED).tolist()
        self.newest_ms = max(self.newest_ms, max((times_ms[k] for k in admitted), default=0))
        for index, number, _key in seen.fires:
            is_outcome = self.numbers.get(number)
            if is_outcome is None:
                continue
            customer_id, at_ms = seen.events[index].customer_id, times_ms[index]
            if is_outcome:
                self._outcome(customer_id, at_ms)
            else:
                self._exposure(customer_id, at_ms)

    def _outcome(self, customer_id: str, at_ms: int) -> None:
        self.outcomes[customer_id].append(at_ms)
        self.outcomes_count += 1
        if self.outcomes_count > OUTCOMES_MAX:
            raise LiftError(f"more than {OUTCOMES_MAX:,} outcomes; take a shorter history")

    def _exposure(self, customer_id: str, at_ms: int) -> None:
        why_not = withheld(self.rule, customer_id)
        known = self.first.get(customer_id)
        if why_not in {"", "holdout"} and (known is None or at_ms < known.at_ms):
            self.first[customer_id] = Exposure(customer_id, at_ms, why_not == "holdout")


def lift_over(
    source: Source,
    sources: Sources,
    rule: str,
    outcome: str,
    within_ms: int,
    now_ms: int,
    progress: Progress | None = None,
) -> Lift:
    """What acting on the rule was worth over this history.

    Args:
        source: as of a replay.
        sources: where model and rules are.
        rule: its name.
        outcome: events, as `on` of a rule has them.
        within_ms: how long after the first fire for a customer an outcome counts.
        now_ms: when the history counts as having arrived.
        progress: is told how many rows are read.

    Raises:
        UnknownError: There is no such rule.
        LiftError: The rule has no hold-out or does not act, or there are too many outcomes.
        RulesError: The outcome cannot be read, or rules have mistakes.
        SourceError: The source broke off.
    """
    files = sources.read()
    found = rule_named(files.rules.rules, rule)
    if not found.holdout:
        raise LiftError(
            f"{rule} holds nobody out, so there is nobody to compare with; add"
            ' holdout = "10%" to it'
        )
    if found.stage in {"draft", "shadow"}:
        raise LiftError(f"{rule} is in the stage {found.stage}: it acts for nobody")
    name = next(f"outcome-{k}" for k in range(1_000_000) if not _is_there(files.rules.rules, k))
    more = f'[rule.{name}]\non = {json.dumps(outcome)}\nthen = [{{ log = "outcome" }}]\n'
    engine = Engine(files.model, sources.read_rules(files.model, {OPTION: more.encode()}))
    names = [bound.rule.name for bound in engine.rule_plan.bound]
    noted = _Noted(found, {names.index(rule): False, names.index(name): True})
    replay(source, engine, now_ms, Watchers(observe=noted.observe, progress=progress))
    for times_ms in noted.outcomes.values():
        times_ms.sort()
    return lift(groups(noted.first.values(), noted.outcomes, within_ms, noted.newest_ms))


def _is_there(rules: tuple[Rule, ...], number: int) -> bool:
    return any(rule.name == f"outcome-{number}" for rule in rules)
