"""The check of the experiment with timers is itself tried: whatever is wrong, it says so."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.faults.fences import Action
from tests.faults.outbox_watch import Seen
from tests.faults.timer_check import LATE_MS_P99_MAX, Checked, Expected, checked

DUE_MS = 1_700_000_000_000
CUSTOMERS = 100


def decided(number: int) -> Action:
    """The timer of one customer, in an outbox entry of its own."""
    return Action(f"a{number}", f"c{number}", "cart", f"timer:{DUE_MS}#7", (0, number))


def check(
    actions: list[Action] | None = None,
    late_ms: int = 100,
    counts: dict[str, int] | None = None,
    unclear: int = 0,
) -> Checked:
    """What the check says where all but this is right."""
    names = [f"c{number}" for number in range(CUSTOMERS)]
    clear = names[: CUSTOMERS - unclear]
    causes = {(name, "cart", f"timer:{DUE_MS}"): DUE_MS for name in clear}
    wanted = Expected(
        Counter(names), Counter(causes.keys()), set(names[len(clear) :]), causes, 1, 1
    )
    found = [decided(number) for number in range(CUSTOMERS)] if actions is None else actions
    seen: Seen = {each.entry: DUE_MS + late_ms for each in found}
    views = {name: {"events_count": (counts or {}).get(name, 1)} for name in names}
    return checked(wanted, found, seen, views)


ALL = [decided(number) for number in range(CUSTOMERS)]


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    """Else each of the tests below would prove nothing."""
    found = check()

    assert not found.verdict.wrong
    assert (found.verdict.missing, found.verdict.surplus) == (0, 0)
    assert found.figures["fired_in_silence"] == CUSTOMERS


@pytest.mark.parametrize(
    ("actions", "missing", "surplus"),
    [
        pytest.param(ALL[1:], 1, 0, id="one is lost"),
        pytest.param([*ALL, ALL[0]], 0, 1, id="one is there twice"),
        pytest.param([*ALL, replace(ALL[0], id="other")], 0, 1, id="twice, with another id"),
        pytest.param([replace(ALL[0], customer="c1"), *ALL[1:]], 1, 1, id="of somebody else"),
        pytest.param(
            [replace(ALL[0], cause=f"timer:{DUE_MS + 1}"), *ALL[1:]], 1, 1, id="at another time"
        ),
    ],
)
def test_an_action_that_is_not_as_it_must_be_is_told(
    actions: list[Action], missing: int, surplus: int
) -> None:
    found = check(actions).verdict

    assert (found.missing, found.surplus) == (missing, surplus)
    assert found.wrong


@pytest.mark.parametrize("late_ms", [-1, LATE_MS_P99_MAX + 1])
def test_what_is_decided_at_the_wrong_time_is_told(late_ms: int) -> None:
    """Nobody looking for timers, until something else happens, was once no fault for this check."""
    assert check(late_ms=late_ms).verdict.wrong


@pytest.mark.parametrize(("count", "missing", "surplus"), [(0, 1, 0), (2, 0, 1)])
def test_an_event_that_is_not_counted_once_is_told(count: int, missing: int, surplus: int) -> None:
    found = check(counts={"c3": count}).verdict

    assert (found.missing, found.surplus) == (missing, surplus)
    assert found.wrong


def test_of_few_customers_it_may_be_unclear_what_must_be() -> None:
    """Of these nothing is missed, so they must be few."""
    assert not check(unclear=5).verdict.wrong
    assert check(unclear=6).verdict.wrong
