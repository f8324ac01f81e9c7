"""What is said of one value of a series: how far it broke out, and in which way, in words.

Promise   A judgement names the statistic that broke out the furthest, and the border that it broke.
Not here  How values are judged (series.py).
"""

from dataclasses import dataclass
from typing import Final

ALERT_FROM: Final = 0.0836  # chosen for most found, by `rapport judge nab`; docs/scores.md
ALERT_FROM_RARELY: Final = 0.127  # the same for few false alarms

STATISTICS: Final = (  # in the order of Series; each: what it is, in words
    "the value",
    "the mean of the last 12 values",
    "the mean of the last 50 values",
    "the median of the last 11 values",
    "the distance from the moving average",
    "the distance from what is usual at this hour of the day",
    "the distance from what is usual at this hour of the week",
    "the mean of the last 24 distances from the long-term level",
    "the mean of the last 24 steps",
)


@dataclass(frozen=True, slots=True)
class Breakout:
    """The statistic that says most, and the border that it broke.

    `value` and `border` are in the unit of the values, but for the long-term distances, which have none.
    """

    statistic: int  # of STATISTICS
    value: float
    border: float
    ever: bool  # the border of the whole past; else of the recent past

    def words(self) -> str:
        """As a sentence's end.

        >>> Breakout(1, 21.5, 14.0, ever=True).words()
        'the mean of the last 12 values is 21.5, above all before (14)'
        """
        side = "above" if self.value > self.border else "below"
        past = "all before" if self.ever else "all of late"
        return (
            f"{STATISTICS[self.statistic]} is {self.value:.6g}, {side} {past} ({self.border:.6g})"
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """One value, judged before it was learnt.

    `score` is 0 while nothing breaks out, and in the shadow of what was louder. `p` is score/(score + line),
    so .5 at the alert line whatever the series; it is no probability.
    """

    score: float
    p: float
    is_alert: bool
    breakout: Breakout | None  # None exactly where score is 0

    @property
    def reason(self) -> str:
        """Why, in words; empty where the score is 0."""
        return "" if self.breakout is None else self.breakout.words()


NOTHING: Final = Judged(0.0, 0.0, is_alert=False, breakout=None)
