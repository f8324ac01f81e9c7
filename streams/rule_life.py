"""The life of a rule: what people do to it while it runs, by command or over HTTP.

Promise   Who asks for what cannot be is told what can, and nothing is changed. Every change is in the
          history, with who and when.
How       Rules are known by Redis, where the processes that run them have announced them: no files needed.
Limits    HISTORY_SHOWN_MAX entries an answer.
Not here  The changes as values (controls.py). What follows from them (guard_watch.py).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins

from processors.event import ID_CHARS_MAX
from rules.vocabulary import nearest_rule
from streams import given
from streams.asked import TimeTextError, UnknownError, time_ms
from streams.controls import (
    CANARY,
    STAGES,
    AskError,
    Control,
    Expected,
    Known,
    Stage,
    next_stage,
    paused,
    promoted,
    resumed,
    snoozed,
    words,
)
from streams.controls_redis import Changed, ControlStore, Entry
from streams.guard_counts import CountStore
from streams.store_async import AsyncConnection

HISTORY_SHOWN_MAX: Final = 1_000
_RATE: Final = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*/\s*([hd])\s*")

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who changes something, and when."""

    by: str
    at_ms: int


class RuleLife:
    """Changes rules; lives in one event loop. All methods raise StoreError, too."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._controls = ControlStore(connection)
        self._counts = CountStore(connection)

    async def promote(
        self, rule: str, who: Who, to: str | None, share: str | None, expect: str | None
    ) -> Told:
        """Bring the rule into a stage; by default the next one.

        Args:
            rule: its name.
            who: does so.
            to: the stage.
            share: of the customers, for a canary, such as "10%".
            expect: how often it is expected to fire, such as "20/h"; else what it did before.

        Raises:
            UnknownError: There is no such rule.
            ControlError: It cannot be; the sentence says why.
        """
        file = await self._file(rule)
        control = (await self._controls.controls()).get(rule, Control())
        stage = _stage(control.stage(file), to, share)
        expected = None
        if stage.acts_for:
            expected = await self._counts.expected(rule, stage, who.at_ms)
            if expect is not None:
                expected = Expected(rate(expect), expected.share)

        def change(control: Control) -> Control:
            return promoted(control, file, stage, expected, who.by, who.at_ms)

        def said(changed: Changed) -> Told:
            return {
                "from": str(changed.before.stage(file)),
                "to": str(stage),
                "version": file.version,
                "expected": to_builtins(expected),
            }

        return await self._change(rule, who, "promote", change, said)

    async def pause(self, rule: str, who: Who, why: str) -> Told:
        """Let the rule do nothing until it is resumed. Raises as `promote` does."""
        await self._file(rule)
        return await self._change(
            *(rule, who, "pause"),
            lambda control: paused(control, why, who.by, who.at_ms),
            lambda _changed: {"why": why},
        )

    async def resume(self, rule: str, who: Who, customer_id: str | None) -> Told:
        """Let the rule go on that was paused or snoozed; for one customer. Raises as `promote` does."""
        if rule not in await self._controls.controls():  # else it may be a rule that is no more
            await self._file(rule)

        def said(changed: Changed) -> Told:
            pause = changed.before.pause if customer_id is None else None
            expected = changed.after.expected if pause is not None and pause.found else None
            return {
                "paused": None if pause is None else {"why": pause.why, "by": pause.by},
                "customer_id": customer_id,
                "expected": to_builtins(expected),
            }

        return await self._change(
            *(rule, who, "resume"), lambda control: resumed(control, who.at_ms, customer_id), said
        )

    async def snooze(self, rule: str, who: Who, until_ms: int, customer_id: str | None) -> Told:
        """Let the rule do nothing until then: for a customer, or for all. Raises as `promote` does."""
        await self._file(rule)
        if customer_id is not None and not 0 < len(customer_id) <= ID_CHARS_MAX:
            raise AskError(f"an id of a customer has 1 to {ID_CHARS_MAX} characters")
        return await self._change(
            *(rule, who, "snooze"),
            lambda control: snoozed(control, until_ms, who.by, who.at_ms, customer_id),
            lambda _changed: {"until_ms": until_ms, "customer_id": customer_id},
        )

    async def history(self, rule: str | None, limit: int) -> list[Told]:
        """What was said and done, the newest first. Raises UnknownError as `promote` does."""
        found = await self._controls.history(rule, min(limit, HISTORY_SHOWN_MAX))
        if rule is not None and not found:
            await self._file(rule)
        return [_shown(entry) for entry in found]

    async def controls(self) -> Mapping[str, Control]:
        """All that is said now."""
        return await self._controls.controls()

    async def _file(self, rule: str) -> Known:
        """The rule as its file has it."""
        rules = await self._controls.known()
        if rule in rules:
            return rules[rule]
        mend = nearest_rule(rule, rules)
        raise UnknownError(
            "rule", rule, mend or "no rules were ever in force with this Redis: start Rapport first"
        )

    async def _change(
        self,
        rule: str,
        who: Who,
        what: str,
        change: Callable[[Control], Control],
        said: Callable[[Changed], Told],
    ) -> Told:
        words(who.by, "by")

        def entry(changed: Changed) -> Entry:
            kept = {name: value for name, value in said(changed).items() if value is not None}
            return Entry(who.at_ms, who.by, what, rule, kept)

        return _shown(entry(await self._controls.change(rule, change, entry)))


def until_of(now_ms: int, until: str | None, duration: str | None) -> int:
    """The time until which a rule is to be snoozed.

    Raises:
        AskError: Neither or both are given, or what is given is no time.
    """
    if (until is None) == (duration is None):
        raise AskError("say until when, or for how long: a time, or a duration such as 2d")
    if until is not None:
        try:
            return time_ms(until)
        except TimeTextError as error:
            raise AskError(str(error)) from error
    try:
        found = given.duration(given.Given(duration, "", Path()))
    except ValueError as error:
        raise AskError(f"the duration {error}") from error
    if found is None:
        raise AskError("a snooze ends; `pause` lets a rule do nothing until it is resumed")
    return now_ms + found // timedelta(milliseconds=1)


def rate(text: str) -> float:
    """How many fires an hour a text means.

    Raises:
        AskError: It means none.

    >>> rate("20/h"), rate("48/d")
    (20.0, 2.0)
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise AskError(f"{text[:80]!r} says no number of fires in a time; write 20/h or 100/d")
    return float(found[1]) / (24 if found[2] == "d" else 1)


def _stage(now: Stage, to: str | None, share: str | None) -> Stage:
    """The stage that is asked for, of a rule that is in the stage `now`."""
    if to is None:
        stage = Stage("canary", CANARY) if share is not None else next_stage(now)
    elif to in STAGES[1:]:
        stage = Stage(to, CANARY if to == "canary" else 0.0)
    else:
        raise AskError(f"there is no stage {to[:80]!r}; there are {', '.join(STAGES[1:])}")
    if share is None:
        return stage
    if stage.name != "canary":
        raise AskError(f"a share of the customers belongs to a canary, not to {stage.name}")
    found = given.fraction(share)
    if found is None or not 0 < found < 1:
        raise AskError(f"{share[:80]!r} is no share of the customers; write it as 10%")
    return Stage("canary", found)


def _shown(entry: Entry) -> Told:
    told: Told = {"at_ms": entry.at_ms, "by": entry.by, "what": entry.what}
    if entry.rule:
        told["rule"] = entry.rule
    if entry.rules:
        told["rules"] = entry.rules
    return {**told, **entry.said}
