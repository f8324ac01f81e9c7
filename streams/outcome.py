"""The outcome: what one batch leads to, also where it was stepped in several rounds.

Promise   Of a customer that changed in several rounds only the last state is there; actions are in order.
Not here  The step (step.py). Storing it (shard.py).
"""

from collections.abc import Sequence
from typing import Self

import msgspec

from processors.batch import DeadLetter, Decoded, Records
from processors.fold import LATE
from rules.action import Action


class Outcome(msgspec.Struct, frozen=True):
    """What one batch leads to; `changed_ids`, `rows`, `views` and `dues_ms` are parallel."""

    changed_ids: list[str]
    rows: list[bytes]
    views: list[bytes]
    dues_ms: list[int]  # when the first timer of each is due; 0: none waits
    actions: list[Action]
    causes: list[
        int
    ]  # of each action, the number of the event; of a timer's, the event that waited for it
    dead: list[DeadLetter]  # the late ones; what could not be decoded is in Decoded.dead
    admitted: int
    duplicates: int
    late: int
    suppressed: int  # rules that would have fired but for a restraint
    stage_ns: tuple[int, ...]  # as in STAGES

    @classmethod
    def empty(cls, stages: int) -> Self:
        """Of a batch without events."""
        return cls([], [], [], [], [], [], [], 0, 0, 0, 0, (0,) * stages)

    def later(self, start: int) -> Self:
        """The outcome of a part that begins at event `start` of the batch."""
        if not start:
            return self
        return self.caused_by(range(start, start + 1 + max(self.causes, default=0)))

    def caused_by(self, places: Sequence[int]) -> Self:
        """The same, with causes that are numbers of other events: those at these places."""
        return msgspec.structs.replace(self, causes=[places[each] for each in self.causes])

    @classmethod
    def of_rounds(cls, rounds: Sequence["Outcome"], stages: int) -> Self:
        """Of all rounds of a batch."""
        last = {
            customer_id: (each, place)
            for each in rounds
            for place, customer_id in enumerate(each.changed_ids)
        }
        return cls(
            list(last),
            [each.rows[place] for each, place in last.values()],
            [each.views[place] for each, place in last.values()],
            [each.dues_ms[place] for each, place in last.values()],
            [action for each in rounds for action in each.actions],
            [cause for each in rounds for cause in each.causes],
            [letter for each in rounds for letter in each.dead],
            admitted=sum(each.admitted for each in rounds),
            duplicates=sum(each.duplicates for each in rounds),
            late=sum(each.late for each in rounds),
            suppressed=sum(each.suppressed for each in rounds),
            stage_ns=tuple(sum(each.stage_ns[k] for each in rounds) for k in range(stages)),
        )


def late_letters(
    records: Records, decoded: Decoded, states: Sequence[int], now_ms: Sequence[int]
) -> list[DeadLetter]:
    """A dead letter for each event that came too late; `now_ms` is the customer's time by then."""
    letters = []
    for index, state in enumerate(states):
        if state != LATE:
            continue
        at = decoded.indexes[index]
        # By the newest event so far: by then the row may know of newer ones, if the batch has them.
        late_ms = int(now_ms[index]) - decoded.events[index].at_ms
        detail = (
            f"the event is {late_ms} ms older than the customer's newest; "
            "`lateness` in the model file says how much is allowed"
        )
        letters.append(
            DeadLetter(records.origin(at), records.values[at], "too_late", "at_ms", detail, None)
        )
    return letters
