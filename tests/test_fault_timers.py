"""The oracle of the experiment with timers is itself tried: it and a replay decide the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.action import Action
from streams.replay import Watchers, replay
from tests.faults.timer_load import told
from tests.faults.timer_rules import DELAY_MS_MAX, RULES, Happening, Person
from tests.replaying import engine_of
from tests.streams.replay_rows import NOW_MS, START_MS, ListSource

KINDS = st.sampled_from(
    (
        *("click.add_to_cart", "click.view", "order.placed", "order.paid"),
        *("service.ticket_opened", "service.first_response", "service.csat"),
    )
)
# Times that meet those of the rules, and such as nearly do. Of two answers of one time neither is the last.
GAPS_MS = st.sampled_from(
    (1, 2, 499, 500, 501, 999, 1_000, 1_500, 2_000, 2_500, 2_501, 5_000, 49_999)
)
LIVES = st.lists(
    st.tuples(GAPS_MS, KINDS, st.integers(0, 2), st.sampled_from((10.0, 95.0)), st.integers(1, 5)),
    max_size=40,
)
ENGINE = engine_of(RULES.decode())


@given(LIVES)
@settings(max_examples=150, deadline=None)
def test_the_oracle_says_what_a_replay_decides(
    life: list[tuple[int, str, int, float, int]],
) -> None:
    """An oracle that is wrong in a corner would blame a worker, or cover for it."""
    person, values, at_ms = Person(), list[bytes](), START_MS
    for number, (gap_ms, kind, key, amount, score) in enumerate(life):
        at_ms += gap_ms
        each = Happening(f"e{number}", kind, at_ms, f"k{key}", amount, score)
        person.show(each)
        values.append(told(each, "c").value)
    person.until(at_ms + DELAY_MS_MAX)
    actions: list[Action] = []
    replay(
        ListSource(values, ()),
        ENGINE,
        NOW_MS,
        Watchers(actions=actions.extend),
        until_ms=at_ms + DELAY_MS_MAX,
    )

    assert person.causes == [(each.rule, each.cause.partition("#")[0]) for each in actions]
