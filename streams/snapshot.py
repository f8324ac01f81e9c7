"""The snapshot: what a person is shown of the running engine, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ShownAction:
    """An action that has been delivered, or that could not be."""

    at_ms: int  # when that was known
    rule: str
    type: str  # what its receiver calls it
    target: str  # kind and name of where it went, such as "webhook crm"
    customer_id: str
    reason: str
    status: str  # "delivered", or as in delivery.py
    note: str = ""  # what there is to say about it


@dataclass(frozen=True, slots=True)
class ShownAnomaly:
    """Something unusual for a customer."""

    at_ms: int
    customer_id: str
    detector: str
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of the whole is."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment. Figures about "of late" are over RECENT_MS of board.py."""

    now_ms: int
    up_ms: int  # since the start
    title: str = "Rapport"
    phase: str = ""  # what is going on; empty: what always goes on
    events_count: int = 0  # since the start
    events_a_second: float = 0.0
    by_second: tuple[int, ...] = ()  # events of the last seconds, the newest last
    latency_p50_ms: float | None = None  # from the log to the commit, of late; None: no events
    latency_p99_ms: float | None = None
    lag_records: int = 0
    lag_ms: int = 0
    customers_count: int = 0  # seen since the start
    bands: Mapping[str, int] = field(default_factory=dict)  # how many of them are in each
    dead_letters_count: int = 0
    anomalies: tuple[ShownAnomaly, ...] = ()  # the newest first
    actions: tuple[ShownAction, ...] = ()  # the newest first
    delivered_count: int = 0
    failed_count: int = 0
    parts: tuple[Part, ...] = ()
