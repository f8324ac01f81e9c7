"""Spelling: expressions written in the language again.

Promise   What is spelled, parsed and checked again, is the same expression; equal expressions are
          spelled alike, so the text can name a value (Action.data does).
How       One walk; brackets only where the grammar needs them.
Not here  English (explain.py).
"""

from typing import Final

from rules.duration import spell_duration
from rules.expression import (
    Attribute,
    AttributeTest,
    Consent,
    Constant,
    Events,
    Expression,
    Field,
    Operation,
    Reading,
    Score,
    TextTest,
    Trend,
    Type,
)
from rules.reading import EXACT_EVENTS
from rules.sequence import Step
from rules.vocabulary import (
    ACTIONS,
    ATTRIBUTE,
    CONSENT,
    MOMENTS_HALF_LIFE_MS,
    OPEN_KINDS,
    VALUE_FUNCTIONS,
)

_STRENGTH: Final = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6, "negate": 7}
_COMPARISON: Final = 4  # binds looser than arithmetic, tighter than logic
_TIGHTEST: Final = 9
_EXACT_INTEGER: Final = 2**53  # from here on a float does not know its last digits


def spell(expression: Expression) -> str:
    """The expression in the language.

    >>> from rules.syntax import Span
    >>> spell(Constant(5_400_000, Type.DURATION, Span(0, 1)))
    '90m'
    """
    match expression:
        case Constant():
            return _constant(expression)
        case Score() | Field():
            return expression.name
        case Trend():
            return f"trend({expression.score.name}, {spell_duration(expression.half_life_ms)})"
        case Reading():
            return _reading(expression)
        case TextTest():
            return _text_test(expression)
        case Attribute():
            return f"{ATTRIBUTE}.{expression.name}"
        case AttributeTest():
            return _attribute_test(expression)
        case Consent():
            return f"{CONSENT}.{expression.channel}"
        case Operation():
            return _operation(expression)


def spell_events(events: Events, field: str | None = None) -> str:
    """`kind.action`, with a field where there is one, and `where`."""
    sure = events.action in (*ACTIONS[events.kind], "*")
    plain = events.action.isidentifier() and events.action.isascii()
    action = (
        events.action if sure or (plain and events.kind in OPEN_KINDS) else _quoted(events.action)
    )
    path = f"{events.kind}.{action}" + (f".{field}" if field else "")
    return path if events.where is None else f"{path} where {spell(events.where)}"


def spell_step(step: Step) -> str:
    """A step of a sequence in the language."""
    absent = "no " if step.absent else ""
    within = f" within {spell_duration(step.within_ms)}" if step.within_ms else ""
    return f"{absent}{spell_events(step.events)}{within}"


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def _constant(constant: Constant) -> str:
    if constant.type == Type.DURATION:
        sign = "-" if constant.value < 0 else ""
        return sign + spell_duration(round(abs(constant.value)))
    whole = constant.value.is_integer() and abs(constant.value) < _EXACT_INTEGER
    return str(int(constant.value)) if whole else repr(constant.value)


def _reading(reading: Reading) -> str:
    if reading.function == "approximate":
        function = "mean" if reading.field else "count"
    else:
        function = reading.function
    parts = [spell_events(reading.events, reading.field)]
    if reading.window_ms:
        parts.append(spell_duration(reading.window_ms))
    moments = function in ("deviation", "zscore")
    if reading.half_life_ms and not (moments and reading.half_life_ms == MOMENTS_HALF_LIFE_MS):
        parts.append(f"half_life {spell_duration(reading.half_life_ms)}")
    if reading.exact not in (0, EXACT_EVENTS):
        parts.append(f"exact {reading.exact}")
    if reading.before and function != "zscore":
        parts.append("before")
    text = f"{function}({', '.join(parts)})"
    return f"approximate({text})" if reading.function == "approximate" else text


def _text_test(test: TextTest) -> str:
    if test.test in ("is", "is not"):
        return f"{test.subject.name} {_one_of(test.texts, negated=test.test == 'is not')}"
    return f"{test.subject.name} {test.test} {_quoted(test.texts[0])}"


def _attribute_test(test: AttributeTest) -> str:
    name = f"{ATTRIBUTE}.{test.name}"
    if test.test == "is there":
        return f"has({name})"
    return f"{name} {_one_of(test.texts, negated=test.test == 'is not')}"


def _one_of(texts: tuple[str, ...], *, negated: bool) -> str:
    listed = ", ".join(map(_quoted, texts))
    if len(texts) == 1:
        return f"{'!=' if negated else '='} {listed}"
    return f"{'not in' if negated else 'in'} ({listed})"


def _strength(expression: Expression) -> int:
    if isinstance(expression, TextTest):
        return _COMPARISON
    if isinstance(expression, AttributeTest):
        return _TIGHTEST if expression.test == "is there" else _COMPARISON
    if isinstance(expression, Operation):
        tightest = expression.sign == "has" or expression.sign in VALUE_FUNCTIONS
        return _TIGHTEST if tightest else _STRENGTH.get(expression.sign, _COMPARISON)
    return _TIGHTEST


def _inside(expression: Expression, strength: int) -> str:
    text = spell(expression)
    return text if _strength(expression) >= strength else f"({text})"


def _operation(operation: Operation) -> str:
    sign, operands = operation.sign, operation.operands
    strength = _strength(operation)
    if sign in VALUE_FUNCTIONS:
        return f"{sign}({', '.join(map(spell, operands))})"
    if sign in ("and", "or"):
        return f" {sign} ".join(_inside(each, strength + 1) for each in operands)
    if sign == "not":
        return f"not {_inside(operands[0], strength)}"
    if sign == "negate":
        return f"-{_inside(operands[0], strength)}"
    if sign in ("in", "not in"):
        return (
            f"{_inside(operands[0], strength + 1)} {sign} ({', '.join(map(spell, operands[1:]))})"
        )
    left, right = operands
    left_strength = strength if sign in ("+", "-", "*", "/") else strength + 1
    return f"{_inside(left, left_strength)} {sign} {_inside(right, strength + 1)}"
