"""Durations and times: how rules write them, and how people and receivers are told of them.

Promise   Inside, both are milliseconds; these are the only other forms.
Not here  Reading them (parse.py).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS_MS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}
DURATION_MS_MAX: Final = 3_660 * 86_400_000  # ten years: beyond it a unit was mistaken
_WORDS: Final = {
    "ms": "millisecond",
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
}


def spell_duration(value_ms: int) -> str:
    """The duration in the largest unit that it is a whole number of.

    >>> spell_duration(7 * 86_400_000), spell_duration(86_400_000 + 1)
    ('1w', '86400001ms')
    """
    whole = [unit for unit, unit_ms in UNITS_MS.items() if value_ms % unit_ms == 0]
    unit = max(whole, key=UNITS_MS.__getitem__) if value_ms else "s"
    return f"{value_ms // UNITS_MS[unit]}{unit}"


def duration_text(value_ms: float) -> str:
    """A duration as rules write it, in its two largest units.

    >>> duration_text(93_784_000), duration_text(14 * 86_400_000), duration_text(0)
    ('1d 2h', '2w', '0s')
    """
    if value_ms < 0:
        return f"-{duration_text(-value_ms)}"
    left, said = round(value_ms), []
    for unit, unit_ms in sorted(UNITS_MS.items(), key=lambda pair: -pair[1]):
        many, left = divmod(left, unit_ms)
        if many:
            said.append(f"{many}{unit}")
    return " ".join(said[:2]) or "0s"


def duration_phrase(value_ms: int) -> str:
    """The duration in words, in one unit.

    >>> duration_phrase(3_600_000), duration_phrase(10 * 86_400_000)
    ('1 hour', '10 days')
    """
    whole = [unit for unit in _WORDS if value_ms % UNITS_MS[unit] == 0]
    unit = whole[-1] if value_ms else "s"
    many = value_ms // UNITS_MS[unit]
    return f"{many} {_WORDS[unit]}{'' if many == 1 else 's'}"


def iso(at_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339, without going through a float.

    >>> iso(1_714_564_800_001)
    '2024-05-01T12:00:00.001Z'
    """
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
