"""The set of rules: everything that was loaded together, and is used together or not at all.

Promise   Each rule has a name of its own.
Not here  Reading files (load.py). Running (evaluate.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from processors.plan import PlanBuilder
from rules.errors import Problem, RulesError
from rules.evaluate import RulePlan, compile_rules
from rules.expression import Score, Trend, leaves
from rules.rule import Rule


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in the order of their files' names, and within a file of their lines."""

    rules: tuple[Rule, ...] = ()

    def compile(
        self,
        builder: PlanBuilder,
        snoozed: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    ) -> RulePlan:
        """Ask the builder, to which the scores have been added, for all that the rules need.

        `snoozed` has by rule the customers for whom it is snoozed, each until when.

        Raises:
            RulesError: The builder's scores are not those that the rules were loaded with.
            ValueError: The rules ask for more than a plan may hold.
        """
        problems = [
            Problem(
                rule.file,
                rule.line,
                1,
                f"`{score.name}` is not what it was when rules were loaded",
                "load them again",
            )
            for rule in self.rules
            for score in _scores(rule)
            if score.name not in builder.names or builder.names[score.name].texts != score.texts
        ]
        if problems:
            raise RulesError(problems)
        return compile_rules(self.rules, builder, snoozed)


def _scores(rule: Rule) -> list[Score]:
    asked = [each for each in (rule.when, rule.unless) if each is not None]
    asked += [hole.expression for hole in rule.reason.holes] if rule.reason is not None else []
    found = [leaf for each in asked for leaf in leaves(each)]
    scores = [leaf.score if isinstance(leaf, Trend) else leaf for leaf in found]
    return [each for each in scores if isinstance(each, Score)]
