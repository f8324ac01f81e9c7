"""The clauses: a condition as a tree: which parts hold, by which values, and what would have to change.

Promise   The tree's verdict is the machine's (worth.py). The changes of a condition that does not hold are
          a way to make it hold: of `and` all that fail, of `or` those that are nearest, and `not` inverts.
          The first of them is the first thing that would have to change.
How       A number is as far from its threshold as their difference is large beside the larger of them;
          a text is a whole one away, and what is missing two, which no number exceeds.
Limits    Nothing is said of how left and right of a comparison may depend on each other: the threshold
          is what the right side comes to now.
Not here  Values of leaves (streams/moment.py). Words around it (streams/why.py).
"""

from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Final, Literal

from rules.duration import UNITS_MS
from rules.explain import phrase
from rules.expression import MIRRORED, Constant, Expression, Operation, TextTest, Type
from rules.rule import Rule
from rules.spell import spell
from rules.template import number_text
from rules.worth import Known, Value, holds, worth

FAR: Final = (
    2.0  # how far away what is missing is; two numbers of different signs are at most that far
)

_INVERSE: Final = {
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "=": "!=",
    "!=": "=",
    "in": "not in",
    "not in": "in",
}
_TEXT_INVERSE: Final[dict[str, Literal["is", "is not"]]] = {"is": "is not", "is not": "is"}


