"""A table of a TOML file, read strictly: every mistake is noted with where, what and mend.

Promise   Reading never raises: a wrong value is noted and something harmless stands in for it, so that
          one look at a file tells all its mistakes. Whoever reads must refuse the file if any was noted.
How       A `StrictTable` takes its keys one by one; `finish` notes the keys that nobody took.
Limits    Durations are at most ten years.
Not here  What the keys mean (model_file.py).
"""

import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

INTEGER_BITS_MAX: Final = 64  # what TOML asks for; much longer ones cannot even be shown
DURATION_MS_MAX: Final = 3_660 * 86_400_000  # ten years: beyond it a unit was mistaken
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)(ms|s|m|h|d|w)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file."""

    where: str  # keys from the top, such as health.bands.amber
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.mend}"


def duration_ms(text: str) -> int | None:
    """Milliseconds of a duration such as "14d", or None where it is none.

    >>> duration_ms("1.5h"), duration_ms("soon")
    (5400000, None)
    """
    found = _DURATION.fullmatch(text)
    return None if found is None else round(float(found[1]) * _UNIT_MS[found[2]])


class StrictTable:
    """One table, the place where it stands, and the list in which all tables note mistakes."""

    def __init__(self, where: str, table: object, problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems
        self._keys: Mapping[str, object] = {}
        self._taken: set[str] = set()
        if isinstance(table, dict):
            self._keys = table
        else:
            self.note("", "this is no table", "write it as [table] with keys, or { key = value }")
            self.problems = []  # what is inside a table that is none is not told as well

    def _place(self, key: str) -> str:
        return ".".join(part for part in (self.where, key) if part)

    def note(self, key: str, what: str, mend: str) -> None:
        """Note a mistake at a key of this table, or at the table itself."""
        self.problems.append(Problem(self._place(key) or "the file", what, mend))

    def has(self, key: str) -> bool:
        """Whether the key is there; does not take it."""
        return key in self._keys

    def take(self, key: str, mend: str, *, needed: bool = True, is_table: bool = False) -> object:
        """The raw value, or None; a needed one that is missing is noted."""
        self._taken.add(key)
        if key not in self._keys and needed:
            self.note(key, "this is missing", mend)
        value = self._keys.get(key)
        # The numbers of a table are taken one by one.
        if not (is_table and isinstance(value, dict)) and _is_endless(value):
            self.note(key, "a number has more than 64 bits", mend)
            return None
        return value

    def number(self, key: str, least: float, most: float, *, default: float | None = None) -> float:
        """A finite number within [least, most]."""
        mend = f"give a number from {least:g} to {most:g}"
        value = self.take(key, mend, needed=default is None)
        if value is None:
            return least if default is None else default
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            self.note(key, f"{value!r} is no number", mend)
        elif not least <= value <= most:
            self.note(key, f"{value} is out of range", mend)
        else:
            return float(value)
        return least

    def whole(self, key: str, least: int, most: int) -> int:
        """An integer within [least, most]."""
        mend = f"give a whole number from {least} to {most}"
        value = self.take(key, mend)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int):
            self.note(key, f"{value!r} is no whole number", mend)
        elif not least <= value <= most:
            self.note(key, f"{value} is out of range", mend)
        else:
            return value
        return least

    def yes(self, key: str, *, default: bool) -> bool:
        """A boolean."""
        value = self.take(key, "", needed=False)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.note(key, f"{value!r} is neither true nor false", "write true or false")
        return default

    def duration(self, key: str, *, least_ms: int = 1_000) -> int:
        """A duration such as "14d", in milliseconds."""
        mend = 'write a number and a unit (s, m, h, d, w), such as "14d"'
        value = self.take(key, mend)
        if value is None:
            return least_ms
        found = duration_ms(value) if isinstance(value, str) else None
        if found is None:
            self.note(key, f"{value!r} is no duration", mend)
        elif not least_ms <= found <= DURATION_MS_MAX:
            self.note(key, f"{value!r} is out of range", f"from {least_ms} ms to ten years")
        else:
            return found
        return least_ms

    def text(self, key: str, *, chars_max: int = 80) -> str:
        """A text of one line, not empty."""
        mend = f"write a text of up to {chars_max} characters"
        value = self.take(key, mend)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            self.note(key, f"{value!r} is no text of one line", mend)
        elif len(value) > chars_max:
            self.note(key, f"{len(value)} characters are too many", mend)
        else:
            return value
        return ""

    def choice(self, key: str, allowed: Collection[str], *, default: str | None = None) -> str:
        """One of a few words."""
        first = next(iter(allowed))
        mend = f"write one of: {', '.join(allowed)}"
        value = self.take(key, mend, needed=default is None)
        if value is None:
            return default or first
        if isinstance(value, str) and value in allowed:
            return value
        self.note(key, f"{value!r} is not known here", _nearest(str(value), allowed) or mend)
        return first

    def table(self, key: str) -> "StrictTable":
        """A table inside this one. What a missing one lacks is not told key by key."""
        value = self.take(key, f"add a table {self._place(key)}", is_table=True)
        return StrictTable(
            self._place(key),
            {} if value is None else value,
            [] if value is None else self.problems,
        )

    def named(self, most: int) -> "dict[str, StrictTable]":
        """The tables inside, at least one, by their names; names are such as rules can call."""
        names = list(self._keys)
        self._taken.update(names)
        if not names:
            self.note("", "it is empty", "add at least one table")
        if len(names) > most:
            self.note("", f"{len(names)} are too many", f"keep at most {most}")
        for name in names:
            if not _NAME.fullmatch(name):
                self.note(name, "this is no name", "use a-z, 0-9 and _, a letter first")
        return {name: self.table(name) for name in names}

    def finish(self) -> None:
        """Note the keys that nobody took."""
        for key in self._keys:
            if key not in self._taken:
                mend = _nearest(key, self._taken) or f"known are: {', '.join(sorted(self._taken))}"
                self.note(key, "this key is not known", mend)


def _nearest(word: str, allowed: Collection[str]) -> str | None:
    found = difflib.get_close_matches(word, allowed, n=1)
    return f"did you mean {found[0]!r}?" if found else None


def _is_endless(value: object) -> bool:
    """Whether an integer is in it that TOML need not know, and that may be too long to be shown."""
    if isinstance(value, list):
        return any(map(_is_endless, value))
    if isinstance(value, dict):
        return any(map(_is_endless, value.values()))
    return isinstance(value, int) and value.bit_length() > INTEGER_BITS_MAX
