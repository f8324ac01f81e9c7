"""Explaining: each rule as a plain sentence.

Promise   The sentence says all that the rule does: when, for whom, what, and how often.
How       One walk over the checked expression; what has no plain words is spelled in the language.
Not here  The language itself (spell.py). The values of one fire (evaluate.py puts them into the action).
"""

from typing import Final

from rules.action import Target
from rules.duration import duration_phrase
from rules.expression import (
    Constant,
    Events,
    Expression,
    Operation,
    Reading,
    TextTest,
    Trend,
    Type,
)
from rules.rule import Rule
from rules.spell import spell
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

_ONE: Final = ("since", "last", "first")  # these are about one event


def sentence(rule: Rule) -> str:
    """What the rule does."""
    head = f"{rule.name} (version {rule.version})"
    told = f"{rule.describe.rstrip('.')}. " if rule.describe else ""
    does = " and ".join(_target(each) for each in rule.targets)
    if rule.on is not None:
        condition = "" if rule.when is None else f" when {phrase(rule.when)}"
        fires = f"At each {_events(rule.on, one=True)}{condition}: {does}"
    else:
        assert rule.when is not None, "a rule has a condition or an event"
        fires = f"As soon as {phrase(rule.when)}: {does}"
    often = ""
    if rule.cooldown_ms:
        often = f", at most once in {duration_phrase(rule.cooldown_ms)} for each customer"
    return f"{head}: {told}{fires}{often}."


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
        case _:
            return spell(expression)


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
        case "alert":
            return f"raise the alert {target.type} ({target.severity}) with {target.name}"
        case _:
            return f"log {target.type} as {target.name}"
