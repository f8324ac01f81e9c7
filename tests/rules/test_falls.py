"""That a condition is over: noted once, after it was in force, wherever batches are cut."""

from hypothesis import given
from hypothesis import strategies as st

from tests.rules.bench import Bench, Judged

ALERT = 'then = [{ log = "x" }, { alert = "oncall" }]\n'


def falls(text: str, *batches: list[Judged]) -> list[int]:
    """The minutes at which the condition of the only rule was over."""
    bench, found = Bench(text), []
    for batch in batches:
        bench.act(batch)
        found += [batch[index].minute for index, rule in bench.falls if rule == 0]
    return found


def turns(healths: list[float]) -> list[Judged]:
    return [Judged(minute, each, id=f"e{minute}") for minute, each in enumerate(healths)]


@given(st.lists(st.sampled_from([31.0, 50.0]), min_size=1, max_size=30), st.integers(0, 30))
def test_a_condition_is_over_where_it_held_and_holds_no_more(
    healths: list[float], cut: int
) -> None:
    """By the definition: the minute of each value that is high after one that was low."""
    events = turns(healths)
    wanted = [
        minute for minute in range(1, len(healths)) if healths[minute - 1] < 40 <= healths[minute]
    ]
    batches = [each for each in (events[:cut], events[cut:]) if each]

    assert falls(f'[rule.low]\nwhen = "health < 40"\n{ALERT}', *batches) == wanted


def test_each_customer_has_an_end_of_their_own() -> None:
    """The words are the row's."""
    events = [
        Judged(0, 31.0),
        Judged(1, 31.0, customer=1),
        Judged(2, 50.0),
        Judged(3, 31.0, customer=1),
    ]

    assert falls(f'[rule.low]\nwhen = "health < 40"\n{ALERT}', events) == [2]


def test_what_did_not_hold_for_long_enough_was_never_in_force() -> None:
    """Nobody was told of it."""
    text = f'[rule.low]\nwhen = "health < 40"\nfor = "10m"\n{ALERT}'
    timer = Judged(12, 31.0, id="timer", is_timer=True)

    assert falls(text, [Judged(0, 31.0), Judged(5, 50.0)]) == []
    assert falls(text, [Judged(2, 31.0), timer, Judged(20, 50.0), Judged(21, 50.0)]) == [20]


def test_who_was_never_told_of_a_beginning_is_told_of_no_end() -> None:
    """Without consent the rule has never fired."""
    text = f'[rule.low]\nwhen = "health < 40"\nconsent = "phone"\n{ALERT}'

    assert falls(text, turns([31.0, 50.0])) == []
    assert falls(text, [Judged(0, 31.0, consent=1.0), Judged(1, 50.0)]) == [1]


def test_a_timer_can_end_a_condition() -> None:
    """Silence is news too."""
    text = f'[rule.low]\nwhen = "health < 40"\n{ALERT}'

    assert falls(text, [Judged(0, 31.0), Judged(9, 50.0, id="timer", is_timer=True)]) == [9]


def test_without_an_alert_nobody_is_told() -> None:
    """It costs nothing either."""
    assert (
        falls('[rule.low]\nwhen = "health < 40"\nthen = [{ log = "x" }]\n', turns([31.0, 50.0]))
        == []
    )


def test_an_alert_whose_end_is_told_lasts_until_then() -> None:
    """Not for Alertmanager's five minutes; and not for ever, should the end get lost."""
    _, alert = Bench(f'[rule.low]\nwhen = "health < 40"\n{ALERT}').act([Judged(0, 31.0)])
    _, moment = Bench(f'[rule.low]\non = "click.view"\n{ALERT}').act([Judged(0, 31.0)])

    assert alert.ends_ms - alert.at_ms == 7 * 86_400_000
    assert moment.ends_ms == 0
