"""What `rapport why` shows."""

from typing import Any

from rich.console import Console

from streams.commands.why import lines_of, tree_of
from tests.streams.explained import explained, happened, orders
from tests.streams.replay_rows import START_MS

RULES = """
[rule.r]
version = 3
when = "count(order.placed, 30d) >= 5 and (health < 40 or sum(order.placed.amount) > 100)"
unless = "since(order.placed) > 2d or not has(last(service.csat.score))"
cooldown = "14d"
then = [{ log = "x" }]
"""


def told(**changed: object) -> dict[str, Any]:
    return {**explained(RULES, orders(0, 1), 3), **changed}


def test_on_a_pipe_the_tree_is_indented_lines() -> None:
    """Scripts and tickets take it as it is."""
    assert lines_of(told()) == [
        "did not fire: count(order.placed, 30d) is 2, needs >= 5; 2 more would have to change",
        "r (version 3) and ann, as of 2023-11-15 01:13:20 UTC",
        "  ✗ all of",
        "    ✗ count(order.placed, 30d) >= 5: is 2, needs >= 5",
        (
            "      2 events, the first at 2023-11-14 22:13:20, the last at 2023-11-14 23:13:20,"
            " in the window since 2023-10-16 01:13:20"
        ),
        "    ✗ one of",
        "      ✗ health < 40: is 77.53, needs < 40",
        "        points: commerce.orders +9.5, commerce.last_order +4.4, commerce.pace +2.7",
        "      ✗ sum(order.placed.amount) > 100: is 20, needs > 100",
        "        2 events",
        "    ✗ all of",
        "      ✓ not since(order.placed) > 2d: is 2h",
        "        the last at 2023-11-14 23:13:20",
        "      ✗ has(last(service.csat.score)): is missing, needs to be there",
        "        no such event",
        "  never fired for this customer",
    ]


def test_on_a_terminal_it_is_drawn() -> None:
    """The same words, with branches between them."""
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(tree_of(told()))

    drawn = captured.get()
    assert "├── ✗ count(order.placed, 30d) >= 5: is 2, needs >= 5" in drawn
    assert "never fired for this customer" in drawn


def test_a_customer_cannot_write_on_the_terminal() -> None:
    """Ids, causes and reasons come from outside."""
    fire = {"at_ms": START_MS, "cause": "\x1b[2J", "reason": "[red]x", "status": "delivered",
            "target": {"kind": "log", "name": "x"}}  # fmt: skip
    shown = lines_of(told(customer_id="c\x1b[2J", fires=[fire]))

    assert not [line for line in shown if "\x1b" in line]
    assert "[red]x (log x: delivered)" in shown[-2]
    console = Console(width=200)
    with console.capture() as captured:
        console.print(tree_of(told(fires=[fire])))
    assert "[red]x" in captured.get()


def test_what_an_event_alone_can_tell_is_marked() -> None:
    """Neither a hook nor a cross: nobody knows yet."""
    rules = """
[rule.r]
on = "order.placed"
when = "amount < mean(order.placed.amount)"
then = [{ log = "x" }]
"""

    shown = lines_of(explained(rules, orders(0), 1))

    assert shown[2:] == [
        "  ? amount < mean(order.placed.amount): that only the event can tell",
        "    amount is not known",
        "    mean(order.placed.amount) is 10: 1 event",
        "  never fired for this customer",
    ]


def test_restraints_runs_and_earlier_fires_are_told() -> None:
    """Until when, and since when."""
    rules = """
[rule.r]
sequence = ["click.add_to_cart", "no order.placed within 30m"]
cooldown = "14d"
then = [{ log = "x" }]
"""
    history = [happened("click.add_to_cart", 0), *orders(2), happened("click.add_to_cart", 3)]

    shown = "\n".join(lines_of(explained(rules, history, 3.1)))

    assert "! would be held back by cooldown until 2023-11-28 22:43:20" in shown
    assert (
        "begun at 2023-11-15 01:13:20: awaits step 2, no order.placed within 30 minutes,"
        " until 2023-11-15 01:43:20" in shown
    )
    assert "last fired at 2023-11-14 22:43:20; its record is gone" in shown


def test_a_time_that_is_not_kept_is_answered_for_the_newest_event() -> None:
    """And the answer says so."""
    assert (
        "what was before the customer's newest event or timer is not kept"
        in lines_of(told(asked_ms=5))[1]
    )
