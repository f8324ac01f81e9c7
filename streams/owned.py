"""An owned shard as the relay sees it: which outbox entries are open, and what is to be recorded.

Promise   An entry is settled only together with, or after, the records of all of its actions; the
          cursor passes only what is settled.
How       Plain bookkeeping, without input or output. A write is made from `changes`, and `written`
          is told when it is stored; in between more may happen, also to the same deliveries.
Limits    UNWRITTEN_MAX deliveries to be recorded; above that nothing more is taken.
Not here  Storing (receipts.py). Delivering (relay.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from streams.delivery import Delivery
from streams.receipts import WAITING_MAX, WRITE_MAX, Changes, LaneState, Mark, Survey, is_settled

UNWRITTEN_MAX: Final = 2_000


_sessions = count(1)  # books of one owner are told apart


@dataclass(slots=True, eq=False)
class Parcel:
    """A delivery in our hands, and where it came from."""

    shard: "OwnedShard"
    sequence: int | None  # the outbox entry that it keeps open; None: it came from what waits
    delivery: Delivery
    taken_ms: int
    body: bytes | None = None  # made at the first attempt
    is_noted: bool = False  # recorded as pending, so that people see it


class OwnedShard:
    def __init__(self, number: int, nonce: str, last: int) -> None:
        """Begin with an unknown cursor: all is to be recovered up to sequence `last`."""
        self.session = f"{nonce}.{next(_sessions)}"
        self._tried = 0  # writes
        self.known = (
            0  # the last of them that is known to be stored; 0: the beginning of the session
        )
        self.number = number
        self.nonce = nonce
        self.last = last  # the newest sequence that we know of
        self.taken: int | None = None  # up to which entries are in our hands or settled
        self.held: dict[str, Parcel] = {}
        self.waiting_count = 0
        self.lanes: dict[str, LaneState] = {}  # as they are stored
        self._open: dict[int, set[str]] = {}  # by sequence, rising: actions not yet settled
        self._unwritten: dict[str, Parcel] = {}
        self._settled: list[int] = []

    @property
    def is_behind(self) -> bool:
        """Whether entries wait in Redis that we have not taken."""
        return self.taken is None or self.taken < self.last

    @property
    def is_full(self) -> bool:
        return len(self._unwritten) >= UNWRITTEN_MAX or self.waiting_count >= WAITING_MAX

    def held_of_waiting(self, lane: str) -> int:
        """How many deliveries of a lane are in our hands, and still wait as far as Redis knows."""
        return sum(
            parcel.sequence is None and parcel.delivery.lane == lane
            for parcel in self.held.values()
        )

    def surveyed(self, survey: Survey, before: Mapping[str, LaneState]) -> list[str]:
        """Learn what a survey has found that was begun when `before` was stored about lanes.

        Answers the lanes that somebody else has enabled: stored as disabled then, and not now.
        """
        self.waiting_count = survey.waiting_count
        self.lanes = dict(survey.states)
        return [
            name
            for name, state in survey.states.items()
            if name in before and before[name].disabled and not state.disabled
        ]

    def idle_lanes(self, survey: Survey) -> set[str]:
        """Lanes about which nothing is worth keeping: nothing waits for them, and they do not fail."""
        well = {
            name
            for name, state in survey.states.items()
            if not state.disabled and state.failing_since_ms is None
        }
        return well - survey.first_due_ms.keys()

    def take(self, sequence: int, ids: Sequence[str]) -> None:
        """An entry is in our hands; these actions of it are to be delivered."""
        self.taken = max(self.taken or 0, sequence)
        if ids:
            self._open[sequence] = set(ids)
        else:
            self._settled.append(sequence)

    def record(self, parcel: Parcel, delivery: Delivery) -> None:
        parcel.delivery = delivery
        self._unwritten[delivery.id] = parcel

    def changes(self, lanes: dict[str, LaneState]) -> tuple[Changes, list[Parcel]]:
        """What to write next, and the parcels whose deliveries these are."""
        parcels = list(self._unwritten.values())[:WRITE_MAX]
        deliveries = [parcel.delivery for parcel in parcels]
        closing: dict[int, set[str]] = {}
        for parcel in parcels:
            if parcel.sequence is not None and is_settled(parcel.delivery):
                closing.setdefault(parcel.sequence, set()).add(parcel.delivery.id)
        settled = [each for each, ids in closing.items() if self._open.get(each) == ids]
        settled += self._settled[:WRITE_MAX]
        done = set(settled)
        left = [each for each in (*self._open, *self._settled) if each not in done]
        cursor = min(left, default=(self.taken or 0) + 1) - 1
        new = {name: state for name, state in lanes.items() if self.lanes.get(name) != state}
        self._tried += 1
        mark = Mark(self.session, self._tried, self.known)
        return Changes(deliveries, settled, cursor, new, mark), parcels

    def has_lost(self, survey: Survey, known: int) -> bool:
        """Whether Redis lacks write `known`, which was known to be stored when the survey was begun."""
        session, number = survey.marked or ("", 0)
        return session != self.session or number < known

    def written(self, changes: Changes, parcels: Sequence[Parcel], waiting_count: int) -> None:
        """The changes are stored."""
        assert changes.mark is not None, "`changes` has made them"
        self.known = changes.mark.number
        self.waiting_count = waiting_count
        self.lanes.update(changes.lanes)
        done = set(changes.settled)
        self._settled = [each for each in self._settled if each not in done]
        for parcel, delivery in zip(parcels, changes.deliveries, strict=True):
            if parcel.delivery is not delivery:
                continue  # went on meanwhile, and is to be written again
            del self._unwritten[delivery.id]
            if is_settled(delivery):
                self._close(parcel, delivery.id)

    def _close(self, parcel: Parcel, action_id: str) -> None:
        del self.held[action_id]
        if parcel.sequence is None:
            return
        ids = self._open[parcel.sequence]
        ids.remove(action_id)
        if not ids:
            del self._open[parcel.sequence]
