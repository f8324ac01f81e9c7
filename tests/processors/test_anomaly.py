"""Anomalies against their definition, and what an analyst expects of an alarm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.event import Event
from processors.model import Detector
from processors.model_file import default_model, parse
from tests.processors.models import model_text
from tests.processors.scoring import DAY_MS, START_MS, Scorer, event

HOUR_MS = 3_600_000


@cache
def scorer() -> Scorer:
    return Scorer()


def detector(name: str) -> Detector:
    return next(each for each in default_model().detectors if each.name == name)


@dataclass
class Habit:
    """The definition of anomaly.py, slowly: weighted observations, kept one by one."""

    detector: Detector
    observed: list[tuple[int, float]]  # time, what was learnt
    alerted_ms: int | None = None

    def moments(self) -> tuple[float, float, float]:
        """Weight, mean and squared deviations at the time of the last observation."""
        last_ms = self.observed[-1][0]
        weights = [2 ** ((at - last_ms) / self.detector.half_life_ms) for at, _ in self.observed]
        values = [value for _, value in self.observed]
        weight = math.fsum(weights)
        mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / weight
        spread = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
        return weight, mean, spread

    def scale(self) -> float:
        d = self.detector
        weight, mean, spread = self.moments()
        presumed = d.presumed_weight * (d.presumed_spread * mean) ** 2
        deviation = math.sqrt((spread + presumed) / (weight + d.presumed_weight))
        return max(deviation, d.floor_absolute, d.floor_relative * abs(mean))

    def z(self, value: float) -> float:
        if len(self.observed) < self.detector.history_min:
            return math.nan
        return (value - self.moments()[1]) / self.scale()

    def alert(self, z: float, at_ms: int) -> bool:
        quiet = self.alerted_ms is not None and at_ms - self.alerted_ms < self.detector.cool_down_ms
        if not z >= self.detector.alert or quiet:
            return False
        self.alerted_ms = at_ms
        return True

    def learn(self, value: float, at_ms: int) -> None:
        if len(self.observed) >= 3:
            mean, reach = self.moments()[1], self.detector.clip * self.scale()
            value = min(max(value, mean - reach), mean + reach)
        self.observed.append((at_ms, value))


def orders(amounts: Sequence[float], gap_ms: int = 2 * DAY_MS) -> list[Event]:
    return [
        event("order.placed", START_MS + k * gap_ms, key=str(k), amount=amount)
        for k, amount in enumerate(amounts)
    ]


def clicks(counts: Sequence[int]) -> list[Event]:
    """So many events on each day, a minute apart."""
    return [
        event("click.view", START_MS + day * DAY_MS + k * 60_000)
        for day, count in enumerate(counts)
        for k in range(count)
    ]


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 200)), min_size=1, max_size=40))
def test_amounts_are_judged_as_the_definition_says(paid: list[tuple[float, int]]) -> None:
    """The kernel keeps four numbers where the definition keeps the whole history."""
    habit = Habit(detector("amount"), [])
    at_ms, events = START_MS, []
    for index, (amount, hours) in enumerate(paid):
        at_ms += hours * HOUR_MS
        events.append(event("order.placed", at_ms, key=str(index), amount=amount))
    scored = scorer().score(events)

    for index, each in enumerate(events):
        z = habit.z(each.amount or 0.0)
        assert scored.columns["anomaly.amount"][index] == pytest.approx(
            z, rel=1e-6, abs=1e-6, nan_ok=True
        )
        if math.isnan(z) or abs(z - habit.detector.alert) > 1e-6:
            alert = habit.alert(z, each.at_ms)
            assert scored.columns["anomaly.amount.alert"][index] == alert
        habit.learn(each.amount or 0.0, each.at_ms)


@pytest.mark.slow
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_activity_is_judged_as_the_definition_says(counts: list[int]) -> None:
    """Each period is learnt when the next one begins, and compared from its first event on."""
    habit = Habit(detector("activity"), [])
    events = clicks(counts)
    scored = scorer().score(events)

    index = 0
    for day, count in enumerate(counts):
        if day > 0:
            habit.learn(counts[day - 1], START_MS + day * DAY_MS)
        for running in range(1, count + 1):
            z = habit.z(running)
            wanted = z if math.isnan(z) else max(z, 0.0)
            assert scored.columns["anomaly.activity"][index] == pytest.approx(
                wanted, rel=1e-6, abs=1e-6, nan_ok=True
            )
            index += 1
    assert index == len(events)


@pytest.mark.slow
@given(st.data())
def test_anomalies_do_not_depend_on_where_batches_are_cut(data: st.DataObject) -> None:
    """An alarm that depends on batch sizes cannot be replayed."""
    events = orders(data.draw(st.lists(st.floats(0, 500), min_size=2, max_size=30)))
    cuts = data.draw(st.lists(st.integers(1, 30), max_size=5))
    whole, cut = scorer().score(events), scorer().score(events, cuts)

    for name in ("anomaly.amount", "anomaly.amount.alert", "anomaly.activity"):
        np.testing.assert_array_equal(cut.columns[name], whole.columns[name])
    assert cut.views == whole.views


def test_one_outlier_does_not_hide_the_next() -> None:
    """A plain mean would take the first theft for the new normal."""
    scored = scorer().score(orders([20, 25, 22, 18, 21, 24, 900, 22, 900]))
    alerts = scored.columns["anomaly.amount.alert"]

    assert alerts.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 1]


def test_a_new_level_is_accepted_in_time() -> None:
    """Who moved from small to large orders for good is not an anomaly for ever."""
    scored = scorer().score(orders([20] * 10 + [100] * 25))
    alerts = scored.columns["anomaly.amount.alert"]

    assert alerts[10] == 1
    assert alerts[-10:].tolist() == [0] * 10
    assert abs(scored.last("anomaly.amount")) < 2


def test_short_history_raises_no_alarm() -> None:
    """The second order of a new customer is not unusual, whatever its size."""
    scored = scorer().score(orders([10, 10_000, 10, 5_000]))

    assert np.isnan(scored.columns["anomaly.amount"]).all()
    assert scored.columns["anomaly.amount.alert"].tolist() == [0] * 4


def test_an_even_history_still_has_a_scale() -> None:
    """A customer who always paid 20.00 may pay 22 without waking anybody: the floor of the scale."""
    scored = scorer().score(orders([20] * 30 + [22]))

    assert scored.last("anomaly.amount") < 1
    assert scored.last("anomaly.amount.alert") == 0


def test_an_episode_alerts_once() -> None:
    """Twenty alarms for one attack teach people to look away."""
    quiet = orders([20] * 10)
    end_ms = quiet[-1].at_ms
    attack = [
        event("order.placed", end_ms + DAY_MS + k * HOUR_MS, key=str(k), amount=300)
        for k in range(5)
    ]
    scored = scorer().score([*quiet, *attack])

    assert scored.columns["anomaly.amount.alert"].sum() == 1
    assert scored.columns["anomaly.amount"][10] > 4


def test_low_amounts_matter_only_where_the_model_says_so() -> None:
    """A test payment of cents is a signal to some, noise to others."""
    amounts = [100.0] * 30 + [1.0]
    high = parse(model_text(alert="=2"))
    both = parse(model_text(alert="=2", sides="both"))

    assert Scorer(high).score(orders(amounts)).last("anomaly.amount.alert") == 0
    assert Scorer(both).score(orders(amounts)).last("anomaly.amount.alert") == 1


def test_a_burst_of_activity_alerts_while_it_lasts() -> None:
    """Waiting for the day to end would be a day too late."""
    scored = scorer().score(clicks([6, 8, 5, 7, 6, 9, 6, 200]))
    alerts = np.flatnonzero(scored.columns["anomaly.activity.alert"])
    first = sum([6, 8, 5, 7, 6, 9, 6])

    assert len(alerts) == 1
    assert first < alerts[0] < first + 50


def test_a_session_across_midnight_is_one() -> None:
    """Periods begin with the customer, not with the calendar, so no hour of the day is special."""
    shifted = [
        event("click.view", each.at_ms + 11 * HOUR_MS, key="s")
        for each in clicks([5, 30, 7, 8, 6, 40])
    ]
    np.testing.assert_array_equal(
        scorer().score(shifted).columns["anomaly.activity"],
        scorer().score(clicks([5, 30, 7, 8, 6, 40])).columns["anomaly.activity"],
    )


def test_scores_do_not_depend_on_the_currency() -> None:
    """Above the absolute floor, ten times the amounts are ten times the scale."""
    amounts = [200, 250, 220, 180, 210, 240, 900, 300]
    once = scorer().score(orders(amounts)).columns["anomaly.amount"]
    tenfold = scorer().score(orders([10 * each for each in amounts])).columns["anomaly.amount"]

    np.testing.assert_allclose(tenfold, once, rtol=1e-9)


def test_other_events_have_no_score() -> None:
    """A rule on anomaly.amount must not fire again at the click after the order."""
    scored = scorer().score([*orders([20] * 6), event("customer.consent", START_MS + 99 * DAY_MS)])

    assert math.isnan(scored.last("anomaly.amount"))
    assert math.isnan(scored.last("anomaly.activity"))
    assert scored.last("anomaly.amount.alert") == 0


def test_the_view_keeps_the_last_anomalies_and_no_more() -> None:
    """State of a customer is bounded, whatever the customer does."""
    events = orders([20.0] * 8 + [1000.0, 20.0, 20.0] * 7)
    scored = scorer().score(events)
    alerts = np.flatnonzero(scored.columns["anomaly.amount.alert"])
    kept = orjson.loads(scored.views["c"])["anomalies"]

    assert len(alerts) > default_model().anomalies_kept
    assert [each["at_ms"] for each in kept] == [events[k].at_ms for k in alerts[:-5:-1]]
    assert all(each["detector"] == "amount" for each in kept)
    assert all(each["value"] == 1000 and each["usual"] < 1000 and each["z"] >= 4 for each in kept)
