"""`rapport rules backtest`: what rules would have done over a history."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from streams import kernels
from streams.asked import utc_ms
from streams.commands.history import LOG, history, reading
from streams.commands.options import (
    Problems,
    UsageError,
    as_json,
    counted,
    print_json,
    print_table,
    say,
    settings_of,
    settings_options,
    stdout,
)
from streams.commands.replay import source_arguments, tell_dead
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.backtest import History, Judging, Report
    from streams.source import Source

LIVE = "live"
Judged = tuple["Report", "History"]


class Duration(click.ParamType):
    """A duration as rules write it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401  as click has it
        """Milliseconds."""
        from rules.errors import ExpressionError
        from rules.parse import duration_ms

        try:
            return duration_ms(str(value))
        except ExpressionError:
            self.fail(f"{value!r} is no duration; as in 30d, 12h or 90m", param, ctx)


class Moment(click.ParamType):
    """A day or a time, UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401  as click has it
        """Milliseconds since 1970."""
        try:
            return utc_ms(datetime.fromisoformat(str(value)))
        except ValueError:
            self.fail(f"{value!r} is no time; as in 2026-08-08 or 2026-08-08T12:00", param, ctx)


class Kind(click.ParamType):
    """Events by kind and action."""

    name = "events"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401  as click has it
        """The same text."""
        kind, _, action = str(value).partition(".")
        if not kind or not action:
            self.fail(f"{value!r} names no events; as in order.chargeback", param, ctx)
        return str(value)


def judging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is judged; hand the command `judging`."""

    @wraps(command)
    def with_judging(**given: Any) -> Any:  # noqa: ANN401  whatever the command takes
        from streams.backtest import Judging

        names = ("from_ms", "until_ms", "since_ms", "outcome", "within_ms", "units")
        judging = Judging(**{name: given.pop(name) for name in names})
        if judging.since_ms is not None and judging.from_ms is not None:
            raise UsageError("give --since or --judge-from, not both")
        if judging.units is not None and judging.outcome is None:
            raise UsageError("--units are ranked by whether an --outcome follows: name one")
        return command(judging=judging, **given)

    wrapped: Callable[..., Any] = with_judging
    for names, kind, default, text in (
        (("--units",), Kind(), None, "Events to rank by how many rules fire at each."),
        (("--within", "within_ms"), Duration(), "30d", "How long after a fire an outcome counts."),
        (("--outcome",), Kind(), None, "Events that the rules should foretell."),
        (("--judge-until", "until_ms"), Moment(), None, "Judge up to then."),
        (("--judge-from", "from_ms"), Moment(), None, "Judge from then on; before, profiles fill."),
        (("--since", "since_ms"), Duration(), None, "Judge the last so long of the history."),
    ):
        option = click.option(
            *names, type=kind, default=default, show_default=default is not None, help=text
        )
        wrapped = option(wrapped)
    return wrapped


@click.command(short_help="Say what rules would have done over a history.")
@source_arguments
@click.option("--sort", is_flag=True, help="Order the rows of the SQL by time.")
@judging_options
@click.option("--against", metavar="DIR|live", help="Compare with these rules, or those in force.")
@click.option(
    "--fires",
    metavar="OUT.jsonl",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every fire of the judged time, one line each, with its reason.",
)
@as_json
@settings_options("rules", "model", "log", said=LOG)
def backtest(
    settings: Settings,
    *,
    lines: Path | None,
    sql: Path | None,
    pairs: tuple[str, ...],
    sort: bool,
    judging: "Judging",
    against: str | None,
    fires: Path | None,
    as_json: bool,
) -> None:
    """Run rules over a history with the engine that runs live, and say what they would have done.

    Nothing is delivered. With an outcome it says how well the rules foretold it; with --against, which
    customers other rules would have reached. Rows that nothing was made of are told; the exit code is
    then 1.
    """
    from streams.backtest import compare

    source = history(settings, lines, sql, pairs, sort=sort)
    kernels.load(say)
    ours = _judged(settings, settings.rules, source, judging, fires)
    told: dict[str, Any] = msgspec.to_builtins(ours[0])
    if against is not None:
        there = _in_force() if against == LIVE else Path(against)
        told["against"] = compare(ours, _judged(settings, there, source, judging))
    if as_json:
        print_json(told)
    else:
        _print(ours[0], told.get("against", {}))
    tell_dead(ours[1].dead, ours[0].dead_letters)


def _judged(
    settings: Settings,
    rules: Path | None,
    source: "Source",
    judging: "Judging",
    fires: Path | None = None,
) -> Judged:
    from streams.backtest import BacktestError, backtest
    from streams.fire_lines import FireLines, FireLinesError
    from streams.loader import Sources

    engine = Sources(settings.model, rules).engine()
    now_ms = time.time_ns() // 1_000_000
    try:
        with (
            reading(source) as progress,
            nullcontext() if fires is None else FireLines(fires) as lines,
        ):
            return backtest(source, engine, now_ms, judging, progress, lines)
    except (BacktestError, FireLinesError) as error:
        raise Problems(str(error)) from error


def _in_force() -> Path | None:
    """The rules of the settings, whatever --rules says."""
    return settings_of({"settings": click.get_current_context().params["settings"]}).rules


def _print(report: "Report", against: dict[str, Any]) -> None:
    console = stdout()
    console.print(
        f"{report.events_read:,} events in {report.seconds:.1f} s ({report.events_per_second:,.0f} a second)."
        f" From {report.judged_from} to {report.judged_until}: {counted(report.fires, 'fire')} for"
        f" {counted(report.customers, 'customer')}."
    )
    if report.dead_letters:
        reasons = ", ".join(f"{why} {count:,}" for why, count in report.dead_letters.items())
        console.print(
            f"Nothing was made of {sum(report.dead_letters.values()):,} of them: {reasons}."
        )
    if report.precision is not None or report.recall is not None:
        console.print(
            f"Precision {report.precision}, recall {report.recall}, average precision"
            f" {report.average_precision}."
        )
    rows = []
    for name, each in report.rules.items():
        days = max(1, len(each.fires_per_day))
        held_back = ", ".join(f"{why} {count}" for why, count in each.suppressed.items() if count)
        how = each.foretold
        shown = ("", "") if how is None else (_number(how.precision), _number(how.recall))
        rows.append(
            [name, each.fires, f"{each.fires / days:.1f}", each.customers, held_back, *shown]
        )
    columns = ("rule", "fires", "a day", "customers", "held back", "precision", "recall")
    print_table(columns, rows)
    for name, each in report.rules.items():
        for sample in each.samples:
            console.print(f"{name}: {sample['customer_id']} at {sample['at']}: {sample['reason']}")
    if against:
        names = ("fires_here", "fires_there", "both", "only_here", "only_there")
        rows = [[rule, *(found[name] for name in names)] for rule, found in against.items()]
        print_table(
            ("rule", "fires here", "there", "customers in both", "only here", "there"), rows
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
