"""A body is taken apart: what is good is kept as it was sent, what is bad is named."""

import gzip
import json
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.event import EVENT_BYTES_MAX
from processors.fault import explain
from streams.ingest import COMMAS_MAX, EVENTS_MAX, INFLATED_BYTES_MAX, Body, BodyError, parse
from tests.corpus import ODD, POISON, RECORD_MS, record

LINES = "application/x-ndjson"
# What can stand on a line of its own among others, without its end being in doubt.
BAD = [
    poison.value
    for poison in POISON
    if poison.value and poison.value.strip() and b"\n" not in poison.value
    if len(poison.value) <= EVENT_BYTES_MAX
]
GOOD = [value for value in ODD.values() if b"\n" not in value.strip()]


def taken(body: bytes, content_type: str = "application/json", *, fill: bool = False) -> Body:
    return parse(body, content_type=content_type, now_ms=RECORD_MS, fill=fill)


def refused(body: bytes, content_type: str = "application/json") -> str:
    with pytest.raises(BodyError) as caught:
        taken(body, content_type)
    return caught.value.reason


@given(st.lists(st.sampled_from(GOOD), min_size=1, max_size=6))
def test_one_event_an_array_and_lines_say_the_same(values: list[bytes]) -> None:
    """Senders write what their language makes easy; with a content type or without one."""
    lines, array = b"\r\n".join(values), b"[" + b" ,\n".join(values) + b"]"
    expected = [value.strip() for value in values]

    for body in (taken(lines, LINES), taken(lines), taken(array), taken(gzip.compress(array))):
        assert [value for _, value in body.accepted] == expected
        assert body.rejected == []


@given(st.lists(st.sampled_from(GOOD) | st.sampled_from(BAD), min_size=1, max_size=6))
def test_among_lines_each_is_judged_by_itself(values: list[bytes]) -> None:
    """Whatever a neighbour holds, and in the engine's own words."""
    body = taken(b"\n".join(values), LINES)
    faults = [explain(value.strip(), RECORD_MS) for value in values]

    assert body.indexes == [index for index, fault in enumerate(faults) if fault is None]
    assert [value for _, value in body.accepted] == [
        value.strip() for value, fault in zip(values, faults, strict=True) if fault is None
    ]
    assert [
        (bad.index, bad.reason, bad.field, bad.detail, bad.at_byte) for bad in body.rejected
    ] == [
        (index, fault.reason, fault.field, fault.detail, fault.at_byte)
        for index, fault in enumerate(faults)
        if fault is not None
    ]


def test_an_array_with_one_event_that_is_no_json_keeps_the_others() -> None:
    """Python writes NaN without being asked to."""
    values = [record(id="1"), record(id="2").replace(b"25.5", b"NaN"), record(id="3", page='],["')]

    body = taken(b"[" + b", ".join(values) + b"]")

    assert [event.id for event, _ in body.accepted] == ["1", "3"]
    assert [(bad.index, bad.reason) for bad in body.rejected] == [(1, "malformed")]


@pytest.mark.parametrize(
    ("ending", "reasons"),
    [
        (b"", ["malformed"]),
        (b",]", ["malformed", "empty"]),
        (b"] and more", ["malformed", "malformed"]),
        (b', "not closed', ["malformed", "malformed"]),
        (b"," + b"[" * 5_000, ["malformed", "too_deep"]),
    ],
)
def test_an_array_that_ends_badly_keeps_what_came_before(ending: bytes, reasons: list[str]) -> None:
    """Sending the rest again is cheap; the good ones are told by their ids."""
    body = taken(b"[" + record() + b", NaN" + ending)

    assert len(body.accepted) == 1
    assert [bad.reason for bad in body.rejected] == reasons


def test_a_printed_event_of_many_lines_is_one_event() -> None:
    """`curl -d @event.json` sends what people write by hand."""
    printed = json.dumps(json.loads(record()), indent=2).encode()

    assert [value for _, value in taken(printed).accepted] == [printed]
    assert [bad.reason for bad in taken(printed[:-2]).rejected] == ["malformed"]


