"""Backtests: what rules would have done, and what that is worth."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from rules.duration import iso
from streams import backtest as module
from streams.backtest import BacktestError, Judging, Report, backtest, compare
from streams.cli import main
from streams.fire_lines import FireLines, FireLinesError
from streams.foretold import Fired, Lead, foretold
from streams.ranking import average_precision
from tests.replaying import engine_of
from tests.streams.replay_rows import HOUR_MS, NOW_MS, START_MS, ListSource

DAY_MS = 24 * HOUR_MS
DEAR = """
[rule.dear]
on = "order.placed"
when = "amount > 50"
reason = "{amount:.0f}"
cooldown = "2h"
then = [{ log = "x" }]

[rule.any]
on = "order.placed"
then = [{ log = "x" }]
"""


def happened(number: int, hour: float, action: str, customer: str, **fields: object) -> bytes:
    told = {"id": f"e{number}", "type": "order", "action": action, "customer_id": customer}
    return msgspec.json.encode({**told, "at_ms": START_MS + round(hour * HOUR_MS), **fields})


HISTORY = [
    happened(0, 0, "placed", "ann", amount=60.0, order_id="a"),
    happened(1, 1, "placed", "ann", amount=70.0, order_id="b"),
    happened(2, 2, "placed", "bob", amount=60.0, order_id="c"),
    happened(3, 30, "placed", "bob", amount=10.0, order_id="d"),
    happened(4, 31, "placed", "eve", amount=99.0, order_id="e"),
    happened(5, 40, "chargeback", "ann", amount=60.0, order_id="a"),
    happened(6, 50, "chargeback", "bob", amount=10.0, order_id="d"),
]


def judged(judging: Judging, *rules: str) -> Report:
    engine = engine_of(*(rules or (DEAR,)))
    return backtest(ListSource(HISTORY), engine, NOW_MS, judging, lambda _rows: None)[0]


def call_of(folder: Path, rows: list[bytes]) -> list[str]:
    """The command over these rows, with the rules above; both are put into the folder."""
    history, rules = folder / "history.jsonl", folder / "rules"
    history.write_bytes(b"\n".join(rows) + b"\n")
    rules.mkdir()
    (rules / "dear.toml").write_text(DEAR)
    return ["rules", "backtest", str(history), "--rules", str(rules)]


def test_it_says_what_each_rule_would_have_done() -> None:
    """A day with how many fires, for whom, and what was held back."""
    report = judged(Judging())
    dear = report.rules["dear"]

    assert (report.events_read, report.fires, report.customers) == (7, 8, 3)
    assert dear.fires == 3
    assert dear.customers == 3
    assert dear.fires_per_day == {"2023-11-14": 1, "2023-11-15": 1, "2023-11-16": 1}
    assert dear.suppressed == {"cooldown": 1}
    assert [each["reason"] for each in dear.samples] == ["60", "60", "99"]
    assert dear.foretold is None


def test_a_fire_with_several_targets_is_one_sample() -> None:
    """Five samples are to be five fires, not the targets of one."""
    rule = """
