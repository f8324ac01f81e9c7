"""Scanning many records gives what decoding one by one gives, in columns too."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.batch import Decoded, Origin, Records
from processors.columns import TEXTS_MAX, EventColumns, id_hashes
from processors.decode import decode
from processors.event import KINDS, NUMBER_FIELDS, TEXT_FIELDS
from processors.reader import SCANNED_MIN, Reader
from processors.register import ACTION, Asked
from processors.scan import Scan
from processors.spans import SPANS
from tests.corpus import DAY_MS, ODD, POISON, RECORD_MS, raw, record, service
from tests.processors.records import mangled, replaced

# As JSON writes numbers, and nearly so.
NUMBERS = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
SOME = (
    st.builds(
        lambda name, text: record(**{name: text}), st.sampled_from(SPANS), st.text(max_size=9)
    )
    | st.builds(
        lambda name, text: raw(name, text.encode()),
        st.sampled_from([*NUMBER_FIELDS, "at_ms"]),
        NUMBERS,
    )
    | st.builds(
        lambda action, score: service(action, score=score),
        st.sampled_from(["csat", "x"]),
        st.integers(-2, 12),
    )
    | st.sampled_from([*ODD.values(), *(poison.value for poison in POISON)])
    | mangled()
    | replaced()
)
BATCHES = st.lists(SOME, min_size=SCANNED_MIN, max_size=40)


def records_of(values: Sequence[bytes | None]) -> Records:
    def origin(index: int) -> Origin:
        return Origin("orders", 3, str(index), b"c-1", (), RECORD_MS)

    return Records(list(values), [RECORD_MS] * len(values), origin)


def asked() -> Asked:
    """A register for every number, a test and a hash of every text."""
    texts = [*TEXT_FIELDS, ACTION]
    return Asked(
        constants={},
        numbers={name: number for number, name in enumerate(NUMBER_FIELDS)},
        tests={
            name: [(lambda text: text is not None and "o" in text, 10 + number)]
            for number, name in enumerate(texts)
        },
        hashes={name: 40 + number for number, name in enumerate(texts)},
        operations={},
        aggregates=[],
        reads=[],
        averages=[],
        states=[],
        features=[],
    )


def registers_of(columns: EventColumns, found: Decoded) -> np.ndarray:
    count = len(found.events)
    registers = np.full((60, count), -1.0)
    columns.fill(found.events, registers, np.zeros(count, dtype=np.int64), found.columns)
    return registers


def check(reader: Reader, columns: EventColumns, values: Sequence[bytes | None]) -> Decoded:
    """The reader's answer, which is the decoder's."""
    records = records_of(values)
    wanted, found = decode(records), reader.read(records)
    assert list(found.events) == list(wanted.events)
    assert found.indexes == wanted.indexes
    assert found.customer_ids == wanted.customer_ids
    assert found.dead == wanted.dead
    assert found.columns is not None
    assert found.columns.at_ms.tolist() == [event.at_ms for event in wanted.events]
    assert found.columns.id_hashes.tolist() == id_hashes(wanted.events)
    assert [KINDS[kind] for kind in found.columns.kinds] == [event.type for event in wanted.events]
    np.testing.assert_array_equal(
        registers_of(columns, found), registers_of(EventColumns(asked()), wanted)
    )
    return found


@settings(max_examples=100)
@given(st.lists(BATCHES, min_size=1, max_size=2))
def test_many_are_read_as_one_by_one(batches: list[list[bytes | None]]) -> None:
    reader, columns = Reader(), EventColumns(asked())
    for values in batches:
        check(reader, columns, values)


def test_the_corpus_is_read_as_one_by_one() -> None:
    values = [
        each for poison in POISON for each in (poison.value, record(), service("nps", score=9))
    ]
    found = check(Reader(), EventColumns(asked()), [*values, *ODD.values()])
    assert len(found.dead) == len(POISON)


def test_plain_records_are_not_decoded() -> None:
    """Else the scan would promise what the decoder does."""
    values = [record(id=f"e-{number}", amount=number / 8) for number in range(100)]
    values += [record(type=kind) for kind in KINDS]
    columns = Scan().read(values, [RECORD_MS] * len(values))
    assert columns.unusual == []
    assert columns.kinds[-len(KINDS) :].tolist() == list(range(len(KINDS)))
    assert columns.texts("id")[7] == "e-7"
    assert columns.numbers[9, 0] == 9 / 8


@pytest.mark.parametrize(
    "value",
    [
        record(id="\u00e9"),
        record(page='a"b'),
        record(attributes={"a": 1}),
        record(consent={"phone": True}),
        record(consent=7),
        record(consent="phone"),
        record(consent={}),
        raw("amount", b"1e3"),
        raw("amount", b"9007199254740993"),
        raw("amount", b"0.1234567890123456789"),
        raw("score", b"-0"),
        record()[:-1] + b',"id":"again"}',
        record(at_ms=RECORD_MS + 2 * DAY_MS),
        record(amount=None),
        service("nps", score=10),
        b"",
    ],
)
def test_what_is_unusual_is_left_to_the_decoder(value: bytes) -> None:
    assert Scan().read([value, record()], [RECORD_MS] * 2).unusual == [0]


@given(NUMBERS)
def test_a_number_that_is_plain_is_exact(text: str) -> None:
    columns = Scan(2).read([raw("score", text.encode())], [RECORD_MS])
    if not columns.unusual:
        assert columns.numbers[0, NUMBER_FIELDS.index("score")] == float(text)
        assert math.copysign(1, columns.numbers[0, 2]) == math.copysign(1, float(text))


def test_texts_start_afresh_when_there_are_too_many() -> None:
    reader, columns = Reader(), EventColumns(asked())
    for first in range(0, TEXTS_MAX + 4_096, 4_096):
        values = [record(page=f"/{number}") for number in range(first, first + 4_096)]
        found = reader.read(records_of(values))
        registers_of(columns, found)
    check(reader, columns, [record(page=f"/{number}") for number in range(100)])
