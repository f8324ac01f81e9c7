"""A bench for rules: events with the scores they bring, judged by the real machine and kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.attributes import text_code
from processors.event import Event
from processors.fold import ADMITTED, TIMER
from processors.machine import run
from processors.register import Stage
from processors.tables import Plan
from processors.zones import zone_code
from rules.action import Action
from rules.evaluate import RulePlan, evaluate
from rules.fires import actions_of
from rules.rule_table import CONSENT
from tests.rules.loading import TEXTS, builder, loaded

Floats = npt.NDArray[np.float64]

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
    session: str | None = None
    is_timer: bool = False
    orders: float = float("nan")
    zone: str = "UTC"
    consent: float = float("nan")

    @property
    def event(self) -> Event:
        kind, action = self.action.split(".", 1)
        at_ms = START_MS + self.minute * MINUTE_MS
        who = f"c{self.customer}"
        return Event(
            self.id, kind, action, who, at_ms, self.amount, session_id=self.session, channel="web"
        )


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
        self.rules.connect(self.plan)
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
            registers[names["orders_count"].register.number, index] = each.orders
            for name, number in self.plan.asked.numbers.items():
                value = getattr(each.event, name)
                registers[number, index] = np.nan if value is None else value
            for passes, number in self.plan.asked.tests.get("kind.action", []):
                registers[number, index] = passes(each.action)
            if "session_id" in self.plan.asked.hashes and each.session is not None:
                number = self.plan.asked.hashes["session_id"]
                registers[number, index] = text_code(each.session)
        for stage in Stage:
            run(self.plan.programs[stage], registers, count)
        self._fill_what_rows_know(batch, registers)
        now_ms = np.array([each.event.at_ms for each in batch])
        verdicts = evaluate(
            self.rules,
            registers,
            self.rows.view(np.int64),
            (
                np.array([each.customer for each in batch]),
                now_ms,
                now_ms,
                np.array([TIMER if each.is_timer else 1 for each in batch]),
                np.array([each.status for each in batch]),
            ),
            count,
        )
        self.suppressed = verdicts.suppressed
        self.falls = verdicts.falls
        events = [each.event for each in batch]
        return actions_of(self.rules.bound, verdicts.fires, registers, events, 7)[0]

    def _fill_what_rows_know(self, batch: Sequence[Judged], registers: Floats) -> None:
        """What the customer's row would give: the zone, and consent."""
        for number in set(self.rules.zone_registers) - self.plan.asked.constants.keys():
            registers[number] = [zone_code(each.zone) for each in batch]
        for number in self.rules.table[:, CONSENT].tolist():
            if number >= 0:
                registers[number] = [each.consent == 1.0 for each in batch]


def healths(*values: float) -> list[Judged]:
    return [Judged(minute, value) for minute, value in enumerate(values)]
