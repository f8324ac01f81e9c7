"""docs/reliability.md, made of the results and of what the experiments say of themselves.

Promise   Every figure of the page is one of the results file; a test holds the two equal.
How       `make faults` makes it anew; `python -m tests.faults.report` does only that.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tests.faults.experiment import PROMISED, Experiment, files, load
from tests.faults.meanings import meaning
from tests.faults.run import read
from tests.faults.trial import Row
from tests.machine import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "faults.json"
PAGE: Final = ROOT / "docs" / "reliability.md"
WRONG_SHOWN: Final = 3

HEAD: Final = """\
# Reliability

Every event counts once, and every action is decided once per cause, whatever dies. This page says how
that is tried, and what came out. `make faults` makes it from `benchmarks/results/faults.json`; nobody
edits it.

Each experiment runs twice. The **naive** run has the same faults with one protection taken away, and must
come out wrong by the same check: else the check proves nothing. Then the real run must come out right. The
checkers read Redis and Kafka themselves, with a sequential reading in plain Python for what must be there
(`tests/faults/oracle.py`), and never ask the engine.

## Do it again

```sh
make faults
```

runs everything at full scale, for which an hour and a quarter on two cores are planned, and makes this page
anew. `make faults SCALE=0.1 OUT=small.json` is what CI runs, in 12 minutes, and leaves the page alone. `make
faults ONLY=kill_workers SEED=42` runs one experiment with one seed; everything random in it is drawn from the
seed: which worker, when, which reply. What the machine adds, its scheduling, differs from run to run. A run
that falls short prints the command that repeats it, and exits with 1.

## What came out

*Holds* says whether all that the experiment promises was shown; where it was not, its section says what fell
short. *Missing* and *surplus* count events and actions, by the checker; *repeated* counts deliveries of an
action that had been delivered before, which an endpoint tells by their id: a delivery whose answer was lost
has to be repeated. *Stall* is the longest time without progress, the fault itself included: a broker that is
away for 8 seconds stalls for longer. *Recovery* is the 99th percentile of the time from a fault, or from its
end where it lasts, until progress. What an experiment does not look at has a dash. Some naive runs come out
wrong in other ways than by missing and surplus, and say how.

Each section says of which commit it is; a run that came to no end has dashes, for it has counted nothing. A
figure that ends in `_surely` is the lower end of its 95 % confidence interval: on a machine with other work,
a single figure of time means little.
"""

CAVEATS: Final = """\
## What this does not show

- **One machine.** Workers, Kafka, Redis, sender and checker share the cores. Networks that split between
  machines, clocks that differ and disks that die are not here; a link that is cut is a proxy's work.
- **Loopback.** Replies are lost and held back by our own proxy, not by switches.
- **The page cache.** A killed server loses what it had not handed to the system, not what the system had not
  written to disk. Power cuts are imitated by cutting the file; a disk that lies about what it has written
  is not.
- **One Kafka broker**, without replicas. What Kafka loses itself, when a leader falls without its
  followers, is not tried.
- **Once decided is not once received.** A webhook whose answer was lost is sent again with the same id and
  the same body. To act on it once, an endpoint has to look at the id.
