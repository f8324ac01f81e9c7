"""The language reference and the shipped packs: everything in them loads."""

import re
from importlib.resources import files

import pytest

from rules.check import Checker
from rules.definition import KEYS
from rules.errors import RulesError
from rules.explain import sentence
from rules.load import load
from rules.parse import parse, parse_step
from tests.machine import ROOT
from tests.rules.loading import TEXTS, builder, loaded, names

REFERENCE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", REFERENCE, re.DOTALL | re.MULTILINE)


CONDITIONS = [line for block in blocks("rules") for line in block.splitlines()]
CONDITIONS_ON = [line for block in blocks("rules-on") for line in block.splitlines()]
IN_TABLE = re.findall(r"^\| `(\w+\([^…`]*\))`", REFERENCE, re.MULTILINE)
STEPS = re.findall(r'^\| `"([^`]*)"` \| (?:at such|when no such)', REFERENCE, re.MULTILINE)
HOLES = re.findall(r"`(\{[a-z][^`]*:[^`]*\})`", REFERENCE)


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_of_the_reference_holds_water(text: str) -> None:
    """People copy from the reference."""
    checker = Checker(TEXTS, fields=False)

    assert checker.condition(parse(text)) is not None, checker.mistakes


@pytest.mark.parametrize("text", CONDITIONS_ON)
def test_a_condition_about_one_event_of_the_reference_holds_water(text: str) -> None:
    """The same, where `on` is needed."""
    checker = Checker(TEXTS, fields=True)

    assert checker.condition(parse(text)) is not None, checker.mistakes


@pytest.mark.parametrize("text", IN_TABLE)
def test_a_function_of_the_reference_exists(text: str) -> None:
    """The table of functions is what people read first."""
    checker = Checker(TEXTS, fields=False)

    assert checker.expression(parse(text)) is not None, checker.mistakes


def test_rules_and_reasons_of_the_reference_load() -> None:
    """The first rule of a new user is the first one on the page."""
    examples = "".join(blocks("toml"))
    reason = " ".join(each for each in HOLES if "expression" not in each)
    rule = f'[rule.x]\nwhen = "health < 1"\nreason = """{reason}"""\nthen = [{{ log = "x" }}]\n'

    rules = loaded(examples + rule)
    made = builder()

    assert [each.name for each in rules.rules] == [
        "churn-risk-callback",
        "abandoned-cart",
        "card-testing",
        "ticket-overdue",
        "account-takeover",
        "cart-reminder",
        "ticket-answered-late",
        "big-basket",
        "x",
    ]
    assert len(rules.compile(made).bound) == len(rules.rules)
    assert made.build().registers


def test_the_mistake_of_the_reference_is_told_as_it_says() -> None:
    """The form of a message is a promise too: people learn to read it there."""
    (wrong,) = blocks("toml-wrong")
    with pytest.raises(RulesError) as caught:
        load({"cart.toml": wrong.encode()}, names())

    assert f"{caught.value}\n" in blocks("text")


def test_the_sentence_of_the_reference_is_the_rule_s() -> None:
    """It is what `rapport rules list` prints."""
    cart = next(each for each in loaded(blocks("toml")[0]).rules if each.sequence is not None)

    assert f"{sentence(cart)}\n" in blocks("text")


def test_every_key_is_in_the_reference() -> None:
    """A key that stands nowhere is one that nobody uses."""
    keys = re.findall(r"^\| `(\w+)` \|", REFERENCE, re.MULTILINE)

    assert set(KEYS) <= set(keys)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_reference_is_one(step: str) -> None:
    """The steps stand in a table, by themselves."""
    checker = Checker({}, fields=False, sequence=True)

    assert checker.events(parse_step(step).events) is not None, checker.mistakes


def test_the_examples_of_the_reference_are_found() -> None:
    """A pattern that finds nothing passes every test."""
    assert len(CONDITIONS) >= 20
    assert len(CONDITIONS_ON) == 3
    assert len(IN_TABLE) >= 9
    assert len(HOLES) >= 3
    assert len(STEPS) == 3


def test_the_shipped_packs_load_and_compile() -> None:
    """The demo starts with them."""
    folder = files("rules") / "packs"
    packs = {
        each.name: each.read_bytes()
        for each in folder.iterdir()
        if each.name.endswith(".toml") and not each.name.endswith(".test.toml")
    }
    rules = load(packs, names())
    made = builder()
    plan = rules.compile(made)

    assert set(packs) == {
        "cart-and-nurture.toml",
        "churn-and-retention.toml",
        "fraud-and-abuse.toml",
        "loyalty-and-vip.toml",
        "ops.toml",
        "service-and-complaints.toml",
    }
    assert len(rules.rules) == 45
    assert len(plan.bound) == len(rules.rules)
    assert all(rule.describe and rule.reason and rule.purpose for rule in rules.rules)
    assert all(sentence(rule) for rule in rules.rules)
