"""Decoding: every record becomes one event or one dead letter that says why, whatever is in it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.batch import Decoded, Origin, Records
from processors.decode import decode
from processors.event import CONSENTS_MAX, KINDS, NUMBER_FIELDS, TEXT_FIELDS, Event
from processors.fault import REASONS, explain
from tests.corpus import DAY_MS, ODD, POISON, RECORD_MS, Poison, record
from tests.processors.records import mangled, replaced

FIELDS = Event.__struct_fields__
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


def origin(index: int) -> Origin:
    return Origin("orders", 3, str(index), b"c-1", (("h", b"1"),), RECORD_MS)


def decoded(*values: bytes | None) -> Decoded:
    return decode(Records(list(values), [RECORD_MS] * len(values), origin))


@st.composite
def events(draw: st.DrawFn) -> Event:
    numbers: dict[str, Any] = {name: draw(st.none() | st.integers(0, 1)) for name in NUMBER_FIELDS}
    texts: dict[str, Any] = {name: draw(st.none() | TEXTS) for name in TEXT_FIELDS}
    return Event(
        id=draw(NAMES),
        type=draw(st.sampled_from(KINDS)),
        action=draw(NAMES.filter(lambda name: name not in {"placed", "paid", "csat"})),
        customer_id=draw(NAMES),
        at_ms=draw(st.integers(946_684_800_000, RECORD_MS + DAY_MS)),
        attributes=draw(st.none() | st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9), max_size=3)),
        consent=draw(st.none() | st.dictionaries(NAMES, st.booleans(), max_size=CONSENTS_MAX)),
        **numbers,
        **texts,
    )


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.name)
def test_a_poisoned_record_becomes_a_dead_letter_with_reason_and_field(poison: Poison) -> None:
    """Whoever mends it must not have to guess; dashboards count by these words."""
    result = decoded(poison.value)

    assert result.events == []
    assert [(dead.reason, dead.field) for dead in result.dead] == [(poison.reason, poison.field)]
    assert result.dead[0].value == poison.value
    assert result.dead[0].origin == origin(0)
    assert result.dead[0].detail


@pytest.mark.parametrize("name", ODD)
def test_an_odd_record_that_keeps_the_limits_becomes_an_event(name: str) -> None:
    """A check that refuses good records loses data just as a crash does."""
    result = decoded(ODD[name])

    assert result.dead == []
    assert len(result.events) == 1


def test_the_corpus_holds_every_reason() -> None:
    """A reason without an example is a reason that nobody has seen working."""
    assert {poison.reason for poison in POISON} == set(REASONS)
    assert len(POISON) >= 80
    assert len(ODD) >= 20


@pytest.mark.parametrize("at_ms", [RECORD_MS // 1_000, RECORD_MS // 1_000 + 0.25])
def test_a_time_in_seconds_is_told_as_such(at_ms: float) -> None:
    """The commonest mistake of senders."""
    (dead,) = decoded(record(at_ms=at_ms)).dead

    assert dead.detail.endswith(f"; this looks like seconds, send {RECORD_MS // 1_000}000")


@pytest.mark.parametrize("at_ms", [-1, 5, 946_684_799_999, "1767225600", None])
def test_another_wrong_time_is_not_taken_for_seconds(at_ms: object) -> None:
    (dead,) = decoded(record(at_ms=at_ms)).dead

    assert "looks like" not in dead.detail


def test_one_bad_record_never_costs_the_others() -> None:
    """The worst batch there can be: every second record is poison."""
    values = [value for poison in POISON for value in (poison.value, record(id=poison.name))]

    result = decoded(*values)

    assert [event.id for event in result.events] == [poison.name for poison in POISON]
    assert result.indexes == list(range(1, len(values), 2))
    assert [dead.origin.position for dead in result.dead] == [
        str(index) for index in range(0, len(values), 2)
    ]


@given(st.lists(st.sampled_from(POISON) | st.sampled_from(sorted(ODD)), max_size=20))
def test_a_batch_is_decoded_as_its_records_one_by_one(batch: list[Poison | str]) -> None:
    """Results must not depend on where batches are cut."""
    values = [each.value if isinstance(each, Poison) else ODD[each] for each in batch]

    whole, single = decoded(*values), [decoded(value) for value in values]

    assert whole.events == [event for one in single for event in one.events]
    assert whole.indexes == [index for index, one in enumerate(single) if one.events]
    assert [(dead.reason, dead.field, dead.detail, dead.at_byte) for dead in whole.dead] == [
        (dead.reason, dead.field, dead.detail, dead.at_byte) for one in single for dead in one.dead
    ]


@pytest.mark.slow
@given(st.one_of(st.binary(max_size=80), mangled(), replaced()))
def test_whatever_the_bytes_there_is_an_event_or_a_fault_and_both_paths_agree(value: bytes) -> None:
    """`decode` looks only at what cannot be surely good; `explain` looks at everything."""
    result, fault = decoded(value), explain(value, RECORD_MS)

    assert len(result.events) + len(result.dead) == 1
    assert bool(result.dead) == (fault is not None)
    if fault is not None:
        assert fault.reason in REASONS
        assert fault.field in {*FIELDS, ""}
        assert fault.detail
        assert fault.at_byte is None or 0 <= fault.at_byte <= len(value)


@pytest.mark.slow
@given(events())
def test_what_an_event_says_survives_encoding_and_decoding(event: Event) -> None:
    """The gateway, the producers and the demo write what the engine reads."""
    result = decoded(msgspec.json.encode(event))

    assert result.events == [event]


@pytest.mark.parametrize(
    ("value", "at_byte"),
    [
        (b'{"id": 7}', 7),
        (record().replace(b"25.5", b"NaN"), record().index(b"25.5")),
        (record(amount=-1), record(amount=-1).index(b"-1,")),
        (b'{"a": {"id": 1}, "id" :\n 7}', 25),
        (record(page="é\0"), record(page="é\0").index(b"\\u0000")),
        (b'{"id":"' + b"\xff" + record()[8:], 7),
        (record(consent={"a": 1}), record(consent={"a": 1}).index(b'{"a"')),
        (record(consent={"": True}), record(consent={"": True}).index(b'{""')),
    ],
)
def test_a_fault_says_at_which_byte_it_is(value: bytes, at_byte: int) -> None:
    """In 32 KB of JSON on one line nobody finds it by eye."""
    fault = explain(value, RECORD_MS)

    assert fault is not None
    assert fault.at_byte == at_byte


def test_the_time_is_judged_by_the_record_and_not_by_the_clock() -> None:
    """A replay next year must decide what was decided live."""
    early, late = RECORD_MS - DAY_MS - 1_001, RECORD_MS - DAY_MS - 1_000

    batch = decode(Records([record(), record()], [early, late], origin))

    assert batch.indexes == [1]
    assert batch.dead[0].reason == "in_the_future"


def test_a_refusal_that_names_no_field_is_a_dead_letter_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later msgspec may word its refusals differently; that must not stop a shard."""

    class Reworded:
        def decode(self, value: bytes) -> Event:
            raise msgspec.ValidationError(f"Nein: {len(value)}")

    monkeypatch.setattr("processors.fault.EVENTS", Reworded())

    fault = explain(record(), RECORD_MS)

    assert fault is not None
    assert (fault.reason, fault.detail) == (
        "wrong_type",
        f"the decoder refuses the record: Nein: {len(record())}",
    )