[rule.dear]
on   = "order.placed"
then = [{ log = "one" }, { log = "two" }, { webhook = "three" }]
"""
    samples = judged(Judging(), rule).rules["dear"].samples

    assert len(samples) > 1
    assert len(samples) == len({json.dumps(each) for each in samples})


def test_the_time_before_only_fills_profiles() -> None:
    """Else every rule looks best in the days in which it knows nobody."""
    report = judged(Judging(from_ms=START_MS + 20 * HOUR_MS, until_ms=START_MS + 31 * HOUR_MS))

    assert {name: each.fires for name, each in report.rules.items()} == {"dear": 0, "any": 1}
    assert judged(Judging(since_ms=21 * HOUR_MS)).rules["any"].fires == 2


def test_fires_are_held_beside_the_outcome_of_their_own_order() -> None:
    """That ann was defrauded says nothing of her other order."""
    dear = (
        judged(Judging(outcome="order.chargeback", within_ms=45 * HOUR_MS)).rules["dear"].foretold
    )

    assert dear is not None
    assert (dear.right, dear.outcomes, dear.foretold) == (1, 2, 1)
    assert (dear.precision, dear.recall) == (0.3333, 0.5)
    assert dear.lead_time == Lead(144_000.0, 144_000.0, 144_000.0)


def test_an_outcome_that_comes_too_late_was_not_foretold() -> None:
    """A rule that is right one day is right about nothing."""
    dear = (
        judged(Judging(outcome="order.chargeback", within_ms=39 * HOUR_MS)).rules["dear"].foretold
    )

    assert dear is not None
    assert (dear.right, dear.recall) == (0, 0.0)


def test_without_an_order_the_customer_counts() -> None:
    """A timer names no order, and some outcomes do not."""
    fires = [Fired(0, "ann", None, 10), Fired(0, "bob", "o", 10), Fired(0, "eve", None, 10)]
    outcomes = [Fired(-1, "ann", "x", 20), Fired(-1, "bob", None, 20), Fired(-1, "zoe", None, 20)]
    found = foretold(fires, outcomes, 100)

    assert (found.right, found.foretold, found.outcomes) == (2, 2, 3)


def test_units_are_ranked_by_how_many_rules_fire() -> None:
    """Orders a and d were bad: one has two fires, the other one."""
    report = judged(
        Judging(outcome="order.chargeback", within_ms=90 * DAY_MS, units="order.placed")
    )

    assert report.average_precision == average_precision(
        [2, 1, 2, 1, 2], [True, False, False, True, False]
    )
    assert report.precision == 0.375


def test_other_rules_reach_other_customers() -> None:
    """What a change of rules changes are people, not numbers."""
    engines = [engine_of(text) for text in (DEAR, DEAR.replace("amount > 50", "amount > 80"))]
    one, other = (
        backtest(ListSource(HISTORY), engine, NOW_MS, Judging(), lambda _rows: None)
        for engine in engines
    )
    found = compare(one, other)["dear"]

    assert found == {
        "fires_here": 3,
        "fires_there": 1,
        "both": 1,
        "only_here": 2,
        "only_there": 0,
        "only_here_customers": ["ann", "bob"],
        "only_there_customers": [],
    }


def test_too_many_fires_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that fires at each click must not fill the memory."""
    monkeypatch.setattr(module, "FIRES_MAX", 3)
    with pytest.raises(BacktestError, match="cooldown"):
        judged(Judging())


def test_the_command_prints_json_and_tables(tmp_path: Path) -> None:
    """Scripts read the one, people the other."""
    call = call_of(tmp_path, HISTORY)
    call += ["--outcome", "order.chargeback", "--against", str(tmp_path / "rules")]
    shown = CliRunner().invoke(main, call)
    told = json.loads(CliRunner().invoke(main, [*call, "--json"]).stdout)

    assert shown.exit_code == 0
    assert "8 fires for 3 customers" in shown.stdout
    assert told["rules"]["dear"]["foretold"]["outcomes"] == 2
    assert told["against"]["dear"]["both"] == 3


def test_rows_that_are_no_events_are_told(tmp_path: Path) -> None:
    """Figures over half of a history must not look like figures over all of it."""
    call = call_of(tmp_path, [*HISTORY, b'{"id": '])
    shown = CliRunner().invoke(main, call)
    told = CliRunner().invoke(main, [*call, "--json"])

    assert (shown.exit_code, told.exit_code) == (1, 1)
    assert "Nothing was made of 1 of them: malformed 1." in shown.stdout
    assert f"row {len(HISTORY) + 1}: malformed: " in shown.stderr
    assert json.loads(told.stdout)["dead_letters"] == {"malformed": 1}


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--since", "soon", "is no duration; as in 30d"),
        ("--judge-from", "yesterday", "is no time; as in 2026-08-08"),
        ("--outcome", "chargeback", "names no events; as in order.chargeback"),
        ("--units", "order.placed", "name one"),
    ],
)
def test_a_mistake_in_the_call_is_told(tmp_path: Path, option: str, value: str, says: str) -> None:
    """With the mend, and exit code 2."""
    file = tmp_path / "history.jsonl"
    file.write_bytes(HISTORY[0] + b"\n")
    found = CliRunner().invoke(main, ["rules", "backtest", str(file), option, value])

    assert found.exit_code == 2
    assert says in found.stderr


