"""The fold against its oracle, and the laws that make live, replay and backlog agree."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.aggregate import MICRO, TOTAL_MAX, AggregateKind, Reading
from processors.attributes import text_code
from processors.event import Event
from processors.fold import add_saturated
from processors.layout import Layout, Packer, unpack
from processors.plan import PlanBuilder
from processors.profiles import Table
from processors.register import Register
from processors.tables import Plan
from tests.processors import oracle
from tests.processors.stream import HOUR_MS, events, fold_list

HALF_LIFE_MS = 12 * HOUR_MS
WINDOWS_MS = (HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS + 1)
EXACT = 4
STATUS = {0: "admitted", 1: "duplicate", 2: "late"}


def everything(
    lateness_ms: int = 100 * 24 * HOUR_MS, duplicates_kept: int = 8
) -> tuple[Plan, dict[str, Register]]:
    """A plan with every kind of aggregate and reading over the amounts of placed orders."""
    builder = PlanBuilder(lateness_ms=lateness_ms, duplicates_kept=duplicates_kept)
    placed = builder.action("order", "placed")
    amount = builder.number("amount")
    read: dict[str, Register] = {}
    decay = builder.aggregate(AggregateKind.DECAY, placed, amount, half_life_ms=HALF_LIFE_MS)
    read["decay"] = builder.read(decay, Reading.VALUE)
    exact = builder.aggregate(AggregateKind.EVENTS, placed, amount, exact_events=EXACT)
    for window_ms in WINDOWS_MS:
        for reading in (Reading.COUNT, Reading.SUM, Reading.MIN, Reading.MAX, Reading.APPROXIMATE):
            name = f"{reading.name}:{window_ms}"
            read[name] = builder.read(exact, reading, window_ms=window_ms)
    total = builder.aggregate(AggregateKind.TOTAL, placed, amount)
    read["count"] = builder.read(total, Reading.COUNT)
    read["sum"] = builder.read(total, Reading.SUM)
    for kind in (
        AggregateKind.LAST,
        AggregateKind.FIRST,
        AggregateKind.MINIMUM,
        AggregateKind.MAXIMUM,
    ):
        kept = builder.aggregate(kind, placed, amount)
        read[kind.name] = builder.read(kept, Reading.VALUE)
        read[f"{kind.name} since"] = builder.read(kept, Reading.SINCE)
    moments = builder.aggregate(AggregateKind.MOMENTS, placed, amount, half_life_ms=HALF_LIFE_MS)
    read["mean"] = builder.read(moments, Reading.MEAN)
    read["deviation"] = builder.read(moments, Reading.DEVIATION)
    read["z"] = builder.read(moments, Reading.ZSCORE, before=True)
    distinct = builder.aggregate(
        AggregateKind.DISTINCT, placed, builder.text_hash("category"), buckets=16
    )
    read["distinct"] = builder.read(distinct, Reading.DISTINCT)
    return builder.build(), read


PLAN, READ = everything()


def samples_of(seen: list[Event]) -> list[oracle.Sample]:
    return [
        oracle.Sample(event.at_ms, event.amount)
        for event in seen
        if (event.type, event.action) == ("order", "placed") and event.amount is not None
    ]


def empty_table() -> Table:
    return Table(PLAN.layout, memos_count=PLAN.memos)


def check_one(values: dict[str, float], seen: list[Event]) -> None:
    """Hold the readings after the last of `seen` to the oracle."""
    samples = samples_of(seen)
    now_ms = max(event.at_ms for event in seen)
    size = sum(abs(s.value) for s in samples) + 1.0
    assert values["decay"] == pytest.approx(
        oracle.decayed(samples, HALF_LIFE_MS, now_ms), abs=1e-9 * size
    )
    for window_ms in WINDOWS_MS:
        count, approximate = oracle.window_count(samples, window_ms, now_ms, EXACT)
        assert values[f"COUNT:{window_ms}"] == pytest.approx(count)
        assert values[f"APPROXIMATE:{window_ms}"] == float(approximate)
        if not approximate:
            within = [s.value for s in oracle.inside(samples, window_ms, now_ms)]
            assert values[f"SUM:{window_ms}"] == pytest.approx(math.fsum(within), abs=1e-9 * size)
            if within:
                assert (values[f"MIN:{window_ms}"], values[f"MAX:{window_ms}"]) == (
                    min(within),
                    max(within),
                )
            else:
                assert math.isnan(values[f"MIN:{window_ms}"])
    assert values["count"] == len(samples)
    assert values["sum"] == sum(round(s.value * 1e6) for s in samples) / 1e6
    categories = {
        int(text_code(event.category)) % 16
        for event in seen
        if (event.type, event.action) == ("order", "placed") and event.category is not None
    }
    assert values["distinct"] == pytest.approx(oracle.linear_count(len(categories), 16))
    if samples:
        last = max(samples, key=lambda s: (s.at_ms, s.value))
        first = min(samples, key=lambda s: (s.at_ms, s.value))
        assert (values["LAST"], values["LAST since"]) == (last.value, now_ms - last.at_ms)
        assert (values["FIRST"], values["FIRST since"]) == (first.value, now_ms - first.at_ms)
        assert values["MINIMUM"] == min(s.value for s in samples)
        assert values["MAXIMUM"] == max(s.value for s in samples)
        mean, deviation = oracle.moments(samples, HALF_LIFE_MS)
        assert values["mean"] == pytest.approx(mean, abs=1e-9 * size)
        if not math.isnan(values["deviation"]):
            assert values["deviation"] == pytest.approx(deviation, abs=1e-6 * size)
    else:
        assert math.isnan(values["LAST"])
        assert math.isnan(values["mean"])


@given(events())
def test_every_reading_equals_its_definition_right_after_each_event(batch: list[Event]) -> None:
    """Rules see these numbers; a reading that is nearly right cannot be explained to anybody."""
    registers, status = fold_list(PLAN, empty_table(), batch)

    for customer in {event.customer_id for event in batch}:
        seen: list[Event] = []
        indexes = [i for i, event in enumerate(batch) if event.customer_id == customer]
        pairs = [(batch[i].id, batch[i].at_ms) for i in indexes]
        answers = oracle.admitted(pairs, 8, PLAN.lateness_ms)
        assert [STATUS[status[i]] for i in indexes] == answers
        for i, answer in zip(indexes, answers, strict=True):
            if answer == "admitted":
                seen.append(batch[i])
                values = {name: registers[reg.number, i] for name, reg in READ.items()}
                check_one(values, seen)


@given(events())
def test_what_is_kept_in_mind_is_what_would_be_read_anew(batch: list[Event]) -> None:
    """A window that forgets to forget would keep a rule from firing, for months."""
    minding, forgetful = empty_table(), empty_table()
    read = [register.number for register in READ.values()]
    for event in batch:
        forgetful.forget_memos()
        kept, answers = fold_list(PLAN, minding, [event])
        anew, _ = fold_list(PLAN, forgetful, [event])
        if answers == [0]:
            assert np.array_equal(kept[read], anew[read], equal_nan=True)


@given(events(), st.data())
def test_results_do_not_depend_on_where_batches_are_cut(
    batch: list[Event], data: st.DataObject
) -> None:
    """A busy hour makes large batches, a quiet one small: both must decide the same."""
    cuts = sorted({0, len(batch), *data.draw(st.lists(st.integers(0, len(batch)), max_size=8))})
    whole_table, cut_table = empty_table(), empty_table()
    whole, whole_status = fold_list(PLAN, whole_table, batch)
    parts = [fold_list(PLAN, cut_table, batch[a:b]) for a, b in pairwise(cuts)]

    assert [s for _, part in parts for s in part] == whole_status
    read = [register.number for register in READ.values()]
    admitted = [i for i, s in enumerate(whole_status) if s == 0]
    joined = np.concatenate([registers for registers, _ in parts], axis=1)
    assert np.array_equal(
        joined[np.ix_(read, admitted)], whole[np.ix_(read, admitted)], equal_nan=True
    )
    for customer in {event.customer_id for event in batch}:
        rows = [table.whole_rows[table.slots([customer])[0]] for table in (whole_table, cut_table)]
        assert np.array_equal(*rows)


@given(events(), st.randoms(use_true_random=False))
def test_final_readings_do_not_depend_on_the_order_of_arrival(
    batch: list[Event],
    random: object,
) -> None:
    """Phones go offline and topics race; the profile must be that of what happened, not of luck."""
    distinct = list({event.id: event for event in batch}.values())
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    tables = [empty_table(), empty_table()]
    for table, order in zip(tables, (distinct, shuffled), strict=True):
        fold_list(PLAN, table, order)
    probes = [
        Event("probe", "click", "view", customer, max(e.at_ms for e in distinct))
        for customer in sorted({event.customer_id for event in distinct})
    ]
    first, second = (fold_list(PLAN, table, probes)[0] for table in tables)

    for name, register in READ.items():
        size = 1e-6 if name == "deviation" else 1e-9
        assert first[register.number] == pytest.approx(
            second[register.number],
            rel=size,
            abs=1e-3 if name == "deviation" else 1e-9,
            nan_ok=True,
        ), name


@given(events())
def test_duplicates_change_nothing(batch: list[Event]) -> None:
    """A log delivers at least once; counting twice is how health scores become fiction."""
    once = list({event.id: event for event in batch}.values())[:8]
    plain, doubled = empty_table(), empty_table()
    fold_list(PLAN, plain, once)
    _, status = fold_list(PLAN, doubled, [*once, *reversed(once)])

    assert status[len(once) :] == [1] * len(once)
    for event in once:
        a = plain.whole_rows[plain.slots([event.customer_id])[0]]
        b = doubled.whole_rows[doubled.slots([event.customer_id])[0]]
        assert np.array_equal(a, b)


def test_an_event_beyond_the_lateness_bound_is_refused_and_changes_nothing() -> None:
    """What cannot be counted right must be said, not counted nearly."""
    plan, _ = everything(lateness_ms=HOUR_MS)
    table = Table(plan.layout, memos_count=plan.memos)
    on_time = Event("a", "order", "placed", "c", 1_700_000_000_000, 5.0)
    fold_list(plan, table, [on_time])
    before = table.whole_rows.copy()

    _, status = fold_list(
        plan, table, [Event("b", "order", "placed", "c", 1_700_000_000_000 - HOUR_MS - 1, 5.0)]
    )

    assert status == [2]
    assert np.array_equal(before, table.whole_rows)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=200))
def test_a_row_survives_packing_bit_for_bit(words: list[int]) -> None:
    """State that changes on its way to Redis and back is lost state."""
    layout = Layout.of([("words", len(words))])
    rows = np.zeros((2, layout.words), dtype=np.int64)
    rows[:, : len(words)] = words
    read = np.ones_like(rows)
    unpack(layout, Packer(layout).pack(rows, np.array([1, 0])), read, np.array([0, 1]))

    assert np.array_equal(rows, read)


@given(events())
def test_packing_overlooks_nothing_where_heads_are_empty(batch: list[Event]) -> None:
    """Empty windows are not looked at when a row is packed; a head that lied would lose state."""
    table = empty_table()
    fold_list(PLAN, table, batch)
    slots = np.arange(len(table))

    whole = Packer(PLAN.layout).pack(table.whole_rows, slots)
    assert Packer(PLAN.layout, PLAN.bodies).pack(table.whole_rows, slots) == whole


def test_a_sum_stays_at_its_limit_and_its_values_may_come_in_any_order() -> None:
    """A sum that skips what is too large, while the count goes on, is a mean that means nothing."""
    limit = TOTAL_MAX / MICRO
    values = [1e10, 0.75 * limit, 3.0, 0.5 * limit, 1e300, math.inf]

    for sign in (1.0, -1.0):
        for each in (values, values[::-1], values[2:] + values[:2]):
            total = 0
            for value in each:
                total = add_saturated(total, sign * value)
            assert total == sign * TOTAL_MAX
    assert add_saturated(TOTAL_MAX, -1.0) == TOTAL_MAX - MICRO
    assert add_saturated(TOTAL_MAX - 5 * MICRO, 2.0) == TOTAL_MAX - 3 * MICRO
