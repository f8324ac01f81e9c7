"""What came of one world."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    seed: int
    wrong: tuple[str, ...]
    faults: Counter[str]
    offered: int  # distinct events; so is `applied`
    applied: int
    decided: int
    delivered: int  # distinct actions
    hasty: int  # of these, what a clock that was fast had decided, and Redis then lost
    repeated: int
    missing: int
    surplus: int
    refused: int
    digest: str
    trace: str
