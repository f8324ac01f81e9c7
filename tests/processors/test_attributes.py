"""What events tell of customers: as registers of the event, and kept for each customer."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.attributes import CODE_BITS, text_code
from processors.batch import Origin, Records
from processors.columns import EventColumns
from processors.decode import decode
from processors.event import NAME_CHARS_MAX, Event
from processors.machine import Op
from processors.plan import PlanBuilder
from processors.profiles import Table
from processors.reader import SCANNED_MIN, Reader
from processors.register import Stage
from tests.corpus import RECORD_MS, record
from tests.processors.stream import START_MS, fold_list

NAMES = ("tier", "seats", "timezone")
CHANNELS = ("phone", "email")
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=5)  # with a NUL it is no event
ANY = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), TEXT),
    st.floats(allow_nan=False, allow_infinity=False),
    st.just([1, {"tier": "gold"}]),
)


@st.composite
def told(draw: st.DrawFn, most: int) -> list[bytes]:
    """Records of all kinds, of which many tell something of their customer."""
    return [
        record(
            id=f"e{number}",
            type=draw(st.sampled_from(["click", "order", "service", "customer", "customer"])),
            action=draw(st.sampled_from(["identify", "consent", "x"])),
            attributes=draw(st.none() | st.dictionaries(st.sampled_from([*NAMES, "other"]), ANY)),
            consent=draw(
                st.none() | st.dictionaries(st.sampled_from([*CHANNELS, "fax"]), st.booleans())
            ),
        )
        for number in range(draw(st.integers(1, most)))
    ]


def asked() -> tuple[PlanBuilder, dict[tuple[str, str], int]]:
    builder = PlanBuilder()
    registers = {("number", name): builder.attribute_number(name).number for name in NAMES}
    registers |= {("text", name): builder.attribute_hash(name).number for name in NAMES}
    registers |= {("consent", name): builder.consent(name).number for name in CHANNELS}
    return builder, registers


def defined(what: str, name: str, event: dict[str, Any]) -> float:
    """A register of one event, as the header has it."""
    value = (event.get("consent" if what == "consent" else "attributes") or {}).get(name)
    if event["type"] != "customer" or value is None or isinstance(value, list):
        return math.nan
    if isinstance(value, str):
        return text_code(value) if what == "text" else math.nan
    return math.nan if what == "text" else float(value)


def filled(values: Sequence[bytes], *, is_scanned: bool) -> np.ndarray:
    def origin(index: int) -> Origin:
        return Origin("customers", 0, str(index), None, (), RECORD_MS)

    records = Records(list(values), [RECORD_MS] * len(values), origin)
    found = Reader().read(records) if is_scanned else decode(records)
    assert (found.columns is not None) == is_scanned
    count = len(values)
    registers = np.full((20, count), -7.0)
    columns = EventColumns(asked()[0].build().asked)
    columns.fill(found.events, registers, np.zeros(count, dtype=np.int64), found.columns)
    return registers


@pytest.mark.slow
@given(told(SCANNED_MIN - 1))
def test_a_register_has_what_its_event_tells(values: list[bytes]) -> None:
    """Each event stands in a batch of any size: alone, among few, among many."""
    wanted = {
        (number, index): defined(*key, json.loads(value))
        for key, number in asked()[1].items()
        for index, value in enumerate(values)
    }

    few = filled(values, is_scanned=False)
    alone = [filled([value], is_scanned=False) for value in values]
    many = filled([record()] * SCANNED_MIN + values, is_scanned=True)

    for (number, index), value in wanted.items():
        np.testing.assert_equal(few[number, index], value)
        np.testing.assert_equal(alone[index][number, 0], value)
        np.testing.assert_equal(many[number, SCANNED_MIN + index], value)
        assert np.isnan(many[number, :SCANNED_MIN]).all()


@given(st.text(max_size=9))
def test_the_code_of_a_text_is_exact_and_never_0(text: str) -> None:
    """0 would be taken for nothing, and a code that is rounded for another text."""
    code = text_code(text)

    assert 1 <= code < 2**CODE_BITS
    assert float(np.float64(code)) == int(code)


def test_the_code_of_a_text_stays() -> None:
    """It is kept in rows of profiles, across versions of Rapport."""
    assert text_code("gold") == 1_761_506_497_862_595
    assert text_code("") == 1_829_609_776_846_018


def test_equal_asks_share_a_register_and_different_ones_never() -> None:
    """Names of registers name columns: two asks must not meet in one, whatever they are called."""
    builder = PlanBuilder()

    assert builder.attribute("tier", text=True) is builder.attribute("tier", text=True)
    assert builder.consented("phone") is builder.consented("phone")
    different = [
        builder.attribute_number("a"),
        builder.attribute_number('a")'),
        builder.attribute_hash("a"),
        builder.consent("a"),
        builder.consent('a")|1'),
        builder.attribute("a", text=True),
        builder.attribute("a", text=False),
        builder.consented("a"),
    ]
    assert len({each.number for each in different}) == len({each.name for each in different}) == 8
    assert [each.stage for each in different] == [Stage.EVENT] * 5 + [Stage.FEATURE] * 3


@pytest.mark.parametrize("name", ["", "x" * (NAME_CHARS_MAX + 1)])
def test_a_name_that_no_event_may_have_is_refused(name: str) -> None:
    """It would stay missing for ever."""
    for ask in (
        PlanBuilder().attribute_number,
        PlanBuilder().attribute_hash,
        PlanBuilder().consent,
    ):
        with pytest.raises(ValueError, match="is no name of 1 to 64 characters"):
            ask(name)


def test_who_asks_for_nothing_pays_for_nothing() -> None:
    """Most rule sets look at no attribute: then none is looked at."""

    class Untouchable:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int, /) -> Event:
            raise AssertionError(f"event {index} needs not be looked at")

        def __iter__(self) -> Iterator[Event]:
            raise AssertionError("none of them needs to be looked at")

    columns = EventColumns(PlanBuilder().build().asked)

    columns.fill(Untouchable(), np.ones((1, 3)), np.zeros(3, np.int64))


@dataclass(frozen=True, slots=True)
class Said:
    at: int
    tier: str | None
    seats: float | None
    phone: bool | None


said = st.builds(
    Said,
    at=st.integers(0, 4),
    tier=st.sampled_from(["gold", "silver", None]),
    seats=st.sampled_from([3.0, 12.0, None]),
    phone=st.sampled_from([True, False, None]),
)


def told_by(number: int, each: Said) -> Event:
    """An event of one customer; every third time it has gaps in the form of null or of nothing."""
    attributes = {"tier": each.tier, "seats": each.seats}
    return Event(
        id=f"e{number}",
        type="customer",
        action="identify",
        customer_id="c",
        at_ms=START_MS + each.at,
        attributes={key: value for key, value in attributes.items() if value is not None}
        if number % 3
        else attributes,
        consent=None if each.phone is None else {"phone": each.phone},
    )


def last(said_at: list[tuple[int, float]], default: float) -> float:
    """The value of the latest time; of several at that time the largest."""
    return max(said_at, default=(0, default))[1]


@pytest.mark.slow
@given(st.lists(said, min_size=1, max_size=8), st.data())
def test_the_newest_word_counts_whatever_the_order_of_arrival(
    words: list[Said], data: st.DataObject
) -> None:
    """A late event must not undo what was said after it; an event that says nothing undoes nothing."""
    builder = PlanBuilder()
    tier, seats = builder.attribute("tier", text=True), builder.attribute("seats", text=False)
    phone, is_gold = builder.consented("phone"), builder.constant(text_code("gold"))
    is_gold = builder.apply(Op.EQ, tier, is_gold)
    plan = builder.build()
    batch = [told_by(number, each) for number, each in enumerate(words)]
    batch.append(Event("last", "click", "view", "c", START_MS + 9))
    cut = data.draw(st.integers(1, len(words)))

    table = Table(plan.layout, memos_count=plan.memos)
    fold_list(plan, table, batch[:cut])
    registers, _ = fold_list(plan, table, batch[cut:])

    tiers = [(each.at, text_code(each.tier)) for each in words if each.tier is not None]
    numbers = [(each.at, each.seats) for each in words if each.seats is not None]
    # Of two words at one time, the withdrawal counts.
    calls = [(each.at, -float(each.phone)) for each in words if each.phone is not None]
    np.testing.assert_equal(registers[tier.number, -1], last(tiers, math.nan))
    np.testing.assert_equal(registers[seats.number, -1], last(numbers, math.nan))
    assert registers[phone.number, -1] == (last(calls, 0.0) == -1.0)
    assert registers[is_gold.number, -1] == (last(tiers, math.nan) == text_code("gold"))
