"""The sequence: what has to happen in order, and what must not.

Promise   A sequence is a value that has passed every check: 2 to STEPS_MAX steps, the first of them an
          event; an absence has its time, and no other absence before it.
Limits    STEPS_MAX steps; RUNS_KEYED_MAX runs of a rule and customer with a key, one without, and
          RUNS_MAX over all rules of a customer.
Not here  Reading them from a rule's table (sequence_keys.py). Running (evaluate.py). English (explain.py).
"""

import dataclasses
from dataclasses import dataclass
from typing import Final

from rules.expression import Events
from rules.syntax import Span

STEPS_MIN: Final = 2  # one step is what `on` is for
STEPS_MAX: Final = 8
RUNS_KEYED_MAX: Final = 8  # open at once, of one rule and customer; the oldest makes room
RUNS_MAX: Final = 256  # open at once, of one customer over all rules: each takes words of the row

assert RUNS_KEYED_MAX <= RUNS_MAX, "one rule must fit"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: these events happen, or with `absent`, do not happen."""

    events: Events
    within_ms: int  # counted from the step before; 0: no matter when
    absent: bool
    span: Span = dataclasses.field(compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps in order. With a `key`, each value of that field has a run of its own."""

    steps: tuple[Step, ...]
    key: str | None  # one of the text fields of an event

    @property
    def runs_max(self) -> int:
        """How many runs one customer can have open at once."""
        return 1 if self.key is None else RUNS_KEYED_MAX
