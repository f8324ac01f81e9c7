"""People look at the view to see that things work, and at three in the morning to see why not."""

import asyncio
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from streams.clock import ManualClock
from streams.live_view import STATUS_MS, new_actions, picture, screen, show, sparks, status_line
from streams.snapshot import Part, ShownAction, ShownAnomaly, Snapshot

NOW_MS = 1_750_000_000_000


def shown(
    number: int, *, reason: str = "Health fell to 38", status: str = "delivered"
) -> ShownAction:
    return ShownAction(
        at_ms=NOW_MS + number,
        rule="churn-risk-callback",
        type="churn.risk",
        target="webhook crm",
        customer_id=f"c-{number}",
        reason=reason,
        status=status,
        note="" if status == "delivered" else "HTTP 500",
    )


FULL = Snapshot(
    now_ms=NOW_MS,
    up_ms=65_000,
    phase="",
    events_count=150_000,
    events_a_second=25.4,
    by_second=(0, 20, 30, 40),
    latency_p50_ms=2.25,
    latency_p99_ms=9.5,
    lag_records=3,
    lag_ms=12,
    customers_count=2_000,
    bands={"green": 1_500, "amber": 400, "red": 100},
    dead_letters_count=0,
    anomalies=(ShownAnomaly(NOW_MS, "c-9", "amount", 1_234.5, 61.2),),
    actions=(shown(2, status="given_up"), shown(1)),
    delivered_count=1,
    failed_count=1,
    parts=(Part("redis", True, "7.0.15"), Part("shards", False, "3 running, 1 stopped: gap")),
)


def drawn(snapshot: Snapshot, *, width: int = 110, height: int = 34) -> str:
    console = Console(
        file=StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )
    with console.capture() as captured:
        console.print(screen(snapshot, width, height))
    return captured.get()


@pytest.mark.parametrize(
    "words",
    [
        "25/s",
        "150,000 in all",
        "p50 2.2 ms, p99 9.5 ms",
        "3 records",
        "1,500",
        "2,000 customers",
        "Health fell to 38",
        "churn.risk",
        "HTTP 500",
        "amount 1,234.50, usually 61.20",
        "3 running, 1 stopped: gap",
        "live",
    ],
)
def test_the_screen_shows(words: str) -> None:
    """Each figure that was promised."""
    assert words in drawn(FULL)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_empty_start_is_drawn_at_any_width(width: int) -> None:
    """The first screen comes before the first event."""
    lines = drawn(Snapshot(NOW_MS, 0, phase="starting"), width=width).splitlines()

    assert max(map(len, lines)) == width
    assert any("starting" in line for line in lines)


def test_the_smallest_usual_terminal_shows_whole_reasons_and_every_part_that_is_ill() -> None:
    """80 by 24 is what a laptop opens, and the reason is what a person came to see."""
    reason = "Health fell to 48 (-36 against its usual level), mostly complaints"
    well = [Part(name, True, "in detail") for name in ("http", "rules", "redis", "receiver")]
    snapshot = replace(
        FULL,
        by_second=(*(0,) * 59, 7),
        latency_p50_ms=13.24,
        latency_p99_ms=256.4,
        actions=tuple(shown(number, reason=reason) for number in range(9)),
        parts=(*well, Part("shards", False, "3 running, 1 stopped: gap")),
    )

    text = drawn(snapshot, width=80, height=24)
    lines = text.splitlines()
    flowing = " ".join(line.strip("│ ") for line in lines)
    assert len(lines) == 24
    assert flowing.count(reason) >= 3
    assert "p50 13.2 ms, p99 256 ms" in text
    assert "█ │" in text  # the newest second
    assert "http     in detail" in text
    assert "● rules  ● redis  ● receiver" in text
    assert "3 running, 1 stopped: gap" in text
    assert lines[-1].startswith("╰")


