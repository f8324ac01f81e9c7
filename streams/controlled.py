"""Controlled rules: what files say and what was said by command, together in one engine.

Promise   An engine under the same controls decides the same. What is in the controls about rules that
          are not there changes nothing.
How       Stages are changed in the rules before they are compiled; a rule that is paused or snoozed for
          all has the time until then in its row of the rule table; snoozes for single customers are the
          engine's.
Not here  The controls (controls.py). When they are taken over (rulebook.py).
"""

from dataclasses import replace

from processors.model import Model
from rules.rule import Rule
from rules.rule_table import SNOOZED_MS
from rules.ruleset import RuleSet
from streams.controls import NOTHING, Controls, Known, Stage
from streams.step import Engine


def known(rule: Rule) -> Known:
    """A rule as its file has it."""
    return Known(rule.version, Stage(rule.stage, rule.canary if rule.stage == "canary" else 0.0))


def staged(rules: RuleSet, controls: Controls) -> RuleSet:
    """The rules in the stages in which they are."""
    return RuleSet(tuple(_staged(rule, controls) for rule in rules.rules))


def controlled(model: Model, files: RuleSet, controls: Controls) -> Engine:
    """The engine of the rules in these files, under these controls. Raises as Engine does."""
    snoozed = {name: control.customers for name, control in controls.items() if control.customers}
    engine = Engine(model, staged(files, controls), snoozed)
    plan = engine.rule_plan
    for number, bound in enumerate(plan.bound):
        control = controls.get(bound.rule.name, NOTHING)
        plan.table[number, SNOOZED_MS] = control.until_ms
    return engine


def _staged(rule: Rule, controls: Controls) -> Rule:
    control = controls.get(rule.name)
    if control is None:
        return rule
    stage = control.stage(known(rule))
    return replace(rule, stage=stage.name, canary=stage.share)
