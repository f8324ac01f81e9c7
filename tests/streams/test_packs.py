"""The starter packs: each rule fires where it should, and does not where it should not."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from processors.model_file import default_model
from rules.rule import Rule
from streams.loader import Sources, packs, read_files, rule_paths, toml_paths
from streams.replay import replay
from streams.rule_cases import Case, case_file
from streams.rule_coverage import Coverage
from streams.rule_tests import Report, acting, failures_of, run
from streams.shop import SEED, history
from streams.source import LinesSource
from tests.machine import ROOT
from tests.replaying import write_lines

PACKS = ("cart-and-nurture", "churn-and-retention", "fraud-and-abuse", "loyalty-and-vip", "ops")
ENDPOINTS = {"crm", "risk", "service", "ops"}  # more would be more to set up before anything works
MESSAGING = "marketing"
END_MS = 1_750_000_000_000


@cache
def rules() -> Mapping[str, Rule]:
    return {each.name: each for each in read_files(rule_paths(packs()), default_model()).rules}


@cache
def cases() -> list[Case]:
    files = [path for path in toml_paths(packs()) if path.name.endswith(".test.toml")]
    return [
        case for path in files for case in case_file(path, path.read_bytes()).cases(rules().keys())
    ]


@cache
def report() -> Report:
    return run([packs()], default_model())


@pytest.mark.slow
def test_every_case_of_the_packs_passes_and_shows_every_clause() -> None:
    """They are what people copy: a clause that no case needs is one that nobody knows to be right."""
    assert report().failures == []
    assert report().files == 6
    assert report().cases == len(cases()) >= 60
    assert report().untested == []
    assert report().coverage.share == 1.0


@pytest.mark.parametrize("name", rules())
def test_a_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    """A rule that always fires passes the first alone; one that never does, the second."""
    assert any(each.rule == name for case in cases() for each in case.fires)
    assert any(name in case.fires_not for case in cases())


@pytest.mark.parametrize("rule", rules().values(), ids=lambda each: each.name)
def test_a_rule_says_what_it_is_for_and_holds_back_where_it_writes_to_people(rule: Rule) -> None:
    """Whoever switches the packs on must not annoy anybody, or have to guess."""
    assert rule.describe
    assert rule.reason is not None
    assert rule.purpose
    assert {each.name for each in rule.targets} <= ENDPOINTS
    if rule.consent is not None:
        assert rule.cooldown_ms or rule.cap is not None
    if rule.purpose == MESSAGING:
        assert rule.holdout > 0
        assert rule.cooldown_ms or rule.cap is not None


@pytest.mark.slow
def test_a_pack_that_is_loaded_alone_is_whole(tmp_path: Path) -> None:
    """People take one pack of six."""
    for name in (*PACKS, "service-and-complaints"):
        (tmp_path / f"{name}.toml").write_bytes((packs() / f"{name}.toml").read_bytes())
        engine = acting(default_model(), read_files([tmp_path / f"{name}.toml"], default_model()))

        assert engine.rule_plan.bound


@pytest.mark.slow
def test_the_cases_of_each_pack_hold_with_all_packs_in_force() -> None:
    """No pack changes what another one does; the caps on a channel count for all, and have room."""
    engine = acting(default_model(), read_files(rule_paths(packs()), default_model()))
    for case in cases():
        named = {each.rule for each in case.fires} | {*case.fires_not}
        narrowed = replace(case, only=tuple(sorted(named)))

        assert failures_of(narrowed, engine, Coverage()) == []


@pytest.mark.slow
def test_the_page_of_the_packs_tells_what_each_rule_is_for_and_does_in_the_shop(
    tmp_path: Path,
) -> None:
    """Who chooses rules wants to know how often they will be heard of."""
    page = (ROOT / "docs" / "packs.md").read_text("utf-8")
    told = re.findall(r"^\| `([\w-]+)` \| (.*) \| (\d+) \|$", page, re.MULTILINE)
    lived = write_lines(tmp_path / "shop.jsonl", history(SEED, END_MS))

    fires = replay(LinesSource(lived), Sources().engine(), END_MS).summary.fires
    assert told == [(each.name, each.describe, str(fires[each.name])) for each in rules().values()]
