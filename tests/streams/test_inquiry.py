"""From the name of a rule and the id of a customer to an explanation."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from processors.layout import Layout, fingerprint_of
from rules.rule_table import SNOOZED_MS
from streams.asked import RowError, TimeTextError, UnknownError, time_ms
from streams.inquiry import Inquiry
from streams.step import Engine
from tests.replaying import engine_of
from tests.streams.explained import orders, row_after
from tests.streams.replay_rows import HOUR_MS, START_MS

RULES = """
[rule.loyal]
when = "count(order.placed, 1d) >= 2"
then = [{ log = "x" }]
[rule.later]
stage = "draft"
when = "count(order.placed, 1d) >= 3"
then = [{ log = "x" }]
"""


class Store:
    """One customer, in memory."""

    def __init__(self, engine: Engine, customer_id: str = "ann") -> None:
        self.rows = {customer_id: row_after(engine, orders(0))}
        self.layouts = {engine.plan.layout.fingerprint: engine.plan.layout}

    async def row(self, customer_id: str) -> bytes | None:
        return self.rows.get(customer_id)

    async def layout(self, customer_id: str, fingerprint: bytes) -> Layout:
        assert fingerprint == fingerprint_of(self.rows[customer_id])
        return self.layouts[fingerprint]

    async def fires(self, customer_id: str, rule: str) -> Sequence[Mapping[str, Any]]:
        return [{"id": f"{rule} {customer_id}"}]


def inquiry(engine: Engine, store: Store) -> Inquiry:
    return Inquiry(store, lambda: engine, lambda: START_MS + HOUR_MS)


async def test_the_rule_and_the_customer_are_found_and_explained() -> None:
    """Now, when no time is given."""
    engine = engine_of(RULES)
    asked = inquiry(engine, Store(engine))

    told = await asked.why("loyal", "ann")
    later = await asked.why("loyal", "ann", START_MS + 48 * HOUR_MS)

    assert (told["at_ms"], told["asked_ms"]) == (START_MS + HOUR_MS, START_MS + HOUR_MS)
    assert told["sentence"] == "did not fire: count(order.placed, 1d) is 1, needs >= 2"
    assert later["sentence"] == "did not fire: count(order.placed, 1d) is 0, needs >= 2"
    assert told["fires"] == [{"id": "loyal ann"}]


@pytest.mark.parametrize(
    ("rule", "customer_id", "said"),
    [
        ("loyl", "ann", "there is no rule 'loyl' here; did you mean `loyal`?"),
        ("zzz", "ann", "there is no rule 'zzz' here; rules are later, loyal"),
        ("loyal", "bob", "there is no customer 'bob' here"),
        ("loyal", " Ann ", "there is no customer ' Ann ' here; did you mean 'ann'?"),
    ],
)
async def test_who_is_not_there_is_told_with_the_nearest_who_is(
    rule: str, customer_id: str, said: str
) -> None:
    """A slip of the pen is what it mostly is."""
    engine = engine_of(RULES)

    with pytest.raises(UnknownError) as caught:
        await inquiry(engine, Store(engine)).why(rule, customer_id)

    assert str(caught.value) == said


async def test_a_damaged_row_is_told_and_not_guessed() -> None:
    """An answer from half a row would be believed."""
    engine = engine_of(RULES)
    store = Store(engine)
    store.rows["ann"] = store.rows["ann"][:-8]

    with pytest.raises(RowError, match="the profile row of 'ann' cannot be read"):
        await inquiry(engine, store).why("loyal", "ann")


async def test_the_engine_that_folds_is_never_run() -> None:
    """Its scratch space belongs to another thread; a draft is in no engine that folds at all."""
    engine = engine_of(RULES)
    asked = inquiry(engine, Store(engine))
    scratch = {size: each.registers.tobytes() for size, each in engine.scratch.kept.items()}

    told = [await asked.why(name, "ann") for name in ("loyal", "later", "loyal")]

    assert [each["stage"] for each in told] == ["live", "draft", "live"]
    assert scratch
    after = {size: each.registers.tobytes() for size, each in engine.scratch.kept.items()}
    assert after == scratch


async def test_a_snooze_of_the_running_rules_is_known() -> None:
    """It is set while they run, and stands in no file."""
    engine = engine_of(RULES)
    asked = inquiry(engine, Store(engine))
    await asked.why("loyal", "ann")
    engine.rule_plan.table[0, SNOOZED_MS] = START_MS + 2 * HOUR_MS

    told = await asked.why("loyal", "ann")

    assert told["suppressed_by"] == [{"restraint": "snooze", "until_ms": START_MS + 2 * HOUR_MS}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1714564800123", 1_714_564_800_123),
        ("2024-05-01", 1_714_521_600_000),
        ("2024-05-01T12:00:00Z", 1_714_564_800_000),
        ("2024-05-01 14:00+02:00", 1_714_564_800_000),
    ],
)
def test_a_time_is_read_as_people_and_programs_write_it(text: str, expected: int) -> None:
    """UTC where nothing else is said: the answer is in UTC too."""
    assert time_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "²", "-5", "9" * 16, "9" * 99, "0001-01-01", "2024-13-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """And said how to write one."""
    with pytest.raises(TimeTextError, match="write it as"):
        time_ms(text)
