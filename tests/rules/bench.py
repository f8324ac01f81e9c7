"""A bench for rules: events with the scores they bring, judged by the real machine and kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from processors.event import Event
from processors.fold import ADMITTED
from processors.machine import run
from processors.register import Stage
from processors.tables import Plan
from rules.action import Action
from rules.evaluate import RulePlan, actions_of, evaluate
from tests.rules.loading import TEXTS, builder, loaded

MINUTE_MS: Final = 60_000
START_MS: Final = 1_700_000_000_000
THEN: Final = 'then = [{ log = "x" }]\n'


@dataclass(frozen=True, slots=True)
class Judged:
    """One event as the rules kernel gets it."""

    minute: int
    health: float = 50.0
    customer: int = 0
    action: str = "click.view"
    status: int = ADMITTED
    amount: float | None = None
    band: str = "green"
    id: str = "e"

    @property
    def event(self) -> Event:
        kind, action = self.action.split(".", 1)
        at_ms = START_MS + self.minute * MINUTE_MS
        return Event(self.id, kind, action, f"c{self.customer}", at_ms, self.amount, channel="web")


@dataclass
class Bench:
    """A rule set and the rows of a few customers."""

    text: str
    rules: RulePlan = field(init=False)
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        made = builder()
        self.rules = loaded(self.text).compile(made)
        self.plan = made.build()
        self.rows = np.zeros((4, self.plan.layout.words))

    def judge(self, batch: Sequence[Judged]) -> list[tuple[int, str]]:
        """The fires of one batch: minute and rule."""
        return [
            (action.at_ms // MINUTE_MS - START_MS // MINUTE_MS, action.rule)
            for action in self.act(batch)
        ]

    def act(self, batch: Sequence[Judged]) -> list[Action]:
        count = len(batch)
        registers = np.full((self.plan.registers, count), np.nan)
        for number, value in self.plan.asked.constants.items():
            registers[number] = value
        names = self.plan.names
        for index, each in enumerate(batch):
            registers[names["health"].register.number, index] = each.health
            band = (TEXTS["health.band"] or ()).index(each.band)
            registers[names["health.band"].register.number, index] = band
            for name, number in self.plan.asked.numbers.items():
                value = getattr(each.event, name)
                registers[number, index] = np.nan if value is None else value
            for passes, number in self.plan.asked.tests.get("kind.action", []):
                registers[number, index] = passes(each.action)
        for stage in Stage:
            run(self.plan.programs[stage], registers, count)
        now_ms = np.array([each.event.at_ms for each in batch])
        verdicts = evaluate(
            self.rules,
            registers,
            self.rows,
            self.rows.view(np.int64),
            np.array([each.customer for each in batch]),
            now_ms,
            np.array([each.status for each in batch]),
            count,
        )
        self.suppressed = verdicts.suppressed
        return actions_of(self.rules, verdicts, registers, [each.event for each in batch], 7)[0]


def healths(*values: float) -> list[Judged]:
    return [Judged(minute, value) for minute, value in enumerate(values)]
