"""What the commands of `rapport judge` share: their options, and how figures are told.

Promise   Exit code 1 when a bar is missed, unless `--no-bars` asks only for the figures.
Not here  Each judgement: judge_*.py. What a figure is: streams/figures.py.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from streams.commands.options import Problems, counted, print_json, print_table
from streams.commands.options import as_json as json_option
from streams.errors import MissingError
from streams.figures import Figure, as_values, missed


def judgement(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--data DIR`, `--json` and `--no-bars`; hand on `data: Path`, `as_json` and `no_bars`."""
    bars = click.option(
        "--no-bars", is_flag=True, help="Only print; exit with 0 whatever the figures."
    )
    data = click.option(
        "--data",
        type=click.Path(path_type=Path),
        required=True,
        metavar="DIR",
        help="Folder with the data.",
    )

    @wraps(command)
    def over_a_folder(data: Path, **given: bool) -> None:
        if not data.is_dir():
            raise MissingError(data, "folder")
        command(data=data, **given)

    return data(json_option(bars(over_a_folder)))


def tell(figures: Sequence[Figure], *, as_json: bool, no_bars: bool) -> None:
    """Print the figures.

    Raises:
        Problems: a bar is missed, and not `no_bars`.
    """
    if as_json:
        print_json({"figures": as_values(figures)})
    else:
        print_table(
            ("figure", "value", "published", "bar", ""), [_row(figure) for figure in figures]
        )
    short = missed(figures)
    if short and not no_bars:
        names = ", ".join(figure.name for figure in short)
        raise Problems("" if as_json else f"{counted(len(short), 'bar')} missed: {names}")


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    sign = "≤" if figure.ceiling else "≥"
    return (
        figure.name,
        f"{figure.value:.7g}",
        "" if figure.published is None else f"{figure.published:.7g}",
        "" if figure.bar is None else f"{sign} {figure.bar:.7g}",
        {None: "", True: "ok", False: "missed"}[figure.ok],
    )
