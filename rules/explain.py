"""Explaining: each rule as a plain sentence.

Promise   The sentence says all that the rule does: when, for whom, what, and what holds it back.
How       One walk over the checked expression; what has no plain words is spelled in the language.
Not here  The language itself (spell.py). The values of one fire (evaluate.py puts them into the action).
"""

from typing import Final

from rules.action import Target
from rules.duration import duration_phrase
from rules.expression import (
    Attribute,
    AttributeTest,
    Consent,
    Constant,
    Events,
    Expression,
    Operation,
    Reading,
    TextTest,
    Trend,
    Type,
)
from rules.restraint import CUSTOMER_ZONE, Quiet
from rules.rule import Rule
from rules.sequence import Sequence, Step
from rules.spell import spell, spell_events
from rules.vocabulary import VALUE_FUNCTIONS

_VERBS: Final = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "=": "is",
    "!=": "is not",
    "in": "is one of",
    "not in": "is none of",
}
_TESTS: Final = {
    "is": "is",
    "is not": "is not",
    "starts_with": "starts with",
    "matches": "matches",
}
_READINGS: Final = {
    "count": "the number of {events}",
    "sum": "the sum of {field} over {events}",
    "mean": "the mean {field} of {events}",
    "min": "the lowest {field} of {events}",
    "max": "the highest {field} of {events}",
    "rate": "the daily rate of {events}",
    "distinct": "the number of different values of {field} (estimated) over {events}",
    "since": "the time since the last {events}",
    "last": "the {field} of the last {events}",
    "first": "the {field} of the first {events}",
    "deviation": "the standard deviation of {field} over {events}",
    "zscore": "the deviations by which {field} exceeds its usual value over {events}",
    "approximate": "the window over {events} holds more than {exact} events",
}

_STAGES: Final = {
    "draft": "a draft that is not judged",
    "shadow": "in shadow, where it decides and does not act",
}
_ONE: Final = ("since", "last", "first")  # these are about one event


def sentence(rule: Rule) -> str:
    """What the rule does, and what keeps it from acting, in the order of precedence."""
    does = " and ".join(_target(each) for each in rule.targets)
    told = f"{rule.describe.rstrip('.')}. " if rule.describe else ""
    held = _restraints(rule)
    back = ""
    if held == [_cooldown(rule)]:
        back = f", at most once in {duration_phrase(rule.cooldown_ms)} for each customer"
    elif held:
        back = f". Held back, in this order: {'; '.join(held)}"
    return f"{_head(rule)}: {told}{_moment(rule)}: {does}{back}."


def _head(rule: Rule) -> str:
    said = [f"version {rule.version}"]
    if rule.purpose:
        said.append(f"for {rule.purpose}")
    if rule.stage == "canary":
        said.append(f"a canary that acts for {_percent(rule.canary)} of the customers")
    elif rule.stage in _STAGES:
        said.append(_STAGES[rule.stage])
    return f"{rule.name} ({', '.join(said)})"


def _moment(rule: Rule) -> str:
    """When the rule fires."""
    when = "" if rule.when is None else phrase(rule.when)
    if rule.on is None and rule.sequence is None:
        assert rule.when is not None, "a rule has a condition, an event or a sequence"
        if rule.unless is not None:
            when = f"{_bracketed(rule.when)} and it is not so that {_bracketed(rule.unless)}"
        if rule.for_ms:
            return f"As soon as it has held for {duration_phrase(rule.for_ms)} that {when}"
        return f"As soon as {when}"
    if rule.on is not None:
        at = f"At each {_events(rule.on, one=True)}"
    else:
        assert rule.sequence is not None, "one of the two"
        at = _sequence(rule.sequence)
    comma = "," if rule.sequence is not None else ""
    unless = "" if rule.unless is None else f"{comma} unless {phrase(rule.unless)}"
    return at + (f"{comma} when {when}" if when else "") + unless


def _sequence(sequence: Sequence) -> str:
    steps = []
    for step in sequence.steps:
        no = "no " if step.absent else ""
        within = f" within {duration_phrase(step.within_ms)}" if step.within_ms else ""
        steps.append(f"{no}{_events(step.events, one=True)}{within}")
    by = f", each {sequence.key} by itself" if sequence.key else ""
    return f"After {', then '.join(steps)}{by}"


def step_phrase(step: Step) -> str:
    """A step, with its events as rules write them.

    `no order.placed within 30 minutes`
    """
    within = f" within {duration_phrase(step.within_ms)}" if step.within_ms else ""
    return f"{'no ' if step.absent else ''}{spell_events(step.events)}{within}"


