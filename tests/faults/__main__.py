"""`python -m tests.faults`: the experiments, a table of what came out, and the exit code.

Promise   Exits with 1 where an experiment falls short, or one of all is absent (unless `--only`).
          Without `--out`, the rows go to benchmarks/results/faults.json, and docs/reliability.md is
          made of them anew.
How       An experiment whose servers the machine cannot run is skipped with the reason; in CI it
          fails. The seed is drawn unless it is given; the line of a failure says how to repeat it.
"""

import argparse
import random
import signal
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from streams.redis_executable import redis_executable
from tests.faults import report
from tests.faults.experiment import PROMISED, Experiment, files, load
from tests.faults.run import Task, all_of, merged, read, write
from tests.faults.shared_broker import shared
from tests.faults.trial import Row
from tests.machine import IN_CI, KAFKA_JARS, java

SEEDS = 1_000_000


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def lacking(experiment: Experiment) -> str:
    """What the machine lacks for it, and how to get that; empty when it has everything."""
    if redis_executable() is None:
        return "redis-server 6.2 or newer is missing: install Redis"
    if not experiment.needs_kafka:
        return ""
    if java() is None:
        return "Java 17 or newer is missing: install a JRE; Kafka's broker runs on it"
    if not (KAFKA_JARS / ".complete").exists():
        return "the jars of Kafka's broker are missing: `make machine` fetches them with Maven"
    return ""


def table(rows: Iterable[Row]) -> str:
    """What came out, a line an experiment."""
    heads = ("experiment", "faults", "events", "missing", "surplus", "repeated", "seconds")
    lines = ["".join(f"{head:>12}" if place else f"{head:20}" for place, head in enumerate(heads))]
    for row in rows:
        figures = "".join(f"{row[head]:>12}" for head in heads[1:])
        naive = f"naive {row['naive_missing']}/{row['naive_surplus']}"
        lines.append(f"{row['experiment']:20}{figures}  {naive}  {'ok' if row['ok'] else 'FAILS'}")
    return "\n".join(lines)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--scale", type=float, default=1.0, help="1 has the numbers of the report")
    parser.add_argument("--seed", type=int, help="of all that is random; drawn when not given")
    parser.add_argument("--only", default="", help="names of experiments, with commas")
    parser.add_argument("--lanes", type=int, default=2, help="how many run side by side")
    parser.add_argument("--out", type=Path, help="results file, instead of benchmarks/results")
    given = parser.parse_args(arguments)
    if not 0 < given.scale <= 100:
        parser.error(f"a scale is above 0 and at most 100, not {given.scale}")
    if not 1 <= given.lanes <= 8:
        parser.error(f"lanes are 1 to 8, not {given.lanes}")
    given.only = [name for name in given.only.split(",") if name]
    unknown = sorted(set(given.only) - set(files()))
    if unknown:
        parser.error(
            f"no experiment is called {', '.join(unknown)}; there are {', '.join(files())}"
        )
    return given


def main() -> int:
    given = options()
    seed = random.randrange(SEEDS) if given.seed is None else given.seed
    there = files()
    absent = [] if given.only else [name for name in PROMISED if name not in there]
    tasks, skipped, needs_kafka = [], [], False
    for name in given.only or there:
        experiment = load(there[name])
        reason = lacking(experiment)
        if reason:
            skipped.append(f"{name} is skipped: {reason}")
            continue
        needs_kafka = needs_kafka or experiment.needs_kafka
        seconds, alone = experiment.seconds, experiment.alone
        tasks.append(Task(name, there[name], seed, given.scale, seconds, alone))
    out = given.out or report.RESULTS
    with shared() if needs_kafka else nullcontext():
        rows = all_of(tasks, given.lanes, say, lambda row: write(out, merged(read(out), [row])))
    if given.out is None and rows:
        report.refresh()
    say(f"\n{table(rows)}")
    for line in [*skipped, *(f"{name} is absent" for name in absent)]:
        say(line)
    replays = {task.name: task.replay for task in tasks}
    failed = [row for row in rows if not row["ok"]]
    for row in failed:
        name = str(row["experiment"])
        say(f"{name}: {row['wrong']}")
        say(f"{name} falls short; the same again: {replays[name]}")
    return 1 if failed or absent or (skipped and IN_CI) else 0


if __name__ == "__main__":
    for each in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # who was started by nohup, or by &, ignores the former
        signal.signal(each, signal.default_int_handler)  # experiments are ended in order
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted; everything that was started is ended")
        sys.exit(130)