@pytest.mark.parametrize("bad", [b"rubbish", b'{"id":'])
def test_lines_are_recognised_although_one_of_them_is_bad(bad: bytes) -> None:
    """Wherever it is: the look of the others decides."""
    for values in ([bad, record(), record()], [record(), bad]):
        body = taken(b"\n".join(values), "")

        assert len(body.accepted) == len(values) - 1
        assert [bad.index for bad in body.rejected] == [values.index(bad)]


def test_a_body_without_events_is_told_apart() -> None:
    """An empty array is an answer, an empty body is a mistake."""
    assert taken(b" [] ") == Body([], [], [])
    assert refused(b"") == "empty"
    assert refused(b" \n ") == "empty"
    assert refused(gzip.compress(b"")) == "empty"


def test_no_body_makes_more_work_than_allowed() -> None:
    """Both bounds are reached, and told apart."""
    assert len(taken(b"[" + b",".join([b"7"] * EVENTS_MAX) + b"]").rejected) == EVENTS_MAX
    assert refused(b"\n".join([b"7"] * (EVENTS_MAX + 1)), LINES) == "too_many"
    assert refused(gzip.compress(b" " * (INFLATED_BYTES_MAX + 1))) == "too_large"
    assert refused(gzip.compress(b"[]")[:-1]) == "malformed"


@pytest.mark.parametrize("content_type", ["", LINES])
@pytest.mark.parametrize("value", [b"10,", b"10\n", b",", b"\n"], ids=repr)
def test_a_small_body_does_not_become_millions_of_objects(value: bytes, content_type: str) -> None:
    """Two such bodies of 8 KB once took a gigabyte, and the other requests waited for a second."""
    body = b"[" + value * (INFLATED_BYTES_MAX // len(value) - 1) + b"7]"
    packed = gzip.compress(body, 1)
    tracemalloc.start()
    try:
        with suppress(BodyError):
            taken(packed, content_type)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 6 * INFLATED_BYTES_MAX


def test_an_array_with_many_commas_is_read_as_any_other() -> None:
    """What is looked at to bound the work must not decide what the events are."""
    tags = {"tags": list(range(600))}
    values = [record(id=f"e{number}", attributes=tags) for number in range(COMMAS_MAX // 600 + 1)]

    body = taken(b"[" + b", ".join([*values, b"NaN"]) + b"]")

    assert [value for _, value in body.accepted] == values
    assert [bad.index for bad in body.rejected] == [len(values)]


def test_a_missing_id_is_made_of_the_record_so_that_sending_twice_counts_once() -> None:
    """A new id each time would count a retry as another event."""
    first, again, other = (
        taken(record(id=None, amount=amount), fill=True).accepted[0] for amount in (1, 1, 2)
    )

    assert first == again
    assert first[0].id != other[0].id
    assert json.loads(first[1]) == {"id": first[0].id, **json.loads(record(id=None, amount=1))}


def test_a_missing_time_is_that_of_arrival() -> None:
    """The id still tells the repetition."""
    event, value = taken(record(at_ms=None), fill=True).accepted[0]

    assert event.at_ms == RECORD_MS
    assert json.loads(value)["at_ms"] == RECORD_MS


@pytest.mark.parametrize(
    ("value", "fill", "field"),
    [
        (record(id=None), False, "id"),
        (record(at_ms=None), False, "at_ms"),
        (record(id=None, at_ms=None), True, "id"),
        (record(id=""), True, "id"),
        (record(type=None), True, "type"),
        (b"rubbish", True, ""),
        (b"[" * 5_000, True, ""),
    ],
)
def test_nothing_is_filled_in_that_would_count_a_repetition_twice(
    value: bytes, fill: bool, field: str
) -> None:
    """Without an id and without a time, an event and its repetition are the same to us."""
    body = taken(b"\n".join([value, record()]), LINES, fill=fill)

    assert len(body.accepted) == 1
    assert [bad.field for bad in body.rejected] == [field]
