"""What is no news when it arrives is marked; nothing but the two times decides."""

from hypothesis import given
from hypothesis import strategies as st

from processors.batch import Decoded, Origin, Records
from processors.event import Event
from rules.action import Action, Target
from streams.delivery import opened, pending
from streams.staleness import judged

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def action(event: Event) -> Action:
    target = Target("webhook", "crm", "churn.risk")
    return Action(
        *(
            "act_" + event.id,
            "churn",
            1,
            event.customer_id,
            0,
            event.id,
            event.at_ms,
            "Why",
            target,
        ),
        data={},
    )


def batch(*times: tuple[int, int]) -> tuple[list[Action], list[int], Records, Decoded]:
    """One event each, with an action; (event time, record time), and a bad record before each."""
    values: list[bytes | None] = [b"x"] * (2 * len(times))
    arrived = [arrived_ms for _, arrived_ms in times for _ in range(2)]
    origin = Origin("clicks", 0, "0", None, (), 0)
    events = [
        Event(f"e{number}", "click", "view", f"c{number % 2}", at_ms)
        for number, (at_ms, _) in enumerate(times)
    ]
    decoded = Decoded(
        events, list(range(1, len(values), 2)), [event.customer_id for event in events], []
    )
    records = Records(values, arrived, lambda _index: origin)
    return [*map(action, events)], list(range(len(events))), records, decoded


def stale(*times: tuple[int, int]) -> list[bool]:
    return [each.is_stale for each in judged(*batch(*times), DAY_MS)]


def test_a_history_is_stale_and_a_backlog_is_not() -> None:
    """Last year's orders call nobody; what waited for us through an outage still does."""
    year_ms = 365 * DAY_MS
    backlog_ms = NOW_MS - 3 * DAY_MS  # when it happened, and when it came into the log

    assert stale((NOW_MS - year_ms, NOW_MS), (backlog_ms, backlog_ms + 5)) == [True, False]


def test_the_bound_itself_is_news() -> None:
    assert stale((NOW_MS - DAY_MS, NOW_MS), (NOW_MS - DAY_MS - 1, NOW_MS)) == [False, True]


def test_the_duplicate_of_a_cause_does_not_make_it_stale() -> None:
    """A redelivery of days later may stand in the same batch, or not: that must not decide."""
    actions, _, records, decoded = batch((NOW_MS, NOW_MS), (NOW_MS, NOW_MS + 2 * DAY_MS))

    assert judged(actions[:1], [0], records, decoded, DAY_MS) == actions[:1]
    assert judged(actions[:1], [1], records, decoded, DAY_MS)[0].is_stale


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * DAY_MS), st.integers(0, 3 * DAY_MS)), min_size=1, max_size=20
    ),
    st.integers(1, 20),
)
def test_where_batches_are_cut_decides_nothing(times: list[tuple[int, int]], cut: int) -> None:
    """The same log read again gives the same actions."""
    placed = [(NOW_MS + at_ms, NOW_MS + arrived_ms) for at_ms, arrived_ms in times]
    first, rest = placed[:cut], placed[cut:]

    assert stale(*placed) == stale(*first) + (stale(*rest) if rest else [])
    assert stale(*placed) == [arrived_ms - at_ms > DAY_MS for at_ms, arrived_ms in placed]


def test_a_stale_action_is_at_its_end_as_soon_as_it_is_shown() -> None:
    """Whoever lists actions before the relay has recorded it must not read that it will be sent."""
    actions, causes, records, decoded = batch((NOW_MS - 2 * DAY_MS, NOW_MS))
    (old,) = judged(actions, causes, records, decoded, DAY_MS)
    shown = opened(old, NOW_MS)

    assert (shown.status, shown.attempts, shown.due_ms) == ("stale", 0, None)
    assert "stale_after" in shown.note
    assert opened(actions[0], NOW_MS) == pending(actions[0], NOW_MS)
