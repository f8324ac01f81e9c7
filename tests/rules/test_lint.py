"""The linter: what it remarks, on what, and what it passes over."""

from typing import Final

import pytest

from rules.lint import lint
from rules.remark import Remark
from tests.rules.loading import loaded

THEN = 'then = [{ log = "x" }]'


def remarks(*rules: str) -> list[Remark]:
    """Remarks on rules r0, r1, … of these lines."""
    tables = (
        f"[rule.r{number}]\n{lines}\n" + ("" if "then =" in lines else f"{THEN}\n")
        for number, lines in enumerate(rules)
    )
    return lint(loaded("\n".join(tables)).rules)


def said(*rules: str) -> list[tuple[str, str, str]]:
    return [(each.rule, each.code, each.message) for each in remarks(*rules)]


ODD: Final = [
    (
        'when = "orders_count > 3 and health < 40 and health > 60"',
        "never",
        "`health < 40` and `health > 60` never hold together",
    ),
    ('when = "health < 40 or health > 100"', "never", "`health > 100` never holds"),
    ('when = "orders_count >= 0"', "always", "`orders_count >= 0` always holds"),
    (
        'when = "health < 40 or health >= 40"',
        "always",
        "`health < 40 or health >= 40` holds wherever its values are there",
    ),
    (
        'when = "health < 40 and health < 60"',
        "needless",
        "`health < 60` says nothing beside `health < 40`",
    ),
    (
        'when = "health < 40 or health < 60"',
        "needless",
        "`health < 40` says nothing beside `health < 60`",
    ),
    (
        'when = "health < 40"\nunless = "health < 60"',
        "never",
        "`health < 40` and `not health < 60` never hold together",
    ),
    (
        'when = "count(order.placed, 1d) > count(order.placed, 7d)"',
        "never",
        "`count(order.placed, 1d) > count(order.placed, 1w)` never holds",
    ),
    (
        'when = "count(order.placed where amount < 5 and amount > 6, 1d) > 3"',
        "never",
        "`amount < 5` and `amount > 6` never hold together",
    ),
    (
        'on = "order.paid where amount < 5"\nwhen = "amount > 6"',
        "never",
        "`amount < 5` and `amount > 6` never hold together",
    ),
    (
        'on = "order.paid"\nwhen = "action = \'placed\'"',
        "never",
        '`action = "placed"` never holds',
    ),
    (
        'sequence = ["click.view where amount < 1 and amount > 1", "no order.placed within 1h"]',
        "never",
        "`amount < 1` and `amount > 1` never hold together",
    ),
    (
        "when = \"health.band starts_with 'blue'\"",
        "never",
        '`health.band starts_with "blue"` never holds',
    ),
    (
        "on = \"order.'pre-ordered'\"",
        "unknown-action",
        'no event is known to be order."pre-ordered"',
    ),
    (
        'when = "health < 40"\nconsent = "email"',
        "no-cooldown",
        "nothing keeps this rule from writing to one customer again and again",
    ),
    (
        'when = "health < 40"\npurpose = "marketing"\nthen = [{ webhook = "crm" }]',
        "no-cooldown",
        "nothing keeps this rule from writing to one customer again and again",
    ),
]


@pytest.mark.parametrize(("lines", "code", "message"), ODD)
def test_what_is_hardly_meant_is_remarked(lines: str, code: str, message: str) -> None:
    """With the smallest part that is odd, in the rule's own words."""
    assert said(lines) == [("r0", code, message)]


@pytest.mark.parametrize(
    "lines",
    [
        'when = "health < 40 and trend(health, 7d) <= -10 and count(order.placed, 365d) >= 3"',
        'when = "health < 40"\nconsent = "email"\ncap = "3 per 30d"',
        'when = "health < 40"\npurpose = "service"\nthen = [{ webhook = "crm" }]',
        'on = "click.whatever"',
        "on = \"service.*\"\nwhen = \"action = 'complaint' or (action in ('csat', 'nps') and score <= 2)\"",
        'when = "count(order.placed, 30d) >= 3 and count(order.placed, 365d) < 9"',
        'when = "count(order.returned, 9d) >= 3 and count(order.returned, 9d) > count(order.paid, 9d)"',
    ],
)
def test_good_rules_pass(lines: str) -> None:
    """A linter that cries is not listened to."""
    assert remarks(lines) == []


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (("health < 40", "health > 40"), [("r1", "gap", "40")]),
        (("health < 40", "health >= 40"), []),
        (("health <= 40", "health >= 40"), [("r1", "overlap", "40")]),
        (("health < 60", "health > 40"), [("r1", "overlap", "from 40 to 60")]),
        (("health < 20", "health > 80"), []),  # nobody said that they split anything
        (("health < 20", "health < 40"), []),  # two steps of one alarm
        (("orders_count <= 3", "orders_count >= 4"), []),  # there is nothing between 3 and 4
        (
            ("health < 40", "health >= 40 and health < 60", "health > 70"),
            [("r2", "gap", "from 60 to 70")],
        ),
        (
            ("since(order.placed) < 30d", "since(order.placed) > 30d"),
            [("r1", "gap", "30d")],
        ),
        (("health < 40 and orders_count > 3", "health > 40 and orders_count > 5"), []),
    ],
)
def test_bands_have_no_gaps_and_no_overlaps(
    conditions: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    """Who has a health of exactly 40 is nobody's customer, else."""
    found = remarks(*(f'when = "{each}"' for each in conditions))

    assert [(each.rule, each.code) for each in found] == [each[:2] for each in expected]
    for remark, (_, _, place) in zip(found, expected, strict=True):
        assert f" {place} " in remark.message
        assert "r0 (rules.toml:1)" in remark.message or len(conditions) > 2


def test_twins_are_told_of_each_other() -> None:
    """The customer gets two letters."""
    one = 'when = "health < 40"\ncooldown = "1d"\nthen = [{ webhook = "crm" }]'
    (found,) = remarks(one, one.replace("40", "30"), one.replace("1d", "2d"))

    assert (found.rule, found.code) == ("r2", "twin")
    assert found.message == "it does what `r0` does, under the same condition"
    assert "rules.toml:1" in found.mend


def test_a_remark_has_its_place_and_its_mend() -> None:
    """Whoever reads it goes there and mends it."""
    (found,) = remarks('when = "health < 40"', 'when = "health > 100"')

    assert str(found).splitlines() == [
        "rules.toml:5: r1: `health > 100` never holds",
        "  mend it, or leave it out",
    ]