def _restraints(rule: Rule) -> list[str]:
    """What holds the rule back, in the order in which it is asked; snoozing stands in no rule."""
    held = []
    if rule.holdout:
        held.append(f"for {_percent(rule.holdout)} of the customers, to see what acting is worth")
    if rule.consent:
        held.append(f"without the customer's consent for {rule.consent}")
    if rule.quiet:
        held.append(_quiet(rule.quiet))
    if rule.cap:
        many = f"{rule.cap.count} time{'' if rule.cap.count == 1 else 's'}"
        counted = "this rule"
        if rule.cap.channel:
            counted = f"all rules with a cap on {rule.cap.channel}"
        window = duration_phrase(rule.cap.window_ms)
        held.append(f"more than {many} in {window} for a customer, counting {counted}")
    if rule.cooldown_ms:
        held.append(_cooldown(rule))
    return held


def _quiet(quiet: Quiet) -> str:
    first, last = (f"{at // 60:02}:{at % 60:02}" for at in (quiet.from_minute, quiet.to_minute))
    where = "in the customer's time zone" if quiet.zone == CUSTOMER_ZONE else quiet.zone
    then = "waiting until they end" if quiet.waits else "for good"
    return f"from {first} to {last} {where}, {then}"


def _cooldown(rule: Rule) -> str:
    return f"within {duration_phrase(rule.cooldown_ms)} of the last time for a customer"


def _percent(share: float) -> str:
    return f"{round(share * 100, 6):g}%"


def phrase(expression: Expression) -> str:
    """The expression in English.

    >>> from rules.syntax import Span
    >>> phrase(Constant(1_209_600_000, Type.DURATION, Span(0, 1)))
    '14 days'
    """
    match expression:
        case Constant() if expression.type == Type.DURATION and expression.value >= 0:
            return duration_phrase(round(expression.value))
        case Reading():
            return _reading(expression)
        case Trend():
            half_life = duration_phrase(expression.half_life_ms)
            return f"the trend of {expression.score.name} (half-life {half_life})"
        case TextTest():
            listed = " or ".join(f'"{text}"' for text in expression.texts)
            return f"{expression.subject.name} {_TESTS[expression.test]} {listed}"
        case Operation():
            return _operation(expression)
        case Attribute():
            return f"the attribute {expression.name}"
        case AttributeTest():
            return _attribute_test(expression)
        case Consent():
            return f"there is consent for {expression.channel}"
        case _:
            return spell(expression)


def _attribute_test(test: AttributeTest) -> str:
    listed = " or ".join(f'"{text}"' for text in test.texts)
    asked = "is known" if test.test == "is there" else f"{test.test} {listed}"
    return f"the attribute {test.name} {asked}"


def _operation(operation: Operation) -> str:
    sign, operands = operation.sign, operation.operands
    if sign in ("and", "or"):
        parts = [_bracketed(each) for each in operands]
        return f" {sign} ".join(parts)
    if sign == "not":
        return f"it is not so that {_bracketed(operands[0])}"
    if sign == "has":
        return f"there is {phrase(operands[0])}"
    if sign in ("in", "not in"):
        listed = " or ".join(map(phrase, operands[1:]))
        return f"{phrase(operands[0])} {_VERBS[sign]} {listed}"
    if sign in _VERBS:
        return f"{phrase(operands[0])} {_VERBS[sign]} {phrase(operands[1])}"
    if sign in VALUE_FUNCTIONS:
        return f"{sign}({', '.join(map(phrase, operands))})"
    if sign == "negate":
        return f"-({phrase(operands[0])})"
    left, right = (
        f"({phrase(each)})" if isinstance(each, Operation) else phrase(each) for each in operands
    )
    return f"{left} {sign} {right}"


def _bracketed(expression: Expression) -> str:
    several = isinstance(expression, Operation) and expression.sign in ("and", "or", "not")
    return f"({phrase(expression)})" if several else phrase(expression)


def _events(events: Events, *, one: bool) -> str:
    name = f"{events.kind}.{events.action}"
    if events.action == "*":
        name = f"{events.kind} event{'' if one else 's'}"
    return name if events.where is None else f"{name} where {_bracketed(events.where)}"


def _reading(reading: Reading) -> str:
    said = _READINGS[reading.function].format(
        events=_events(reading.events, one=reading.function in _ONE),
        field=reading.field,
        exact=reading.exact,
    )
    if reading.window_ms:
        said += f" in the last {duration_phrase(reading.window_ms).removeprefix('1 ')}"
    elif reading.half_life_ms:
        said += f" (half-life {duration_phrase(reading.half_life_ms)})"
    elif reading.function not in _ONE:
        said += " so far"
    return f"{said} before this event" if reading.before and reading.function != "zscore" else said


def _target(target: Target) -> str:
    match target.kind:
        case "webhook":
            return f"send {target.type} to the webhook {target.name}"
        case "topic":
            return f"write {target.type} to the topic {target.name}"
        case "slack":
            return f"tell {target.name} on Slack of {target.type}"
        case "alert":
            return f"raise the alert {target.type} ({target.severity}) with {target.name}"
        case _:
            return f"log {target.type} as {target.name}"
