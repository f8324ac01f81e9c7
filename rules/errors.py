"""What can be wrong with rules, said so that the reader can mend it.

Promise   A RulesError carries every mistake that was found, each with its place and its mend.
How       A Problem is a value; `str` shows it as compilers do, with the line and a caret under the spot.
Not here  Finding mistakes: load.py, parse.py and check.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.syntax import Span


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a rule file.

    >>> print(Problem("a.toml", 2, 9, "`helth` is not known", "try `health`", 'when = "helth"', 8, 5))
    a.toml:2:9: `helth` is not known
      when = "helth"
              ^^^^^
      try `health`
    """

    file: str
    line: int  # from 1; 0 when the whole file is at fault
    column: int  # from 1, in characters
    message: str
    mend: str  # what to do about it, or ""
    excerpt: str = ""  # the line, or what of a long line stands around the mistake
    excerpt_at: int = 0  # where in the excerpt the mistake is
    width: int = 1  # characters at fault

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        lines = [f"{place}: {self.message}" if place else self.message]
        if self.excerpt:
            before = self.excerpt[: self.excerpt_at]
            indent = "".join("\t" if each == "\t" else " " for each in before)
            lines += [f"  {self.excerpt}", f"  {indent}{'^' * self.width}"]
        if self.mend:
            lines.append(f"  {self.mend}")
        return "\n".join(lines)


class RulesError(ValueError):
    """Rules that cannot be used. Whoever held an older set of rules keeps it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class ExpressionError(ValueError):
    """A mistake in one text; load.py, which knows where the text stands, makes a Problem of it."""

    def __init__(self, span: Span, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.span = span
        self.message = message
        self.mend = mend
