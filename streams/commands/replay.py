"""`rapport replay`: the engine over a history, on the event clock, without services."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from streams import kernels
from streams.commands.options import (
    Problems,
    UsageError,
    as_json,
    parameters,
    print_json,
    print_table,
    say,
    settings_options,
    stderr,
    stdout,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from processors.batch import DeadLetter
    from streams.replay import Replayed
    from streams.source import Source

ROWS_TOLD: Final = 10  # bad ones, the first; the others are counted


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a source."""

    @wraps(command)
    def with_source(**given: Any) -> Any:  # noqa: ANN401  whatever the command takes
        if (given["sql"] is None) == (given["lines"] is None):
            raise UsageError("name one source: FILE.jsonl, or --sql FILE.sql")
        return command(**given)

    return source_arguments(with_source)


def source_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options; the command sees to it that one source is named."""
    file = click.Path(path_type=Path, dir_okay=False)
    text = "A parameter of the SQL."
    wrapped = click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help=text)(
        command
    )
    text = "One SELECT of event columns, of anything that DuckDB reads."
    wrapped = click.option("--sql", type=file, metavar="FILE.sql", help=text)(wrapped)
    return click.argument("lines", metavar="[FILE.jsonl]", type=file, required=False)(wrapped)


@click.command(short_help="Run the engine over a history, without services.")
@source_options
@click.option("--sort", is_flag=True, help="Order the rows of the SQL by time.")
@click.option(
    "--features",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.parquet",
    help="Write one row an event, with its features as they stood right after it.",
)
@as_json
@settings_options("rules", "model")
def replay(
    settings: Settings,
    *,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    sort: bool,
    features: Path | None,
    as_json: bool,
) -> None:
    """Run the engine over a history on the event clock, without services.

    Nothing is delivered. The same rows end in the same profiles and fires as they would live. Rows
    that nothing was made of are told; the exit code is then 1.
    """
    from streams.query import open_source

    source = open_source(lines, sql, parameters(pairs), sort=sort)
    for notice in source.notices:
        say(f"{source.name}: {notice}")
    kernels.load(say)
    replayed = _replayed(settings, source, features)
    if as_json:
        print_json(msgspec.to_builtins(replayed.summary))
    else:
        _print(replayed)
    tell_dead(replayed.dead, replayed.summary.dead_letters)


def tell_dead(dead: "Sequence[DeadLetter]", counts: Mapping[str, int]) -> None:
    """Tell of the first rows that nothing was made of; where there are any, the exit code is 1."""
    for letter in dead[:ROWS_TOLD]:
        say(f"row {letter.origin.position}: {letter.reason}: {letter.detail}")
    many = sum(counts.values())
    if many > ROWS_TOLD:
        say(f"and {many - ROWS_TOLD:,} more")
    if many:
        raise Problems("")


def _replayed(settings: Settings, source: "Source", features: Path | None) -> "Replayed":
    from streams.features import FeatureFile, features_of
    from streams.loader import Sources
    from streams.replay import Watchers, replay

    engine = Sources(settings.model, settings.rules).engine()
    file = nullcontext() if features is None else FeatureFile(features, features_of(engine))
    console = stderr()
    with file as written, console.status("reading …") as status:
        watchers = Watchers(
            observe=None if written is None else written.observe,
            progress=lambda rows: status.update(f"{rows:,} events read"),
        )
        return replay(source, engine, time.time_ns() // 1_000_000, watchers)


def _print(replayed: "Replayed") -> None:
    summary = replayed.summary
    console = stdout()
    console.print(
        f"{summary.events_read:,} events of {summary.customers:,} customers in"
        f" {summary.seconds:.2f} s ({summary.events_per_second:,.0f} a second):"
        f" {summary.events_admitted:,} admitted, {summary.duplicates:,} duplicates,"
        f" {sum(summary.dead_letters.values()):,} dead letters"
    )
    for title, rows in (
        (
            ("event", "count", "amount"),
            [
                (name, total.count, f"{total.amount:,.2f}")
                for name, total in summary.by_action.items()
            ],
        ),
        (("health", "customers"), list(summary.bands.items())),
        (
            ("rule", "fires", "suppressed"),
            [
                (name, count, summary.suppressed.get(name, 0))
                for name, count in summary.fires.items()
            ],
        ),
        (("dead letters", "count"), list(summary.dead_letters.items())),
    ):
        if rows:
            console.print()
            print_table(title, rows)
