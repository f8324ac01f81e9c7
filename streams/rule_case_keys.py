"""The keys of a test file: values of TOML, read strictly, with the place of each mistake.

Promise   A mistake is noted once, with its line and its mend; something harmless stands in for the value.
          Whoever reads must refuse the file if any was noted.
Not here  What the keys mean (rule_cases.py). Keys of rules (rules/table.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from processors.event import TIME_MS_MAX, TIME_MS_MIN
from rules.errors import ExpressionError, Problem
from rules.parse import duration_ms
from rules.position import Address, Positions
from rules.syntax import Span
from rules.vocabulary import nearest
from streams.asked import utc_ms

START_MS: Final = 1_767_607_200_000  # 2026-01-05T10:00:00Z, a Monday


@dataclass(slots=True)
class Keys:
    """One file's places, and what is wrong in it."""

    where: Positions
    problems: list[Problem] = field(default_factory=list)

    def tables(self, values: Mapping[str, Any], key: str, at: Address) -> list[dict[str, Any]]:
        """The tables of a list; none when the key is absent."""
        listed = values.get(key, [])
        if isinstance(listed, list) and all(isinstance(each, dict) for each in listed):
            return listed
        self.wrong((*at, key), f"`{key}` takes a list of tables", f"as in {key} = [{{ … }}]")
        return []

    def text(self, values: Mapping[str, Any], key: str, *at: str | int) -> str | None:
        """The text of a key; None when it is absent."""
        value = values.get(key)
        if value is None or isinstance(value, str):
            return value
        self.wrong((*at, key), f"`{key}` takes a text", f'write {key} = "…"')
        return None

    def time_ms(
        self, values: Mapping[str, Any], key: str, *at: str | int, needed: bool = True
    ) -> int:
        """Milliseconds of a duration such as `1d 2h`."""
        value = values.get(key)
        if value is None and not needed:
            return 0
        try:
            parts = value.split() if isinstance(value, str) else []
            if parts:
                return sum(map(duration_ms, parts))
        except ExpressionError:
            pass  # said below, in the words of a test file
        said = f"`{key}` is missing" if value is None else f"{value!r} is no duration"
        self.wrong((*at, key), said, f'write {key} = "10m", or "1d 2h"')
        return 0

    def start_ms(self, values: Mapping[str, Any], at: Address) -> int:
        """When the case begins, UTC unless it says otherwise."""
        value = values.get("start")
        if value is None:
            return START_MS
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            start_ms = utc_ms(found)
        except (ValueError, OverflowError):
            start_ms = 0
        if not TIME_MS_MIN <= start_ms <= TIME_MS_MAX:
            said, mend = f"{value} is no time", "write start = 2026-01-05T10:00:00Z"
            self.wrong((*at, "start"), said, mend)
            return START_MS
        return start_ms

    def known(self, values: Mapping[str, Any], keys: tuple[str, ...], *at: str | int) -> None:
        """Note the keys that are none of these."""
        for key in values:
            if key not in keys:
                mend = nearest(key, keys) or f"keys are {', '.join(keys)}"
                self.wrong((*at, key), f"`{key}` is not known here", mend, key=True)

    def wrong(self, at: Address, said: str, mend: str, *, key: bool = False) -> None:
        """Note a mistake in the value there, or in the key itself."""
        self.problems.append(self.problem(at, said, mend, key=key))

    def problem(self, at: Address, said: str, mend: str, *, key: bool = False) -> Problem:
        """A mistake, said with its place."""
        return self.where.problem(self._span(at, key=key), said, mend)

    def line(self, at: Address) -> int:
        """The line on which it stands."""
        return self.where.problem(self._span(at), "", "").line

    def _span(self, at: Address, *, key: bool = False) -> Span:
        """Where it stands; what is missing, where that stands in which it is missing."""
        value, name = self.where.values.get(at), self.where.keys.get(at)
        of_value = None if value is None else value.span
        found = (name or of_value) if key else (of_value or name)
        return found or (self._span(at[:-1]) if at else Span(0, 1))
