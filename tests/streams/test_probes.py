"""Alive, ready, or neither, and why."""

import asyncio

import pytest

from streams import probes
from streams.errors import StoreDownError
from streams.feed import Lag
from streams.probes import STALL_MS_MAX, Check, Probe, ask, fence, stalled
from streams.shard_status import ShardStatus

NOW_MS = 1_000_000


def shard(
    state: str = "running", *, waiting: int = 1, idle_ms: int = STALL_MS_MAX + 1, detail: str = ""
) -> ShardStatus:
    lag = {"orders": Lag(waiting, 5)}
    return ShardStatus(3, state, detail, NOW_MS - idle_ms, lag)  # type: ignore[arg-type]  # one of its three


def test_a_running_shard_with_lag_and_without_progress_is_stalled() -> None:
    """That is what a restart may mend."""
    (sentence,) = stalled([shard()], NOW_MS)

    assert sentence == "shard 3 has made no progress for 60 s while 1 records wait"


@pytest.mark.parametrize(
    "status",
    [
        shard(waiting=0),
        shard(idle_ms=STALL_MS_MAX),
        shard("claiming"),
        shard("stopped"),
        ShardStatus(3, "running", "", None, {"orders": Lag(1, 5)}),
    ],
    ids=["nothing to do", "not for long", "claiming", "stopped", "just started"],
)
def test_anything_else_is_alive(status: ShardStatus) -> None:
    """A restart for nothing costs every shard a failover."""
    assert stalled([status], NOW_MS) == []


def test_the_fence_is_ready_when_every_shard_runs() -> None:
    """A standby without shards is ready: it is waiting to be given some."""
    assert fence([]) == Check(ok=True)
    assert fence([shard()]) == Check(ok=True)
    assert fence([shard(), shard("stopped", detail="a gap")]) == Check(
        ok=False, detail="shard 3 is stopped: a gap"
    )


async def test_each_part_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is down, refuses or hangs must not hide the others."""
    monkeypatch.setattr(probes, "CHECK_SECONDS_MAX", 0.0)

    async def good() -> Check:
        return Check(ok=True, detail="7.2")

    async def down() -> Check:
        raise StoreDownError("loading", "soon")

    async def refused() -> Check:
        raise ConnectionRefusedError

    async def hangs() -> Check:
        await asyncio.Event().wait()
        return Check(ok=True)

    parts: dict[str, Probe] = {"good": good, "down": down, "refused": refused, "hangs": hangs}

    assert await ask(parts) == {
        "good": Check(ok=True, detail="7.2"),
        "down": Check(ok=False, detail="Redis is not available (loading): soon"),
        "refused": Check(ok=False, detail="ConnectionRefusedError"),
        "hangs": Check(ok=False, detail="no answer within 0 s"),
    }
