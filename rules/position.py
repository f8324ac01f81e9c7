"""Positions: where in a TOML file each key and each value stands; tomllib does not tell.

Promise   For a text that tomllib accepts, every key and value is found, also inside arrays and inline
          tables; inside a string, each character of the value is traced back to the file.
How       One pass over the text that follows TOML's outer form only.
Limits    The text must be valid TOML, with plain newlines: tomllib has to be asked first.
Not here  Values (tomllib). What to say about them (load.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from rules.errors import Problem
from rules.syntax import Span

Address: TypeAlias = tuple[str | int, ...]  # ("rule", "vip", "then", 0, "webhook")

EXCERPT_CHARS_MAX: Final = 120  # of a longer line, what stands around the mistake

_BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN: Final = re.compile(r"[^,\]}\n#]*")
_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\n[ \t\n]*|.)")
_SIMPLE_STRING: Final = re.compile(r"""(?:"[^"\\\n]*"|'[^'\n]*')(?!["'])""")
_NEWLINE: Final = re.compile(r"\n?")


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value stands; `offsets` are those of a string's characters, and of its end."""

    span: Span
    offsets: Sequence[int] | None = None

    def part(self, inside: Span) -> Span:
        """The place in the file of a part of the string."""
        if self.offsets is None:
            return self.span
        last = len(self.offsets) - 1
        start = self.offsets[min(inside.start, last)]
        return Span(start, max(self.offsets[min(inside.end, last)], start + 1))


@dataclass(slots=True)
class Positions:
    """One file's text, and what stands where in it."""

    file: str
    text: str
    keys: dict[Address, Span] = field(default_factory=dict)
    values: dict[Address, Value] = field(default_factory=dict)

    def problem(self, span: Span, message: str, mend: str = "") -> Problem:
        """Describe a mistake at this place of the file."""
        line_start = self.text.rfind("\n", 0, span.start) + 1
        line_end = self.text.find("\n", line_start)
        line = self.text[line_start : line_end if line_end >= 0 else None]
        column = span.start - line_start
        shown_from = max(0, column - EXCERPT_CHARS_MAX // 2)
        excerpt = line[shown_from : shown_from + EXCERPT_CHARS_MAX]
        return Problem(
            file=self.file,
            line=self.text.count("\n", 0, span.start) + 1,
            column=column + 1,
            message=message,
            mend=mend,
            excerpt=excerpt,
            excerpt_at=column - shown_from,
            width=max(1, min(span.end - span.start, len(excerpt) - (column - shown_from))),
        )


def positions(file: str, text: str) -> Positions:
    r"""Find everything in a text that tomllib has accepted.

    >>> positions("a.toml", 'a = 1\n[b]\nc = ["x"]').values["b", "c", 0].span
    Span(start=15, end=18)
    """
    found = Positions(file, text)
    _Scan(found).document()
    return found


@dataclass(slots=True)
class _Scan:
    found: Positions
    at: int = 0
    counts: dict[Address, int] = field(default_factory=dict)  # of [[arrays of tables]]

    def document(self) -> None:
        table: Address = ()
        while self._skip(_BLANK) and self.at < len(self.found.text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> str:
        return self.found.text[self.at : self.at + 1]

    def _skip(self, what: re.Pattern[str]) -> bool:
        match = what.match(self.found.text, self.at)
        self.at = match.end() if match else self.at
        return match is not None

    def _header(self) -> Address:
        array = self.found.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        start, names = self.at, self._key()
        span = Span(start, self.at)
        self._skip(_SPACE)
        self.at += 2 if array else 1
        address = self._through_arrays(names[:-1]) + names[-1:]
        if array:
            number = self.counts.get(address, 0)
            self.counts[address] = number + 1
            address = (*address, number)
        elif address in self.counts:
            address = (*address, self.counts[address] - 1)
        self.found.keys[address] = span
        return address

    def _through_arrays(self, names: Address) -> Address:
        address: Address = ()
        for name in names:
            address = (*address, name)
            if address in self.counts:
                address = (*address, self.counts[address] - 1)
        return address

    def _key(self) -> Address:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._peek() in ('"', "'"):
                names.append(self._string()[0])
            else:
                start = self.at
                self._skip(_BARE_KEY)
                names.append(self.found.text[start : self.at])
            end = self.at
            self._skip(_SPACE)
            if self._peek() != ".":
                self.at = end
                return tuple(names)
            self.at += 1

    def _pair(self, table: Address) -> None:
        start = self.at
        address = table + self._key()
        self.found.keys[address] = Span(start, self.at)
        self._skip(_SPACE)
        self.at += 1  # the equals sign
        self._value(address)

    def _value(self, address: Address) -> None:
        self._skip(_SPACE)
        start, first = self.at, self._peek()
        offsets: Sequence[int] | None = None
        if first in ('"', "'"):
            offsets = self._string()[1]
        elif first in ("[", "{"):
            self.at += 1
            number = 0
            while self._skip(_BLANK) and self._peek() not in ("]", "}"):
                if self._peek() == ",":
                    self.at += 1
                elif first == "[":
                    self._value((*address, number))
                    number += 1
                else:
                    self._pair(address)
            self.at += 1
        else:
            self._skip(_PLAIN)
            text = self.found.text[start : self.at]
            self.at = start + max(1, len(text.rstrip()))  # always on, whatever stands here
        self.found.values[address] = Value(Span(start, self.at), offsets)

    def _string(self) -> tuple[str, Sequence[int]]:
        """Read a string of any form; its characters (escapes as `?`), and where each stands."""
        text, quote = self.found.text, self._peek()
        simple = _SIMPLE_STRING.match(text, self.at)
        if simple is not None:
            offsets_run = range(self.at + 1, simple.end())
            self.at = simple.end()
            return simple.group()[1:-1], offsets_run
        closing = quote * 3 if text.startswith(quote * 3, self.at) else quote
        self.at += len(closing)
        if len(closing) > 1:
            self._skip(_NEWLINE)
        characters: list[str] = []
        offsets: list[int] = []
        while not text.startswith(closing, self.at):
            escape = _ESCAPE.match(text, self.at) if quote == '"' else None
            if escape is None:
                characters.append(text[self.at])
                offsets.append(self.at)
                self.at += 1
                continue
            if not escape.group()[1:].isspace():  # a backslash at the line's end adds nothing
                characters.append("?")
                offsets.append(self.at)
            self.at = escape.end()
        extra = 0  # up to two quotes may belong to the string itself, right before the closing ones
        while len(closing) > 1 and text.startswith(closing, self.at + 1) and extra < 2:  # noqa: PLR2004
            characters.append(quote)
            offsets.append(self.at)
            self.at += 1
            extra += 1
        offsets.append(self.at)
        self.at += len(closing)
        return "".join(characters), tuple(offsets)
