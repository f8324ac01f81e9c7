"""Health against its definition, and the laws that people rely on when they act on it."""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.event import Event
from processors.health_score import BAND_AMBER, BAND_GREEN, NO_BAND, RED, next_band
from processors.model import Health
from processors.model_file import parse
from tests.processors.health_oracle import judge
from tests.processors.models import model_text
from tests.processors.scoring import DAY_MS, START_MS, Scorer, event

NAMES = (
    *("click.view", "click.view", "click.search", "click.add_to_cart", "click.remove_from_cart"),
    *("order.placed", "order.placed", "order.returned", "order.cancelled", "order.chargeback"),
    *("service.ticket_opened", "service.complaint", "service.reopened", "service.resolved"),
    *("service.csat", "service.nps", "service.contact", "customer.identify"),
)
SPAN_DAYS = 200


@cache
def scorer() -> Scorer:
    """The default model, but with room for any disorder."""
    return Scorer(parse(model_text(lateness="400d")))


@st.composite
def histories(draw: st.DrawFn, most: int = 40, customers: int = 1) -> list[Event]:
    """Events in order of time, of mixed kinds; complaints carry no sentiment."""
    times = draw(st.lists(st.integers(0, SPAN_DAYS * 24), min_size=1, max_size=most))
    events = []
    for index, hours in enumerate(sorted(times)):
        name = draw(st.sampled_from(NAMES))
        score = (
            draw(st.none() | st.integers(1, 5)) if name in {"service.csat", "service.nps"} else None
        )
        tone = draw(st.none() | st.floats(-1, 1)) if name == "service.contact" else None
        events.append(
            event(
                name,
                START_MS + hours * DAY_MS // 24,
                customer_id=f"c{draw(st.integers(1, customers))}",
                key=str(index),
                amount=10.0 if name.startswith("order") else None,
                score=score,
                sentiment=tone,
            )
        )
    return events


