"""Timers within batches: a backlog, a batch of one and a replay decide the same."""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.action import Action
from streams.replay import Replayed, Watchers, replay
from streams.step import Engine
from tests.replaying import engine_of
from tests.streams.replay_rows import NOW_MS, START_MS, ListSource

MINUTE_MS = 60_000
THEN = 'then = [{ log = "x" }]\n'
RULES = f"""
[rule.cart]
sequence = ["click.add_to_cart", "no order.placed within 30m"]
key = "session_id"
{THEN}
[rule.back]
sequence = ["order.placed", "no click.* within 20m", "click.view"]
cooldown = "1h"
{THEN}
[rule.held]
when = "count(click.*, 45m) >= 3"
for = "10m"
cap = "2 per 3h"
{THEN}
[rule.quiet]
on = "order.placed where amount > 50"
quiet = {{ from = "22:30", to = "23:15", zone = "UTC", then = "wait" }}
{THEN}
[rule.low]
when = "count(order.placed, 1h) >= 2"
unless = "count(click.*, 10m) > 0"
{THEN}
"""


@cache
def engine() -> Engine:
    return engine_of(RULES)


def event(number: int, minute: float, kind: str, customer: int, session: int) -> bytes:
    type_, _, action = kind.partition(".")
    told = {
        "id": f"e{number}",
        "type": type_,
        "action": action,
        "customer_id": f"c{customer}",
        "at_ms": START_MS + round(minute * MINUTE_MS),
        "session_id": f"s{session}",
    }
    if type_ == "order":
        told["amount"] = 10.0 * session + 20.0
    return msgspec.json.encode(told)


