"""`rapport bench`: the benchmarks, which come with the source and not with the package."""

import importlib
import sys
from pathlib import Path
from typing import Any, Final

import click

from streams.commands.options import Problems, as_json, fail

NAMES: Final = ("step", "rules", "reference", "latency", "timers")
CHECKOUT: Final = Path(__file__).resolve().parents[2]


@click.group(short_help="Run the benchmarks, each against its rival.", invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Run the benchmarks, each against its rival in the same run; without a name, all of them."""
    if context.invoked_subcommand is None:
        for name in NAMES:
            _run(name, as_json=False)


@bench.command(short_help="The step alone, without a broker.")
@as_json
def step(*, as_json: bool) -> None:
    """CPU of the step alone: 50 rules, all aggregates, no broker."""
    _run("step", as_json=as_json)


@bench.command(short_help="200 rules against none.")
@click.option("--save", is_flag=True, help="Also write the figures to benchmarks/results.")
@as_json
def rules(*, save: bool, as_json: bool) -> None:
    """What 200 rules with 300 features add to an event, by rule too, and what rules that cannot match add."""
    _run("rules", as_json=as_json, save=save)


@bench.command(short_help="The reference job on a real broker, beside plain Faust.")
@as_json
def reference(*, as_json: bool) -> None:
    """The reference job on a real broker, beside plain Faust in the same run."""
    _run("reference", as_json=as_json)


@bench.command(short_help="From produce to Redis and to the webhook.")
@as_json
def latency(*, as_json: bool) -> None:
    """Latency at 2,000 events a second, from produce to Redis and to the webhook."""
    _run("latency", as_json=as_json)


@bench.command(short_help="A million pending timers, and 10,000 in one second.")
@click.option("--save", is_flag=True, help="Also write the figures to benchmarks/results.")
@as_json
def timers(*, save: bool, as_json: bool) -> None:
    """A million pending timers: memory, cost, and how late 10,000 are that come due in one second."""
    _run("timers", as_json=as_json, save=save)


def _run(name: str, *, as_json: bool, **options: bool) -> None:
    file = CHECKOUT / "benchmarks" / f"{name}.py"
    if not file.exists():
        fail(
            f"the benchmark {name} is not installed: benchmarks come with the source; run"
            " `rapport bench` from a checkout that was installed with `make setup`"
        )
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    module: Any = importlib.import_module(f"benchmarks.{name}")
    if module.main(json_out=as_json, **options):
        raise Problems("")
