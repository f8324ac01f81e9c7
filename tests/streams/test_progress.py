"""The bar is for people; whoever pipes the command must not get it."""

from collections import Counter
from io import StringIO

from rich.console import Console

from streams.backfill import Progress
from streams.progress import shown

HALF = Progress(rows=1_500, sent=1_490, bad=10, resumed_at=500, reasons=Counter(malformed=10))


def test_on_a_terminal_the_bar_tells_rows_rate_and_bad_rows() -> None:
    """The rate counts this run alone: rows of an earlier one were not sent in these seconds."""
    screen = StringIO()
    seconds = iter([100.0, 102.0])
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)

    with shown(console, 3_000, lambda: next(seconds)) as show:
        show(HALF)

    assert "1500/3000" in screen.getvalue()
    assert "500/s" in screen.getvalue()
    assert "10 bad" in screen.getvalue()


def test_a_total_that_is_not_known_is_no_reason_to_stop() -> None:
    """A file of lines is not read twice to count them."""
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)

    with shown(console, None, lambda: 0.0) as show:
        show(HALF)

    assert "1500/?" in screen.getvalue()


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    """Log files full of bars are the classic."""
    screen = StringIO()

    with shown(Console(file=screen), 3_000, lambda: 0.0) as show:
        show(HALF)

    assert screen.getvalue() == ""
