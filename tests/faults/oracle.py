"""What must be in Redis, read sequentially in plain Python, and what is there, held beside it.

Promise   Nothing of the engine is asked: the events as they were sent on one side, keys of Redis as
          they stand on the other. Events and actions are counted one by one, so that a loss here
          and a repetition there do not cancel out.
Not here  The events, and what each does to a customer (tests/integration/shop.py).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.faults.experiment import Outcome
from tests.integration.shop import Customer, Stored, differences


@dataclass(frozen=True, slots=True)
class Verdict:
    applied: int
    """Events that are counted in views."""
    decided: int
    """Actions that are stored."""
    missing: int
    """Events that no view counts, and actions that nobody stored."""
    surplus: int
    wrong: tuple[str, ...]

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.applied + other.applied,
            self.decided + other.decided,
            self.missing + other.missing,
            self.surplus + other.surplus,
            (*self.wrong, *other.wrong),
        )

    def outcome(self, faults: int, offered: int) -> Outcome:
        """Of a run in which all events were acknowledged and no delivery was looked at; no times."""
        return Outcome(
            faults=faults,
            offered=offered,
            acked=offered,
            applied=self.applied,
            decided=self.decided,
            delivered=0,
            repeated=0,
            missing=self.missing,
            surplus=self.surplus,
            stall_ms_max=None,
            recover_ms_p99=None,
            wrong=self.wrong,
        )


NOTHING: Final = Verdict(0, 0, 0, 0, ())


def verdict(wanted: Mapping[str, Customer], found: Stored) -> Verdict:
    """What `expected` says beside what Redis has."""
    events = Counter({name: each.events_count for name, each in wanted.items()})
    counted: Counter[str] = Counter()
    for name, view in found.views.items():
        count = view.get("events_count")
        assert isinstance(count, int), f"the view of {name} has no count"
        counted[name] = count
    causes = Counter((name, *cause) for name, each in wanted.items() for cause in each.causes)
    return Verdict(
        applied=counted.total(),
        decided=found.causes.total(),
        missing=(events - counted).total() + (causes - found.causes).total(),
        surplus=(counted - events).total() + (found.causes - causes).total(),
        wrong=tuple(differences(dict(wanted), found)),
    )
