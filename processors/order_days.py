"""Order days: when each customer ordered, and what a model of churn sees of that at a time.

Promise   One order per customer and day (UTC); the amounts of a day are summed, exactly and in any order of
          arrival. Nothing that lies after the cut is seen.
How       A customer's first order day begins the history. At a cut, in weeks:
              frequency x = order days − 1,  recency t_x = last − first,  age T = cut − first
          where the cut is the last day that counts. Money is that of the repeat days alone, as the
          spend models have it.
Limits    ORDER_DAYS_MAX; some 32 bytes a customer and day.
Not here  Which events are orders, and duplicates: who gathers has the engine admit them first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DAY_MS: Final = 86_400_000
WEEK_DAYS: Final = 7.0
MICRO: Final = 1_000_000  # amounts are summed in millionths
ORDER_DAYS_MAX: Final = 50_000_000  # 1.6 GB: what a machine that fits models has


class OrderDaysError(ValueError):
    """What was gathered cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What the models see: one row a customer, or one for all that are alike, with their number."""

    frequency: Floats  # x: repeat order days
    recency: Floats  # t_x: weeks from the first to the last order day
    age: Floats  # T: weeks from the first order day to the cut
    weight: Floats  # how many customers each row stands for

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def customers(self) -> float:
        return float(self.weight.sum())

    def silent(self, weeks: float) -> Self:
        """The same customers so much later, with no order since."""
        return replace(self, age=self.age + weeks)

    def grouped(self) -> tuple[Self, Integers]:
        """Equal (x, t_x, T) as one row, and for each row of this where that is.

        >>> summary = Summary(*(np.array(each, float) for each in ([1, 1], [2, 2], [5, 5], [1, 1])))
        >>> one, places = summary.grouped()
        >>> one.weight.tolist(), places.tolist()
        ([2.0], [0, 0])
        """
        rows = np.stack([self.frequency, self.recency, self.age], axis=1)
        distinct, places = np.unique(rows, axis=0, return_inverse=True)
        places = places.reshape(-1).astype(np.int64)
        weight = np.zeros(len(distinct))
        np.add.at(weight, places, self.weight)
        return type(self)(distinct[:, 0], distinct[:, 1], distinct[:, 2], weight), places


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Customers known at a cut, with what is left aside by the models of time."""

    customer: Integers  # number in OrderDays.customers, ascending
    summary: Summary
    spend: Floats  # mean amount of a repeat order day; 0 where there is none
    log_gaps: float  # Σ ln of the weeks between neighbouring order days, over all customers


@dataclass(frozen=True, slots=True, eq=False)
class OrderDays:
    """All order days, sorted by customer and day; each pair of them once."""

    customers: tuple[str, ...]
    customer: Integers  # number in `customers`
    day: Integers  # since 1970-01-01
    micros: Integers  # amount of the day in millionths

    @classmethod
    def gather(
        cls, customer_ids: Sequence[str], at_ms: npt.ArrayLike, amounts: npt.ArrayLike
    ) -> Self:
        """Order days of these orders, which may come in any order; a missing amount counts as 0.

        Raises:
            OrderDaysError: There are none, or more than ORDER_DAYS_MAX.
        """
        if not customer_ids:
            raise OrderDaysError(
                "there are no orders: check that the source has events order.placed"
            )
        if len(customer_ids) > ORDER_DAYS_MAX:
            raise OrderDaysError(
                f"there are {len(customer_ids):,} orders, at most {ORDER_DAYS_MAX:,} are taken:"
                " give a shorter time, or a sample of the customers"
            )
        names, number = np.unique(np.array(customer_ids, dtype=object), return_inverse=True)
        day = np.asarray(at_ms, dtype=np.int64) // DAY_MS
        money = np.nan_to_num(np.asarray(amounts, dtype=np.float64))
        micros = np.rint(money * MICRO).astype(np.int64)
        order = np.lexsort((day, number))
        number, day, micros = number[order].astype(np.int64), day[order], micros[order]
        new = np.ones(len(day), dtype=np.bool_)
        new[1:] = (np.diff(number) != 0) | (np.diff(day) != 0)
        first = np.flatnonzero(new)
        summed = np.add.reduceat(micros, first)
        return cls(tuple(names.tolist()), number[first], day[first], summed)

    def until(self, last_day: int) -> tuple[Self, Integers, Integers]:
        """The order days up to `last_day`; where each customer's begin, and how many they are.

        Raises:
            OrderDaysError: There are none.
        """
        seen = self.day <= last_day
        if not seen.any():
            raise OrderDaysError(f"nobody had ordered by day {last_day} (since 1970): cut later")
        number = self.customer[seen]
        first = np.flatnonzero(np.append(True, np.diff(number) != 0))
        count = np.diff(np.append(first, len(number)))
        until = replace(self, customer=number, day=self.day[seen], micros=self.micros[seen])
        return until, first, count

    def history(self, last_day: int) -> History:
        """What is known at the end of `last_day` of the customers who have ordered by then.

        Raises:
            OrderDaysError: Nobody has.
        """
        until, first, count = self.until(last_day)
        number, day, micros = until.customer, until.day, until.micros
        last = first + count - 1
        repeats = (count - 1).astype(np.float64)
        money = (np.add.reduceat(micros, first) - micros[first]) / MICRO
        gaps = np.diff(day)[np.diff(number) == 0] / WEEK_DAYS
        summary = Summary(
            frequency=repeats,
            recency=(day[last] - day[first]) / WEEK_DAYS,
            age=(last_day - day[first]) / WEEK_DAYS,
            weight=np.ones(len(first)),
        )
        spend = np.divide(money, repeats, out=np.zeros_like(money), where=repeats > 0)
        return History(number[first], summary, spend, float(np.log(gaps).sum()))

    def orders_between(self, after_day: int, last_day: int) -> Integers:
        """Each customer's order days after `after_day`, up to and with `last_day`."""
        within = (self.day > after_day) & (self.day <= last_day)
        return np.bincount(self.customer[within], minlength=len(self.customers)).astype(np.int64)
