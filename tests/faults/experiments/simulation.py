"""Experiment 16: thousands of whole lives of the engine, simulated on virtual time.

How       Each seed is a world of its own (tests/simulation): processes that claim, fold, commit and
          deliver with the product's code, on a Redis, a log, clocks and receivers in memory, with faults
          at any call and at any await. What must hold is looked at after every write to Redis, and once
          more in the end. Two processes; some seeds are played again by the other of the two, and must
          give the same trace.
Naive     The fence is not compared: no watch, and whatever is read there is believed.
Limits    No timers: the engine has none yet, so neither has the simulation. How records come out of Kafka
          or Redis Streams is for the other experiments. A stall or a recovery in milliseconds means
          nothing where the clock is made up. How long the seeds take is judged by the CPU of the two
          processes, for other experiments may run beside them.
"""

import time
from typing import Final

from tests.faults.experiment import Experiment, Outcome, Run
from tests.simulation.seeds import PROCESSES, Tally, tally

SEEDS: Final = 5_000
SEEDS_MAX: Final = 1_000_000  # of a run: the next seed of a run begins where this one's end
SECONDS_MAX: Final = 300.0  # the promise, at full scale
NAIVE_SHARE: Final = 0.1
SABOTAGE: Final = "the fence is not compared"
TRACES_MAX: Final = 3
WRONG_MAX: Final = 20
PROGRESS: Final = 1_000


def run(run: Run) -> Outcome:
    count = run.of(SEEDS)
    if run.naive:
        count = max(1, round(count * NAIVE_SHARE))
    told = 0

    def progress(found: Tally) -> None:
        nonlocal told
        if found.played - told >= PROGRESS:
            told = found.played
            run.say(f"{told:,} seeds, {found.faults.total():,} faults, {len(found.failed)} wrong")

    began = time.monotonic()
    found = tally(run.seed * SEEDS_MAX, count, SABOTAGE if run.naive else None, progress)
    seconds = time.monotonic() - began
    wrong = [f"Seed {each.seed}: {each.wrong[0]}" for each in found.failed[:WRONG_MAX]]
    wrong += [f"Seed {seed} is not the same when played again." for seed in found.differing]
    if found.played != count:
        wrong.append(f"{found.played} seeds were played, not {count}.")
    busy_seconds = found.cpu_seconds / PROCESSES
    if not run.naive and busy_seconds > SECONDS_MAX * run.scale:
        wrong.append(f"{count:,} seeds kept {PROCESSES} cores busy for {busy_seconds:.0f} s.")
    for each in found.failed[:TRACES_MAX] if not run.naive else ():
        run.say(f"seed {each.seed}; tests.simulation.world.live({each.seed}) plays it again:")
        run.say(each.trace)
    counts = found.counts
    return Outcome(
        faults=found.faults.total(),
        offered=counts["offered"],
        acked=counts["offered"],
        applied=counts["applied"],
        decided=counts["decided"],
        delivered=counts["delivered"],
        repeated=counts["repeated"],
        missing=counts["missing"],
        surplus=counts["surplus"],
        stall_ms_max=None,
        recover_ms_p99=None,
        figures={
            "seeds": found.played,
            "seeds_wrong": len(found.failed),
            "replayed": found.replayed,
            "replayed_differing": len(found.differing),
            "refused": counts["refused"],
            "delivered_in_haste": counts["hasty"],
            "seconds": round(seconds, 1),
            "busy_seconds": round(busy_seconds, 1),
            **{f"faults: {name}": number for name, number in sorted(found.faults.items())},
        },
        wrong=tuple(wrong),
    )


EXPERIMENT = Experiment(
    number=16,
    name="simulation",
    title="Seeded simulation: crash, redeliver, reorder, duplicate, clock jump, Redis rolled back",
    shows="5,000 seeds in 5 minutes at most; a failing seed replays identically",
    naive="the fence is not compared",
    needs_kafka=False,
    run=run,
    seconds=150,
)
