"""The view: what others read of a customer, and can rely on."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.event import Event
from processors.view_fields import REASONS_MAX
from tests.machine import ROOT
from tests.processors.scoring import DAY_MS, START_MS, Scored, Scorer, event

FIELDS = (
    *("customer_id", "health", "band", "trend", "confidence", "reasons", "anomalies"),
    *("events_count", "orders_count", "orders_amount", "returns_count", "returns_amount"),
    *("tickets_open", "first_at_ms", "last_at_ms", "model", "computed_at_ms"),
)


@cache
def scorer() -> Scorer:
    return Scorer()


def view_of(scored: Scored, customer_id: str = "c") -> Mapping[str, Any]:
    read: Mapping[str, Any] = orjson.loads(scored.views[customer_id])
    return read


def test_the_view_has_its_promised_fields_in_order() -> None:
    """Dashboards and other teams' jobs are built on these names."""
    view = view_of(scorer().score([event("click.view", START_MS)]))

    assert tuple(view) == FIELDS
    assert view["customer_id"] == "c"
    assert view["model"] == "default@1"


def test_every_field_is_documented() -> None:
    """A promise that nobody can read is none."""
    page = (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")

    assert [name for name in FIELDS if f"| `{name}` |" not in page] == []


def test_nothing_known_is_null_and_none() -> None:
    """JSON has no NaN, and 0 would read as the worst health there is."""
    view = view_of(scorer().score([event("customer.identify", START_MS)]))

    assert (view["health"], view["band"], view["trend"]) == (None, "none", None)
    assert view["reasons"] == []
    assert view["anomalies"] == []


def test_totals_are_of_the_whole_life() -> None:
    """Placed orders count, not paid ones again; returns are apart."""
    events = [
        event("order.placed", START_MS, amount=10.5),
        event("order.paid", START_MS + 1, amount=10.5),
        event("order.placed", START_MS + 400 * DAY_MS, amount=0.25),
        event("order.returned", START_MS + 401 * DAY_MS, amount=3.125),
    ]
    view = view_of(scorer().score(events))

    assert (view["orders_count"], view["orders_amount"]) == (2, 10.75)
    assert (view["returns_count"], view["returns_amount"]) == (1, 3.125)
    assert view["events_count"] == 4
    assert (view["first_at_ms"], view["last_at_ms"]) == (START_MS, START_MS + 401 * DAY_MS)
    assert view["computed_at_ms"] == view["last_at_ms"]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_amounts_add_up_to_the_last_thousandth(thousandths: list[int]) -> None:
    """Sums over customers are compared with the books, to the cent."""
    events = [
        event("order.placed", START_MS + k, key=str(k), amount=each / 1000)
        for k, each in enumerate(thousandths)
    ]
    text = scorer().score(events).views["c"].decode()
    printed = text.split('"orders_amount":')[1].split(",")[0]

    assert float(printed) == sum(thousandths) / 1000
    assert len(printed.partition(".")[2]) <= 3


@pytest.mark.parametrize(
    ("actions", "left"),
    [
        (["ticket_opened"], 1),
        (["ticket_opened", "ticket_opened", "resolved"], 1),
        (["ticket_opened", "resolved", "reopened"], 1),
        (["ticket_opened", "resolved", "resolved"], 0),
        (["resolved"], 0),
    ],
)
def test_open_tickets_are_those_not_resolved(actions: list[str], left: int) -> None:
    """A ticket of a time before our first event may be resolved; there is no less than none open."""
    events = [event(f"service.{each}", START_MS + k) for k, each in enumerate(actions)]
    scored = scorer().score(events)

    assert view_of(scored)["tickets_open"] == left
    assert scored.last("tickets_open") == left


def test_reasons_are_the_largest_in_order_with_their_phrases() -> None:
    """The person who calls the customer reads these, not the model."""
    events = [event("order.placed", START_MS + 30 * k * DAY_MS, amount=9) for k in range(4)]
    events += [event("service.complaint", START_MS + 95 * DAY_MS + k) for k in range(2)]
    events += [event("service.csat", START_MS + 95 * DAY_MS + 9, score=1)]
    scored = scorer().score(events)
    reasons = view_of(scored)["reasons"]
    points = [each["points"] for each in reasons]

    assert len(reasons) == REASONS_MAX
    assert reasons[0]["reason"] == "complaints"
    assert reasons[0]["component"] == "service"
    assert points == sorted(points, key=abs, reverse=True)
    assert points[0] == pytest.approx(scored.last("health.service.complaints"), abs=0.005)
    assert {"low satisfaction ratings", "regular orders"} <= {each["reason"] for each in reasons}


@pytest.mark.slow
@given(st.data())
def test_views_do_not_depend_on_batches(data: st.DataObject) -> None:
    """A replay must write what the live engine wrote, byte for byte."""
    names = st.sampled_from(["click.view", "order.placed", "service.complaint", "service.resolved"])
    events: list[Event] = [
        event(
            data.draw(names),
            START_MS + k * DAY_MS // 3,
            customer_id=data.draw(st.sampled_from(["a", "b", "ü"])),
            amount=data.draw(st.floats(0, 100)),
        )
        for k in range(data.draw(st.integers(1, 25)))
    ]
    cuts = data.draw(st.lists(st.integers(1, 25), max_size=6))

    assert scorer().score(events, cuts).views == scorer().score(events).views


@pytest.mark.slow
def test_large_batches_are_rendered_like_small_ones() -> None:
    """Rendering goes in parts; the parts must not shift the customers."""
    events = [
        event("order.placed", START_MS + k, customer_id=f"c{k}", amount=k) for k in range(1000)
    ]
    views = scorer().score(events).views

    assert len(views) == 1000
    assert all(orjson.loads(views[f"c{k}"])["orders_amount"] == k for k in range(1000))


def test_an_event_that_is_not_admitted_changes_no_view() -> None:
    """Duplicates and late events leave no trace, also as the last of their batch."""
    events = [event("order.placed", START_MS + 30 * DAY_MS, amount=5)]
    late = event("order.placed", START_MS, amount=7)
    scored = scorer().score([*events, *events, late])

    assert scored.status == [0, 1, 2]
    assert scored.views == scorer().score(events).views