- **Chance.** A run without a fault found is a bound, not a proof: other seeds may find more, and are free.
"""


def page(experiments: Iterable[Experiment], rows: Iterable[Row]) -> str:
    """The whole page. An experiment without a row is named as not yet run."""
    by_name = {str(row["experiment"]): row for row in rows}
    known = sorted(experiments, key=lambda each: each.number)
    parts = [HEAD, table(known, by_name)]
    parts += [section(each, by_name.get(each.name)) for each in known]
    return "\n".join([*parts, CAVEATS])


def table(experiments: Iterable[Experiment], rows: Mapping[str, Row]) -> str:
    heads = [
        *("#", "fault", "holds", "scale", "seed", "faults", "events", "missing", "surplus"),
        *("repeated", "stall, ms", "recovery p99, ms", "naive missing", "naive surplus"),
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---" * 3 + "|---:" * (len(heads) - 3) + "|"]
    names = [
        *("seed", "faults", "events", "missing", "surplus", "repeated", "stall_ms_max"),
        *("recover_ms_p99", "naive_missing", "naive_surplus"),
    ]
    for each in experiments:
        row = rows.get(each.name)
        cells = ["not yet run"] + [""] * len(names)
        if row:
            cells = [
                "yes" if row["ok"] else "**no**",
                str(row["scale"]),
                str(row["seed"]),
                *(shown(row, name) for name in names[1:]),
            ]
        lines.append("| " + " | ".join([str(each.number), begun(each.title), *cells]) + " |")
    return "\n".join(lines) + "\n"


def shown(row: Row, name: str) -> str:
    """A figure of a row; a dash where its run, naive or real, came to no end: nothing was counted."""
    counted_any = row["naive_faults" if name.startswith("naive_") else "events"]
    return figure(row[name] if counted_any else None)


def figure(value: object) -> str:
    """A number as people read it; a dash where there is none."""
    if not isinstance(value, int | float):
        return "–"
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.3g}"


def begun(text: str) -> str:
    """A line as the beginning of a sentence, without its end.

    >>> begun("workers die.")
    'Workers die'
    """
    return (text[:1].upper() + text[1:]).removesuffix(".")


def section(experiment: Experiment, row: Row | None) -> str:
    """What one experiment shows."""
    lines = [
        f"### {experiment.number}. {begun(experiment.title)}",
        "",
        f"`make faults ONLY={experiment.name}`",
        "",
        f"**Shows.** {begun(experiment.shows)}.",
        "",
        f"**The naive way.** {begun(experiment.naive)}.",
    ]
    if row is None:
        return "\n".join([*lines, "", "Not yet run.", ""])
    naive_wrong, wrong, figures = row["naive_wrong"], row["wrong"], row["figures"]
    assert isinstance(naive_wrong, list)
    assert isinstance(wrong, list)
    assert isinstance(figures, Mapping)
    if not row["ok"]:
        lines += ["", "**It falls short:**", "", *(f"- {each}" for each in wrong), ""]
    if row["naive_faults"]:
        lines += [
            (
                f"It came out wrong: {figure(row['naive_missing'])} missing and"
                f" {figure(row['naive_surplus'])} surplus after {figure(row['naive_faults'])} faults."
            ),
            *(f"- `{each}`" for each in naive_wrong[:WRONG_SHOWN]),
            "",
        ]
    lines.append(f"**Counted.** {counted(row)}")
    if figures:
        lines += ["", "| figure | | |", "|---|---:|---|"]
        lines += [
            f"| `{name}` | {figure(value)} | {meaning(name)} |" for name, value in figures.items()
        ]
    return "\n".join([*lines, ""])


def counted(row: Row) -> str:
    made = (
        f"Scale {row['scale']}, {figure(row['seconds'])} s, the naive run included;"
        f" {row['machine']}; commit {row['commit']}"
    )
    if not row["events"]:
        return f"Nothing: the run came to no end. {made}."
    text = (
        f"{figure(row['events'])} events offered, {figure(row['acked'])} acknowledged,"
        f" {figure(row['applied'])} applied"
    )
    if row["decided"]:
        text += f"; {figure(row['decided'])} actions decided"
    if row["delivered"]:  # else nobody delivers in the experiment
        text += f"; {figure(row['delivered'])} delivered"
        text += f", {figure(row['repeated'])} deliveries repeated" if row["repeated"] else ""
    return f"{text}. {made}."


def refresh() -> None:
    """Write the page anew."""
    found = [load(file) for name, file in files().items() if name in PROMISED]
    PAGE.write_text(page(found, read(RESULTS)), "utf-8")


if __name__ == "__main__":
    refresh()
