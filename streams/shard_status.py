"""How a shard is, as probes, metrics and people see it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from streams.feed import Lag


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard of this worker."""

    number: int
    state: Literal["claiming", "running", "stopped"]
    detail: str  # why it stopped, and what mends it
    progress_ms: int | None  # when it last committed, or had nothing to do; monotonic
    lag: dict[str, Lag]  # by topic

    @property
    def lag_records(self) -> int:
        return sum(each.records for each in self.lag.values())

    @property
    def lag_ms(self) -> int:
        return max((each.age_ms for each in self.lag.values()), default=0)


def statuses_of(
    shards: Iterable[int],
    stopped: Mapping[int, Exception],
    progress_ms: Mapping[int, int],
    lags: Mapping[int, dict[str, Lag]],
) -> tuple[ShardStatus, ...]:
    """The shards in order; those with a lag are read, and those that are not stopped nor read, claimed."""
    return tuple(
        ShardStatus(
            number=number,
            state="stopped" if number in stopped else "running" if number in lags else "claiming",
            detail=str(stopped.get(number, "")),
            progress_ms=progress_ms.get(number),
            lag=lags.get(number, {}),
        )
        for number in sorted(shards)
    )
