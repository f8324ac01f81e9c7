"""The live view: what `rapport up` shows while it runs.

Promise   On a terminal one screen that is redrawn in place; elsewhere plain lines, one for each action
          and one status line every STATUS_MS. Texts of users never become control characters or markup.
How       It draws a snapshot, and knows nothing else. Where there is little room, what happens and what
          is ill come first: no anomalies, parts that are well by name only, reasons on two lines.
Limits    Made for 80 columns and 24 lines or more. Redrawn every DRAW_MS. More actions between two
          looks than a snapshot holds are not printed.
Not here  Gathering: board.py.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rules.duration import iso
from streams.clock import Clock
from streams.snapshot import Part, ShownAction, ShownAnomaly, Snapshot

DRAW_MS: Final = 250
LOOK_MS: Final = 200  # of plain lines
STATUS_MS: Final = 5_000
BAND_WIDTH: Final = 28
BANDS: Final = (("green", "green"), ("amber", "yellow"), ("red", "red"), ("none", "bright_black"))
SPARKS: Final = " ▁▂▃▄▅▆▇█"
ANOMALIES_SHOWN: Final = 4
SECONDS_SHOWN: Final = 48  # as bars; they fit beside the bands on WIDE_COLUMNS
WIDE_COLUMNS: Final = 110
FRAME_COLUMNS: Final = 4
FRAME_LINES: Final = 2
HEAD_LINES: Final = 1 + FRAME_LINES
FIGURES_LINES: Final = 6 + FRAME_LINES
ACTIONS_LINES_MIN: Final = 4 + FRAME_LINES
ANOMALIES_LINES: Final = ANOMALIES_SHOWN + FRAME_LINES
PICTURE_COLUMNS: Final = 118
PICTURE_LINES: Final = 34

_FONTS: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)


async def show(
    console: Console, snapshot: Callable[[], Snapshot], clock: Clock, stop: asyncio.Event
) -> None:
    """Show until `stop` is set."""
    if not console.is_terminal:
        await _print_lines(console, snapshot, clock, stop)
        return
    with Live(console=console, auto_refresh=False, screen=True, transient=True) as live:
        while not stop.is_set():
            columns, lines = console.size
            live.update(screen(snapshot(), columns, lines), refresh=True)
            await clock.wait(stop, clock.now_ms() + DRAW_MS)


async def _print_lines(
    console: Console, snapshot: Callable[[], Snapshot], clock: Clock, stop: asyncio.Event
) -> None:
    before: Snapshot | None = None
    told_ms = clock.now_ms()
    while not stop.is_set():
        now = snapshot()
        lines = [action_line(each) for each in new_actions(before, now)]
        is_curtain = before is not None and bool(before.phase) and not now.phase
        if now.now_ms - told_ms >= STATUS_MS or is_curtain:
            lines.append(status_line(now))
            told_ms = now.now_ms
        before = now
        for line in lines:
            console.file.write(line.plain + "\n")
        console.file.flush()
        await clock.wait(stop, clock.now_ms() + LOOK_MS)


def new_actions(before: Snapshot | None, now: Snapshot) -> Sequence[ShownAction]:
    """Those that came since the snapshot before, the oldest first; all that are held of too many."""
    ended = now.delivered_count + now.failed_count
    seen = 0 if before is None else before.delivered_count + before.failed_count
    return now.actions[: ended - seen][::-1]


def action_line(action: ShownAction, delivered: str = "delivered", *, is_wide: bool = True) -> Text:
    """An action as one line; `delivered` is the word for the good end.

    Where it is not wide, the rule and the target are left out, and the reason goes on below.
    """
    is_good = action.status == "delivered"
    word, style = (delivered, "green") if is_good else (_flat(action.status), "bold red")
    parts = [
        (iso(action.at_ms)[11:19] + " ", "dim"),
        (f"{word} ", style),
        (f"{_flat(action.type)} ", "bold cyan"),
        (f"{_flat(action.customer_id)} ", "bold"),
        (_flat(action.reason), ""),
    ]
    if is_wide:
        parts.append((f"  [{_flat(action.rule)} to {_flat(action.target)}]", "dim"))
    if action.note:
        parts.append((f" {_flat(action.note)}", "red"))
    return Text.assemble(*parts, no_wrap=is_wide, overflow="ellipsis" if is_wide else "fold")


def status_line(now: Snapshot) -> Text:
    """A snapshot as one line."""
    bands = " ".join(f"{name} {now.bands.get(name, 0)}" for name, _ in BANDS)
    ill = [f"{_flat(each.name)}: {_flat(each.detail)}" for each in now.parts if not each.ok]
    return Text(
        f"{iso(now.now_ms)[11:19]} status {_flat(now.phase) or 'live'}; {now.events_count} events,"
        f" {now.events_a_second:.0f}/s; {_latency(now)}; lag {now.lag_records} records,"
        f" {now.lag_ms / 1000:.1f} s; health {bands}; {now.delivered_count} delivered,"
        f" {now.failed_count} failed; {'; '.join(ill) or 'all parts well'}"
    )


def screen(now: Snapshot, columns: int = PICTURE_COLUMNS, lines: int = PICTURE_LINES) -> Layout:
    """The whole screen, for a terminal of that size."""
    spare = lines - HEAD_LINES - FIGURES_LINES - ACTIONS_LINES_MIN
    is_tall = spare >= ANOMALIES_LINES + len(now.parts) + FRAME_LINES
    parts = [_part_line(each) for each in now.parts] if is_tall else _few_parts(now.parts)
    layout = Layout()
    layout.split_column(
        Layout(_head(now), name="head", size=HEAD_LINES),
        Layout(name="figures", size=FIGURES_LINES),
        Layout(_actions(now, is_wide=columns >= WIDE_COLUMNS), minimum_size=ACTIONS_LINES_MIN),
        Layout(_anomalies(now), name="anomalies", size=ANOMALIES_LINES, visible=is_tall),
        Layout(Panel(Group(*parts)), size=max(1, min(spare, len(parts) + FRAME_LINES))),
    )
    layout["figures"].split_row(Layout(_flow(now, columns)), Layout(_bands(now)))
    return layout


def _head(now: Snapshot) -> Panel:
    words = Text.assemble(
        (now.title, "bold"),
        "   ",
        (_flat(now.phase) or "live", "green" if not now.phase else "yellow"),
    )
    words.append(f"   up {now.up_ms // 1000} s   Ctrl-C ends it", "dim")
    return Panel(words)


def _flow(now: Snapshot, columns: int) -> Panel:
    seconds = max(1, min(SECONDS_SHOWN, columns // 2 - FRAME_COLUMNS))
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_row("events", f"{now.events_a_second:,.0f}/s, {now.events_count:,} in all")
    table.add_row("latency", _latency(now))  # from the log to the commit
    table.add_row("lag", f"{now.lag_records:,} records, {now.lag_ms / 1000:.1f} s")
    failed = Text(f"{now.failed_count:,} failed", _alarm(now.failed_count))
    table.add_row("actions", Text(f"{now.delivered_count:,} delivered, ") + failed)
    dead = now.dead_letters_count
    table.add_row("dead letters", Text(f"{dead:,}", _alarm(dead)))
    return Panel(
        Group(table, Text(sparks(now.by_second[-seconds:]), "cyan", no_wrap=True)),
        title="flow",
        title_align="left",
    )


def _alarm(count: int) -> str:
    return "red" if count else ""


def _latency(now: Snapshot) -> str:
    if now.latency_p50_ms is None or now.latency_p99_ms is None:
        return "p50 –, p99 –"
    return f"p50 {_short(now.latency_p50_ms)} ms, p99 {_short(now.latency_p99_ms)} ms"


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"  # noqa: PLR2004  three digits do


def sparks(counts: Sequence[int]) -> str:
    """Counts as a row of bars, the highest full.

    >>> sparks([0, 1, 4, 8])
    ' ▁▄█'
    """
    most = max(counts, default=0)
    top = len(SPARKS) - 1
    return "".join(SPARKS[-(-each * top // most) if most else 0] for each in counts)


def _bands(now: Snapshot) -> Panel:
    table = Table.grid(padding=(0, 1))
    for name, style in BANDS:
        count = now.bands.get(name, 0)
        share = count / now.customers_count if now.customers_count else 0.0
        full = max(round(share * BAND_WIDTH), int(count > 0))
        bar = Text("█" * full, style) + Text("·" * (BAND_WIDTH - full), "bright_black")
        table.add_row(Text(name, style), bar, Text(f"{count:,}", justify="right"), f"{share:.0%}")
    seen = f"{now.customers_count:,} customers since the start"
    return Panel(Group(table, Text(), Text(seen, "dim")), title="health", title_align="left")


def _actions(now: Snapshot, *, is_wide: bool) -> Panel:
    lines: list[RenderableType] = [action_line(each, "✓", is_wide=is_wide) for each in now.actions]
    if not lines:
        lines = [Text("none yet", "dim")]
    return Panel(Group(*lines), title="last actions", title_align="left")


def _anomalies(now: Snapshot) -> Panel:
    lines: list[RenderableType] = [_anomaly_line(each) for each in now.anomalies[:ANOMALIES_SHOWN]]
    if not lines:
        lines = [Text("none yet", "dim")]
    return Panel(Group(*lines), title="anomalies", title_align="left")


def _anomaly_line(anomaly: ShownAnomaly) -> Text:
    return Text.assemble(
        (iso(anomaly.at_ms)[11:19] + " ", "dim"),
        (_flat(anomaly.customer_id) + " ", "bold"),
        f"{_flat(anomaly.detector)} {anomaly.value:,.2f}, usually {anomaly.usual:,.2f}",
        no_wrap=True,
        overflow="ellipsis",
    )


def _few_parts(parts: Sequence[Part]) -> list[Text]:
    """The first, which says where to call; those that are ill; and the others by name."""
    told = [_part_line(each) for index, each in enumerate(parts) if index == 0 or not each.ok]
    well = [_flat(each.name) for each in parts[1:] if each.ok]
    others = Text(no_wrap=True, overflow="ellipsis")
    for name in well:
        others.append("● ", "green").append(f"{name}  ", "bold")
    return [*told, others] if well else told


def _part_line(part: Part) -> Text:
    return Text.assemble(
        ("● ", "green" if part.ok else "red"),
        (f"{_flat(part.name):<9}", "bold"),
        _flat(part.detail),
        no_wrap=True,
        overflow="ellipsis",
    )


def _flat(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words)


def picture(now: Snapshot, file: Path) -> None:
    """Write the screen as an SVG, for a page.

    Raises:
        OSError: It cannot be written.
    """
    console = Console(
        record=True,
        width=PICTURE_COLUMNS,
        height=PICTURE_LINES,
        file=StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(screen(now))
    drawn = console.export_svg(title="rapport up --demo", unique_id="rapport")
    # The fonts would be fetched from elsewhere; without them the page's own monospace is used.
    file.write_text(_FONTS.sub("", drawn), "utf-8")
