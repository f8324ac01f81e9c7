"""The rule: when it holds for a customer, something is done.

Promise   A rule is a value that has passed every check.
Not here  Reading files (load.py). Deciding (evaluate.py). Sentences about rules (explain.py).
"""

from dataclasses import dataclass
from typing import Final

from rules.action import ALERT, Target
from rules.body import Body
from rules.expression import Events, Expression
from rules.restraint import Cap, Quiet
from rules.sequence import Sequence
from rules.template import Template

PURPOSES: Final = ("marketing", "service", "risk", "operations")
STAGES: Final = ("draft", "shadow", "canary", "live")  # from doing nothing to acting for everybody
HOLDOUT_OF_MARKETING: Final = 0.10  # unless the rule says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: a condition that becomes true, a condition at events (`on`), or a sequence.

    The condition is `when and not unless`. `for_ms` stands only beside `when` alone. The share `canary`
    of the customers is acted for while the stage is canary; `holdout` is the share that never is.
    """

    name: str
    version: int
    describe: str = ""
    when: Expression | None = None
    on: Events | None = None
    sequence: Sequence | None = None
    unless: Expression | None = None
    for_ms: int = 0  # 0: at once
    cooldown_ms: int = 0  # 0: none
    cap: Cap | None = None
    quiet: Quiet | None = None
    consent: str | None = None  # the channel for which the customer's consent is needed
    purpose: str = ""  # one of PURPOSES, or nothing
    holdout: float = 0.0  # share of the customers, 0 to 1
    stage: str = "live"  # one of STAGES
    canary: float = 0.0  # share of the customers, while the stage is canary
    reason: Template | None = None
    targets: tuple[Target, ...]
    bodies: tuple[Body | None, ...] = ()  # of the targets, in their order; empty where none has one
    alerts_ms: tuple[
        int, ...
    ] = ()  # of the targets, how long an alert lasts at most; empty likewise
    file: str
    line: int

    @property
    def is_state(self) -> bool:
        """Whether it is a condition that holds for a time, and not a moment."""
        return self.on is None and self.sequence is None

    @property
    def ends(self) -> bool:
        """Whether somebody wants to be told when its condition is over."""
        return self.is_state and any(each.kind == ALERT for each in self.targets)
