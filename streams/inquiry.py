"""The inquiry: a rule's name and a customer's id, to the explanation of one with the other.

Promise   The rules are those in force now; the row and the records are read as they are committed. Who
          names a rule or a customer that is not there is told the nearest that is.
How       Row, layout and records from the store; the rest on another thread, with an engine of its own,
          which is made anew when other rules are in force.
Limits    One explanation at a time; others wait for it. Of customers only slips of the pen are found
          (blanks around the id, its case), for there may be millions.
Not here  The explanation: why.py.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from processors.layout import Layout, LayoutError, fingerprint_of
from rules.rule import Rule
from rules.rule_table import SNOOZED_MS
from rules.vocabulary import nearest_rule
from streams.asked import RowError, UnknownError
from streams.moment import moment_at
from streams.step import Engine
from streams.why import Told, explaining, why


class Evidence(Protocol):
    """What an inquiry reads of the store; each raises StreamsError when it cannot be read."""

    async def row(self, customer_id: str) -> bytes | None:
        """The customer's packed row; None for one who was never seen."""

    async def layout(self, customer_id: str, fingerprint: bytes) -> Layout:
        """The layout of that customer's row."""

    async def fires(self, customer_id: str, rule: str) -> Sequence[Mapping[str, Any]]:
        """The rule's newest actions for the customer, the newest first."""


class Inquiry:
    """Explains; lives in one event loop."""

    def __init__(
        self, evidence: Evidence, current: Callable[[], Engine], now_ms: Callable[[], int]
    ) -> None:
        """`current` is the engine in force; it is looked at, and not run."""
        self._evidence = evidence
        self._current = current
        self._now_ms = now_ms
        self._own: tuple[Engine, str, Engine] | None = None  # in force, draft, made of it
        self._one_at_a_time = asyncio.Lock()

    async def why(self, rule: str, customer_id: str, at_ms: int | None = None) -> Told:
        """Why the rule has fired for the customer or has not, at that time; now when none is given.

        Raises:
            UnknownError: There is no such rule or customer.
            RowError: The row is damaged.
            StoreError: The store cannot be read.
        """
        current = self._current()
        found = rule_named(current.rules.rules, rule)
        row = await self._evidence.row(customer_id)
        if row is None:
            raise UnknownError("customer", customer_id, await self._slip(customer_id))
        fingerprint = fingerprint_of(row)
        layout = await self._evidence.layout(customer_id, fingerprint)
        taken = await self._evidence.fires(customer_id, rule)
        fires = [each for each in taken if not each.get("resolves")]
        asked_ms = self._now_ms() if at_ms is None else at_ms

        def explained() -> Told:
            engine = self._engine(current, found)
            moment = moment_at(
                engine, customer_id, row, {fingerprint: layout}.__getitem__, asked_ms
            )
            return {**why(engine, found, moment, fires), "asked_ms": asked_ms}

        async with self._one_at_a_time:
            try:
                return await asyncio.to_thread(explained)
            except LayoutError as error:
                raise RowError(customer_id, str(error)) from error

    async def _slip(self, customer_id: str) -> str:
        bare = customer_id.strip()
        for near in dict.fromkeys((bare, bare.lower(), bare.upper(), bare.capitalize())):
            if near and near != customer_id and await self._evidence.row(near) is not None:
                return f"did you mean {near!r}?"
        return ""

    def _engine(self, current: Engine, rule: Rule) -> Engine:
        """An engine of our own for the rules in force, with the snoozes of the one that folds."""
        draft = rule.name if rule.stage == "draft" else ""
        if self._own is None or self._own[0] is not current or self._own[1] != draft:
            self._own = (current, draft, explaining(current, rule))
        own = self._own[2]
        snoozed = {
            bound.rule.name: int(current.rule_plan.table[number, SNOOZED_MS])
            for number, bound in enumerate(current.rule_plan.bound)
        }
        for number, bound in enumerate(own.rule_plan.bound):
            own.rule_plan.table[number, SNOOZED_MS] = snoozed.get(bound.rule.name, 0)
        return own


def rule_named(rules: Sequence[Rule], name: str) -> Rule:
    """The rule of that name.

    Raises:
        UnknownError: There is none; the nearest name is in the sentence.
    """
    for each in rules:
        if each.name == name:
            return each
    mend = nearest_rule(name, (each.name for each in rules))
    raise UnknownError("rule", name, mend)
