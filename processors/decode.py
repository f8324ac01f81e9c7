"""Decode: bytes of records to events, in their order; what cannot be an event becomes a dead letter.

Promise   Each record becomes one event or one dead letter, and a bad one never harms the others. What is
          decided depends on the bytes and the record's time alone, so a replay decides the same.
How       One call of a typed decoder a record, which costs no more than decoding them joined, and a few
          cheap looks that tell the surely good from those to be looked at closely (fault.py).
Limits    Those of event.py. Of a key that is there twice, the last one counts.
Not here  Duplicates and lateness, which need the profile (fold.py). Reasons and words (fault.py).
"""

from typing import Final

import msgspec

from processors.batch import DeadLetter, Decoded, Records
from processors.event import EVENT_BYTES_MAX, FUTURE_MS_MAX, Event
from processors.fault import bytes_fault, event_fault, explain

_BACKSLASH: Final = ord("\\")
_BRACKET: Final = ord("[")
_BRACE: Final = ord("{")
_DECODER: Final = msgspec.json.Decoder(Event)


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
    read, keep, latest = _DECODER.decode, events.append, FUTURE_MS_MAX
    for index, (value, time_ms) in enumerate(zip(records.values, records.times_ms, strict=True)):
        if value is not None and len(value) <= EVENT_BYTES_MAX:
            try:
                event = read(value)
                if not value.isascii():
                    value.decode()  # the decoder looks only at the fields that it keeps
            except (
                ValueError,
                RecursionError,
            ):  # the first covers DecodeError and UnicodeDecodeError
                refused.append(index)
                dead.append(_dead_letter(records, index))
                continue
            kind = event.type
            if (
                (kind == "click" or (kind == "order" and event.amount is not None))
                and event.at_ms - time_ms <= latest
                and _BACKSLASH not in value
                and _BRACKET not in value
                and value.rfind(_BRACE) <= 0
            ) or not (bytes_fault(value) or event_fault(event, value, time_ms)):
                keep(event)
                continue
        refused.append(index)
        dead.append(_dead_letter(records, index))
    if not refused:
        return Decoded(events, list(range(len(events))), dead)
    left_out = frozenset(refused)
    return Decoded(events, [i for i in range(len(records.values)) if i not in left_out], dead)


def _dead_letter(records: Records, index: int) -> DeadLetter:
    value = records.values[index]
    fault = explain(value, records.times_ms[index])
    assert fault is not None, "what is refused can be explained"
    origin = records.origin(index)
    return DeadLetter(origin, value, fault.reason, fault.field, fault.detail, fault.at_byte)
