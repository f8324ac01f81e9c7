"""The board counts what people see; a wrong figure there is worse than none."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from sinks.retry import Policy
from sinks.sink import Delivered, Rejected, RetryAfter
from streams import board as board_module
from streams.board import FRESH_MS, SECONDS_MAX, SHOWN_MAX, Board
from streams.delivery import after, pending
from streams.feed import Lag
from streams.shard_status import ShardStatus
from streams.snapshot import Part, Snapshot
from streams.work import Work
from tests.actions import action

NOW_MS = 1_750_000_000_000
EMPTY: tuple[ShardStatus, ...] = ()


class Watched:
    """A board and its clock."""

    def __init__(self) -> None:
        self.now_ms = float(NOW_MS)
        self.board = Board(lambda: self.now_ms)

    def store(
        self, *views: dict[str, Any], times_ms: Sequence[int] = (NOW_MS,), dead: int = 0
    ) -> None:
        """Tell a commit of such views."""
        work = SimpleNamespace(
            times_ms=list(times_ms),
            dead=[None] * dead,
            outcome=SimpleNamespace(views=[orjson.dumps(each) for each in views]),
        )
        self.board.stored(cast("Work", work), 1)

    def snapshot(self) -> Snapshot:
        return self.board.snapshot(EMPTY)


def view(name: str, band: str, anomalies: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"customer_id": name, "band": band, "anomalies": list(anomalies), "more": 1}


def test_events_latencies_and_rates_are_of_what_was_committed() -> None:
    """The rate is over the last whole seconds, the latency from the record's time."""
    watched = Watched()
    watched.now_ms = NOW_MS + 4.5
    watched.store(times_ms=[NOW_MS, NOW_MS + 2], dead=1)
    watched.now_ms = NOW_MS + 1_000

    now = watched.snapshot()
    assert (now.events_count, now.dead_letters_count, now.up_ms) == (2, 1, 1_000)
    assert now.events_a_second == 0.2
    assert now.by_second[-1] == 2
    assert (now.latency_p50_ms, now.latency_p99_ms) == (4.5, 4.5)


def test_what_is_long_ago_is_no_longer_of_late() -> None:
    """A history that went in an hour ago must not look like today's latency."""
    watched = Watched()
    watched.store()
    watched.now_ms += (SECONDS_MAX + 1) * 1_000

    now = watched.snapshot()
    assert (now.latency_p50_ms, now.latency_p99_ms, now.events_a_second) == (None, None, 0.0)
    assert sum(now.by_second) == 0
    assert now.events_count == 1


def test_what_a_phase_did_is_not_of_late_after_its_end() -> None:
    """The rate of a history would hide that of life for as long as it is of late."""
    watched = Watched()
    watched.board.phase("history")
    watched.store()
    watched.board.phase("history: half")
    watched.now_ms += 1_000
    assert (watched.snapshot().phase, watched.snapshot().by_second[-1]) == ("history: half", 1)

    watched.board.phase("")
    now = watched.snapshot()
    assert (now.phase, now.by_second[-1], now.latency_p50_ms) == ("", 0, None)
    assert now.events_count == 1


def test_a_customer_counts_in_the_newest_band_only() -> None:
    """Bands add up to the customers."""
    watched = Watched()
    watched.store(view("a", "green"), view("b", "green"))
    watched.store(view("a", "red"))

    assert dict(watched.snapshot().bands) == {"green": 1, "red": 1}
    assert watched.snapshot().customers_count == 2


def test_anomalies_are_news_once() -> None:
    """A view holds its anomalies for long; those of a history are none."""
    watched = Watched()
    fresh = {"detector": "amount", "at_ms": NOW_MS, "value": 900.0, "usual": 50.0, "z": 9.0}
    for _ in range(2):
        watched.store(view("a", "green", [fresh]))
    watched.store(view("b", "green", [fresh | {"at_ms": NOW_MS - FRESH_MS - 1}]))

    shown = watched.snapshot().anomalies
    assert [(each.customer_id, each.detector, each.value) for each in shown] == [
        ("a", "amount", 900.0)
    ]


def test_actions_are_shown_when_their_delivery_has_ended() -> None:
    """Delivered or not; what is tried again is not yet news."""
    watched = Watched()
    first = pending(action(1), NOW_MS)
    watched.board.changed(first)
    watched.board.changed(after(first, RetryAfter("HTTP 500"), Policy(), NOW_MS))
    assert watched.snapshot().actions == ()

    watched.board.changed(after(first, Delivered(), Policy(), NOW_MS))
    watched.board.changed(after(pending(action(2), NOW_MS), Rejected("HTTP 410"), Policy(), NOW_MS))
    now = watched.snapshot()
    assert (now.delivered_count, now.failed_count) == (1, 1)
    assert [(each.customer_id, each.status, each.note) for each in now.actions] == [
        ("c-2", "rejected", "HTTP 410"),
        ("c-1", "delivered", ""),
    ]
    assert now.actions[1].reason == "Health fell to 38, mostly usage"


def test_lists_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs for weeks."""
    monkeypatch.setattr(board_module, "CUSTOMERS_MAX", 2)
    watched = Watched()
    for number in range(SHOWN_MAX + 5):
        done = after(pending(action(number), NOW_MS), Delivered(), Policy(), NOW_MS)
        watched.board.changed(done)
        watched.store(view(f"c-{number}", "green"))

    now = watched.snapshot()
    assert len(now.actions) == SHOWN_MAX
    assert now.delivered_count == SHOWN_MAX + 5
    assert now.customers_count == 2


def test_shards_are_a_part_of_the_whole() -> None:
    """A shard that has stopped says why."""
    running = ShardStatus(0, "running", "", NOW_MS, {"log": Lag(3, 40)})
    stopped = ShardStatus(1, "stopped", "records are gone", None, {})
    board = Watched().board

    now = board.snapshot((running, stopped), [Part("redis", True, "up")])
    assert (now.lag_records, now.lag_ms) == (3, 40)
    assert now.parts == (
        Part("redis", True, "up"),
        Part("shards", False, "1 running, 1 stopped: records are gone"),
    )
    assert board.snapshot((running,)).parts[-1].ok