@pytest.mark.slow
@given(histories())
def test_health_is_what_its_definition_says(events: list[Event]) -> None:
    """The kernel is only as good as the formula that people read in the docs."""
    scored = scorer().score(events)

    for index in range(len(events)):
        wanted = judge(scorer().scores.model.health, events[: index + 1])
        got = {name: column[index] for name, column in scored.columns.items()}
        level = math.nan if wanted.level is None else wanted.level
        assert got["health"] == pytest.approx(level, rel=1e-9, nan_ok=True)
        assert got["health.confidence"] == pytest.approx(wanted.confidence, rel=1e-9)
        for component in scorer().scores.model.health.components:
            of_component = wanted.components.get(component.name, math.nan)
            name = f"health.{component.name}"
            assert got[name] == pytest.approx(of_component, rel=1e-9, abs=1e-9, nan_ok=True)
            for signal in component.signals:
                points = wanted.points.get(f"{component.name}.{signal.name}", 0.0)
                assert got[f"{name}.{signal.name}"] == pytest.approx(points, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@given(histories(), st.lists(st.integers(1, 40), max_size=5))
def test_health_does_not_depend_on_where_batches_are_cut(
    events: list[Event], cuts: list[int]
) -> None:
    """A rule that fires live must fire in a replay with other batches."""
    whole, cut = scorer().score(events), scorer().score(events, cuts)

    for name, column in whole.columns.items():
        np.testing.assert_array_equal(cut.columns[name], column, err_msg=name)
    assert cut.views == whole.views


@pytest.mark.slow
@given(st.data())
def test_level_and_confidence_do_not_depend_on_the_order_of_arrival(data: st.DataObject) -> None:
    """Kafka redelivers and phones reconnect; a score that depends on luck cannot be explained."""
    events = data.draw(histories())
    other = scorer().score(data.draw(st.permutations(events)))
    scored = scorer().score(events)

    assert other.last("health") == pytest.approx(scored.last("health"), rel=1e-9, nan_ok=True)
    assert other.last("health.confidence") == pytest.approx(scored.last("health.confidence"))


@pytest.mark.slow
@given(histories())
def test_level_stays_within_its_scale_and_adds_up(events: list[Event]) -> None:
    """0 to 100 is said in every payload, and reasons are only reasons if their points add up."""
    scored = scorer().score(events)
    health = scorer().scores.model.health
    points = [
        f"health.{each.component}.{each.signal.name}" for each in scorer().scores.health.places
    ]

    for index in range(len(events)):
        level = scored.columns["health"][index]
        if not math.isnan(level):
            base = judge(health, events[: index + 1]).base
            worth = [scored.columns[name][index] for name in points]
            assert 0 <= level <= 100
            assert level == pytest.approx(base + math.fsum(worth), abs=1e-9)
            assert max(abs(each) for each in worth) <= health.signal_points_max + 1e-9


@given(histories(), st.data())
def test_one_more_complaint_never_raises_health(events: list[Event], data: st.DataObject) -> None:
    """The one thing that everybody in the room expects of a health score."""
    newest_ms = max(each.at_ms for each in events)
    at_ms = data.draw(st.integers(START_MS, newest_ms))
    # As the first event it would lengthen the history, so the history begins with one of no weight.
    before = [event("customer.identify", START_MS, customer_id="c1"), *events]
    after = sorted(
        [*before, event("service.complaint", at_ms, customer_id="c1", key="more")],
        key=lambda e: e.at_ms,
    )
    level, lower = scorer().score(before).last("health"), scorer().score(after).last("health")

    assert math.isnan(level) or lower <= level + 1e-9


def test_nothing_known_is_no_health() -> None:
    """A customer who only signed up is neither healthy nor ill; rules on health must not fire."""
    scored = scorer().score([event("customer.identify", START_MS)])

    assert math.isnan(scored.last("health"))
    assert math.isnan(scored.last("health.trend"))
    assert scored.last("health.band") == NO_BAND
    assert scored.last("health.confidence") == 0
    assert scorer().texts["health.band"] == ("none", "red", "amber", "green")


def test_weights_renormalise_over_components_with_data() -> None:
    """A shop without usage data must not be held at the level that usage starts from."""
    scored = scorer().score([event("order.placed", START_MS, amount=5)])
    weights = {each.name: each.weight for each in scorer().scores.model.health.components}
    commerce, service = scored.last("health.commerce"), scored.last("health.service")
    known = weights["commerce"] + weights["service"]  # no complaint is data

    assert math.isnan(scored.last("health.usage"))
    assert scored.last("health") == pytest.approx(
        (weights["commerce"] * commerce + weights["service"] * service) / known
    )


def test_one_noisy_signal_does_not_decide() -> None:
    """A script that files a thousand complaints for one customer says one thing, not a thousand."""
    calm = [event("click.view", START_MS + k * DAY_MS, key=str(k)) for k in range(10)]
    noisy = [event("service.complaint", START_MS + 9 * DAY_MS, key=str(k)) for k in range(1000)]
    level = scorer().score(calm).last("health")
    scored = scorer().score([*calm, *noisy])
    limit = scorer().scores.model.health.signal_points_max

    assert scored.last("health.service.complaints") >= -limit - 1e-9
    assert level - limit - 1e-9 <= scored.last("health") < level


def test_an_angry_customer_turns_red_and_complaints_are_the_reason() -> None:
    """What the demo and every churn rule stand on."""
    loyal = [event("order.placed", START_MS + 20 * k * DAY_MS, amount=50) for k in range(8)]
    end_ms = loyal[-1].at_ms
    angry = [
        event("service.complaint", end_ms + 8 * DAY_MS),
        event("service.complaint", end_ms + 9 * DAY_MS),
        event("order.cancelled", end_ms + 9 * DAY_MS + 1, amount=50),
        event("service.csat", end_ms + 9 * DAY_MS + 2, score=1),
        event("service.complaint", end_ms + 10 * DAY_MS),
    ]
    scored = scorer().score([*loyal, *angry])
    reasons = scorer().texts["health.top_reason"]

    assert scored.columns["health.band"][7] == BAND_GREEN
    assert scored.last("health.band") == RED
    assert scored.last("health.trend") < -10
    assert reasons is not None
    assert reasons[int(scored.last("health.top_reason"))] == "complaints"


def test_trend_is_the_short_average_less_the_long_one() -> None:
    """A fall must show as negative, and a level that stays as nothing."""
    events = [event("order.placed", START_MS + k * DAY_MS, amount=5) for k in range(3)]
    events += [event("service.complaint", START_MS + (3 + k) * DAY_MS) for k in range(3)]
    scored = scorer().score(events)
    health: Health = scorer().scores.model.health
    averages = dict.fromkeys(
        (health.trend_short_ms, health.trend_long_ms), scored.columns["health"][0]
    )
    for half_life_ms in averages:
        for before in scored.columns["health"][:-1]:
            kept = 2 ** (-DAY_MS / half_life_ms)
            averages[half_life_ms] = averages[half_life_ms] * kept + before * (1 - kept)

    assert scored.columns["health.trend"][0] == 0
    assert scored.last("health.trend") < 0
    assert scored.last("health.trend") == pytest.approx(
        averages[health.trend_short_ms] - averages[health.trend_long_ms]
    )


def banding(dwell_ms: int = 0) -> Callable[[float, int], int]:
    """The band after each (level, time), for borders 50 and 75 and a margin of 2."""
    settings = np.zeros(12)
    settings[5:9] = [50, 75, 2, dwell_ms]
    row = np.zeros(2, dtype=np.int64)
    return lambda level, now_ms: int(next_band(level, row, now_ms, settings))


def test_the_first_band_is_the_plain_one() -> None:
    """Borders are [0, 50) red, [50, 75) amber, [75, 100] green."""
    assert [banding()(level, START_MS) for level in (0, 49.9, 50, 74.9, 75, 100)] == [
        *(RED, RED, BAND_AMBER, BAND_AMBER, BAND_GREEN, BAND_GREEN)
    ]


def test_a_band_is_left_only_beyond_the_margin() -> None:
    """A level that trembles around a border must not make a message each time."""
    band = banding()
    levels = [60, 49, 48.1, 47.9, 50, 51.9, 52, 76.9, 77, 74, 73, 72.9, 90, 10, 90]
    expected = [2, 2, 2, 1, 1, 1, 2, 2, 3, 3, 3, 2, 3, 1, 3]

    assert [band(level, START_MS + k) for k, level in enumerate(levels)] == expected


def test_a_band_stays_for_its_dwell() -> None:
    """However wild the level: at most one change a dwell time."""
    band = banding(dwell_ms=100)

    assert band(90, START_MS) == BAND_GREEN
    assert band(10, START_MS + 99) == BAND_GREEN
    assert band(10, START_MS + 100) == RED
    assert band(90, START_MS + 199) == RED
    assert band(90, START_MS + 200) == BAND_GREEN


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), min_size=1), st.integers(0, 60))
def test_bands_change_no_more_often_than_the_dwell_allows(
    path: list[tuple[float, int]], dwell_ms: int
) -> None:
    """Bounded noise, whatever the input."""
    band, now_ms, held = banding(dwell_ms), START_MS, 0
    changes: list[int] = []
    for level, gap_ms in path:
        now_ms += gap_ms
        new = band(level, now_ms)
        if new != held:
            changes.append(now_ms)
        held = new

    assert all(later - earlier >= dwell_ms for earlier, later in pairwise(changes))
