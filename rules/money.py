"""Money: a comparison with an amount of one currency, as a comparison of numbers.

Promise   `sum(order.paid.amount, 30d) > 100 EUR` means the events in euros alone, and `amount > 100 EUR` an
          event in euros: what is written in another currency, or in none, is never compared with them.
How       Conditions on `currency` go where the amounts are; from there on money is a number.
Limits    Nothing is converted: there are no rates that would be the same live and in a replay.
Not here  Reading `100 EUR` (grammar.lark, tree.py). Functions without arguments (check.py).
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from rules.errors import ExpressionError
from rules.syntax import Call, Literal, Operator, Option, Path, Span, Syntax, Where

AMOUNT: Final = "amount"
CURRENCY: Final = "currency"
OF_MONEY: Final = ("sum", "mean", "min", "max", "last", "first")
THROUGH: Final = ("abs", "floor", "least", "greatest", "coalesce")

Argument: TypeAlias = Syntax | Where | Option

_MEND: Final = "compare `amount`, or what is made of it: sum(order.paid.amount, 30d) > 100 EUR"


def as_numbers(tree: Operator) -> Operator:
    """The comparison without money.

    Raises:
        ExpressionError: One side is money, and the other has no amounts.
    """
    left, right = tree.operands
    if _is_money(right):
        return _narrowed(tree, left, right)
    if _is_money(left):
        return _narrowed(tree, right, left)
    return tree


def _is_money(tree: Syntax) -> bool:
    return isinstance(tree, Literal) and tree.kind == "money"


def _narrowed(tree: Operator, compared: Syntax, money: Syntax) -> Operator:
    assert isinstance(money, Literal), "money is a literal"
    narrowing = _Narrowing(money.currency, money.span)
    narrowed = narrowing.of(compared)
    if not (narrowing.readings_count or narrowing.is_of_event or narrowing.is_unfinished):
        raise ExpressionError(compared.span, "this is no amount of money", _MEND)
    sides = {id(compared): narrowed, id(money): replace(money, kind="number", currency="")}
    made = replace(tree, operands=tuple(sides[id(each)] for each in tree.operands))
    return Operator(tree.span, "and", (narrowing.test, made)) if narrowing.is_of_event else made


@dataclass(slots=True)
class _Narrowing:
    """Walks over what is compared, and narrows its amounts to one currency."""

    currency: str
    span: Span
    readings_count: int = 0
    is_of_event: bool = False  # the amount of the event itself is in it
    is_unfinished: bool = False  # a function has no arguments: the checker tells what it needs

    @property
    def test(self) -> Operator:
        path = Path(self.span, (CURRENCY,), (False,))
        return Operator(self.span, "=", (path, Literal(self.span, "text", self.currency)))

    def of(self, tree: Syntax) -> Syntax:
        if isinstance(tree, Path):
            self.is_of_event |= tree.text == AMOUNT
            return tree
        if isinstance(tree, Operator) and tree.sign in ("+", "-", "*", "/"):
            return replace(tree, operands=tuple(self.of(each) for each in tree.operands))
        if isinstance(tree, Call) and not tree.arguments:
            self.is_unfinished |= tree.name in OF_MONEY + THROUGH
            return tree
        if isinstance(tree, Call) and tree.name in OF_MONEY:
            first, *others = tree.arguments
            return replace(tree, arguments=(self._events(first), *others))
        if isinstance(tree, Call) and tree.name in THROUGH:
            return replace(tree, arguments=tuple(self._argument(each) for each in tree.arguments))
        return tree

    def _argument(self, tree: Argument) -> Argument:
        return self.of(tree) if isinstance(tree, Path | Operator | Call) else tree

    def _events(self, tree: Argument) -> Argument:
        if isinstance(tree, Path) and tree.parts[-1] == AMOUNT and len(tree.parts) > 1:
            self.readings_count += 1
            return Where(tree.span, tree, self.test)
        if isinstance(tree, Where) and tree.path.parts[-1] == AMOUNT:
            self.readings_count += 1
            both = Operator(tree.condition.span, "and", (tree.condition, self.test))
            return replace(tree, condition=both)
        return tree