def lived(
    values: Sequence[bytes],
    cuts: Sequence[int] = (),
    until_minute: float | None = None,
    made: Engine | None = None,
) -> tuple[list[tuple[str, int, str, str]], Replayed]:
    """What fired, by customer and time, and the final state."""
    actions: list[Action] = []
    until_ms = None if until_minute is None else START_MS + round(until_minute * MINUTE_MS)
    watchers = Watchers(actions=actions.extend)
    done = replay(
        ListSource(values, cuts), made or engine(), NOW_MS, watchers, keep=True, until_ms=until_ms
    )
    told = [(a.customer_id, (a.at_ms - START_MS) // 1_000, a.rule, a.id) for a in actions]
    return sorted(told), done


KINDS = st.sampled_from(("click.add_to_cart", "click.view", "order.placed"))
Lives = list[tuple[int, str, int, int]]  # minutes since the event before, kind, customer, session
LIVES = st.lists(
    st.tuples(st.integers(0, 40), KINDS, st.integers(0, 2), st.integers(0, 3)), max_size=40
)


def minutes_of(lives: Lives) -> list[float]:
    """When each event happens."""
    minutes = accumulate(gap for gap, *_ in lives)
    return [minute + number / 1_000 for number, minute in enumerate(minutes)]


def lived_however_cut(
    lives: Lives, cuts: Sequence[int], made: Engine
) -> tuple[list[tuple[str, int, str, str]], float]:
    """What fired, and up to when time went on: the same in one batch, in some, and in one for each event."""
    minutes = minutes_of(lives)
    values = [
        event(number, at, kind, customer, session)
        for number, (at, (_, kind, customer, session)) in enumerate(
            zip(minutes, lives, strict=True)
        )
    ]
    until = sum(gap for gap, *_ in lives) + 600
    whole, state = lived(values, until_minute=until, made=made)
    inside = [each for each in cuts if each < len(values)]
    some, other = lived(values, inside, until_minute=until, made=made)
    each, third = lived(values, range(1, len(values)), until_minute=until, made=made)

    assert some == each == whole
    assert other.rows == third.rows == state.rows
    assert other.summary.fires == third.summary.fires == state.summary.fires
    return whole, until


@settings(max_examples=150)
@given(LIVES, st.lists(st.integers(1, 40), max_size=6))
def test_where_batches_are_cut_changes_no_timer(lives: Lives, cuts: list[int]) -> None:
    """The law: one batch, some, or one for each event give the same actions and the same rows."""
    lived_however_cut(lives, cuts, engine())


def test_timers_of_one_batch_fire_between_its_events() -> None:
    """Read a day late and in one go, a cart that was left alone for half an hour is one all the same."""
    values = [
        event(0, 0, "click.add_to_cart", 0, 0),
        event(1, 31, "order.placed", 0, 0),
        event(2, 100, "click.add_to_cart", 0, 0),
        event(3, 120, "order.placed", 0, 0),
    ]
    fires, done = lived(values)

    assert [(second, rule) for _, second, rule, _ in fires if rule == "cart"] == [(1_800, "cart")]
    assert done.summary.events_admitted == 4
    assert set(done.summary.by_action) == {"click.add_to_cart", "order.placed"}


@pytest.mark.parametrize(("until", "fires"), [(29.9, 0), (30, 1), (900, 1)])
def test_timers_fire_up_to_the_end_of_the_history(until: float, fires: int) -> None:
    """Whether a reminder was due by then is what somebody asks a replay."""
    values = [event(0, 0, "click.add_to_cart", 0, 0)]

    assert lived(values, until_minute=until)[1].summary.fires["cart"] == fires
    assert lived(values)[1].summary.fires["cart"] == 0


def test_a_replay_without_timers_has_one_step_a_batch() -> None:
    """Who has no timers pays nothing for them."""
    plain = engine_of(f'[rule.each]\non = "click.*"\n{THEN}')

    assert not plain.rule_plan.has_timers
    assert engine().rule_plan.has_timers


SILENT = f"""
[rule.silent]
when = "since(click.*) > 30m"
{THEN}
[rule.none]
when = "count(order.placed, 45m) = 0 and count(order.placed) > 0"
{THEN}
[rule.both]
when = "since(click.*) >= 20m"
unless = "count(order.placed, 90m) > 0"
for = "5m"
{THEN}
"""


@cache
def silent_engine() -> Engine:
    return engine_of(SILENT)


@settings(max_examples=100)
@given(LIVES, st.lists(st.integers(1, 40), max_size=6))
def test_silence_is_noticed_wherever_batches_are_cut(lives: Lives, cuts: list[int]) -> None:
    """A minute without an event is as much of a history as a minute with one."""
    whole, until = lived_however_cut(lives, cuts, silent_engine())
    clicks = dict[str, list[float]]()
    for at, (_, kind, customer, _) in zip(minutes_of(lives), lives, strict=True):
        if kind.startswith("click"):
            clicks.setdefault(f"c{customer}", []).append(at)
    silences = {
        (who, (round(before * MINUTE_MS) + 30 * MINUTE_MS + 1) // 1_000)
        for who, times in clicks.items()
        for before, after in zip(times, [*times[1:], until + 1_000.0], strict=True)
        if round(after * MINUTE_MS) - round(before * MINUTE_MS) > 30 * MINUTE_MS
    }
    assert {(who, at) for who, at, rule, _ in whole if rule == "silent"} == silences


@pytest.mark.parametrize("rules", [RULES, f'[rule.plain]\nwhen = "orders_count >= 2"\n{THEN}'])
def test_a_batch_with_more_events_than_fit_the_registers_decides_the_same(
    rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred rules and a backlog: registers of the whole batch would take hundreds of megabytes."""
    values = [
        event(number, number * 1.5, kind, number % 3, number % 2)
        for number, kind in enumerate(("order.placed", "click.view", "click.add_to_cart") * 20)
    ]
    whole = lived(values, made=engine_of(rules))

    monkeypatch.setattr("streams.scratch.REGISTERS_BYTES_MAX", 1)
    monkeypatch.setattr("streams.scratch.LARGE", 7)
    small = engine_of(rules)

    assert small.scratch.events_max == 7
    in_parts = lived(values, made=small)
    assert in_parts[0] == whole[0]
    assert whole[0]
    assert in_parts[1].rows == whole[1].rows
