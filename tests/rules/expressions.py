"""Random expressions that make sense, for laws about all of them."""

from typing import Final

from hypothesis import strategies as st

from rules.expression import (
    Attribute,
    Constant,
    Events,
    Expression,
    Field,
    Function,
    Operation,
    Reading,
    Score,
    Sign,
    TextTest,
    Trend,
    Type,
)
from rules.syntax import Span

DAY_MS: Final = 86_400_000
BANDS: Final = ("red", "amber", "green")
SCORES: Final = {"health": None, "health.band": BANDS, "anomaly.amount": None}
CHANNELS: Final = ("web", "app", "store")
NOWHERE: Final = Span(0, 0)

HEALTH: Final = Score("health", None, NOWHERE)
BAND: Final = Score("health.band", BANDS, NOWHERE)
AMOUNT: Final = Field("amount", Type.NUMBER, NOWHERE)
CHANNEL: Final = Field("channel", Type.TEXT, NOWHERE)


def operation(sign: Sign, kind: Type, *operands: Expression) -> Operation:
    return Operation(sign, operands, kind, NOWHERE)


def reading(
    function: Function,
    field: str | None = None,
    *,
    where: Expression | None = None,
    window_ms: int = 0,
    half_life_ms: int = 0,
    exact: int = 0,
    before: bool = False,
) -> Reading:
    events = Events("order", "placed", where, NOWHERE)
    return Reading(function, events, field, window_ms, half_life_ms, exact, before, NOWHERE)


SMALL_ORDERS: Final = operation("<", Type.CONDITION, AMOUNT, Constant(5.0, Type.NUMBER, NOWHERE))
NUMBER_LEAVES: Final[tuple[Expression, ...]] = (
    HEALTH,
    AMOUNT,
    Trend(HEALTH, 7 * DAY_MS, NOWHERE),
    reading("count", window_ms=30 * DAY_MS, exact=16),
    reading("count", where=SMALL_ORDERS, window_ms=DAY_MS, exact=256, before=True),
    reading("sum", "amount"),
    reading("mean", "amount", half_life_ms=7 * DAY_MS),
    reading("max", "amount", before=True),
    reading("zscore", "amount", half_life_ms=90 * DAY_MS, before=True),
    reading("distinct", "terminal", window_ms=DAY_MS),
    Attribute("seats", NOWHERE),
)
FACTS: Final[tuple[Expression, ...]] = (AMOUNT, CHANNEL, BAND)
DURATION_LEAVES: Final[tuple[Expression, ...]] = (reading("since"),)
CONDITION_LEAVES: Final[tuple[Expression, ...]] = (
    reading("approximate", window_ms=30 * DAY_MS, exact=16),
    reading("approximate", "amount", window_ms=30 * DAY_MS, exact=16),
)


def _operations(
    signs: tuple[Sign, ...], kind: Type, *operands: st.SearchStrategy[Expression]
) -> st.SearchStrategy[Expression]:
    return st.builds(
        lambda sign, them: Operation(sign, them, kind, NOWHERE),
        st.sampled_from(signs),
        st.tuples(*operands),
    )


def _calculated(leaves: st.SearchStrategy[Expression], kind: Type) -> st.SearchStrategy[Expression]:
    numbers = st.sampled_from(NUMBER_LEAVES)

    def negated(expression: Expression) -> Expression:
        return (
            expression
            if isinstance(expression, Constant)
            else operation("negate", kind, expression)
        )

    def more(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        both: tuple[Sign, ...] = ("+", "-", "least", "greatest", "coalesce")
        scaled = (inner, numbers) if kind == Type.DURATION else (inner, inner)
        return st.one_of(
            _operations(both, kind, inner, inner),
            _operations(("*", "/"), kind, *scaled),
            _operations(("abs", "floor"), kind, inner),
            inner.map(negated),
        )

    return st.recursive(leaves, more, max_leaves=5)


def _constants(kind: Type) -> st.SearchStrategy[Expression]:
    values = st.integers(-20, 20).map(float)
    if kind == Type.NUMBER:
        values |= st.sampled_from((0.5, 1e-7, 1e22, 33.25))
    else:
        values = st.integers(0, 40 * DAY_MS).map(float) | st.sampled_from((0.0, DAY_MS * 14.0))
    return values.map(lambda value: Constant(value + 0.0, kind, NOWHERE))


NUMBERS: Final = _calculated(st.sampled_from(NUMBER_LEAVES) | _constants(Type.NUMBER), Type.NUMBER)
DURATIONS: Final = _calculated(
    st.sampled_from(DURATION_LEAVES) | _constants(Type.DURATION), Type.DURATION
)


def _text_tests() -> st.SearchStrategy[Expression]:
    def tests(subject: Field | Score, texts: tuple[str, ...]) -> st.SearchStrategy[Expression]:
        some = st.lists(st.sampled_from(texts), min_size=1, max_size=3, unique=True).map(tuple)
        one = st.sampled_from((*(text[:2] for text in texts), "x")).map(lambda text: (text,))
        return st.one_of(
            st.builds(
                TextTest,
                st.just(subject),
                st.sampled_from(("is", "is not")),
                some,
                st.just(NOWHERE),
            ),
            st.builds(
                TextTest,
                st.just(subject),
                st.sampled_from(("starts_with", "matches")),
                one,
                st.just(NOWHERE),
            ),
        )

    return tests(CHANNEL, CHANNELS) | tests(BAND, BANDS)


def _comparisons(
    kind: Type, values: st.SearchStrategy[Expression]
) -> st.SearchStrategy[Expression]:
    compared: tuple[Sign, ...] = ("<", "<=", ">", ">=", "=", "!=")
    listed: tuple[Sign, ...] = ("in", "not in")
    return st.one_of(
        _operations(compared, Type.CONDITION, values, values),
        _operations(listed, Type.CONDITION, values, _constants(kind), _constants(kind)),
    )


CONDITIONS: Final[st.SearchStrategy[Expression]] = st.recursive(
    st.one_of(
        _comparisons(Type.NUMBER, NUMBERS),
        _comparisons(Type.DURATION, DURATIONS),
        _text_tests(),
        st.sampled_from(CONDITION_LEAVES),
        st.sampled_from(FACTS).map(lambda it: operation("has", Type.CONDITION, it)),
    ),
    lambda inner: st.one_of(
        _operations(("and", "or"), Type.CONDITION, inner, inner),
        _operations(("and", "or"), Type.CONDITION, inner, inner, inner),
        _operations(("not",), Type.CONDITION, inner),
    ),
    max_leaves=6,
)
