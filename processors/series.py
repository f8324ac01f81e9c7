"""What is unusual in one series of numbers: values that break out of all that was before.

Promise   A value is judged by what came before it alone, then learnt. The same decisions for a·x + b (a not
          0), and for times shifted by whole weeks. One alert an episode. A row of STATE_BYTES holds it all:
          packed and unpacked, the decisions are the same to the last bit.
How       Nine statistics u_k of the values so far (STATISTICS); each has two boxes of its own past, before
          the value: one for ever, and a narrow one that shrinks to the mean of u_k by SHRINK a row. With e
          and f what stands out of them, in widths of the box, at most EXCESS_MAX:
              s = mean over k of  √min(1, n/8000) · ln(1 + e_k/.03) + .25 · ln(1 + f_k/.3)
          s counts when it is larger than every s of the last SHADOW rows, and LOUDER times as large as the
          last that counted in them: so a growing outage does not alert row by row.
Source    Ours; records of bounded statistics. Held to the Numenta Anomaly Benchmark: docs/scores.md.
Limits    Rows, not time: nothing is filled into a gap. A value that is missing (NaN, infinite) is not learnt
          and scores 0; what is beyond ±VALUE_MAX is taken as that. Time only chooses the hour's slot, so it
          may go back. The first WARM_UP rows of a statistic are learnt only. Odd shapes inside the known
          range are not seen. A spread below ROUNDING of the level is rounding, and no spread.
Not here  What is said of a value (series_judged.py). A customer's own habits, in kernels (anomaly.py).
"""

import math
import struct
from bisect import bisect_left, insort
from itertools import pairwise
from typing import Final, Self

from processors.series_judged import ALERT_FROM, NOTHING, Breakout, Judged

VALUE_MAX: Final = 1e100  # sums of 50, and squares of none, stay finite
SHADOW: Final = 100
LOUDER: Final = 1.5
SHRINK: Final = 1.0 - 2.0 ** (-1.0 / 1000.0)
EXCESS_MAX: Final = 50.0
ROUNDING: Final = 1e-9

# By statistic: the first row it is whole in, and the rows before its boxes are believed.
START: Final = (0, 11, 49, 10, 0, 0, 0, 23, 24)
WARM_UP: Final = (50, 62, 100, 61, 50, 300, 300, 74, 74)
LONG_TERM: Final = 7  # the statistic without a unit
KNOWN: Final = 500  # a box's mean is plain for so many rows, then decays
SETTLED: Final = KNOWN + max(START)  # from here on all gains are 1/KNOWN
GAINS: Final = (1.0 / KNOWN,) * len(START)

AVERAGE_GAIN: Final = 1.0 - 2.0 ** (-1.0 / 50.0)
LEVEL_GAIN: Final = 0.0005
LEVEL_PLAIN: Final = 30  # rows whose level and spread are plain means
SLOT_GAINS: Final = (1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 0.15)  # by how often the slot was seen
HOURS_DAY: Final = 24
HOURS_WEEK: Final = 168
WINDOW: Final = 50
LATELY: Final = 24

# rows, row of the last that counted, lengths of values, distances, shadow; then what they are the lengths of
_STATE: Final = struct.Struct(
    f"<QqBBB{HOURS_WEEK + HOURS_DAY}B{SHADOW}B"
    f"{HOURS_WEEK + HOURS_DAY}d{5 * len(START)}d4d{WINDOW}d{LATELY}d{SHADOW}d"
)
STATE_BYTES: Final = _STATE.size
STATE_BYTES_MAX: Final = 4096
assert STATE_BYTES <= STATE_BYTES_MAX
assert max(START) < WINDOW <= min(WARM_UP)
assert SHADOW < 2**8  # an age is a byte


