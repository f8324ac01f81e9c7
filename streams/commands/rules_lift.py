"""`rapport rules lift`: what acting on a rule is worth, by who was held out of it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from streams import kernels
from streams.commands.cluster import kafka_settings
from streams.commands.options import (
    UsageError,
    as_json,
    counted,
    parameters,
    print_json,
    print_table,
    say,
    settings_options,
    stderr,
    stdout,
)
from streams.commands.replay import source_arguments
from streams.commands.rules_backtest import Duration
from streams.settings import KafkaLog, Settings

if TYPE_CHECKING:
    from streams.lift import Interval, Lift
    from streams.source import Source

LOG: Final = {"log": "kafka://HOST:PORT,…: its topics are the history, where no file is given."}


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
@settings_options("rules", "model", "log", only_kafka=True, said=LOG)
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
    source = _source(settings, lines, sql, pairs, sort=sort)
    for notice in source.notices:
        say(f"{source.name}: {notice}")
    kernels.load(say)
    from streams.lift_replay import lift_over
    from streams.loader import Sources

    sources = Sources(settings.model, settings.rules)
    with stderr().status("reading …") as status:

        def progress(rows: int) -> None:
            status.update(f"{rows:,} events read")

        now_ms = time.time_ns() // 1_000_000
        found = lift_over(source, sources, rule, outcome, within_ms, now_ms, progress)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(rule, outcome, found)


def _source(
    settings: Settings,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    *,
    sort: bool,
) -> "Source":
    from streams.query import open_source

    if lines is not None or sql is not None:
        return open_source(lines, sql, parameters(pairs), sort=sort)
    if not isinstance(settings.log, KafkaLog) or pairs or sort:
        raise UsageError(
            "name one source: FILE.jsonl, --sql FILE.sql, or --log kafka://HOST:PORT, whose topics are"
            " read; the embedded log keeps no history"
        )
    from streams.kafka_history import KafkaHistory

    return KafkaHistory(kafka_settings(settings))


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
