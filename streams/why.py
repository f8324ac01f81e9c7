"""Why: why a rule has fired for a customer, or has not, as JSON and in a sentence.

Promise   The verdict is that of the rule's own condition at that time (rules/clauses.py), by values that
          the step works out (moment.py). The same for the command and for HTTP. Nothing is stored.
How       Of the row: values, the events behind them, how the rule stands. Of the records of actions: the
          last fires with their causes.
Limits    What a rule with `on` finds in its event is known at that event only, and said to be so. Of a
          sequence: how far it is.
Not here  Reading Redis (read.py). The tree in a terminal: commands/why.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from rules.clauses import Clause, clause, condition_of, shown
from rules.explain import sentence as rule_sentence
from rules.expression import Expression, Operation, Score, Trend, Type, leaves
from rules.fires import Binding, Bound
from rules.rule import Rule
from rules.ruleset import RuleSet
from rules.spell import spell, spell_events
from rules.worth import Known
from streams.asked import clock_text
from streams.behind import behind
from streams.moment import Moment, is_of_event, known_of
from streams.standing import Standing, standing
from streams.step import Engine

POINTS_SHOWN: Final = 4  # signals that move health most
FIRES_SHOWN: Final = 5

Told = dict[str, Any]


def explaining(engine: Engine, rule: Rule) -> Engine:
    """An engine that judges the rule, and shares no scratch space with the one that folds.

    Drafts are compiled for nobody else: this one is judged as if it were in shadow.
    """
    is_draft = rule.stage == "draft"
    rules = [
        replace(each, stage="shadow") if is_draft and each.name == rule.name else each
        for each in engine.rules.rules
    ]
    return Engine(engine.model, RuleSet(tuple(rules)), engine.snoozed)


def why(engine: Engine, rule: Rule, moment: Moment, fires: Sequence[Mapping[str, Any]]) -> Told:
    """All that can be said of the rule and the customer at that moment.

    Args:
        engine: made by `explaining`.
        rule: one of the engine's.
        moment: of that engine.
        fires: records of the rule's newest actions for the customer, the newest first.
    """
    bounds = engine.rule_plan.bound
    number = next(k for k, each in enumerate(bounds) if each.rule.name == rule.name)
    condition = condition_of(rule)
    conditions = [] if condition is None else [condition]
    known = known_of(bounds[number], moment, *conditions)
    tree = None if condition is None else clause(condition, known)
    stands = standing(engine, number, moment)
    verdict, said = verdict_of(rule, tree, stands)
    return {
        "rule": rule.name,
        "version": rule.version,
        "stage": rule.stage,
        "customer_id": moment.customer_id,
        "at_ms": moment.at_ms,
        "newest_ms": moment.newest_ms,
        "verdict": verdict,
        "sentence": said,
        "does": rule_sentence(rule),
        "clause": None if tree is None else _clause(tree),
        "changes": [] if tree is None else [asdict(each) for each in tree.changes],
        "values": _values(engine, bounds[number], moment, known, conditions),
        "fired_ms": stands.fired_ms,
        "suppressed_by": _suppressed(rule, stands),
        "held_back": None if stands.held_back is None else asdict(stands.held_back),
        "due_ms": stands.due_ms,
        "waits_until_ms": stands.waits_until_ms,
        "runs": [asdict(each) for each in stands.runs],
        "fires": [_fire(each) for each in fires[:FIRES_SHOWN]],
    }


def verdict_of(rule: Rule, tree: Clause | None, stands: Standing) -> tuple[str, str]:
    """In a word and in a sentence.

    Words: draft, does_not_hold, suppressed, waits (for its time, for quiet hours to end), fired (and still
    holds), held_back (it held already, and was held back when it began to), rises (fires at the next
    event or timer), runs (sequences that have begun), ready (fires at its next event).
    """
    if rule.stage == "draft":
        as_it_is = "" if tree is None or not tree.changes else f"; {_changes_text(tree)}"
        return (
            "draft",
            f"is a draft, which is never judged and for which nothing is counted{as_it_is}",
        )
    if tree is not None and tree.changes:
        return "does_not_hold", f"{_did_not_fire(stands)}: {_changes_text(tree)}"
    if rule.sequence is not None:
        return _of_sequence(rule, stands)
    if stands.waits_until_ms is not None:
        until = clock_text(stands.waits_until_ms)
        return "waits", f"waits for its quiet hours to end, at {until}"
    if rule.on is None and stands.held:
        return _of_held(stands)
    if stands.suppressions:
        return "suppressed", f"would be held back: {suppressed_text(stands)}"
    if rule.on is not None:
        judged = f"each {spell_events(rule.on)}"
        if tree is None or tree.holds:
            return "ready", f"fires at {judged}" + (" while its condition holds" if tree else "")
        return "ready", f"is judged at {judged}, by what only that event can tell"
    return "rises", "holds, and fires as soon as it is looked at: at the customer's next event"


def _changes_text(tree: Clause) -> str:
    """The first thing that would have to change, and how many there are besides."""
    first, *others = tree.changes
    return f"{first}; {len(others)} more would have to change" if others else str(first)


def _did_not_fire(stands: Standing) -> str:
    if stands.fired_ms is None:
        return "did not fire"
    return f"did not fire again since {clock_text(stands.fired_ms)}"


def _of_sequence(rule: Rule, stands: Standing) -> tuple[str, str]:
    assert rule.sequence is not None, "this is about sequences"
    if stands.suppressions:
        return "suppressed", f"would be held back: {suppressed_text(stands)}"
    if not stands.runs:
        first = spell_events(rule.sequence.steps[0].events)
        return "does_not_hold", f"{_did_not_fire(stands)}: it waits for {first} to begin"
    newest = stands.runs[-1]
    until = "" if newest.until_ms is None else f", until {clock_text(newest.until_ms)}"
    count = len(rule.sequence.steps)
    return "runs", f"has begun: step {newest.step} of {count} is awaited, {newest.awaited}{until}"


def _of_held(stands: Standing) -> tuple[str, str]:
    if stands.due_ms is not None:
        return "waits", f"holds, and fires at {clock_text(stands.due_ms)} if it does until then"
    held_back = stands.held_back
    if held_back is not None and held_back.at_ms > (stands.fired_ms or 0):
        at = clock_text(held_back.at_ms)
        return "held_back", f"held, and was held back by {held_back.restraint} at {at}"
    if stands.fired_ms is not None:
        at = clock_text(stands.fired_ms)
        return "fired", f"fired at {at}, and still holds: it fires again once it has not held"
    return "held_back", "held, and was held back: it fires once it has not held in between"


def suppressed_text(stands: Standing) -> str:
    """The restraints in words, in the order of precedence."""
    return ", then ".join(
        each.restraint + ("" if each.until_ms is None else f" until {clock_text(each.until_ms)}")
        for each in stands.suppressions
    )


def _clause(tree: Clause) -> Told:
    told: Told = {
        "clause": tree.text,
        "phrase": tree.phrase,
        "holds": tree.holds,
        "should_hold": tree.should_hold,
    }
    if isinstance(tree.expression, Operation) and tree.inside:
        told["sign"] = tree.expression.sign
        return {**told, "clauses": [_clause(each) for each in tree.inside]}
    told |= {"value": tree.value, "value_text": tree.value_text}
    told["reads"] = [spell(leaf) for leaf in leaves(tree.expression)]
    if tree.changes:
        (change,) = tree.changes
        told |= {"needs": change.needs, "wanted": change.wanted}
    return told


def _values(
    engine: Engine,
    bound: Bound,
    moment: Moment,
    known: Known,
    conditions: Sequence[Expression],
) -> list[Told]:
    bindings = {each.name: each for each in bound.data}
    found = []
    for leaf in dict.fromkeys(leaf for each in conditions for leaf in leaves(each)):
        name = spell(leaf)
        told: Told = {
            "name": name,
            "value": known.get(leaf),
            "value_text": shown(leaf, known),
            "is_known": leaf in known,
            "is_of_event": bound.rule.on is not None and is_of_event(leaf),
        }
        if leaf.type == Type.DURATION:
            told["unit"] = "ms"
        if leaf in known:
            told |= _evidence(engine, bindings[name], moment, leaf)
        found.append(told)
    return found


def _evidence(engine: Engine, binding: Binding, moment: Moment, leaf: Expression) -> Told:
    """The events behind a reading; the signals behind health."""
    score = leaf.score if isinstance(leaf, Trend) else leaf
    if isinstance(score, Score):
        is_health = score.name.partition(".")[0] == "health"
        return {"points": _points(engine, moment)} if is_health else {}
    found = behind(engine.plan, binding.register, moment)
    return {} if found is None else {"events": asdict(found)}


def _points(engine: Engine, moment: Moment) -> list[Told]:
    """The signals that move health most, in points; those below 0 cost health."""
    points = {
        name.removeprefix("health."): float(moment.registers[named.register.number, 0])
        for name, named in engine.plan.names.items()
        if name.startswith("health.") and name.count(".") > 1
    }
    moving = {name: value for name, value in points.items() if abs(value) > 0}
    largest = sorted(moving.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    return [{"signal": name, "points": value} for name, value in largest[:POINTS_SHOWN]]


def _suppressed(rule: Rule, stands: Standing) -> list[Told]:
    """What would hold it back; a draft is judged as if in shadow, and says what it is."""
    listed = [asdict(each) for each in stands.suppressions]
    if rule.stage == "draft":
        for each in listed:
            each["restraint"] = "draft" if each["restraint"] == "shadow" else each["restraint"]
    return listed


def _fire(record: Mapping[str, Any]) -> Told:
    names = ("id", "version", "cause", "at_ms", "reason", "target", "status", "data", "why")
    return {name: record[name] for name in names if name in record}
