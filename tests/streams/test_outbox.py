"""The bookkeeping of actions that wait for delivery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.action import Action, Target
from streams.errors import DamagedError
from streams.keys import Keys
from streams.outbox import OUTBOX_ACTIONS_MAX, Outbox, cursor, decode, encode, settle

ACTION = Action(
    id="act_1",
    rule="vip",
    version=2,
    customer_id="ann",
    shard=1,
    cause="e1",
    at_ms=5,
    reason="Because",
    target=Target("webhook", "crm", "vip"),
    data={"health": 40.5, "band": "red", "nothing": None},
)


def test_an_entry_reads_as_it_was_written() -> None:
    """The relay may read it after a crash, in another process."""
    assert decode(b"key", encode([ACTION, ACTION])) == [ACTION, ACTION]


@pytest.mark.parametrize("entry", [b"", b"{}", b'[{"id":1}]'])
def test_what_is_no_entry_names_its_key(entry: bytes) -> None:
    """Skipping it would lose actions in silence."""
    with pytest.raises(DamagedError, match="some key"):
        decode(b"some key", entry)


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(0, 40))
def test_what_waits_is_what_lies_beyond_the_cursor(counts: list[int], settled: int) -> None:
    """Whoever moves the cursor, the count follows."""
    outbox = Outbox(0)
    for sequence, count in enumerate(counts, start=1):
        outbox.add(sequence, count)
    outbox.follow(b"%d" % settled)
    outbox.follow(None)  # a cursor that went back changes nothing

    assert outbox.actions_count == sum(counts[settled:])


def test_the_outbox_is_full_at_its_bound() -> None:
    """Consuming stops there."""
    outbox = Outbox(0)
    seen = []
    for sequence, count in ((1, OUTBOX_ACTIONS_MAX - 1), (2, 1)):
        outbox.add(sequence, count)
        seen.append(outbox.is_full)
    outbox.follow(b"1")
    seen.append(outbox.is_full)

    assert seen == [False, True, False]
    assert outbox.actions_count == 1


def test_settling_deletes_before_it_moves_on() -> None:
    """A crash in between may leave the cursor behind, but never an entry for ever."""
    assert settle(3, 9) == [("DEL", b"rapport:{3}:outbox:9"), ("SET", b"rapport:{3}:relay", 9)]


def test_a_cursor_that_is_no_number_names_its_key() -> None:
    """Nothing is taken for settled because of it."""
    assert cursor(3, None) == 0
    with pytest.raises(DamagedError, match=Keys.of(3).relay.decode().replace("{", r"\{")):
        cursor(3, b"x")
