"""Health that falls in silence: rules fire at the crossing, without an event, wherever batches are cut."""

from functools import cache
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.event import Event
from processors.health_ahead import SOON_MS
from processors.model_file import default_model
from rules.action import Action
from rules.falls import borders_of
from streams.replay import Replayed, Watchers, replay
from streams.step import Engine
from tests.processors.health_oracle import judge
from tests.processors.scoring import DAY_MS
from tests.processors.scoring import event as parsed
from tests.replaying import engine_of
from tests.rules.loading import loaded
from tests.streams.replay_rows import NOW_MS, START_MS, ListSource

THEN = 'then = [{ log = "x" }]\n'
BORDER = 52.0
FALLS = f"""
[rule.low]
when = "health < {BORDER}"
{THEN}
[rule.red]
when = "health.band = 'red'"
{THEN}
[rule.lasting]
when = "health <= 55"
for = "3d"
{THEN}
"""
HOUR_MS = 3_600_000
NAMES = ("click.view", "order.placed", "order.returned", "service.complaint", "service.resolved")
LIVES = st.lists(
    st.tuples(st.integers(0, 40 * 24), st.sampled_from(NAMES), st.integers(0, 1)),
    min_size=1,
    max_size=14,
)
Lives = list[tuple[int, str, int]]  # hours since the event before, name, customer


@cache
def engine() -> Engine:
    return engine_of(FALLS)


def events_of(lives: Lives) -> list[tuple[str, Event]]:
    at_ms, found = START_MS, []
    for number, (hours, name, customer) in enumerate(lives):
        at_ms += hours * HOUR_MS + 1
        found.append((f"c{customer}", parsed(name, at_ms, key=str(number), amount=10.0)))
    return found


def lived(
    lives: list[tuple[str, Event]], cuts: list[int], until_ms: int
) -> tuple[list[Action], Replayed]:
    values = [
        msgspec.json.encode(
            {
                "id": f"e{number}",
                "type": each.type,
                "action": each.action,
                "customer_id": who,
                "at_ms": each.at_ms,
                **({"amount": 10.0} if each.type == "order" else {}),
            }
        )
        for number, (who, each) in enumerate(lives)
    ]
    actions: list[Action] = []
    inside = [each for each in cuts if each < len(values)]
    watchers = Watchers(actions=actions.extend)
    done = replay(
        ListSource(values, inside), engine(), NOW_MS, watchers, keep=True, until_ms=until_ms
    )
    return actions, done


def level_at(events: list[Event], at_ms: int) -> float:
    """By the definition; 100 where nothing is known."""
    past = [each for each in events if each.at_ms <= at_ms]
    level = judge(default_model().health, [*past, parsed("customer.identify", at_ms)]).level
    return 100.0 if level is None else level


@settings(max_examples=60)
@given(LIVES, st.lists(st.integers(1, 14), max_size=4))
def test_where_batches_are_cut_changes_no_fall(lives: Lives, cuts: list[int]) -> None:
    """A backlog of weeks decides what the live stream would have decided."""
    events = events_of(lives)
    until_ms = events[-1][1].at_ms + 60 * DAY_MS
    whole, state = lived(events, [], until_ms)
    for some in (cuts, list(range(1, len(events)))):
        actions, other = lived(events, some, until_ms)
        key = sorted((each.customer_id, each.at_ms, each.rule, each.id) for each in actions)
        assert key == sorted((each.customer_id, each.at_ms, each.rule, each.id) for each in whole)
        assert other.rows == state.rows


@settings(max_examples=60)
@given(LIVES)
def test_a_rule_fires_at_the_very_time_at_which_health_falls(lives: Lives) -> None:
    """Not at the next event, which may be months away, and never before."""
    events = events_of(lives)
    until_ms = events[-1][1].at_ms + 60 * DAY_MS
    actions, _ = lived(events, [], until_ms)
    for who in ("c0", "c1"):
        own = [each for customer, each in events if customer == who]
        fired = [each.at_ms for each in actions if (each.customer_id, each.rule) == (who, "low")]
        for at_ms in fired:
            assert level_at(own, at_ms) < BORDER
            is_at_event = any(at_ms - SOON_MS <= each.at_ms <= at_ms for each in own)
            assert is_at_event or level_at(own, at_ms - 2) >= BORDER
        spans = pairwise([*(each.at_ms for each in own), until_ms])
        for after_ms, before_ms in spans:
            fell = level_at(own, after_ms) >= BORDER > level_at(own, max(after_ms, before_ms - 2))
            if fell and before_ms - after_ms > 2 * SOON_MS:
                assert [each for each in fired if after_ms < each <= before_ms]


def test_a_valley_is_seen_although_health_rises_again() -> None:
    """Fewer visits than usual cost something until fewer are usual."""
    lives = [(0, "click.view", 0), (124, "click.view", 0), (213, "click.view", 0)]
    events = events_of([*lives, (617, "click.view", 0)])
    own = [each for _, each in events]
    until_ms = own[-1].at_ms + 120 * DAY_MS
    (low,) = [each for each in lived(events, [], until_ms)[0] if each.rule == "low"]

    assert level_at(own, low.at_ms) < BORDER <= level_at(own, low.at_ms - 2)


def test_a_band_falls_and_a_wait_ends_in_silence() -> None:
    """The band may follow only after its dwell time; and what must last, has to last from the crossing on."""
    lives = [(0, "order.placed", 0), (24, "order.placed", 0), (24, "service.complaint", 0)]
    lives += [(1, "service.complaint", 0), (1, "order.returned", 0)]
    actions, _ = lived(events_of(lives), [], START_MS + 200 * DAY_MS)
    own = [each for _, each in events_of(lives)]
    at_ms = {each.rule: each.at_ms for each in reversed(actions)}

    assert at_ms["red"] > own[-1].at_ms
    assert level_at(own, at_ms["red"]) < 48.0
    low_ms = next(
        each.at_ms for each in own if level_at(own, each.at_ms) <= 55.0
    )  # at an event here
    assert at_ms["lasting"] == low_ms + 3 * DAY_MS


@pytest.mark.parametrize(
    ("when", "levels", "is_band"),
    [
        ("health < 40", (40.0,), False),
        ("40 >= health and (health > 10 or orders_count > 3)", (10.0, 40.0), False),
        ("not health >= 62.5", (62.5,), False),
        ("health.band = 'red'", (), True),
        ("health.band in ('red', 'amber') and health < 30", (30.0,), True),
        ("orders_count > 3 and trend(health, 7d) < -3", (), False),
        ("health - 5 < 40", (), False),
    ],
)
def test_the_borders_that_rules_look_at(
    when: str, levels: tuple[float, ...], is_band: bool
) -> None:
    """Who does not ask for health pays nothing for it."""
    rules = loaded(f'[rule.r]\nwhen = "{when}"\n{THEN}').rules
    found = borders_of(rules)
    assert (found.levels, found.is_band) == (levels, is_band)
    assert bool(found) == engine_of(f'[rule.r]\nwhen = "{when}"\n{THEN}').rule_plan.has_timers


def test_rules_at_events_ask_for_no_looks() -> None:
    """`on` says when a rule is judged."""
    on = loaded(f'[rule.r]\non = "order.placed"\nwhen = "health < 40"\n{THEN}').rules
    assert not borders_of(on)
