"""What does one event cost in the engine, without log, Redis and network?

Workload  workload.py: 200,000 events, fifty rules, the default model; decode to packed rows and views.
Measures  CPU time of this process (user and system) an event: in batches of 16,384 and in batches of one,
          after a warm-up of the same events' first tenth; by stage as wall time in the step.
Bars      8 µs an event in large batches, 80 µs for a batch of one.
Caveats   One process, everything in memory, no store: rows are packed as for a commit, then dropped.
"""

import json
import platform
import sys
import time
from dataclasses import dataclass

from benchmarks import workload
from processors.batch import RECORDS_MAX, Records
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.load import load
from rules.ruleset import RuleSet
from streams.outfit import calm_collector
from streams.step import STAGES, Engine, run

LARGE_BAR_US = 8.0
ONE_BAR_US = 80.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one way of cutting batches."""

    cpu_us_per_event: float
    events_per_second: float
    stages_us: dict[str, float]
    actions: int


def engine(rules_count: int = 50) -> Engine:
    """The default model and so many rules."""
    model = default_model()
    builder = PlanBuilder()
    Scores.compile(builder, model)
    loaded: RuleSet = load({"benchmark.toml": workload.rules(rules_count)}, builder.names)
    return Engine(model, loaded)


def measure(compiled: Engine, made: list[Records], warm: int) -> Measured:
    """Run all batches; time those after the first `warm`."""
    table = compiled.table()
    totals = [0] * (len(STAGES) + 1)
    events = actions = 0
    started_cpu = started = 0.0
    for number, records in enumerate(made):
        if number == warm:
            totals, events, actions = [0] * (len(STAGES) + 1), 0, 0
            started_cpu, started = time.process_time(), time.perf_counter()
        begun = time.perf_counter_ns()
        decoded = compiled.reader.read(records)
        ids = decoded.customer_ids
        missing = table.missing(ids)
        if missing:
            table.insert(missing, [None] * len(missing), lambda _: compiled.plan.layout, ids)
        totals[0] += time.perf_counter_ns() - begun
        outcome = run(compiled, table, records, decoded, 0)
        for stage, spent_ns in enumerate(outcome.stage_ns, start=1):
            totals[stage] += spent_ns
        events += len(decoded.events)
        actions += len(outcome.actions)
    cpu, wall = time.process_time() - started_cpu, time.perf_counter() - started
    names = ("decode", *STAGES)
    stages = {name: spent / events / 1e3 for name, spent in zip(names, totals, strict=True)}
    return Measured(cpu / events * 1e6, events / wall, stages, actions)


def main(*, json_out: bool = False, events: int = 400_000) -> int:
    """Print the figures; 1 where a bar is missed."""
    compiled = engine()
    made = workload.values(events)
    calm_collector()  # as every process that folds does
    large = measure(compiled, workload.batches(made, RECORDS_MAX), events // 10 // RECORDS_MAX)
    some = made[: events // 10]
    one = measure(compiled, workload.batches(some, 1), len(some) // 10)
    figures = {
        "workload": {
            "events": events,
            "rules": 50,
            "seed": workload.SEED,
            "customers": workload.CUSTOMERS,
        },
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "registers": compiled.plan.registers,
        "row_words": compiled.plan.layout.words,
        "cpu_us_per_event": round(large.cpu_us_per_event, 3),
        "events_per_second": round(large.events_per_second),
        "stages": {name: round(spent, 3) for name, spent in large.stages_us.items()},
        "batch_of_one": {
            "cpu_us_per_event": round(one.cpu_us_per_event, 2),
            "stages": {name: round(spent, 2) for name, spent in one.stages_us.items()},
        },
        "actions": large.actions,
        "bars": {"cpu_us_per_event": LARGE_BAR_US, "batch_of_one": ONE_BAR_US},
    }
    if json_out:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    else:
        for name, figure in figures.items():
            sys.stdout.write(f"{name:>20}  {figure}\n")
    reached = large.cpu_us_per_event <= LARGE_BAR_US and one.cpu_us_per_event <= ONE_BAR_US
    return 0 if reached else 1
