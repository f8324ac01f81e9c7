"""The cases of a test file: events at times, and the fires that they must lead to, or must not.

Promise   A file is read whole, or every mistake in it is told with its line and its mend; an event that
          the engine would refuse is one.
How       TOML, read strictly: `rules`, and `[[case]]` with `name`, `start`, `events`, `until`, `fires`,
          `fires_not` and `only`. Times are durations after the case's start, in any order.
Limits    CASES_MAX cases a file, EVENTS_MAX events a case; files as large as rule files may be.
Not here  Keys and places (rule_case_keys.py). Running them (rule_tests.py).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from processors.event import FUTURE_MS_MAX, TIME_MS_MIN, Event
from processors.fault import explain
from rules.errors import Problem, RulesError
from rules.load import PROBLEMS_MAX, document
from rules.position import Address
from rules.vocabulary import nearest
from streams.loader import TESTS_ENDING
from streams.rule_case_keys import Keys

CASES_MAX: Final = 1_000
EVENTS_MAX: Final = 10_000  # of one case, repetitions counted
CUSTOMER: Final = "c"  # of events that name none

CASE_KEYS: Final = ("name", "start", "events", "until", "fires", "fires_not", "only")
FIRE_KEYS: Final = ("rule", "at", "customer", "reason")
OWN_KEYS: Final = ("at", "every", "times", "type", "customer")  # of an event in a test
MADE_FIELDS: Final = ("id", "type", "action", "customer_id", "at_ms")  # which a test does not write
EVENT_KEYS: Final = (
    *OWN_KEYS,
    *(name for name in Event.__struct_fields__ if name not in MADE_FIELDS),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """A fire that must come."""

    rule: str
    at_ms: int  # after the start; to the second
    customer: str | None  # None: whoever
    reason: str  # a part of it
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """Events, and what they must lead to."""

    name: str
    file: str
    line: int
    start_ms: int
    values: tuple[bytes, ...]  # the events as records, in the order of their times
    newest_ms: int  # of the events, or the start
    until_ms: int  # how far time goes on
    fires: tuple[Expected, ...]
    fires_not: tuple[str, ...]
    only: tuple[str, ...] | None  # None: all rules are looked at

    def looks_at(self, rule: str) -> bool:
        """Whether a fire of the rule that is not expected is a failure."""
        if self.only is None or rule in self.only or rule in self.fires_not:
            return True
        return any(each.rule == rule for each in self.fires)


@dataclass(slots=True)
class CaseFile:
    """One test file, of which the cases can be read once its rules are known."""

    path: Path
    values: Mapping[str, Any]
    keys: Keys

    @property
    def rules(self) -> tuple[Path, ...]:
        """The rule files that are tested: those that are named, else that of the same name.

        Raises:
            RulesError: `rules` names no files.
        """
        named = self.values.get("rules", self.path.name.removesuffix(TESTS_ENDING) + ".toml")
        listed = named if isinstance(named, list) else [named]
        if not listed or not all(isinstance(each, str) and each for each in listed):
            mend = 'write rules = "churn.toml", or a list of files'
            raise RulesError([self.keys.problem(("rules",), "`rules` takes names of files", mend)])
        paths = [self.path.parent / each for each in listed]
        for number, path in enumerate(paths):
            if not path.is_file():
                at: Address = ("rules", number) if isinstance(named, list) else ("rules",)
                mend = "name the rule file, as seen from this one"
                raise RulesError([self.keys.problem(at, f"there is no file {path}", mend)])
        return tuple(dict.fromkeys(paths))

    def cases(self, names: Collection[str]) -> tuple[Case, ...]:
        """The cases; `names` are those of the rules.

        Raises:
            RulesError: There are mistakes in the file.
        """
        self.keys.known(self.values, ("rules", "case"))
        listed = self.values.get("case", [])
        if not isinstance(listed, list) or not listed or len(listed) > CASES_MAX:
            said = f"a test file has 1 to {CASES_MAX} cases"
            self.keys.wrong(("case",), said, "write each as [[case]] with a name")
            listed = []
        cases = [self._case(number, each, names) for number, each in enumerate(listed)]
        if self.keys.problems:
            raise RulesError(self.keys.problems[:PROBLEMS_MAX])
        return tuple(cases)

    def _case(self, number: int, table: object, names: Collection[str]) -> Case:
        at: Address = ("case", number)
        values = table if isinstance(table, dict) else {}
        self.keys.known(values, CASE_KEYS, *at)
        name = self.keys.text(values, "name", *at) or ""
        if not name:
            self.keys.wrong((*at, "name"), "a case has a `name`", "say in it what is tested")
        start_ms = self.keys.start_ms(values, at)
        events = self._events(values, at, start_ms)
        newest_ms = max((at_ms for at_ms, _ in events), default=start_ms)
        until_ms = newest_ms + self.keys.time_ms(values, "until", *at, needed=False)
        fires = [
            self._expected(each, (*at, "fires", place), names)
            for place, each in enumerate(self.keys.tables(values, "fires", at))
        ]
        for place, each in enumerate(fires):
            if start_ms + each.at_ms > until_ms:
                said = "time does not go on to this fire"
                mend = 'give the case an `until`, the time after its last event, as in until = "1d"'
                self.keys.wrong((*at, "fires", place, "at"), said, mend)
        return Case(
            name=name,
            file=self.keys.where.file,
            line=self.keys.line(at),
            start_ms=start_ms,
            values=tuple(record for _, record in events),
            newest_ms=newest_ms,
            until_ms=until_ms,
            fires=tuple(fires),
            fires_not=self._rules_in(values, "fires_not", at, names),
            only=self._rules_in(values, "only", at, names) if "only" in values else None,
        )

    def _events(
        self, values: Mapping[str, Any], at: Address, start_ms: int
    ) -> list[tuple[int, bytes]]:
        """Times and records, in the order of the times; where equal, as they are written."""
        found: list[tuple[int, bytes]] = []
        for place, each in enumerate(self.keys.tables(values, "events", at)):
            here = (*at, "events", place)
            for at_ms in self._times(each, here, start_ms, EVENTS_MAX - len(found)):
                found.append((at_ms, self._record(each, here, at_ms, len(found))))
        if not found:
            self.keys.wrong((*at, "events"), "a case has `events`", "write at least one")
        return sorted(found, key=lambda pair: pair[0])

    def _times(
        self, event: Mapping[str, Any], at: Address, start_ms: int, room: int
    ) -> Sequence[int]:
        """The times of an event, which `times` and `every` repeat."""
        first_ms = start_ms + self.keys.time_ms(event, "at", *at)
        times = event.get("times", 1)
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            self.keys.wrong(
                (*at, "times"), "`times` takes a whole number from 1", "as in times = 3"
            )
            times = 1
        if times > room:
            self.keys.wrong(
                at, f"a case has at most {EVENTS_MAX} events", "make several cases of it"
            )
            return ()
        if (times > 1) != ("every" in event):
            self.keys.wrong(at, "`times` and `every` go together", 'as in times = 3, every = "1d"')
            return (first_ms,)
        every_ms = self.keys.time_ms(event, "every", *at, needed=False)
        return [first_ms + number * every_ms for number in range(times)]

    def _record(self, event: Mapping[str, Any], at: Address, at_ms: int, number: int) -> bytes:
        self.keys.known(event, EVENT_KEYS, *at)
        kind, _, action = (self.keys.text(event, "type", *at) or "").partition(".")
        if not kind or not action:
            self.keys.wrong(
                (*at, "type"), "`type` takes a kind and an action", "as in order.placed"
            )
            return b""
        fields = {name: value for name, value in event.items() if name not in OWN_KEYS}
        customer = event.get("customer", CUSTOMER)
        made = {"id": f"e{number + 1}", "type": kind, "action": action, "customer_id": customer}
        record = json.dumps({**made, "at_ms": at_ms, **fields}, default=str).encode()
        fault = explain(record, max(at_ms, TIME_MS_MIN) + FUTURE_MS_MAX)
        if fault is not None:
            place = (*at, "customer" if fault.field == "customer_id" else fault.field)
            self.keys.wrong(place, f"this is no event: {fault.detail}", "")
        return record

    def _expected(self, table: Mapping[str, Any], at: Address, names: Collection[str]) -> Expected:
        self.keys.known(table, FIRE_KEYS, *at)
        rule = self.keys.text(table, "rule", *at) or ""
        self._is_rule(rule, (*at, "rule"), names)
        return Expected(
            rule,
            self.keys.time_ms(table, "at", *at),
            self.keys.text(table, "customer", *at),
            self.keys.text(table, "reason", *at) or "",
            self.keys.line(at),
        )

    def _rules_in(
        self, values: Mapping[str, Any], key: str, at: Address, names: Collection[str]
    ) -> tuple[str, ...]:
        listed = values.get(key, [])
        if not isinstance(listed, list):
            self.keys.wrong(
                (*at, key), f"`{key}` takes a list of rules", f'as in {key} = ["churn"]'
            )
            return ()
        for place, each in enumerate(listed):
            self._is_rule(each, (*at, key, place), names)
        return tuple(map(str, listed))

    def _is_rule(self, name: object, at: Address, names: Collection[str]) -> None:
        if name not in names:
            mend = nearest(str(name), names) or f"rules are {', '.join(sorted(names))}"
            self.keys.wrong(at, f"there is no rule `{name}`", mend)


def case_file(path: Path, data: bytes) -> CaseFile:
    """A test file.

    Raises:
        RulesError: It is no TOML.
    """
    problems: list[Problem] = []
    found = document(str(path), data, problems)
    if found is None:
        raise RulesError(problems)
    values, where = found
    return CaseFile(path, values, Keys(where))