@pytest.mark.parametrize("height", [10, 16, 20, 24, 30, 34])
def test_more_ill_parts_than_there_is_room_for_leave_room_for_actions(height: int) -> None:
    """A settings file without endpoints names one for each; it must not hide what happens."""
    ill = tuple(Part("endpoint", False, f"there is no endpoint e{each}") for each in range(30))

    text = drawn(replace(FULL, parts=ill), width=80, height=height)
    assert len(text.splitlines()) == height
    assert ("Health fell to 38" in text) == (height > 10)


def test_texts_of_users_are_neither_markup_nor_control() -> None:
    """A customer's name must not paint the operator's terminal."""
    evil = shown(1, reason="[red]x[/red] \x1b[2J\x07\nnext")

    text = drawn(replace(FULL, actions=(evil,)))
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_new_actions_are_those_since_the_last_look_oldest_first() -> None:
    """Each is printed once, in the order in which it came."""
    before = replace(FULL, actions=(shown(1),), delivered_count=1, failed_count=0)
    now = replace(before, actions=(shown(3), shown(2), shown(1)), delivered_count=2, failed_count=1)

    assert [each.customer_id for each in new_actions(None, before)] == ["c-1"]
    assert [each.customer_id for each in new_actions(before, now)] == ["c-2", "c-3"]
    assert new_actions(now, now) == ()


async def test_without_a_terminal_each_action_is_a_line_and_the_status_comes_now_and_then() -> None:
    """Logs of a service, and pipes, want lines."""
    clock, stop, file = ManualClock(NOW_MS), asyncio.Event(), StringIO()
    looks = 0

    def snapshot() -> Snapshot:
        nonlocal looks
        looks += 1
        many = min(looks, 3)
        return replace(
            FULL,
            now_ms=clock.now_ms(),
            actions=tuple(shown(number) for number in range(many, 0, -1)),
            delivered_count=many,
            failed_count=0,
        )

    console = Console(file=file, force_terminal=False)
    showing = asyncio.create_task(show(console, snapshot, clock, stop))
    while clock.now_ms() < NOW_MS + STATUS_MS + 1_000:
        next_ms = clock.next_ms()
        if next_ms is not None:
            clock.advance(max(0, next_ms - clock.now_ms()))
        await asyncio.sleep(0)
    stop.set()
    clock.advance(1_000)
    await showing

    lines = file.getvalue().splitlines()
    actions = [line for line in lines if "delivered churn.risk" in line]
    assert [line.split()[3] for line in actions] == ["c-1", "c-2", "c-3"]
    assert [line for line in lines if " status " in line] == [lines[-1]]
    assert all("\x1b" not in line for line in lines)


def test_a_status_line_tells_what_the_screen_tells() -> None:
    """One line is all that a log shows."""
    line = status_line(FULL).plain

    assert "150000 events, 25/s; p50 2.2 ms, p99 9.5 ms; lag 3 records" in line
    assert "green 1500 amber 400 red 100" in line
    assert "1 delivered, 1 failed; shards: 3 running, 1 stopped: gap" in line
    assert "7.0.15" not in line
    assert status_line(replace(FULL, parts=())).plain.endswith("all parts well")
    assert "\n" not in line


def test_bars_of_nothing_are_empty_and_the_highest_is_full() -> None:
    """A quiet minute is no error."""
    assert sparks([]) == ""
    assert sparks([0, 0]) == "  "
    assert sparks([1, 1000]) == "▁█"


def test_a_picture_is_an_svg_with_what_was_on_the_screen(tmp_path: Path) -> None:
    """The README shows it."""
    file = tmp_path / "console.svg"
    picture(FULL, file)

    root = ET.parse(file).getroot()  # noqa: S314  our own file
    text = "".join(root.itertext()).replace("\xa0", " ")
    assert root.tag.endswith("svg")
    assert "url(" not in file.read_text("utf-8").replace("url(#", "")
    assert "Health fell to 38" in text
