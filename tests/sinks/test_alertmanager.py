"""Alerts begin and end for Alertmanager as they do for the rule.

What it does with what it gets is written down here as its sources have it (api/v2, types.Alert.Merge, the
provider in memory), since the end of an alert is the outcome of what it knows and what it is told.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from rules.action import Action, Target
from sinks.alertmanager import AlertmanagerSink
from sinks.post import open_session
from tests.actions import AT_MS, action

HOUR_MS = 3_600_000
RESOLVE_TIMEOUT_MS = 300_000


@dataclass(frozen=True)
class Known:
    starts_ms: int
    ends_ms: int
    is_timeout: bool

    def is_resolved(self, now_ms: int) -> bool:
        return self.ends_ms <= now_ms


class Alertmanager:
    def __init__(self) -> None:
        self.alerts: dict[str, Known] = {}

    def post(self, body: bytes, now_ms: int) -> None:
        for alert in json.loads(body):
            times = {name: at_ms(alert[name]) for name in ("startsAt", "endsAt") if name in alert}
            ends_ms = times.get("endsAt")
            starts_ms = times.get("startsAt", now_ms if ends_ms is None else ends_ms)
            assert ends_ms is None or ends_ms >= starts_ms, "else it answers 400"
            new = Known(
                starts_ms,
                now_ms + RESOLVE_TIMEOUT_MS if ends_ms is None else ends_ms,
                ends_ms is None,
            )
            key = json.dumps(alert["labels"], sort_keys=True)
            old = self.alerts.get(key)
            self.alerts[key] = new if old is None else joined(old, new, now_ms)

    def firing(self, now_ms: int) -> int:
        return sum(not each.is_resolved(now_ms) for each in self.alerts.values())


def joined(old: Known, new: Known, now_ms: int) -> Known:
    overlaps = (
        old.starts_ms < new.ends_ms < old.ends_ms or old.starts_ms < new.starts_ms < old.ends_ms
    )
    if not overlaps:
        return new
    ends_ms = new.ends_ms
    if new.is_resolved(now_ms):
        if old.is_resolved(now_ms):
            ends_ms = max(old.ends_ms, new.ends_ms)
    elif old.ends_ms > new.ends_ms and not old.is_timeout:
        ends_ms = old.ends_ms
    return replace(new, starts_ms=min(old.starts_ms, new.starts_ms), ends_ms=ends_ms)


def at_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def alert(at_ms_: int, *, ends_ms: int = 0, resolves: bool = False) -> Action:
    target = Target("alert", "oncall", "health.low", "page")
    return msgspec.structs.replace(
        action(), target=target, at_ms=at_ms_, ends_ms=ends_ms, resolves=resolves
    )


async def body(one: Action) -> bytes:
    async with open_session(allow_private=True) as session:
        return AlertmanagerSink(session, "http://am:9093", lambda: 0).body(one)


async def test_an_alert_lasts_until_its_end_and_begins_again_after_it() -> None:
    """Not until Alertmanager has forgotten it, and not for ever."""
    there = Alertmanager()
    last_ms = 7 * 24 * HOUR_MS
    there.post(await body(alert(AT_MS, ends_ms=AT_MS + last_ms)), AT_MS)
    assert there.firing(AT_MS + HOUR_MS) == 1
    there.post(await body(alert(AT_MS + 2 * HOUR_MS, resolves=True)), AT_MS + 2 * HOUR_MS)
    assert there.firing(AT_MS + 2 * HOUR_MS) == 0
    again_ms = AT_MS + 3 * HOUR_MS
    there.post(await body(alert(again_ms, ends_ms=again_ms + last_ms)), again_ms)

    assert there.firing(again_ms) == 1
    assert len(there.alerts) == 1


async def test_an_end_that_is_told_twice_or_late_ends_it_all_the_same() -> None:
    """Deliveries are repeated, and come after an outage."""
    there = Alertmanager()
    there.post(await body(alert(AT_MS, ends_ms=AT_MS + 24 * HOUR_MS)), AT_MS)
    for late_ms in (2 * HOUR_MS, 3 * HOUR_MS):
        there.post(await body(alert(AT_MS + HOUR_MS, resolves=True)), AT_MS + late_ms)

        assert there.firing(AT_MS + late_ms) == 0


async def test_without_an_end_in_sight_alertmanager_ends_it_by_itself() -> None:
    """As before."""
    there = Alertmanager()
    there.post(await body(alert(AT_MS)), AT_MS)

    assert there.firing(AT_MS + RESOLVE_TIMEOUT_MS - 1) == 1
    assert there.firing(AT_MS + RESOLVE_TIMEOUT_MS) == 0


async def test_both_say_why_and_name_the_same_labels() -> None:
    """Labels are the identity, annotations what a person reads."""
    (one,) = json.loads(await body(alert(AT_MS)))
    (other,) = json.loads(await body(alert(AT_MS, resolves=True)))

    assert one["labels"] == other["labels"]
    assert one["labels"]["severity"] == "page"
    assert one["annotations"]["summary"] == action().reason
