"""The headers of a dead letter: the record's own, Kafka's words, and ours."""

from processors.batch import DeadLetter, Origin
from streams.kafka_dead_letters import headers_of


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
