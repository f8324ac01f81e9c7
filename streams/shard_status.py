"""How a shard is, as probes, metrics and people see it."""

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