class Series:
    """One series: its bounded memory, and `update` for one value.

    `rows` is the number of values learnt. `line` is the score from which a value is an alert.
    """

    __slots__ = (
        *("rows", "line", "_values", "_middle", "_steps", "_distances", "_hours", "_seen"),
        *("_average", "_level", "_spread", "_boxes", "_shadow", "_counted", "_counted_row"),
    )

    def __init__(self, line: float = ALERT_FROM) -> None:
        if not 0.0 < line < math.inf:
            raise ValueError(f"line must be a positive number, got {line}")
        self.rows = 0
        self.line = line
        self._values: list[float] = []  # the last WINDOW
        self._middle: list[float] = []  # the last 11, sorted
        self._steps: list[float] = []  # the last LATELY |x − the one before|
        self._distances: list[float] = []  # the last LATELY asinh((x − level)/spread)
        self._hours = [0.0] * (
            HOURS_WEEK + HOURS_DAY
        )  # what is usual, by hour of week, then of day
        self._seen = bytearray(HOURS_WEEK + HOURS_DAY)  # how often, to where it stops to matter
        self._average = 0.0
        self._level = 0.0
        self._spread = 0.0
        self._boxes = [(0.0, 0.0, 0.0, 0.0, 0.0)] * len(START)  # lo, hi, low, high, mean
        self._shadow: list[tuple[int, float]] = []  # (row, s), newest last, s falling
        self._counted = 0.0
        self._counted_row = -SHADOW - 1

    def update(self, value: float, at_s: float) -> Judged:
        """Judge a value, then learn it.

        Args:
            value: in any unit, always the same.
            at_s: seconds since 1970; its hour of day and of week are those of UTC.

        Raises:
            ValueError: `at_s` is no finite number.
        """
        if not math.isfinite(at_s):
            raise ValueError(f"at_s must be a finite number of seconds, got {at_s}")
        hour = int(at_s // 3600.0) % HOURS_WEEK
        if not -VALUE_MAX <= value <= VALUE_MAX:
            if not math.isfinite(value):
                return NOTHING
            value = math.copysign(VALUE_MAX, value)
        row = self.rows
        score, top = self._broken(row, self._learnt(row, float(value), hour))
        self.rows = row + 1
        if top is None or not self._counts(row, score):
            return NOTHING
        return Judged(score, score / (score + self.line), score >= self.line, top)

    def _learnt(self, row: int, value: float, hour: int) -> tuple[float, ...]:
        """The nine statistics with this value, which is learnt."""
        values, middle, steps = self._values, self._middle, self._steps
        if row:
            steps.append(abs(value - values[-1]))
            if row > LATELY:
                del steps[0]
        else:
            self._average = self._level = value
        values.append(value)
        if row >= WINDOW:
            del values[0]
        insort(middle, value)
        if row > START[3]:
            del middle[bisect_left(middle, values[-12])]
        average, level, spread = self._average, self._level, self._spread
        from_level = value - level
        distances = self._distances
        distances.append(math.asinh(from_level / spread) if spread else 0.0)
        if row >= LATELY:
            del distances[0]
        self._average = average + max(AVERAGE_GAIN, 1.0 / (row + 2)) * (value - average)
        self._follow(row, from_level, level, spread)
        return (
            value,
            sum(values[-12:]) / 12.0,
            sum(values) / WINDOW,
            middle[len(middle) // 2],
            value - average,
            self._unusual(HOURS_WEEK + hour % HOURS_DAY, value),
            self._unusual(hour, value),
            sum(distances) / LATELY,
            sum(steps) / LATELY,
        )

    def _follow(self, row: int, from_level: float, level: float, spread: float) -> None:
        """Move level and spread slowly; one wild value moves them as five and two spreads do."""
        gain = 1.0 / (row + 1) if row < 1.0 / LEVEL_GAIN else LEVEL_GAIN
        far = abs(from_level)
        if row >= LEVEL_PLAIN and spread and far > 2.0 * spread:
            from_level = math.copysign(2.0 * spread, from_level)
            far = min(far, 5.0 * spread)
        self._level = level + gain * from_level
        self._spread = spread + gain * (far - spread)

    def _unusual(self, slot: int, value: float) -> float:
        """How far the value is from what is usual in this slot, which learns it; 0 the first time."""
        seen = self._seen[slot]
        if not seen:
            self._seen[slot] = 1
            self._hours[slot] = value
            return 0.0
        distance = value - self._hours[slot]
        self._hours[slot] += SLOT_GAINS[seen] * distance
        if seen < len(SLOT_GAINS) - 1:
            self._seen[slot] = seen + 1
        return distance

    def _broken(self, row: int, statistics: tuple[float, ...]) -> tuple[float, Breakout | None]:
        """s, and what made the most of it; the boxes learn."""
        boxes = self._boxes
        gains: tuple[float, ...] = GAINS
        if row < SETTLED:
            gains = tuple(1.0 / min(max(row - start, 0) + 1, KNOWN) for start in START)
            for k, start in enumerate(START):
                if row <= start:
                    boxes[k] = (statistics[k],) * 5
        total = most = 0.0
        top: Breakout | None = None
        k = 0
        for value, gain, (lo, hi, low, high, mean) in zip(statistics, gains, boxes, strict=True):
            if value > high or value < low:
                if row >= WARM_UP[k]:
                    part = self._part(row, k, value)
                    total += part
                    if part > most:
                        most = part
                        ever = value > hi or value < lo
                        border = (hi if ever else high) if value > high else lo if ever else low
                        top = Breakout(k, value, border, ever)
                if value > high:
                    high = value  # noqa: PLW2901  the box of this round, written below
                    hi = max(hi, value)  # noqa: PLW2901  as above
                else:
                    low = value  # noqa: PLW2901  as above
                    lo = min(lo, value)  # noqa: PLW2901  as above
            mean += (value - mean) * gain  # noqa: PLW2901  as above
            boxes[k] = (lo, hi, low + (mean - low) * SHRINK, high + (mean - high) * SHRINK, mean)
            k += 1  # noqa: SIM113  a third cheaper than unpacking enumerate's pairs
        return total / len(START), top

    def _part(self, row: int, k: int, value: float) -> float:
        """What statistic k adds to the sum, before its boxes learn the value."""
        lo, hi, low, high, _ = self._boxes[k]
        least, most = self._boxes[0][:2]
        floor = ROUNDING if k == LONG_TERM else ROUNDING * (abs(least) + abs(most))
        part = 0.25 * math.log1p(_excess(value, low, high, floor) / 0.3)
        if value > hi or value < lo:
            known = math.sqrt(min(1.0, row / 8000.0))
            part += known * math.log1p(_excess(value, lo, hi, floor) / 0.03)
        return part

    def _counts(self, row: int, score: float) -> bool:
        """Whether the score is out of the shadow of those before; the shadow takes it up."""
        shadow = self._shadow
        while shadow and row - shadow[0][0] > SHADOW:
            del shadow[0]
        loudest = shadow[0][1] if shadow else 0.0
        while shadow and shadow[-1][1] <= score:
            del shadow[-1]
        shadow.append((row, score))
        if len(shadow) > SHADOW:
            del shadow[0]
        is_near = row - self._counted_row <= SHADOW
        if score <= loudest or (is_near and score <= LOUDER * self._counted):
            return False
        self._counted, self._counted_row = score, row
        return True

    def pack(self) -> bytes:
        """Everything but the line: STATE_BYTES bytes."""
        shadow = [each for each in self._shadow if self.rows - each[0] <= SHADOW]
        missing = [0.0] * SHADOW
        return _STATE.pack(
            *(self.rows, self._counted_row),
            *(len(self._values), len(self._distances), len(shadow)),
            *self._seen,
            *([self.rows - row for row, _ in shadow] + [0] * SHADOW)[:SHADOW],
            *self._hours,
            *(number for box in self._boxes for number in box),
            *(self._average, self._level, self._spread, self._counted),
            *(self._values + missing)[:WINDOW],
            *(self._distances + missing)[:LATELY],
            *([score for _, score in shadow] + missing)[:SHADOW],
        )

    @classmethod
    def unpack(cls, packed: bytes, line: float = ALERT_FROM) -> Self:
        """What `pack` has packed.

        Raises:
            ValueError: it is not STATE_BYTES long.
        """
        if len(packed) != STATE_BYTES:
            raise ValueError(f"a series is packed in {STATE_BYTES} bytes, got {len(packed)}")
        read = iter(_STATE.unpack(packed))

        def some(count: int) -> list[float]:
            return [next(read) for _ in range(count)]

        series = cls(line)
        series.rows, series._counted_row, values, distances, shadow = (next(read) for _ in range(5))
        series._seen = bytearray(next(read) for _ in range(HOURS_WEEK + HOURS_DAY))
        ages = [next(read) for _ in range(SHADOW)]
        series._hours = some(HOURS_WEEK + HOURS_DAY)
        numbers = iter(some(5 * len(START)))
        series._boxes = list(zip(*[numbers] * 5, strict=True))
        series._average, series._level, series._spread, series._counted = some(4)
        series._values = last = some(WINDOW)[:values]
        series._distances = some(LATELY)[:distances]
        heard = [(series.rows - age, s) for age, s in zip(ages, some(SHADOW), strict=True)]
        series._shadow = heard[:shadow]
        series._middle = sorted(last[-11:])
        series._steps = [abs(b - a) for a, b in pairwise(last)][-LATELY:]
        return series


def _excess(value: float, lo: float, hi: float, floor: float) -> float:
    """How far the value is out of the box, in widths of it; in a box without width, EXCESS_MAX."""
    out = value - hi if value > hi else lo - value
    width = hi - lo + floor
    return EXCESS_MAX if out >= EXCESS_MAX * width else out / width
