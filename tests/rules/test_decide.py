"""Rules with time: what they wait for, what holds them back, and when they fire with no event coming."""

from dataclasses import replace

import numpy as np
import pytest

from processors.layout import migrate
from processors.tables import DUE
from rules.decide import FIRES_AT_ONCE
from tests.rules.bench import MINUTE_MS, START_MS, THEN, Bench, Judged, healths

FOR = f'[rule.low]\nwhen = "health < 40"\nfor = "10m"\n{THEN}'
CART = f"""
[rule.cart]
sequence = ["click.add_to_cart", "no order.placed within 30m"]
key = "session_id"
{THEN}"""
TWO = f"""
[rule.two]
sequence = ["click.search", "click.view within 10m", "order.placed"]
{THEN}"""


def timer(minute: int, health: float = 50.0) -> Judged:
    return Judged(minute, health, is_timer=True, action="timer.due")


def due_minute(bench: Bench) -> float:
    """When the customer's first timer is due; 0: there is none."""
    due_ms = int(bench.rows.view("int64")[0, DUE])
    return (due_ms - START_MS) / MINUTE_MS if due_ms else 0


class TestFor:
    def test_it_fires_when_the_condition_has_held_for_that_long(self) -> None:
        """Not at the event: with no event coming, a timer is there on the second."""
        bench = Bench(FOR)

        assert bench.judge(healths(10, 10)) == []
        assert due_minute(bench) == 10
        assert bench.judge([timer(10, 10)]) == [(10, "low")]
        assert due_minute(bench) == 0
        assert bench.judge([Judged(11, 10)]) == []

    def test_a_condition_that_ends_before_its_time_does_not_fire(self) -> None:
        """It begins anew when the condition is true again."""
        bench = Bench(FOR)
        bench.judge([Judged(0, 10), Judged(5, 50), Judged(6, 10)])

        assert bench.judge([timer(10, 10)]) == []
        assert due_minute(bench) == 16
        assert bench.judge([timer(16, 10)]) == [(16, "low")]

    def test_a_condition_that_time_itself_has_ended_does_not_fire(self) -> None:
        """The timer looks at the values as they are by then."""
        bench = Bench(FOR)
        bench.judge(healths(10))

        assert bench.judge([timer(10, 50)]) == []
        assert due_minute(bench) == 0


