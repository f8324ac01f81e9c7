"""An experiment is tried: first the naive way, which must fail, then ours, which must not.

Promise   The row of an experiment is `ok` only where the naive run came out wrong by the same check,
          all faults were injected, and nothing was wrong in the real run. What is counted must be right at
          once; what is only too slow is, below full scale, measured once more. An exception is a failure.
How       Runs as a script in a process of its own: FILE SEED SCALE FOLDER. Leaves row.json in FOLDER.
Not here  Lanes, time limits, the results file (run.py).
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.faults.experiment import PROMISED, Experiment, Outcome, Run, load
from tests.machine import ROOT

CPU_INFO: Final = Path("/proc/cpuinfo")
TOLD_MAX: Final = 10  # of thousands of things that are wrong, ten show it
Row = Mapping[str, object]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def machine() -> str:
    """What the figures were measured on."""
    named = re.search(r"model name\s*: (.*)", CPU_INFO.read_text()) if CPU_INFO.exists() else None
    return f"{named[1] if named else platform.machine()}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit of the source; empty where it has no history."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip()


def attempt(experiment: Experiment, run: Run) -> tuple[Outcome, str]:
    """What came out; and the last line of the exception that ended it, if one did."""
    way = "naive" if run.naive else "real"
    began = time.monotonic()
    run.folder.mkdir(parents=True)
    try:
        found = experiment.run(run)
    except Exception as error:  # noqa: BLE001  whatever it is, it fails this experiment and no other
        say(traceback.format_exc())
        return Outcome(0, 0, 0, 0, 0, 0, 0, 0, 0, None, None), f"{type(error).__name__}: {error}"
    say(f"{way}: {story(found)}; {time.monotonic() - began:.0f} s")
    for each in (*found.wrong[:TOLD_MAX], *found.slow[:TOLD_MAX]):
        say(f"{way}: {each}")
    return found, ""


def story(found: Outcome) -> str:
    parts = [
        f"{found.faults:,} faults",
        f"events {found.offered:,} offered, {found.acked:,} acked, {found.applied:,} applied",
        f"actions {found.decided:,} decided, {found.delivered:,} delivered, {found.repeated:,} repeated",
        f"{found.missing:,} missing, {found.surplus:,} surplus",
    ]
    if found.stall_ms_max is not None:
        parts.append(f"worst stall {found.stall_ms_max:,.0f} ms")
    if found.recover_ms_p99 is not None:
        parts.append(f"recovery p99 {found.recover_ms_p99:,.0f} ms")
    parts += [f"{name} {value:,.6g}" for name, value in found.figures.items()]
    return "; ".join(parts)


def faults_of(found: Outcome, run: Run, name: str) -> list[str]:
    """What an outcome must say of itself, whatever the experiment."""
    wrong = []
    planned = PROMISED.get(name)
    if found.faults < (run.of(planned) if planned else 1):
        wrong.append(f"Only {found.faults} faults were injected, of {planned or 1} at full scale.")
    if found.missing + found.surplus and not found.wrong:
        wrong.append(f"{found.missing} missing, {found.surplus} surplus.")
    return wrong


def shows(found: Outcome) -> bool:
    """Whether anything is not as promised."""
    return bool(found.missing or found.surplus or found.wrong or found.slow)


def tried(experiment: Experiment, seed: int, scale: float, folder: Path) -> Row:
    """The row of an experiment."""
    began = time.monotonic()
    naive_run = Run(seed, scale, folder / "naive", naive=True, say=say)
    naive, naive_error = attempt(experiment, naive_run)
    if scale < 1 and (naive_error or not shows(naive)):
        say("few faults may miss the naive way, so it is tried once more")
        shutil.rmtree(naive_run.folder)
        naive, naive_error = attempt(experiment, naive_run)
    run = Run(seed, scale, folder / "real", naive=False, say=say)
    real, error = attempt(experiment, run)
    if real.slow and not (real.wrong or real.missing or real.surplus) and scale < 1:
        say("slower than promised; the machine is shared, so it is measured once more")
        shutil.rmtree(run.folder)
        real, error = attempt(experiment, run)
    told = [*real.wrong[:TOLD_MAX], *real.slow[:TOLD_MAX]]
    wrong = [error] if error else [*told, *faults_of(real, run, experiment.name)]
    if naive_error:
        wrong.append(f"The naive run ended with {naive_error}")
    elif not shows(naive):
        wrong.append("The naive way passes, so this shows nothing.")
    return {
        "experiment": experiment.name,
        "number": experiment.number,
        "seed": seed,
        "scale": scale,
        "faults": real.faults,
        "events": real.offered,
        "acked": real.acked,
        "applied": real.applied,
        "decided": real.decided,
        "delivered": real.delivered,
        "repeated": real.repeated,
        "missing": real.missing,
        "surplus": real.surplus,
        "stall_ms_max": real.stall_ms_max,
        "recover_ms_p99": real.recover_ms_p99,
        "figures": dict(real.figures),
        "wrong": wrong,
        "naive_faults": naive.faults,
        "naive_missing": naive.missing,
        "naive_surplus": naive.surplus,
        "naive_wrong": [*naive.wrong[:TOLD_MAX], *naive.slow[:TOLD_MAX]],
        "seconds": round(time.monotonic() - began, 1),
        "ok": not wrong,
        "machine": machine(),
        "commit": commit(),
    }


def main() -> None:
    file, seed, scale, folder = sys.argv[1:]
    row = tried(load(Path(file)), int(seed), float(scale), Path(folder))
    (Path(folder) / "row.json").write_text(json.dumps(row), "utf-8")


if __name__ == "__main__":
    # Who starts us may ignore it, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
