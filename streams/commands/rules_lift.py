"""`rapport rules lift`: what acting on a rule is worth, by who was held out of it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from streams import kernels
from streams.commands.history import LOG, history, reading
from streams.commands.options import (
    as_json,
    counted,
    print_json,
    print_table,
    say,
    settings_options,
    stdout,
)
from streams.commands.replay import source_arguments
from streams.commands.rules_backtest import Duration
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.lift import Interval, Lift


@click.command(short_help="Say what acting on a rule is worth, by who was held out of it.")
@click.argument("rule", metavar="RULE")
@source_arguments
@click.option("--sort", is_flag=True, help="Order the rows of the SQL by time.")
@click.option("--outcome", metavar="EVENTS", required=True, help="Such as order.placed.")
@click.option(
    "--within",
    "within_ms",
    type=Duration(),
    default="30d",
    show_default=True,
    help="How long after the first fire for a customer an outcome counts.",
)
@as_json
@settings_options("rules", "model", "log", said=LOG)
def lift(
    settings: Settings,
    *,
    rule: str,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    sort: bool,
    outcome: str,
    within_ms: int,
    as_json: bool,
) -> None:
    """Say what acting on a rule is worth, by who was held out of it.

    The history is run through the engine that runs live, and nothing is delivered. Whoever the rule fired for
    is in one of two groups from the first time on: acted for, or held out.
    """
    source = history(settings, lines, sql, pairs, sort=sort)
    kernels.load(say)
    from streams.lift_replay import lift_over
    from streams.loader import Sources

    sources = Sources(settings.model, settings.rules)
    now_ms = time.time_ns() // 1_000_000
    with reading(source) as progress:
        found = lift_over(source, sources, rule, outcome, within_ms, now_ms, progress)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(rule, outcome, found)


def _print(rule: str, outcome: str, found: "Lift") -> None:
    columns = ("customers", "converted", "conversion")
    rows = []
    for name, group in (("acted for", found.acted), ("held out", found.held_out)):
        share = f"{100 * group['conversion']:.2f}%"
        rows.append((name, int(group["customers"]), int(group["converted"]), share))
    print_table((f"{rule}, {outcome}", *columns), rows)
    console = stdout()
    if found.absolute is None or found.absolute_interval is None:
        console.print("One of the groups is empty: nothing can be said.")
    else:
        console.print(
            f"Lift: {100 * found.absolute:+.2f} points ({_interval(found.absolute_interval)}, 95%)"
        )
        if found.relative is not None and found.relative_interval is not None:
            console.print(
                f"That is {100 * found.relative:+.1f}% ({_interval(found.relative_interval)}, 95%)"
            )
        console.print(_seen(found))
    if found.undecided:
        console.print(
            f"Left out: {counted(found.undecided, 'customer')} whose time for the outcome is not over"
        )


def _seen(found: "Lift") -> str:
    if found.is_seen:
        return "This is more than chance explains."
    if not found.customers_needed:
        return "Chance explains this."
    return (
        "Chance explains this; if it is real, about"
        f" {counted(found.customers_needed, 'more customer')} would show it, four times out of five"
    )


def _interval(interval: "Interval") -> str:
    return f"{100 * interval.lower:+.2f} to {100 * interval.upper:+.2f}"