class TestSequence:
    def test_an_absence_fires_once_its_time_is_over(self) -> None:
        """A cart that is left alone for half an hour."""
        bench = Bench(CART)
        bench.judge([Judged(0, action="click.add_to_cart", session="s")])

        assert due_minute(bench) == 30
        assert bench.judge([timer(30)]) == [(30, "cart")]
        assert due_minute(bench) == 0

    def test_an_absence_that_is_broken_does_not(self) -> None:
        """The order came, in the same session."""
        bench = Bench(CART)
        bench.judge([Judged(0, action="click.add_to_cart", session="s")])
        bench.judge([Judged(29, action="order.placed", session="s")])

        assert bench.judge([timer(30)]) == []

    def test_each_key_has_a_run_of_its_own(self) -> None:
        """An order in one session says nothing of another one's cart."""
        bench = Bench(CART)
        adds = [Judged(n, action="click.add_to_cart", session=name) for n, name in enumerate("ab")]
        bench.judge([*adds, Judged(5, action="order.placed", session="a")])
        actions = bench.act([timer(30), timer(31)])

        assert [(each.at_ms - START_MS) // MINUTE_MS for each in actions] == [31]
        assert actions[0].cause.startswith("e#")

    def test_runs_that_are_done_at_the_same_time_are_different_causes(self) -> None:
        """Two carts are two reminders; with one id the second would be taken for a repeat."""
        bench = Bench(CART)
        bench.judge([Judged(0, action="click.add_to_cart", session=name) for name in "abc"])
        actions = bench.act([timer(30)])

        assert len({each.id for each in actions}) == 3

    def test_a_start_while_a_run_is_open_changes_nothing(self) -> None:
        """A deadline that each click puts off is none."""
        bench = Bench(CART)
        start = Judged(0, action="click.add_to_cart", session="s")
        bench.judge([start, replace(start, minute=20)])

        assert bench.judge([timer(30)]) == [(30, "cart")]
        assert bench.judge([timer(50)]) == []

    def test_steps_come_in_order_and_in_time(self) -> None:
        """What came before its turn, or too late, is no step."""
        bench = Bench(TWO)
        early = [Judged(0, action="click.view"), Judged(1, action="click.search")]

        assert bench.judge([*early, Judged(2, action="order.placed")]) == []
        assert (
            bench.judge([Judged(12, action="click.view"), Judged(13, action="order.placed")]) == []
        )
        again = [Judged(20, action="click.search"), Judged(30, action="click.view")]
        assert bench.judge([*again, Judged(500, action="order.placed")]) == [(500, "two")]

    def test_the_oldest_run_makes_room(self) -> None:
        """Nine carts, and places for eight."""
        bench = Bench(CART)
        adds = [Judged(n, action="click.add_to_cart", session=f"s{n}") for n in range(9)]
        bench.judge(adds)

        assert bench.rules.dropped_runs == 1
        assert len(bench.act([timer(60)])) == 8


def test_an_exception_holds_it_back_as_long_as_it_is_true() -> None:
    """Nobody is called while somebody talks to them anyway; afterwards they are."""
    bench = Bench(f'[rule.low]\nwhen = "health < 40"\nunless = "orders_count > 3"\n{THEN}')

    assert bench.judge([Judged(0, 10, orders=5), Judged(1, 10, orders=5)]) == []
    assert bench.judge([Judged(2, 10, orders=3)]) == [(2, "low")]


@pytest.mark.parametrize(
    ("cap", "fires"), [('"2 per 10m"', [0, 1, 10, 11]), ('"1 per 5m"', [0, 5, 10])]
)
def test_a_cap_counts_the_fires_within_its_window(cap: str, fires: list[int]) -> None:
    """The window slides."""
    bench = Bench(f'[rule.each]\non = "click.*"\ncap = {cap}\n{THEN}')

    assert bench.judge(healths(*[50] * 12)) == [(minute, "each") for minute in fires]
    assert bench.rules.suppressed_by["each"] == {"cap": 12 - len(fires)}


def test_rules_that_name_a_channel_share_its_cap() -> None:
    """A customer has one phone, whatever the number of rules."""
    text = "".join(
        f'[rule.{name}]\non = "click.*"\n{THEN}'
        f'cap = {{ per_customer = "{many} per 1h", channel = "phone" }}\n'
        for name, many in (("a", 3), ("b", 4))
    )

    assert Bench(text).judge(healths(50, 50, 50)) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


QUIET = 'quiet = { from = "21:00", to = "09:00", zone = "UTC", then = "%s" }\n'


def test_in_quiet_hours_a_rule_waits_for_their_end() -> None:
    """START is at 22:13:20 in the evening."""
    bench = Bench(f'[rule.low]\nwhen = "health < 40"\n{QUIET % "wait"}{THEN}')

    assert bench.judge(healths(10)) == []
    nine = (9 - 22 + 24) * 60 - 13 - 20 / 60
    assert due_minute(bench) == nine
    assert bench.judge([timer(700, 10)]) == [(700, "low")]


def test_what_is_over_by_the_end_of_the_quiet_hours_does_not_fire() -> None:
    """A call about what has passed is worse than none."""
    bench = Bench(f'[rule.low]\nwhen = "health < 40"\n{QUIET % "wait"}{THEN}')
    bench.judge(healths(10))

    assert bench.judge([timer(700, 60)]) == []
    assert bench.rules.suppressed_by["low"] == {"quiet": 1, "over": 1}


def test_in_quiet_hours_a_rule_may_be_dropped() -> None:
    """Then nothing waits."""
    bench = Bench(f'[rule.low]\nwhen = "health < 40"\n{QUIET % "drop"}{THEN}')

    assert bench.judge(healths(10)) == []
    assert due_minute(bench) == 0
    assert bench.rules.suppressed_by["low"] == {"quiet": 1}


def test_a_timer_is_no_event() -> None:
    """A rule about each event is not judged, whatever its condition."""
    bench = Bench(f'[rule.each]\non = "*.*"\n{THEN}'.replace("*.*", "click.*"))

    assert bench.judge([timer(1)]) == []


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        ("Europe/Berlin", 8 * 60 - 22 * 60 - 13 - 20 / 60 + 24 * 60),
        ("Asia/Tokyo", 1 * 60 + 46 + 40 / 60),
        ("America/New_York", None),
        ("nowhere", 9 * 60 - 22 * 60 - 13 - 20 / 60 + 24 * 60),
    ],
)
def test_quiet_hours_are_those_of_the_customer(zone: str, minutes: float | None) -> None:
    """START is 23:13 in Berlin, 7:13 in Tokyo, 17:13 in New York; who lives nowhere lives by UTC."""
    quiet = QUIET.replace('"UTC"', '"customer"') % "wait"
    bench = Bench(f'[rule.low]\nwhen = "health < 40"\n{quiet}{THEN}')
    fires = bench.judge([Judged(0, 10, zone=zone)])

    assert fires == ([(0, "low")] if minutes is None else [])
    assert due_minute(bench) == pytest.approx(minutes or 0)