@dataclass(frozen=True, slots=True)
class Change:
    """One value that would have to be another one."""

    what: str  # the value, spelled
    value: Value
    value_text: str  # as people write it
    needs: str  # such as "< 40"
    wanted: Value  # the threshold, or the text; None where it is not one value
    distance: float  # 0 to FAR

    def __str__(self) -> str:
        return f"{self.what} is {self.value_text}, needs {self.needs}"


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition and its verdict. Logic has clauses inside; all else has a value that is judged."""

    expression: Expression
    holds: bool | None  # None: that depends on what is not known
    should_hold: bool  # False: it stands below a `not`, and is wanted not to hold
    value: Value
    value_text: str  # as people write it; "" for logic
    inside: tuple["Clause", ...]
    changes: tuple[
        Change, ...
    ]  # that would make it hold; none where it holds, or is not known to fail

    @property
    def text(self) -> str:
        return spell(self.expression)

    @property
    def phrase(self) -> str:
        return phrase(self.expression)


def condition_of(rule: Rule) -> Expression | None:
    """What must hold when the rule is judged: `when and not unless`; None: nothing."""
    parts: list[Expression] = []
    if rule.when is not None:
        is_all = isinstance(rule.when, Operation) and rule.when.sign == "and"
        parts += rule.when.operands if isinstance(rule.when, Operation) and is_all else [rule.when]
    if rule.unless is not None:
        parts.append(Operation("not", (rule.unless,), Type.CONDITION, rule.unless.span))
    if len(parts) <= 1:
        return parts[0] if parts else None
    return Operation("and", tuple(parts), Type.CONDITION, parts[0].span)


def clause(condition: Expression, known: Known, *, should_hold: bool = True) -> Clause:
    """The tree of a condition that should hold, or should not, where its leaves have these values."""
    verdict = holds(condition, known)
    inside: tuple[Clause, ...] = ()
    value: Value = None
    value_text = ""
    if is_logic(condition):
        assert isinstance(condition, Operation), "logic is an operation"
        wanted = should_hold != (condition.sign == "not")
        inside = tuple(clause(each, known, should_hold=wanted) for each in condition.operands)
    else:
        subject = subject_of(condition)
        value = value_of(subject, known)
        value_text = shown(subject, known, _other(condition, subject, known))
    changes = tuple(_changes(condition, known, wanted=should_hold))
    return Clause(condition, verdict, should_hold, value, value_text, inside, changes)


def is_logic(condition: Expression) -> bool:
    """Whether it joins other conditions."""
    return isinstance(condition, Operation) and condition.sign in ("and", "or", "not")


def subject_of(condition: Expression) -> Expression:
    """The value that a condition without logic judges: its left side, unless that never changes."""
    if isinstance(condition, TextTest):
        return condition.subject
    if isinstance(condition, Operation):
        left = condition.operands[0]
        if isinstance(left, Constant) and condition.sign in MIRRORED:
            return condition.operands[1]
        return left
    return condition


def value_of(expression: Expression, known: Known) -> Value:
    """Its value for people and JSON: None where it is missing, not known or not finite."""
    if expression.type == Type.TEXT:
        return known.get(expression)
    found = worth(expression, known)
    return None if found is None or not isfinite(found) else found


def shown(expression: Expression, known: Known, beside: float | None = None) -> str:
    """Its value as people write it, told apart from the number `beside` it."""
    if expression.type == Type.TEXT:
        if expression not in known:
            return "not known"
        text = known[expression]
        return "missing" if text is None else f'"{text}"'
    found = worth(expression, known)
    if found is None:
        return "not known"
    return number_shown(found, expression.type, beside)


def number_shown(value: float, kind: Type, beside: float | None = None) -> str:
    """A number or duration as people write it, in more digits where else it looked like `beside`.

    >>> number_shown(39.999, Type.NUMBER, 40.0), number_shown(39.99, Type.NUMBER, 40.0)
    ('39.999', '39.99')
    >>> number_shown(93_784_000, Type.DURATION), number_shown(93_784_000, Type.DURATION, 93_600_000)
    ('1d 2h', '1d 2h 3m 4s')
    """
    if isnan(value):
        return "missing"
    if not isfinite(value):
        return "infinite"
    if kind == Type.CONDITION:
        return "true" if value else "false"
    if kind == Type.DURATION:
        short, whole = _days(value, 2), _days(value, len(UNITS_MS))
        return (
            whole if beside is not None and beside != value and _days(beside, 2) == short else short
        )
    rounded = number_text(value)
    is_same = beside is not None and beside != value and number_text(beside) == rounded
    return repr(value) if is_same or (rounded == "0" and value) else rounded


def _days(value_ms: float, units: int) -> str:
    """A duration in its largest units, of which days are the largest: weeks are hard to compare."""
    if not isfinite(value_ms):
        return "infinite"
    left, said = round(abs(value_ms)), []
    for unit in ("d", "h", "m", "s", "ms"):
        many, left = divmod(left, UNITS_MS[unit])
        if many:
            said.append(f"{many}{unit}")
    return ("-" if value_ms < 0 else "") + (" ".join(said[:units]) or "0s")


def _other(condition: Expression, subject: Expression, known: Known) -> float | None:
    """The number that the subject is compared with."""
    if not isinstance(condition, Operation) or condition.sign not in MIRRORED:
        return None
    left, right = condition.operands
    return worth(left if subject is right else right, known)


def _changes(condition: Expression, known: Known, *, wanted: bool) -> list[Change]:
    """What to change so that the condition comes to `wanted`; nothing where it does, or is not known."""
    if holds(condition, known) in (None, wanted):
        return []
    if not is_logic(condition):
        return [_change(condition, known, wanted=wanted)]
    assert isinstance(condition, Operation), "logic is an operation"
    if condition.sign == "not":
        return _changes(condition.operands[0], known, wanted=not wanted)
    ways = [_changes(each, known, wanted=wanted) for each in condition.operands]
    if (condition.sign == "and") == wanted:
        return [each for way in ways for each in way]
    return min(ways, key=lambda way: sum(each.distance for each in way))


def _change(condition: Expression, known: Known, *, wanted: bool) -> Change:
    if isinstance(condition, TextTest):
        return _text_change(condition, known, wanted=wanted)
    if not isinstance(condition, Operation):  # a reading that is a condition
        needs = "to hold" if wanted else "not to hold"
        text = shown(condition, known)
        return Change(spell(condition), value_of(condition, known), text, needs, float(wanted), 1.0)
    if condition.sign == "has":
        needs = "to be there" if wanted else "to be missing"
        return _missing(condition.operands[0], known, needs)
    return _number_change(condition, known, wanted=wanted)


def _missing(expression: Expression, known: Known, needs: str) -> Change:
    value, text = value_of(expression, known), shown(expression, known)
    return Change(spell(expression), value, text, needs, None, FAR)


def _text_change(test: TextTest, known: Known, *, wanted: bool) -> Change:
    subject = test.subject
    if wanted or test.test in _TEXT_INVERSE:
        asked = test if wanted else replace(test, test=_TEXT_INVERSE[test.test])
        needs = spell(asked).removeprefix(f"{subject.name} ")
    else:
        needs = "not to be " + spell(test).removeprefix(f"{subject.name} ")
    value = value_of(subject, known)
    single = test.texts[0] if wanted == (test.test == "is") and test.test in _TEXT_INVERSE else None
    distance = FAR if value is None else 1.0
    return Change(subject.name, value, shown(subject, known), needs, single, distance)


def _number_change(comparison: Operation, known: Known, *, wanted: bool) -> Change:
    """The threshold for the side that can change: the left one, unless it is a constant."""
    sign = comparison.sign if wanted else _INVERSE[comparison.sign]
    subject, rest = comparison.operands[0], comparison.operands[1:]
    if sign not in MIRRORED:
        return _member_change(sign, subject, rest, known)
    (other,) = rest
    if isinstance(subject, Constant):
        subject, other, sign = other, subject, MIRRORED[sign]
    threshold, value = worth(other, known), worth(subject, known)
    assert threshold is not None, "a comparison that fails is of known values"
    assert value is not None, "a comparison that fails is of known values"
    if isnan(threshold):
        return _missing(other, known, "to be there")
    asked = (
        spell(other) if isinstance(other, Constant) else number_shown(threshold, other.type, value)
    )
    text = number_shown(value, subject.type, threshold)
    found, far = value_of(subject, known), distance(value, threshold)
    return Change(spell(subject), found, text, f"{sign} {asked}", value_of(other, known), far)


def _member_change(
    sign: str, subject: Expression, items: tuple[Expression, ...], known: Known
) -> Change:
    value = worth(subject, known)
    assert value is not None, "a comparison that fails is of known values"
    listed = [each.value for each in items if isinstance(each, Constant)]
    nearest = min(listed, key=lambda item: distance(value, item))
    text = number_shown(value, subject.type, nearest)
    needs = f"{sign} ({', '.join(map(spell, items))})"
    is_in = sign == "in"
    far = distance(value, nearest) if is_in or isnan(value) else 0.0
    wanted = nearest if is_in else None
    return Change(spell(subject), value_of(subject, known), text, needs, wanted, far)


def distance(value: float, threshold: float) -> float:
    """How far apart two numbers are, beside the larger of them.

    >>> distance(50.0, 25.0), distance(40.0, 40.0), distance(float("nan"), 40.0)
    (0.5, 0.0, 2.0)
    """
    if value == threshold:
        return 0.0
    if not (isfinite(value) and isfinite(threshold)):
        return FAR
    larger = max(abs(value), abs(threshold))
    return abs(value / larger - threshold / larger)
