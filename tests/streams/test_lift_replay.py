"""Lift over a history: the engine finds who was held out, and what both groups did."""

import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from rules.errors import RulesError
from rules.fires import share_of
from streams.asked import UnknownError
from streams.cli import main
from streams.lift import Lift
from streams.lift_replay import LiftError, lift_over
from streams.loader import Sources
from tests.streams.replay_rows import HOUR_MS, NOW_MS, START_MS, ListSource

DAY_MS = 24 * HOUR_MS
RULES = """
[rule.offer]
on      = "click.add_to_cart"
holdout = "20%"
then    = [{ webhook = "crm" }]

[rule.outcome-0]
on   = "order.placed"
then = [{ log = "x" }]

[rule.all]
on   = "click.add_to_cart"
then = [{ log = "x" }]

[rule.quiet]
stage   = "shadow"
on      = "click.add_to_cart"
holdout = "20%"
then    = [{ log = "x" }]
"""


def event(number: int, at_ms: int, customer_id: str, kind: str, **fields: object) -> bytes:
    told = {"id": f"e{number}", "type": kind, "customer_id": customer_id, "at_ms": at_ms}
    return msgspec.json.encode({**told, **fields})


def history(customers: int, seed: int = 1) -> tuple[list[bytes], dict[bool, list[int]]]:
    """Carts, some with an order within a week; and by hand, of both groups, how many and how many bought."""
    chance = Random(seed)
    rows: list[tuple[int, bytes]] = []
    told = {False: [0, 0], True: [0, 0]}
    for k in range(customers):
        customer_id, at_ms = f"c-{k}", START_MS + chance.randrange(20 * DAY_MS)
        is_held_out = share_of("offer", customer_id, "holdout") < 0.2
        buys = chance.random() < (0.1 if is_held_out else 0.3)
        told[is_held_out][0] += 1
        told[is_held_out][1] += buys
        for number, days in ((0, 0.0), (1, 1.0)):  # the second cart is no second exposure
            cart_ms = at_ms + round(days * DAY_MS)
            rows.append(
                (
                    cart_ms,
                    event(10 * k + number, cart_ms, customer_id, "click", action="add_to_cart"),
                )
            )
        after = (3, 4) if buys else (8, 9)  # days: within a week, or too late for it
        for number, days in enumerate(after):
            bought_ms = at_ms + days * DAY_MS
            amount = 60.0 if number == 0 else 5.0
            row = event(
                10 * k + 2 + number, bought_ms, customer_id, "order", action="placed", amount=amount
            )
            rows.append((bought_ms, row))
    end_ms = START_MS + 40 * DAY_MS
    rows.append((end_ms, event(10**9, end_ms, "last", "order", action="placed", amount=1.0)))
    return [row for _, row in sorted(rows)], told


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "rules.toml").write_text(RULES)
    return Sources(rules=tmp_path)


def lifted(sources: Sources, rows: list[bytes], rule: str = "offer", **given: Any) -> Lift:  # noqa: ANN401  whatever it takes
    asked = {"outcome": "order.placed", "within_ms": 7 * DAY_MS, **given}
    return lift_over(ListSource(rows), sources, rule, asked["outcome"], asked["within_ms"], NOW_MS)


@pytest.mark.slow
def test_the_groups_are_those_that_a_count_by_hand_finds(sources: Sources) -> None:
    """And the lift that was put into the history is seen in it."""
    rows, told = history(2_000)
    found = lifted(sources, rows)
    dear = lifted(sources, rows, outcome="order.placed where amount > 50")
    cheap = lifted(sources, rows, outcome="order.placed where amount > 500")

    assert [found.acted["customers"], found.acted["converted"]] == told[False]
    assert [found.held_out["customers"], found.held_out["converted"]] == told[True]
    assert found.is_seen
    assert found.absolute == pytest.approx(0.2, abs=0.05)
    assert found.undecided == 0
    assert (dear.acted, dear.held_out) == (found.acted, found.held_out)
    assert cheap.acted["converted"] == 0


def test_customers_whose_time_is_not_over_are_left_out(sources: Sources) -> None:
    """Those who came last have had no time to buy, in both groups alike, and would hide the lift."""
    rows, told = history(500)
    found = lifted(sources, rows, within_ms=30 * DAY_MS)

    assert found.undecided > 100
    assert found.undecided + found.acted["customers"] + found.held_out["customers"] == sum(
        each[0] for each in told.values()
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [("all", "holds nobody out"), ("quiet", "acts for nobody")],
)
def test_a_rule_without_two_groups_has_no_lift(sources: Sources, rule: str, words: str) -> None:
    """Rather than a number that means nothing."""
    with pytest.raises(LiftError, match=words):
        lifted(sources, [], rule)


def test_names_that_are_wrong_are_told_with_the_nearest(sources: Sources) -> None:
    """Of the rule and of the outcome."""
    with pytest.raises(UnknownError, match="did you mean `offer`"):
        lifted(sources, [], "ofer")
    with pytest.raises(RulesError, match=r"--outcome:\d+:\d+") as caught:
        lifted(sources, [], outcome="order.plced")
    assert "did you mean `order.placed`" in str(caught.value)


def test_more_outcomes_than_fit_are_refused(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before memory is full."""
    monkeypatch.setattr("streams.lift_replay.OUTCOMES_MAX", 3)
    with pytest.raises(LiftError, match="more than 3 outcomes"):
        lifted(sources, history(10)[0])


@pytest.mark.slow
def test_the_command_says_it_in_numbers_and_in_words(tmp_path: Path, sources: Sources) -> None:
    """For people, and for scripts."""
    rows, _ = history(300)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(rows))
    asked = ["rules", "lift", "offer", str(file), "--outcome", "order.placed", "--within", "7d"]
    asked += ["--rules", str(sources.place)]
    shown = CliRunner().invoke(main, asked)
    told = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)

    assert shown.exit_code == 0, shown.output
    assert "This is more than chance explains." in shown.stdout
    assert "Lift: +" in shown.stdout
    assert told["absolute_interval"]["lower"] > 0
    assert told["acted"]["customers"] + told["held_out"]["customers"] == 300
    missing = CliRunner().invoke(main, ["rules", "lift", "offer", str(file)])
    assert missing.exit_code == 2