def test_without_consent_it_does_not_fire() -> None:
    """Silence is no consent, and a refusal is none either."""
    text = f'[rule.low]\non = "click.*"\nconsent = "phone"\nholdout = "0%"\n{THEN}'
    bench = Bench(text)
    judged = [Judged(0), Judged(1, consent=0.0), Judged(2, consent=1.0)]

    assert bench.judge(judged) == [(2, "low")]
    assert bench.rules.suppressed_by["low"] == {"consent": 2}


def test_a_timer_that_no_rule_waits_for_any_more_is_over() -> None:
    """The rules were reloaded without the one that had set it."""
    bench = Bench("")
    bench.rows.view("int64")[0, DUE] = START_MS

    assert bench.judge([timer(1)]) == []
    assert due_minute(bench) == 0


def test_many_runs_that_are_done_at_once_all_come_out() -> None:
    """One timer may end eight carts of each of many rules: the buffer is a bound on memory alone."""
    rules = "".join(CART.replace("rule.cart", f"rule.cart-{number}") for number in range(30))
    bench = Bench(rules)
    customers = range(FIRES_AT_ONCE // (8 * 30) + 2)
    bench.rows = np.zeros((len(customers), bench.rows.shape[1]))
    bench.judge(
        [
            Judged(0, action="click.add_to_cart", session=f"s{session}", customer=customer)
            for customer in customers
            for session in range(8)
        ]
    )
    fired = bench.judge([replace(timer(30), customer=customer) for customer in customers])

    assert len(fired) == len(customers) * 8 * 30 > FIRES_AT_ONCE


def reloaded(old: Bench, text: str) -> Bench:
    """A bench with other rules, and the rows of the old one."""
    made = Bench(text)
    rows = migrate(old.plan.layout, made.plan.layout, old.rows.view("int64"))
    made.rows = rows.view("float64")
    return made


@pytest.mark.parametrize("duration", ["5m", "10m", "20m"])
def test_a_wait_that_is_under_way_outlives_another_for(duration: str) -> None:
    """Its condition is true already, so it would never rise again."""
    bench = Bench(FOR)
    bench.judge([Judged(0, 30)])

    assert reloaded(bench, FOR.replace("10m", duration)).judge([timer(10, 30)]) == [(10, "low")]


@pytest.mark.parametrize(("count", "more"), [(2, 0), (3, 0), (4, 1), (8, 5)])
def test_a_cap_that_is_changed_counts_what_was_before(count: int, more: int) -> None:
    text = f'[rule.low]\non = "click.*"\ncap = "3 per 30d"\n{THEN}'
    bench = Bench(text)
    bench.judge(healths(*[50] * 5))
    after = reloaded(bench, text.replace("3 per", f"{count} per"))

    assert len(after.judge([Judged(minute) for minute in range(6, 20)])) == more
