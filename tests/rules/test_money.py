"""Money: what is said of one currency is said of its amounts alone."""

import json
import re

import pytest

from rules.check import Checker
from rules.errors import ExpressionError, RulesError
from rules.money import OF_MONEY, THROUGH
from rules.parse import parse
from rules.spell import spell
from streams.replay import replay
from tests.corpus import RECORD_MS, good
from tests.replaying import engine_of
from tests.rules.expressions import SCORES
from tests.streams.replay_rows import NOW_MS, ListSource

EUR = 'currency = "EUR"'


def spelled(text: str) -> str:
    checker = Checker(SCORES, fields=True)
    checked = checker.condition(parse(text))
    assert checked is not None, checker.mistakes
    return spell(checked)


@pytest.mark.parametrize(
    ("money", "plain"),
    [
        ("amount > 100 EUR", f"{EUR} and amount > 100"),
        ("amount>=2.50EUR", f"{EUR} and amount >= 2.5"),
        ("100 EUR < amount", f"{EUR} and 100 < amount"),
        ("not amount > 1 EUR", f"not ({EUR} and amount > 1)"),
        ("sum(order.paid.amount, 30d) > 9 EUR", f"sum(order.paid.amount where {EUR}, 30d) > 9"),
        (
            "mean(order.paid.amount where channel = 'web', half_life 7d) <= 9 EUR",
            f"mean(order.paid.amount where channel = 'web' and {EUR}, half_life 7d) <= 9",
        ),
        (
            "sum(order.paid.amount, 30d) / count(order.paid, 30d) != 9 EUR",
            f"sum(order.paid.amount where {EUR}, 30d) / count(order.paid, 30d) != 9",
        ),
        (
            "greatest(amount, 2 * coalesce(last(order.paid.amount), 1)) > 5 EUR",
            f"{EUR} and greatest(amount, 2 * coalesce(last(order.paid.amount where {EUR}), 1)) > 5",
        ),
        (
            "count(order.paid where amount < 5 EUR, 10m) >= 5",
            f"count(order.paid where {EUR} and amount < 5, 10m) >= 5",
        ),
        (
            "amount > 5 EUR or amount > 6 USD",
            f'{EUR} and amount > 5 or currency = "USD" and amount > 6',
        ),
    ],
)
def test_money_is_a_number_of_what_is_in_its_currency(money: str, plain: str) -> None:
    """What a rule prints back is what it does, and can be written so."""
    assert spelled(money) == spelled(plain)


@pytest.mark.parametrize(
    ("text", "piece", "said"),
    [
        ("orders_amount > 100 EUR", "orders_amount", "no amount of money"),
        ("count(order.paid, 30d) > 100 EUR", "count(order.paid, 30d)", "no amount of money"),
        ("zscore(order.paid.amount) > 3 EUR", "zscore(order.paid.amount)", "no amount of money"),
        ("sum(order.paid.items_count, 1d) > 3 EUR", "sum(order.paid.items_count, 1d)", "no amount"),
        ("5 EUR > 4 EUR", "5 EUR", "no amount of money"),
        ("amount > 2 * 100 EUR", "100 EUR", "money stands alone"),
        ("amount in (5 EUR, 6 EUR)", "5 EUR", "money stands alone"),
        ("amount > 100 eur", "eur", "cannot stand here"),
        ("amount > €100", "€", "means nothing here"),
        (f"amount > {'9' * 400} EUR", f"{'9' * 400} EUR", "too large"),
    ],
)
def test_what_is_no_comparison_with_amounts_is_refused(text: str, piece: str, said: str) -> None:
    """A total over all currencies beside one of them is a number that means nothing."""
    checker = Checker(SCORES, fields=True)
    try:
        assert checker.condition(parse(text)) is None
        mistake = checker.mistakes[0]
    except ExpressionError as error:
        mistake = error

    assert text[mistake.span.start : mistake.span.end] == piece
    assert said in mistake.message


@pytest.mark.parametrize("name", OF_MONEY + THROUGH)
@pytest.mark.parametrize("text", ["{} > 9 EUR", "9 EUR < {}", "2 * {} > 9 EUR", "abs({}) > 9 EUR"])
def test_a_function_without_arguments_is_told_what_it_needs(name: str, text: str) -> None:
    """It is half of a rule that is being written; it must not end the worker that reads it again."""
    call = f"{name}()"
    text = text.format(call)
    checker = Checker(SCORES, fields=True)

    assert checker.condition(parse(text)) is None
    (mistake,) = checker.mistakes
    assert text[mistake.span.start : mistake.span.end] == call
    assert re.match(f"{name} (needs|takes) ", mistake.message)


def test_a_file_with_such_a_function_is_refused_as_others_are() -> None:
    """Whoever reads rules again catches this one error, and keeps the rules that run."""
    with pytest.raises(RulesError, match=r"^0\.toml:2:9: sum needs events"):
        engine_of("[rule.a]\nwhen = 'sum() > 9 EUR'\nthen = [{ log = 'x' }]\n")


def test_words_in_capitals_are_no_currencies() -> None:
    """`health < 40 AND …` is a slip that is told as one."""
    with pytest.raises(ExpressionError, match="`AND` cannot stand here"):
        parse("health < 40 AND health > 30")


def test_only_events_in_the_currency_count() -> None:
    """Yen are not euros, and an amount without a currency is neither."""
    engine = engine_of(
        """
[rule.event]
on = "order.placed where amount > 100 EUR"
then = [{ log = "x" }]

[rule.sum]
when = "sum(order.placed.amount, 30d) > 250 EUR"
then = [{ log = "x" }]
"""
    )
    currencies = ["JPY", "EUR", None, "EUR", "USD", "EUR"]
    values = [
        json.dumps(
            good(id=str(n), action="placed", amount=101.0, currency=each, at_ms=RECORD_MS + n)
        ).encode()
        for n, each in enumerate(currencies)
    ]

    assert replay(ListSource(values), engine, NOW_MS).summary.fires == {"event": 3, "sum": 1}
