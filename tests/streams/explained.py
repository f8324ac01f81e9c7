"""What the tests of explanations share: histories, and moments after them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.moment import Moment, moment_at
from streams.replay import replay
from streams.step import Engine
from streams.why import explaining, why
from tests.replaying import engine_of
from tests.streams.replay_rows import HOUR_MS, START_MS, ListSource

DAY_MS = 24 * HOUR_MS


def happened(action: str, hours: float, **fields: object) -> bytes:
    """An event of ann's, so many hours after the start."""
    kind, name = action.split(".", 1)
    at_ms = START_MS + round(hours * HOUR_MS)
    return msgspec.json.encode(
        {"id": f"{action}-{at_ms}", "type": kind, "action": name, "customer_id": "ann",
         "at_ms": at_ms, **fields}
    )  # fmt: skip


def orders(*hours: float, amount: float = 10.0) -> list[bytes]:
    return [happened("order.placed", each, amount=amount) for each in hours]


def row_after(engine: Engine, history: Sequence[bytes]) -> bytes:
    """Ann's row after the history."""
    done = replay(ListSource(history), engine, START_MS + 400 * DAY_MS, keep=True)
    return done.rows["ann"]


def moment_after(engine: Engine, history: Sequence[bytes], hours: float) -> Moment:
    row = row_after(engine, history)
    layouts = {engine.plan.layout.fingerprint: engine.plan.layout}
    return moment_at(engine, "ann", row, layouts.__getitem__, START_MS + round(hours * HOUR_MS))


def explained(
    rules: str,
    history: Sequence[bytes],
    hours: float,
    fires: Sequence[Mapping[str, Any]] = (),
    rule: str = "r",
) -> dict[str, Any]:
    """Why the rule has fired after the history, or has not."""
    engine = engine_of(rules)
    found = next(each for each in engine.rules.rules if each.name == rule)
    own = explaining(engine, found)
    row = row_after(engine, history)
    layouts = {engine.plan.layout.fingerprint: engine.plan.layout}
    at_ms = START_MS + round(hours * HOUR_MS)
    moment = moment_at(own, "ann", row, layouts.__getitem__, at_ms)
    return {**why(own, found, moment, fires), "asked_ms": at_ms}
