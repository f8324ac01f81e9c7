"""Checking: from a syntax tree to an expression whose types fit, or to all its mistakes.

Promise   Every mistake of a tree is found in one go, each with its place and, where there is one, the
          nearest right thing to write.
How       One walk over the tree; a piece that is wrong gives None, and what stands around it is then
          not blamed for it.
Not here  Functions over events (reading.py). Types of operators (operation.py). Files (load.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from processors.event import KINDS
from rules.errors import ExpressionError
from rules.expression import (
    Attribute,
    Consent,
    Constant,
    Events,
    Expression,
    Field,
    Operation,
    Score,
    Sign,
    Trend,
    Type,
)
from rules.operation import calculation, comparison, membership, text_test, value_function
from rules.reading import Readings
from rules.syntax import Call, Literal, Membership, Operator, Option, Path, Span, Syntax, Where
from rules.vocabulary import (
    ATTRIBUTE,
    CONSENT,
    FIELDS,
    FUNCTIONS,
    TOLD_NAME,
    VALUE_FUNCTIONS,
    nearest,
)

Scores = Mapping[str, tuple[str, ...] | None]  # name -> the texts that its numbers stand for
_CALCULATED: Final = ("+", "-", "*", "/")


@dataclass(slots=True)
class Checker:
    """Checks texts and gathers their mistakes.

    `scores` are the names that may be used; `fields` says whether those of an event may; `readings`
    whether functions over events may, which is not so inside their own `where`; `sequence` whether it
    is a sequence that completes, perhaps with no event at all.
    """

    scores: Scores
    fields: bool
    readings: bool = True
    sequence: bool = False
    mistakes: list[ExpressionError] = field(default_factory=list)

    def wrong(self, span: Span, message: str, mend: str = "") -> None:
        """Note a mistake and go on."""
        self.mistakes.append(ExpressionError(span, message, mend))

    def events(self, tree: Path | Where) -> Events | None:
        """Check what `on` or a step takes."""
        checker = Readings(self._own_fields, self.wrong)
        if isinstance(tree, Path):
            return checker.events(tree, None)
        return checker.events(tree.path, tree.condition)

    def condition(self, tree: Syntax) -> Expression | None:
        """Check something that must hold or not."""
        checked = self.expression(tree)
        if checked is not None and checked.type != Type.CONDITION:
            self.wrong(
                tree.span,
                f"this is {checked.type.value}, but a condition is needed",
                "compare it with something, as in `health < 40`",
            )
            return None
        return checked

    def expression(self, tree: Syntax) -> Expression | None:
        """Check anything; None when it is wrong, with the mistake noted."""
        if isinstance(tree, Literal):
            return self._literal(tree)
        if isinstance(tree, Path):
            return self._path(tree)
        if isinstance(tree, Membership):
            return self._membership(tree)
        if isinstance(tree, Call):
            return self._call(tree)
        if tree.sign in ("and", "or", "not"):
            return self._logic(tree)
        if tree.sign in _CALCULATED:
            return self._made(tree.operands, lambda them: calculation(tree.sign, them, tree.span))
        return self._comparison(tree)

    def _made(
        self, trees: Sequence[Syntax], make: Callable[[list[Expression]], Expression]
    ) -> Expression | None:
        """Check the operands, and make something of them if they are all right."""
        checked = [self.expression(each) for each in trees]
        operands = [each for each in checked if each is not None]
        if len(operands) < len(trees):
            return None
        try:
            return make(operands)
        except ExpressionError as mistake:
            self.mistakes.append(mistake)
            return None

    def _own_fields(self, tree: Syntax) -> Expression | None:
        inside = Checker(scores={}, fields=True, readings=False)
        checked = inside.condition(tree)
        self.mistakes += inside.mistakes
        return checked

    def _literal(self, tree: Literal) -> Expression | None:
        if isinstance(tree.value, str):
            mend = 'write the field first, as in `channel = "web"`'
            self.wrong(tree.span, "a text can only stand right of a comparison", mend)
            return None
        if tree.kind == "money":
            mend = "as in sum(order.paid.amount, 30d) > 100 EUR"
            self.wrong(tree.span, "money stands alone on one side of a comparison", mend)
            return None
        kind = Type.NUMBER if tree.kind == "number" else Type.DURATION
        return Constant(tree.value, kind, tree.span)

    def _path(self, tree: Path) -> Expression | None:
        name = tree.text
        if name in self.scores:
            return Score(name, self.scores[name], tree.span)
        if tree.parts[0] in (ATTRIBUTE, CONSENT):
            return self._told(tree)
        if name in FIELDS and self.fields:
            return Field(name, FIELDS[name], tree.span)
        if name in ("true", "false"):
            mend = "an attribute that is true is 1, one that is false is 0; conditions stand by themselves"
            self.wrong(tree.span, f"there is no word `{name}`", mend)
        elif name in FIELDS:
            said, mend = self._no_field(name)
            self.wrong(tree.span, f"`{name}` is a field of an event, and {said}", mend)
        elif tree.parts[0] in KINDS:
            mend = "as in count(order.placed, 30d) or since(order.placed)"
            self.wrong(tree.span, f"`{name}` names events: say what about them", mend)
        elif not self.readings:
            mend = nearest(name, FIELDS) or f"fields are {', '.join(FIELDS)}"
            self.wrong(tree.span, f"`{name}` is no field: `where` sees only the event itself", mend)
        else:
            told = [".".join((first, *tree.parts[1:])) for first in (ATTRIBUTE, CONSENT)]
            words = (*self.scores, *FUNCTIONS, *FIELDS, *(told if len(tree.parts) > 1 else ()))
            self.wrong(tree.span, f"`{name}` is not known", nearest(name, words))
        return None

    def _told(self, tree: Path) -> Expression | None:
        what, *names = tree.parts
        if not self.readings:
            mend = "put it outside of the brackets"
            self.wrong(tree.span, "`where` sees only the event itself", mend)
            return None
        if len(names) != 1 or any(tree.quoted) or not TOLD_NAME.fullmatch(names[0]):
            example = "attribute.tier" if what == ATTRIBUTE else "consent.phone"
            said = f"`{what}` needs a name of up to 64 letters, digits and _"
            self.wrong(tree.span, said, f"as in {example}")
            return None
        if what == CONSENT:
            return Consent(names[0], tree.span)
        return Attribute(names[0], tree.span)

    def _no_field(self, name: str) -> tuple[str, str]:
        if self.sequence:
            mend = f"put it into a step, as in order.placed where {name} …; readings and scores are there"
            return "a sequence may be completed by time alone", mend
        mend = f'add `on = "order.placed"`, or count: count(order.placed where {name} …, 30d)'
        return "this rule is not about one event", mend

    def _call(self, tree: Call) -> Expression | None:
        name = tree.name
        if name in VALUE_FUNCTIONS:
            plain = [each for each in tree.arguments if not isinstance(each, Where | Option)]
            if len(plain) < len(tree.arguments):
                self.wrong(tree.span, f"{name} takes plain values")
                return None
            return self._made(plain, lambda them: value_function(name, them, tree.span))
        if name not in FUNCTIONS:
            self.wrong(tree.name_span, f"there is no function `{name}`", nearest(name, FUNCTIONS))
            return None
        if not self.readings:
            mend = "put it outside of the brackets"
            self.wrong(tree.span, "`where` sees only the event itself", mend)
            return None
        if name == "trend":
            return self._trend(tree)
        checker = Readings(self._own_fields, self.wrong)
        return checker.approximate(tree) if name == "approximate" else checker.reading(tree)

    def _trend(self, tree: Call) -> Expression | None:
        match tree.arguments:
            case (Path() as path, Literal(kind="duration") as half_life):
                score = self._path(path)
                half_life_ms = int(half_life.value)
            case _:
                mend = "as in trend(health, 7d)"
                self.wrong(tree.span, "trend takes a score and a half-life", mend)
                return None
        if isinstance(score, Score) and score.type == Type.NUMBER and half_life_ms > 0:
            return Trend(score, half_life_ms, tree.span)
        if score is not None:
            self.wrong(tree.span, "trend takes a score that is a number, and a half-life above 0")
        return None

    def _logic(self, tree: Operator) -> Expression | None:
        checked = [self.condition(each) for each in tree.operands]
        operands = tuple(each for each in checked if each is not None)
        if len(operands) < len(checked):
            return None
        return Operation(cast("Sign", tree.sign), operands, Type.CONDITION, tree.span)

    def _comparison(self, tree: Operator) -> Expression | None:
        left, right = tree.operands
        if isinstance(right, Literal) and isinstance(right.value, str):
            return self._made(
                [left], lambda them: text_test(tree.sign, them[0], [right], tree.span)
            )
        if tree.sign in ("=", "!=") and isinstance(right, Path) and self._is_bare(right):
            self._unquoted(left, right)
            return None
        return self._made(
            [left, right], lambda them: comparison(tree.sign, them[0], them[1], tree.span)
        )

    def _is_bare(self, tree: Path) -> bool:
        """Whether it looks like a text whose quotes were forgotten."""
        known = (*self.scores, *FUNCTIONS, *FIELDS, *KINDS, "true", "false")
        if len(tree.parts) > 1 or tree.text in known:
            return False
        return self._score_of(tree.text) is not None or not nearest(tree.text, known)

    def _score_of(self, text: str) -> str | None:
        """The score that may be this text."""
        return next((name for name, texts in self.scores.items() if text in (texts or ())), None)

    def _unquoted(self, left: Syntax, right: Path) -> None:
        named = self._score_of(right.text) or (left.text if isinstance(left, Path) else "channel")
        mend = f'a text stands in quotes, as in {named} = "{right.text}"'
        self.wrong(right.span, f"`{right.text}` is not known", mend)

    def _unquoted_items(self, tree: Membership, bare: Sequence[Path]) -> None:
        found = next((name for each in bare if (name := self._score_of(each.text))), None)
        named = found or (tree.subject.text if isinstance(tree.subject, Path) else "channel")
        listed = ", ".join(f'"{each.text}"' for each in bare)
        mend = f"texts stand in quotes, as in {named} in ({listed})"
        self.wrong(bare[0].span, f"`{bare[0].text}` is not known", mend)

    def _membership(self, tree: Membership) -> Expression | None:
        bare = [each for each in tree.items if isinstance(each, Path) and self._is_bare(each)]
        if bare:
            self._unquoted_items(tree, bare)
            return None
        literals = [each for each in tree.items if isinstance(each, Literal)]
        if len(literals) == len(tree.items) and all(each.kind == "text" for each in literals):
            sign = "not in" if tree.negated else "in"
            return self._made(
                [tree.subject], lambda them: text_test(sign, them[0], literals, tree.span)
            )
        return self._made(
            [tree.subject, *tree.items],
            lambda them: membership(them[0], them[1:], negated=tree.negated, span=tree.span),
        )
