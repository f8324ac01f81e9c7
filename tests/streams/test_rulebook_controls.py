"""Rules go on under what was said by command, whatever happens to their files."""

from pathlib import Path

import pytest

from processors.model import Model
from rules.rule_table import SNOOZED_MS
from rules.ruleset import RuleSet
from streams import controlled as controlled_module
from streams.clock import ManualClock
from streams.controls import FOREVER_MS, Control, Controls, Known, Stage, Staged, paused
from streams.loader import Sources
from streams.metrics import Metrics
from streams.rulebook import Rulebook
from streams.step import Engine

RULES = """
[rule.loud]
version = {version}
on = "order.placed"
then = [{{ log = "x" }}]

[rule.plan]
stage = "draft"
on = "order.placed"
then = [{{ log = "x" }}]
"""
PAUSED = paused(Control(), "too loud", "ann", 1)
PROMOTED = Control(Staged(Stage("live"), Known(1, Stage("draft")), "ann", 1))


@pytest.fixture
def rulebook(tmp_path: Path) -> Rulebook:
    (tmp_path / "mine.toml").write_text(RULES.format(version=1))
    return Rulebook(Sources(rules=tmp_path), Metrics("test"), ManualClock(5_000))


def until_ms(rulebook: Rulebook) -> dict[str, int]:
    """Of each rule that is judged, until when it does nothing."""
    plan = rulebook.engine.rule_plan
    return {
        bound.rule.name: int(plan.table[number, SNOOZED_MS])
        for number, bound in enumerate(plan.bound)
    }


async def test_a_pause_outlives_a_reload(rulebook: Rulebook) -> None:
    """Who deploys on Friday must not wake what was paused on Thursday."""
    await rulebook.take({"loud": PAUSED})
    assert until_ms(rulebook) == {"loud": FOREVER_MS}
    (rulebook.sources.place / "mine.toml").write_text(RULES.format(version=2))
    assert await rulebook.reload()

    told = rulebook.told()["rules"][0]
    assert (told["version"], until_ms(rulebook)) == (2, {"loud": FOREVER_MS})
    assert told["paused"] == {"why": "too loud", "by": "ann", "at_ms": 1}
    await rulebook.take({})
    assert until_ms(rulebook) == {"loud": 0}


async def test_a_draft_is_judged_once_it_is_promoted(rulebook: Rulebook) -> None:
    """The file says draft; the command says live; both are told."""
    await rulebook.take({"plan": PROMOTED})
    told = rulebook.told()["rules"][1]

    assert set(until_ms(rulebook)) == {"loud", "plan"}
    assert (told["stage"], told["stage_of_file"]) == ("live", "draft")
    assert told["staged"] == {"by": "ann", "at_ms": 1}


async def test_what_is_paused_is_paused_even_where_a_promoted_draft_is_too_much(
    rulebook: Rulebook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A rule that does not fit must not keep another one going."""
    made = controlled_module.controlled

    def full(model: Model, files: RuleSet, controls: Controls) -> Engine:
        if any(control.staged for control in controls.values()):
            raise ValueError("more registers than there are")
        return made(model, files, controls)

    monkeypatch.setattr("streams.loader.controlled", full)
    await rulebook.take({"plan": PROMOTED, "loud": PAUSED})

    assert until_ms(rulebook) == {"loud": FOREVER_MS}
    assert "drafts stay drafts" in caplog.text
    assert "more registers than there are" in caplog.text


def test_a_rule_that_goes_on_keeps_its_series_at_nothing() -> None:
    """A series that ends looks like one that nobody has scraped."""
    metrics = Metrics("test")
    metrics.rules.paused(["loud"])
    metrics.rules.paused([])
    metrics.rules.paused(["other"])

    def value(rule: str) -> float | None:
        return metrics.registry.get_sample_value("rapport_rule_paused", {"rule": rule})

    assert [value("loud"), value("other"), value("never")] == [0.0, 1.0, None]
