"""The progress bar of a back-fill, on a terminal and nowhere else.

Not here  What is done (backfill.py), and the last word about it (the command).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from streams.backfill import Progress

COLUMNS: Final = "{task.fields[rate]:>12} {task.fields[bad]}"


@contextmanager
def shown(
    console: Console, total: int | None, seconds: Callable[[], float]
) -> Iterator[Callable[[Progress], None]]:
    """Show a bar while the context lasts; what comes out takes the progress.

    Args:
        console: usually on standard error, so that the output can be piped on.
        total: rows of the source, when known.
        seconds: a clock that never goes back.
    """
    if not console.is_terminal:
        yield lambda _progress: None
        return
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(COLUMNS),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    began = seconds()
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="", bad="")

        def show(progress: Progress) -> None:
            passed = seconds() - began
            rate = (progress.rows - progress.resumed_at) / passed if passed > 0 else 0.0
            bad = f"[red]{progress.bad:,} bad[/red]" if progress.bad else ""
            bar.update(task, completed=progress.rows, rate=f"{rate:,.0f}/s", bad=bad)

        yield show
