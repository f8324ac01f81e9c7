"""Aggregates: what a profile row remembers, and how it can be read.

Promise   The final state of an aggregate does not depend on the order in which its events arrive, within
          the lateness bound and rounding aside; all-zero columns mean "never happened".
How       Each kind has a fixed number of 8-byte words in the row (`words`), updated by fold.py.
          DECAY       value at `at`, halved every half-life (forward decay, Cormode et al., ICDE 2009)
          EVENTS      the newest `exact_events` events, sorted by time; older ones go into 13 tiles for
                      each window that is read. A window is exact while its oldest, partly covered tile
                      is empty; beyond that the tile counts by its covered share, and the error is at
                      most what is in that one tile (a twelfth of the window)
          TOTAL       count, and sum in millionths as an integer: exact, whatever the order; beyond
                      9.2e12 units it stays there (values of both signs may then differ by order)
          LAST FIRST MINIMUM MAXIMUM   value and time; ties go to the larger (FIRST, MINIMUM: smaller) value
          MOMENTS     weight, mean and squared deviations, decayed (West 1979, with forward decay)
          DISTINCT    when each of `buckets` hash buckets was last hit: linear counting (Whang et al., 1990)
                      over any window; standard error about 10 % at 30 values in 64 buckets
Limits    Lengths are bounded by the constants below.
Not here  The kernels (fold.py, readings.py). Asking for aggregates (plan.py).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

TILES: Final = 13  # twelve cover a window; the thirteenth is the one that it only partly covers
TILES_IN_WINDOW: Final = TILES - 1
MICRO: Final = 1_000_000  # TOTAL counts in millionths
TOTAL_MAX: Final = (
    9_200_000_000_000_000_000  # of them: just inside 64 bits, and a float has it exactly
)
EXACT_EVENTS_MAX: Final = 4096
WINDOW_MS_MIN: Final = 60_000
WINDOW_MS_MAX: Final = 366 * 86_400_000
BUCKETS_MAX: Final = 4096
BUCKETS: Final = 64  # of DISTINCT, when nothing else is asked for


class AggregateKind(IntEnum):
    """How events are kept; the numbers are the kernel's."""

    DECAY = 0
    EVENTS = 1
    TOTAL = 2
    LAST = 3
    FIRST = 4
    MINIMUM = 5
    MAXIMUM = 6
    MOMENTS = 7
    DISTINCT = 8


class Reading(IntEnum):
    """How an aggregate is read; the numbers are the kernel's."""

    COUNT = 0  # EVENTS (window), TOTAL
    SUM = 1  # EVENTS (window), TOTAL
    MEAN = 2  # EVENTS (window), TOTAL, MOMENTS; missing where there is nothing
    MIN = 3  # EVENTS (window); missing where there is nothing
    MAX = 4  # EVENTS (window)
    RATE = 5  # EVENTS (window): events a day
    APPROXIMATE = 6  # EVENTS (window), 1.0 where the count is no longer exact
    VALUE = 7  # DECAY (now), LAST, FIRST, MINIMUM, MAXIMUM
    SINCE = 8  # LAST, FIRST, MINIMUM, MAXIMUM: milliseconds since; missing where never
    DEVIATION = 9  # MOMENTS: standard deviation; missing where nothing has varied yet
    ZSCORE = 10  # MOMENTS: (value of this event - mean) / deviation; missing like DEVIATION
    DISTINCT = 11  # DISTINCT (window, or whole life where the window is 0)


_WINDOW = {
    Reading.COUNT,
    Reading.SUM,
    Reading.MEAN,
    Reading.MIN,
    Reading.MAX,
    Reading.RATE,
    Reading.APPROXIMATE,
}
_POINT = {Reading.VALUE, Reading.SINCE}
READINGS: Final[dict[AggregateKind, set[Reading]]] = {
    AggregateKind.DECAY: {Reading.VALUE},
    AggregateKind.EVENTS: _WINDOW,
    AggregateKind.TOTAL: {Reading.COUNT, Reading.SUM, Reading.MEAN},
    AggregateKind.LAST: _POINT,
    AggregateKind.FIRST: _POINT,
    AggregateKind.MINIMUM: _POINT,
    AggregateKind.MAXIMUM: _POINT,
    AggregateKind.MOMENTS: {Reading.MEAN, Reading.DEVIATION, Reading.ZSCORE},
    AggregateKind.DISTINCT: {Reading.DISTINCT},
}
_NUMBERS_OF: Final = {Reading.COUNT, Reading.SUM, Reading.RATE, Reading.APPROXIMATE}
ZERO_WHEN_EMPTY: Final[dict[AggregateKind, set[Reading]]] = {
    kind: readings & _NUMBERS_OF for kind, readings in READINGS.items()
} | {
    AggregateKind.DECAY: {Reading.VALUE},
    AggregateKind.DISTINCT: {Reading.DISTINCT},
}
"""What is 0 where nothing has happened yet; every other reading is then missing."""
_FIXED_WORDS: Final = {
    AggregateKind.DECAY: 2,  # at, value
    AggregateKind.TOTAL: 2,  # count, millionths
    AggregateKind.LAST: 2,  # at, value
    AggregateKind.FIRST: 2,
    AggregateKind.MINIMUM: 2,
    AggregateKind.MAXIMUM: 2,
    AggregateKind.MOMENTS: 4,  # at, weight, mean, squared deviations
}
HEADED: Final = {AggregateKind.EVENTS, AggregateKind.DISTINCT}
"""Kinds whose first word, which tells whether there is anything, stands apart from the rest: a row's
many empty windows are then passed over without touching their memory."""
COUNTS_ONLY, WITH_SUMS, WITH_EXTREMES = 1, 2, 4  # numbers a tile holds: what is read of it decides


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One thing to remember; two asks that are equal share their columns."""

    kind: AggregateKind
    where: int  # register: 1.0 for the events that count
    value: int  # register of the value, or -1 for "each event counts one"
    name: str  # canonical text: names the columns, so that state survives a reload
    half_life_ms: int = 0  # DECAY, MOMENTS
    size: int = 0  # EVENTS: exact events; DISTINCT: buckets

    @property
    def words(self) -> int:
        """Words in the row, without a head of its own and without the tiles of windows."""
        if self.kind == AggregateKind.EVENTS:
            return self.size * (1 if self.value < 0 else 2)  # times; values where there are any
        if self.kind == AggregateKind.DISTINCT:
            return self.size
        return _FIXED_WORDS[self.kind]
