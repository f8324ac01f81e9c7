"""What do 200 rules add to the cost of an event?

Workload  200 rules of the packs' mix (rule_workload.py) on the events of workload.py, with 300 readings,
          scores and averages that the model does not have, against no rules at all, in the same run.
Measures  CPU time of this process (user and system) an event, in batches of 16,384: rounds of none, all, and
          200 rules that cannot match, one after the other; the median of the rounds' differences, after a
          warm-up in each. Actions are made, and dropped. By rule the model of rules/cost.py, and how far
          its sum is from what was measured.
Bar       4 µs an event more than without rules.
Caveats   Everything in memory, one process. Timers are set, and do not fire. The constants of
          the model are measured by rule_fit.py.
"""

import os
import platform
from collections.abc import Mapping
from statistics import median
from typing import Final

from benchmarks import rule_workload, workload
from benchmarks.results import tell
from benchmarks.step import Measured, measure
from processors.batch import RECORDS_MAX
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.cost import Costing
from rules.load import load
from rules.ruleset import RuleSet
from streams.outfit import calm_collector
from streams.step import Engine

BAR_US: Final = 4.0
ROUNDS: Final = 5
RULES: Final = 200
SHOWN: Final = 10  # of the dearest rules


def engine(files: Mapping[str, bytes]) -> Engine:
    """The default model and these rules."""
    model = default_model()
    builder = PlanBuilder()
    Scores.compile(builder, model)
    return Engine(model, load(files, builder.names) if files else RuleSet())


def idle_rules(count: int) -> dict[str, bytes]:
    """Rules at events that never come, on readings that the model has anyway."""
    tables = (
        f'[rule.idle-{number}]\non = "customer.merge"\nwhen = "health < {number / 2}"\n'
        'cooldown = "1d"\nthen = [{ log = "bench" }]\n'
        for number in range(count)
    )
    return {"idle.toml": "\n".join(tables).encode()}


def rounds(
    engines: Mapping[str, Engine], events: int, count: int = ROUNDS
) -> dict[str, list[Measured]]:
    """Each engine on the same events, so many times, in turns."""
    batches = workload.batches(workload.values(events), RECORDS_MAX)
    found: dict[str, list[Measured]] = {name: [] for name in engines}
    for _ in range(count):
        for name, each in engines.items():
            found[name].append(measure(each, batches, warm=2))
    return found


def main(*, json_out: bool = False, save: bool = False, events: int = 131_072) -> int:
    """Print the figures; 1 where the bar is missed."""
    calm_collector()
    load_before = round(os.getloadavg()[0], 2)
    engines = {
        "none": engine({}),
        "rules": engine(rule_workload.rules(RULES)),
        "idle": engine(idle_rules(RULES)),
    }
    found = rounds(engines, events)
    none, all_rules = engines["none"], engines["rules"]
    added_us = _added(found, "rules")
    costs = Costing(all_rules.model).costs(all_rules.rules.rules)
    dearest = sorted(costs.rules.items(), key=lambda each: -each[1].ns)
    figures = {
        "workload": _workload(events, _features(all_rules) - _features(none)),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "load_before": load_before,
        "cpu_us_per_event_added": round(added_us, 2),
        "bar_us": BAR_US,
        "cpu_us_per_event": {
            name: round(median(each.cpu_us_per_event for each in them), 2)
            for name, them in found.items()
        },
        "added_by_stage_us": {
            stage: round(
                median(each.stages_us[stage] for each in found["rules"])
                - median(each.stages_us[stage] for each in found["none"]),
                2,
            )
            for stage in found["none"][0].stages_us
        },
        "actions_per_1000_events": round(
            1_000 * found["rules"][0].actions / (events - 2 * RECORDS_MAX), 1
        ),
        "ns_per_event_of_a_rule_that_cannot_match": round(_added(found, "idle") * 1_000 / RULES, 2),
        "model": {
            "us_per_event": round(costs.total.ns / 1_000, 2),
            "measured_by_modelled": round(added_us * 1_000 / costs.total.ns, 2),
            "bytes_per_customer": costs.total.bytes,
            "row_bytes_added": 8 * (all_rules.plan.layout.words - none.plan.layout.words),
        },
        "cost_by_rule": {
            name: {"ns": round(cost.ns, 1), "bytes": cost.bytes}
            for name, cost in (dearest if json_out else dearest[:SHOWN])
        },
    }
    tell("rules", figures, json_out=json_out, save=save)
    return 0 if added_us <= BAR_US else 1


def _workload(events: int, features: int) -> dict[str, int]:
    return {
        "events": events,
        "batch": RECORDS_MAX,
        "rounds": ROUNDS,
        "seed": workload.SEED,
        "customers": workload.CUSTOMERS,
        "rules": RULES,
        "features": features,
    }


def _added(found: Mapping[str, list[Measured]], name: str) -> float:
    pairs = zip(found[name], found["none"], strict=True)
    return median(each.cpu_us_per_event - base.cpu_us_per_event for each, base in pairs)


def _features(compiled: Engine) -> int:
    """Readings, scores and averages over time."""
    return len(compiled.plan.features) + len(compiled.plan.averages)
