"""The body: what a target gets instead of our own payload, as JSON with values filled in.

Promise   All of it is checked when rules are loaded; filling it in never fails, and is a function of the
          action and of what its rule reads. The same action gives the same bytes.
How       A table of the rule's file. Its texts are templates (template.py) that know some words of the
          action too. A text that is one hole, without a format, becomes the value itself: a number, a
          text, or null where it is missing. Members keep the order of the file.
Limits    DEPTH_MAX tables and lists inside each other, BYTES_MAX of JSON and HOLES_MAX holes before they
          are filled; a text of a hole has WORD_CHARS_MAX characters at most.
Not here  When it is filled in (fires.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final, TypeAlias

import msgspec

from rules.action import Action
from rules.duration import iso
from rules.expression import Expression
from rules.table import Table
from rules.template import Hole, Template, Word, template

DEPTH_MAX: Final = 8
BYTES_MAX: Final = 8 * 1024
HOLES_MAX: Final = 64  # with WORD_CHARS_MAX, what bounds the bytes of an action
WORD_CHARS_MAX: Final = 1_000
WHOLE_MAX: Final = 2**53 - 1  # beyond it readers of JSON round

Known: TypeAlias = float | int | str | dict[str, float | str | None] | None

# What is known of each action; those that are no texts can only stand alone or are written as people do.
WORDS: Final[Mapping[str, Callable[[Action], Known]]] = {
    "action_id": lambda action: action.id,
    "rule": lambda action: action.rule,
    "version": lambda action: action.version,
    "customer_id": lambda action: action.customer_id,
    "cause": lambda action: action.cause,
    "at_ms": lambda action: action.at_ms,
    "timestamp": lambda action: iso(action.at_ms),
    "type": lambda action: action.target.type,
    "reason": lambda action: action.reason[:WORD_CHARS_MAX],
    "values": lambda action: {name: _number(each) for name, each in sorted(action.data.items())},
}
ALONE: Final = ("values",)  # means nothing inside a sentence


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object: names and what they stand for, in order."""

    members: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array."""

    items: tuple["Node", ...]


Node: TypeAlias = Members | Items | Template | bool | int | float
Values: TypeAlias = Callable[[Expression], float | str | None]


@dataclass(frozen=True, slots=True)
class Body:
    """A body that has passed every check."""

    tree: Members

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(hole for each in _templates(self.tree) for hole in each.holes)

    def render(self, action: Action, value: Values) -> str:
        """The JSON, with what `value` gives for the holes."""
        return msgspec.json.encode(_filled(self.tree, action, value)).decode()


def body(table: Table, number: int) -> Body | None:
    """The body of a rule's target; None when it is wrong, with its mistakes noted."""
    at: tuple[str | int, ...] = ("then", number, "body")
    before = len(table.problems)
    listed = table.values["then"]
    assert isinstance(listed, list), "that is how the target was found"
    given = listed[number]["body"]
    if not isinstance(given, dict) or not given:
        mend = 'as in body = { customer = "{customer_id}", text = "{reason}" }'
        table.wrong_value(*at, said="a body is a table with a member or more", mend=mend)
        return None
    tree = _node(table, at, given, 1)
    if len(table.problems) > before:
        return None
    assert isinstance(tree, Members), "a table without mistakes"
    size = len(msgspec.json.encode(given))
    holes = sum(isinstance(part, Hole | Word) for each in _templates(tree) for part in each.parts)
    if size > BYTES_MAX:
        table.wrong_value(*at, said=f"a body of {size} bytes is longer than {BYTES_MAX}")
    if holes > HOLES_MAX:
        mend = "{values} stands for all that the rule read"
        table.wrong_value(*at, said=f"{holes} holes are more than {HOLES_MAX}", mend=mend)
    return Body(tree) if len(table.problems) == before else None


def _node(table: Table, at: tuple[str | int, ...], given: object, depth: int) -> Node:
    """One value of the table, checked; what is wrong is noted, and then it does not matter what it is."""
    match given:
        case bool():
            return given
        case int() if abs(given) <= WHOLE_MAX:
            return given
        case float() if isfinite(given):
            return given
        case str():
            return _text(table, at, given)
        case dict() | list() if depth > DEPTH_MAX:
            table.wrong_value(*at, said=f"a body is at most {DEPTH_MAX} tables and lists deep")
        case dict():
            return Members(
                tuple(
                    (name, _node(table, (*at, name), each, depth + 1))
                    for name, each in given.items()
                )
            )
        case list():
            return Items(
                tuple(_node(table, (*at, n), each, depth + 1) for n, each in enumerate(given))
            )
        case int() | float():
            mend = "write it as a text"
            table.wrong_value(*at, said="JSON has no such number", mend=mend)
        case _:
            mend = "write it as a text"
            table.wrong_value(*at, said="JSON has no dates and times", mend=mend)
    return False


def _text(table: Table, at: tuple[str | int, ...], text: str) -> Template:
    checker = table.checker()
    found = template(text, checker, WORDS)
    table.mistakes(checker.mistakes, *at)
    if found is None:
        return Template(())
    for part in found.parts:
        if isinstance(part, Word) and part.name in ALONE and len(found.parts) > 1:
            said = f"{{{part.name}}} is a table, and cannot stand inside a text"
            table.wrong_value(*at, said=said, mend=f'write "{{{part.name}}}" alone')
    return found


def _templates(node: Node) -> Iterator[Template]:
    match node:
        case Template():
            yield node
        case Members():
            for _, each in node.members:
                yield from _templates(each)
        case Items():
            for each in node.items:
                yield from _templates(each)
        case _:
            return


def _filled(node: Node, action: Action, value: Values) -> object:
    match node:
        case Members():
            return {name: _filled(each, action, value) for name, each in node.members}
        case Items():
            return [_filled(each, action, value) for each in node.items]
        case Template(parts=(Word(name=name),)):
            return WORDS[name](action)
        case Template(parts=(Hole(format=""),)):
            return _number(_clipped(value(node.holes[0].expression)))
        case Template():
            words = {
                part.name: str(WORDS[part.name](action))
                for part in node.parts
                if isinstance(part, Word)
            }
            return node.render(value, words)
        case _:
            return node


def _clipped(value: float | str | None) -> float | str | None:
    return value[:WORD_CHARS_MAX] if isinstance(value, str) else value


def _number(value: float | str | None) -> float | str | None:
    """A whole number without a fraction, for readers that tell the two apart; null for what is none."""
    if not isinstance(value, float):
        return value
    if not isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) <= WHOLE_MAX else value
