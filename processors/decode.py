"""Decode: bytes of records to events, in their order; what cannot be an event becomes a dead letter.

Promise   Each record becomes one event or one dead letter, and a bad one never harms the others. What is
          decided depends on the bytes and the record's time alone, so a replay decides the same.
How       One call of a typed decoder a record, which costs no more than decoding them joined. Cheap looks
          at AT_ONCE records joined tell whether they are surely good or to be looked at one by one
          (fault.py).
Limits    Those of event.py. Of a key that is there twice, the last one counts.
Not here  Duplicates and lateness, which need the profile (fold.py). Reasons and words (fault.py).
"""

from collections.abc import Sequence
from typing import Final

from processors.batch import DeadLetter, Decoded, Records
from processors.event import EVENT_BYTES_MAX, EVENTS, FUTURE_MS_MAX, Event
from processors.fault import bytes_fault, event_fault, explain

_BACKSLASH: Final = ord("\\")
_BRACKET: Final = ord("[")
AT_ONCE: Final = 32  # of a kilobyte each they are still no larger than one event may be


def decode(records: Records) -> Decoded:
    """Decode a batch.

    >>> from processors.batch import Origin
    >>> good = b'{"id":"1","type":"click","action":"view","customer_id":"c","at_ms":1700000000000}'
    >>> def origin(index: int) -> Origin:
    ...     return Origin("clicks", 0, str(index), None, (), 1_700_000_000_000)
    >>> decoded = decode(Records([good, None], [1_700_000_000_000] * 2, origin))
    >>> decoded.events[0].action, decoded.dead[0].reason, decoded.dead[0].origin.position
    ('view', 'empty', '1')
    """
    events: list[Event] = []
    dead: list[DeadLetter] = []
    refused: list[int] = []
    read, keep, latest = EVENTS.decode, events.append, FUTURE_MS_MAX
    for first in range(0, len(records.values), AT_ONCE):
        values = records.values[first : first + AT_ONCE]
        times_ms = records.times_ms[first : first + AT_ONCE]
        are_plain = _are_plain(values)
        for index, (value, time_ms) in enumerate(zip(values, times_ms, strict=True), first):
            try:
                event = read(value) if are_plain else _closely(value)  # type: ignore[arg-type]  # plain is not None
                kind = event.type
                if (
                    are_plain
                    and (kind == "click" or (kind == "order" and event.amount is not None))
                    and event.at_ms - time_ms <= latest
                ) or not event_fault(event, value or b"", time_ms):
                    keep(event)
                    continue
            except (ValueError, RecursionError):  # the first covers what the decoder raises
                pass
            refused.append(index)
            dead.append(_dead_letter(records, index))
    customer_ids = [event.customer_id for event in events]
    if not refused:
        return Decoded(events, list(range(len(events))), customer_ids, dead)
    left_out = frozenset(refused)
    indexes = [i for i in range(len(records.values)) if i not in left_out]
    return Decoded(events, indexes, customer_ids, dead)


def _are_plain(values: Sequence[bytes | None]) -> bool:
    """Whether each of these has only what the decoder looks at: one look at all, not one at each.

    In plain records braces are at the beginning and the end, so that `{` but for the first follows `}`.
    """
    if None in values:
        return False
    joined = b"".join(values)  # type: ignore[arg-type]  # none of them is None
    return (
        len(joined) <= EVENT_BYTES_MAX
        and joined.isascii()
        and _BACKSLASH not in joined
        and _BRACKET not in joined
        and joined.startswith(b"{")
        and joined.count(b"{") == len(values)
        and joined.count(b"}{") == len(values) - 1
    )


def _closely(value: bytes | None) -> Event:
    """The event of a record that may hold anything.

    Raises:
        ValueError: The bytes or a field are at fault.
        RecursionError: It is too deep even to be read.
    """
    if value is None or len(value) > EVENT_BYTES_MAX or bytes_fault(value):
        raise ValueError("the bytes are at fault")
    return EVENTS.decode(value)


def _dead_letter(records: Records, index: int) -> DeadLetter:
    value = records.values[index]
    fault = explain(value, records.times_ms[index])
    assert fault is not None, "what is refused can be explained"
    origin = records.origin(index)
    return DeadLetter(origin, value, fault.reason, fault.field, fault.detail, fault.at_byte)