def test_live_are_the_rules_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force is what the settings name, whatever rules are tried."""
    (tmp_path / "history.jsonl").write_bytes(b"\n".join(HISTORY) + b"\n")
    for name, text in (("new", DEAR.replace("> 50", "> 80")), ("live", DEAR)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dear.toml").write_text(text)
    monkeypatch.setenv("RAPPORT_RULES", str(tmp_path / "live"))
    call = ["rules", "backtest", str(tmp_path / "history.jsonl"), "--rules", str(tmp_path / "new")]
    told = json.loads(CliRunner().invoke(main, [*call, "--against", "live", "--json"]).stdout)

    assert told["against"]["dear"]["fires_here"] == 1
    assert told["against"]["dear"]["fires_there"] == 3


def test_one_source_is_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a query, or what the log holds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(HISTORY[0] + b"\n")
    (tmp_path / "a.sql").write_text("SELECT 1 AS id\n")
    none = CliRunner().invoke(main, ["rules", "backtest"])
    both = CliRunner().invoke(main, ["rules", "backtest", "a.jsonl", "--sql", "a.sql"])
    sorted_ = CliRunner().invoke(main, ["rules", "backtest", "--sort"])

    assert (none.exit_code, both.exit_code, sorted_.exit_code) == (1, 2, 2)
    assert "rapport-data/history holds no events yet" in none.stderr
    assert "name one source" in both.stderr
    assert "go with --sql" in sorted_.stderr


def test_every_fire_of_the_judged_time_is_a_line(tmp_path: Path) -> None:
    """Who checks a rule by hand needs all of it, with the reason; a fire with two targets is one."""
    text = DEAR.replace('then = [{ log = "x" }]', 'then = [{ log = "x" }, { topic = "y" }]')
    file = tmp_path / "fires.jsonl"
    with FireLines(file) as lines:
        judging = Judging(since_ms=24 * HOUR_MS)
        source, engine = ListSource(HISTORY), engine_of(text)
        report, _ = backtest(source, engine, NOW_MS, judging, lambda _rows: None, lines)
    told = [json.loads(line) for line in file.read_text().splitlines()]

    assert len(told) == report.fires == 3
    everything = judged(Judging(), text)
    with FireLines(file) as lines:
        backtest(ListSource(HISTORY), engine_of(text), NOW_MS, Judging(), lambda _rows: None, lines)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(told) == everything.fires == 8
    assert {"rule": "dear", "customer_id": "eve", "cause": "e4", "reason": "99"}.items() <= next(
        each for each in told if each["customer_id"] == "eve" and each["rule"] == "dear"
    ).items()
    assert list(tmp_path.iterdir()) == [file]


def test_a_backtest_that_breaks_off_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the fires would be taken for all."""
    monkeypatch.setattr(module, "FIRES_MAX", 1)
    given = (ListSource(HISTORY), engine_of(DEAR), NOW_MS, Judging(), lambda _rows: None)
    with FireLines(tmp_path / "fires.jsonl") as lines, pytest.raises(BacktestError):
        backtest(*given, lines)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_is_named(tmp_path: Path) -> None:
    """Before the history is read: that may take minutes."""
    with pytest.raises(FireLinesError, match="cannot be written"):
        FireLines(tmp_path / "nowhere" / "fires.jsonl")


def test_samples_are_of_the_judged_time() -> None:
    """What fired before it only filled the profiles."""
    report = judged(Judging(from_ms=START_MS + 20 * HOUR_MS))

    assert {each["customer_id"] for each in report.rules["any"].samples} == {"bob", "eve"}
    assert judged(Judging()).judged_from == iso(START_MS)
