"""Attributes and consent in conditions: what was told of a customer, compiled as it reads."""

import math
from typing import Final

import numpy as np
import pytest

from processors.attributes import text_code
from processors.machine import run
from processors.plan import PlanBuilder
from processors.register import Stage
from rules.check import Checker
from rules.compile import compile_expression
from rules.expression import Attribute, AttributeTest, Consent, leaves
from rules.parse import parse
from tests.rules.expressions import NOWHERE, SCORES

UNKNOWN: Final = math.nan


def says(text: str, *, tier: str | None = None, seats: float = UNKNOWN) -> bool:
    """Whether the condition holds for a customer of whom this was told last."""
    condition = Checker(SCORES, fields=False).condition(parse(text))
    assert condition is not None
    builder = PlanBuilder()
    for name, texts in SCORES.items():
        builder.score(name, texts)
    result = compile_expression(condition, builder)
    known = {
        builder.attribute("tier", text=True): UNKNOWN if tier is None else text_code(tier),
        builder.attribute("tier", text=False): seats,
        builder.attribute("seats", text=False): seats,
    }
    plan = builder.build()
    registers = np.full((plan.registers, 1), np.nan)
    for number, constant in plan.asked.constants.items():
        registers[number] = constant
    for register, value in known.items():
        registers[register.number] = value
    run(plan.programs[Stage.FEATURE], registers, 1)
    run(plan.programs[Stage.SCORE], registers, 1)
    return bool(registers[result.number, 0])


@pytest.mark.parametrize(
    ("text", "tier", "holds"),
    [
        ("attribute.tier = 'gold'", "gold", True),
        ("attribute.tier = 'gold'", "Gold", False),
        ("attribute.tier = 'gold'", None, False),
        ("attribute.tier != 'gold'", "silver", True),
        ("attribute.tier != 'gold'", "gold", False),
        ("attribute.tier != 'gold'", None, False),
        ("attribute.tier in ('gold', 'silver')", "silver", True),
        ("attribute.tier in ('gold', 'silver')", "lead", False),
        ("attribute.tier not in ('gold', 'silver')", "lead", True),
        ("attribute.tier not in ('gold', 'silver')", "gold", False),
        ("attribute.tier not in ('gold', 'silver')", None, False),
        ("not attribute.tier = 'gold'", None, True),
        ("has(attribute.tier)", "", True),
        ("has(attribute.tier)", None, False),
    ],
)
def test_the_text_of_an_attribute_is_one_or_another(
    text: str, tier: str | None, holds: bool
) -> None:
    """What nobody has told is neither equal nor unequal, as with the fields of events."""
    assert says(text, tier=tier) == holds


def test_an_attribute_is_there_as_a_number_too() -> None:
    """`has` cannot know what a sender sends."""
    assert says("has(attribute.tier)", seats=0.0)


@pytest.mark.parametrize(
    ("text", "seats", "holds"),
    [
        ("attribute.seats > 5", 6.0, True),
        ("attribute.seats > 5", 5.0, False),
        ("attribute.seats > 5", UNKNOWN, False),
        ("coalesce(attribute.seats, 9) > 5", UNKNOWN, True),
        ("attribute.seats in (5, 6)", 6.0, True),
        ("attribute.seats = 1", 1.0, True),
    ],
)
def test_the_number_of_an_attribute_is_a_number(text: str, seats: float, holds: bool) -> None:
    """It may stand wherever a number may; true is 1."""
    assert says(text, seats=seats) == holds


def test_what_is_read_of_a_customer_is_named_by_its_text() -> None:
    """The values of an action, and the explanation, are of these."""
    condition = Checker(SCORES, fields=False).condition(
        parse("attribute.tier = 'gold' and attribute.seats > 5 and not consent.phone")
    )
    assert condition is not None

    assert leaves(condition) == [
        AttributeTest("tier", "is", ("gold",), NOWHERE),
        Attribute("seats", NOWHERE),
        Consent("phone", NOWHERE),
    ]


def test_consent_is_what_the_builder_keeps() -> None:
    """One and the same state stands behind the key `consent` and the condition."""
    builder = PlanBuilder()

    assert compile_expression(Consent("phone", NOWHERE), builder) == builder.consented("phone")
