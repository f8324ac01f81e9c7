"""The rule: when it holds for a customer, something is done.

Promise   A rule is a value that has passed every check.
Not here  Reading files (load.py). Deciding (evaluate.py). Sentences about rules (explain.py).
"""

from dataclasses import dataclass

from rules.action import Target
from rules.expression import Events, Expression
from rules.template import Template


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It has a condition, or is about one event (`on`), or both."""

    name: str
    version: int
    describe: str
    when: Expression | None
    on: Events | None
    cooldown_ms: int  # 0: none
    reason: Template | None
    targets: tuple[Target, ...]
    file: str
    line: int
