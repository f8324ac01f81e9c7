"""The remark: something that is allowed in a rule, and is hardly meant.

Not here  Finding it (lint.py, bands.py). Mistakes (errors.py).
"""

from dataclasses import dataclass
from typing import Self

from rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to look at again.

    >>> print(Remark("churn.toml", 4, "callback", "never", "`health > 100` never holds", "mend it"))
    churn.toml:4: callback: `health > 100` never holds
      mend it
    """

    file: str
    line: int  # of the rule
    rule: str
    code: str  # never, always, needless, gap, overlap, twin, no-cooldown or unknown-action
    message: str
    mend: str

    @classmethod
    def of(cls, rule: Rule, code: str, message: str, mend: str) -> Self:
        """A remark on this rule."""
        return cls(rule.file, rule.line, rule.name, code, message, mend)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}\n  {self.mend}"
