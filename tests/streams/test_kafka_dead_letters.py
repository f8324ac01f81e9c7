"""The headers of a dead letter, and what is done with one that the topic refuses."""

from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, Producer

from processors.batch import DeadLetter, Origin
from streams.errors import LogDownError
from streams.kafka_dead_letters import (
    BESIDE_ANOTHER,
    CUT,
    CUT_BYTES,
    RECORDED,
    KafkaDeadLetters,
    Note,
    Sending,
    headers_of,
)
from streams.kafka_settings import KafkaSettings

PLAIN = KafkaSettings(("127.0.0.1:1",))


class ScriptedDeadLetters(KafkaDeadLetters):
    """Refuses as told, by the order of the notes; empty: takes them."""

    def __init__(self, *refusals: tuple[int, ...]) -> None:
        super().__init__(PLAIN)
        self.sent: list[Sequence[Note]] = []
        self._refusals = list(refusals)

    def _begin(self, notes: Sequence[Note]) -> Sending:
        self.sent.append(notes)
        codes = self._refusals.pop(0) if self._refusals else ()
        answers = zip(notes, codes, strict=False)
        sending = Sending(self, Producer(PLAIN.producer()), 0)
        sending.refused = [(note, KafkaError(code)) for note, code in answers if code]
        return sending


def letter(headers: tuple[tuple[str, bytes], ...] = (), at_byte: int | None = 3) -> DeadLetter:
    origin = Origin("orders", 2, "17", b"k", headers, 5)
    return DeadLetter(origin, b"{", "not_json", "amount", "it ends too early", at_byte)


def test_tools_that_know_kafkas_dead_letters_can_read_ours() -> None:
    """The names are those of Kafka's own dead letter queues."""
    found = dict(headers_of(letter(), "rapport"))

    assert found == {
        "__dlq.errors.topic": "orders",
        "__dlq.errors.partition": "2",
        "__dlq.errors.offset": "17",
        "__dlq.errors.group": "rapport",
        "__dlq.errors.message": "it ends too early",
        "__dlq.errors.exception.class.name": "not_json",
        "__dlq.errors.exception.message": "it ends too early",
        "rapport.reason": "not_json",
        "rapport.field": "amount",
        "rapport.at-byte": "3",
    }


def test_a_record_that_fails_again_is_told_as_it_is_now() -> None:
    """Headers of an earlier round would say what was wrong then, and twice of each is of no use."""
    before = (("trace", b"1"), ("trace", b"2"), ("rapport.reason", b"old"))
    found = headers_of(letter(before, at_byte=None), "rapport")

    assert [value for name, value in found if name == "trace"] == [b"1", b"2"]
    assert [value for name, value in found if name == "rapport.reason"] == ["not_json"]
    assert "rapport.at-byte" not in dict(found)


def test_a_letter_whose_time_is_refused_is_written_with_the_time_of_now() -> None:
    """Its shard would stand for ever: the record's time never becomes another."""
    port = ScriptedDeadLetters((KafkaError.INVALID_TIMESTAMP, BESIDE_ANOTHER))
    port.send([letter(), letter()]).wait()

    first, again = port.sent
    assert [note.at_ms for note in first] == [5, 5]
    assert [(note.at_ms, note.more) for note in again] == [(0, ((RECORDED, "5"),)), (5, ())]


def test_a_letter_with_two_faults_is_mended_of_both() -> None:
    """Kafka tells one at a time."""
    origin = Origin("orders", 2, "17", b"k", (), 5)
    large = DeadLetter(origin, b"x" * (CUT_BYTES + 1), "too_large", "", "", None)
    codes = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP)
    port = ScriptedDeadLetters(*((code,) for code in codes))
    port.send([large]).wait()

    note = port.sent[-1][0]
    assert note.value == b"x" * CUT_BYTES
    assert note.more == ((CUT, str(CUT_BYTES + 1)), (RECORDED, "5"))


@pytest.mark.parametrize(
    "codes", [(KafkaError._TIMED_OUT,), (KafkaError.INVALID_TIMESTAMP,) * 9, (BESIDE_ANOTHER,) * 9]
)
def test_what_cannot_be_mended_is_told_to_who_waits(codes: tuple[int, ...]) -> None:
    """Without an end, one letter would hold the thread of all shards."""
    with pytest.raises(LogDownError):
        ScriptedDeadLetters(*((code,) for code in codes)).send([letter()]).wait()
