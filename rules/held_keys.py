"""The keys of what holds a rule back: `cap`, `quiet`, `consent`, `holdout`; and `purpose` and `stage`.

Promise   What is read makes sense by itself; a mistake is noted at its place and gives the default.
Limits    CAP_COUNT_MAX, CAP_WINDOW_MS_MAX (restraint.py).
Not here  What the values mean (restraint.py, rule.py). Judging (evaluate.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from processors.aggregate import WINDOW_MS_MIN
from processors.zones import UTC, zone_names
from rules.errors import ExpressionError
from rules.parse import duration_ms
from rules.restraint import CAP_COUNT_MAX, CAP_WINDOW_MS_MAX, CUSTOMER_ZONE, Cap, Quiet
from rules.rule import HOLDOUT_OF_MARKETING, PURPOSES, STAGES
from rules.syntax import Span
from rules.table import Table, share
from rules.vocabulary import nearest

CAP_EXAMPLE: Final = 'cap = "3 per 30d"'
QUIET_EXAMPLE: Final = 'quiet = { from = "21:00", to = "09:00", zone = "Europe/Rome" }'
QUIET_KEYS: Final = ("from", "to", "zone", "then")
CAP_KEYS: Final = ("per_customer", "channel")
THEN: Final = ("wait", "drop")
_CAP: Final = re.compile(r" *([0-9]{1,9}) +per +(\S+) *")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Restraint:
    """What holds a rule back, as far as the keys of this file say."""

    cap: Cap | None
    quiet: Quiet | None
    consent: str | None
    purpose: str
    holdout: float
    stage: str
    canary: float


def restraint(table: Table) -> Restraint:
    """Read all of them."""
    consent = None
    if "consent" in table:
        consent = table.channel("consent", value=table.values["consent"])
    purpose = table.choice("purpose", PURPOSES, "marketing" if "consent" in table else "")
    stage, canary = _stage(table)
    return Restraint(
        cap=_cap(table),
        quiet=_quiet(table),
        consent=consent,
        purpose=purpose,
        holdout=_holdout(table, HOLDOUT_OF_MARKETING if purpose == "marketing" else 0.0),
        stage=stage,
        canary=canary,
    )


def _cap(table: Table) -> Cap | None:
    value = table.values.get("cap")
    if value is None:
        return None
    if isinstance(value, str):
        return _counted(table, value, None, "cap")
    if not isinstance(value, Mapping):
        table.wrong_value("cap", said="`cap` takes a text or a table", mend=CAP_EXAMPLE)
        return None
    known = table.known(value, CAP_KEYS, "cap")
    channel = None
    if "channel" in value:
        channel = table.channel("cap", "channel", value=value["channel"])
    text = value.get("per_customer")
    if text is None and not known:
        return None  # a slip of the pen, and told
    if not isinstance(text, str):
        said = "a cap says how many for a customer"
        mend = 'as in cap = { per_customer = "3 per 30d", channel = "phone" }'
        at = ("cap",) if text is None else ("cap", "per_customer")
        table.wrong_value(*at, said=said, mend=mend)
        return None
    return _counted(table, text, channel, "cap", "per_customer")


def _counted(table: Table, text: str, channel: str | None, *key: str) -> Cap | None:
    found = _CAP.fullmatch(text)
    if found is None:
        mend = 'write a number, `per` and a duration: "3 per 30d"'
        table.wrong_value(*key, said="this is no cap", mend=mend)
        return None
    count = int(found[1])
    try:
        window_ms = duration_ms(found[2])
    except ExpressionError as mistake:
        span = Span(found.start(2), found.end(2))
        table.mistakes([ExpressionError(span, mistake.message, mistake.mend)], *key)
        return None
    said = mend = ""
    if not 1 <= count <= CAP_COUNT_MAX:
        said, mend = f"a cap is from 1 to {CAP_COUNT_MAX}, not {count}", "take a shorter time"
        if not count:
            mend = 'a rule that never acts is a draft: stage = "draft"'
    elif not WINDOW_MS_MIN <= window_ms <= CAP_WINDOW_MS_MAX:
        said, mend = "a cap counts over 1m to 366d", "take a time in between"
    if said:
        table.wrong_value(*key, said=said, mend=mend)
        return None
    return Cap(count, window_ms, channel)


def _quiet(table: Table) -> Quiet | None:
    value = table.values.get("quiet")
    if value is None:
        return None
    if not isinstance(value, Mapping):
        table.wrong_value("quiet", said="`quiet` takes a table", mend=QUIET_EXAMPLE)
        return None
    if not table.known(value, QUIET_KEYS, "quiet"):
        return None
    minutes = [_minute(table, value, key) for key in ("from", "to")]
    zone = _zone(table, value)
    then = value.get("then", "wait")
    if not isinstance(then, str) or then not in THEN:
        mend = nearest(str(then), THEN) or 'write "wait" or "drop"'
        table.wrong_value("quiet", "then", said="this is not what can be done", mend=mend)
    first, last = minutes
    if first is None or last is None:
        return None
    if first == last:
        said = "these quiet hours begin when they end"
        mend = 'a rule that never acts is a draft: stage = "draft"; else give another end'
        table.wrong_value("quiet", "to", said=said, mend=mend)
        return None
    return Quiet(first, last, zone, waits=then == "wait")


def _minute(table: Table, quiet: Mapping[str, object], key: str) -> int | None:
    value = quiet.get(key)
    if value is None:
        table.wrong_value("quiet", said=f"`quiet` needs `{key}`", mend=f"as in {QUIET_EXAMPLE}")
        return None
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        mend = 'write hours and minutes from "00:00" to "23:59"'
        table.wrong_value("quiet", key, said="this is no time of the day", mend=mend)
        return None
    return int(found[1]) * 60 + int(found[2])


def _zone(table: Table, quiet: Mapping[str, object]) -> str:
    value = quiet.get("zone", UTC)
    if isinstance(value, str) and (value == CUSTOMER_ZONE or value in zone_names()):
        return value
    names = [CUSTOMER_ZONE, *zone_names()] if isinstance(value, str) else []
    mend = nearest(str(value)[:80], names) or f'as in "Europe/Rome", "{UTC}" or "{CUSTOMER_ZONE}"'
    table.wrong_value("quiet", "zone", said="this is no time zone", mend=mend)
    return UTC


def _holdout(table: Table, default: float) -> float:
    value = table.values.get("holdout")
    if value is None:
        return default
    fraction = share(value) if isinstance(value, str) else None
    if fraction is None:
        mend = 'write a percentage in quotes: holdout = "10%"'
        table.wrong_value("holdout", said="this is no share of the customers", mend=mend)
        return default
    if fraction >= 1:
        mend = 'to decide and not act, write stage = "shadow"'
        table.wrong_value("holdout", said="nobody would be left to act for", mend=mend)
        return default
    return fraction


def _stage(table: Table) -> tuple[str, float]:
    value = table.text("stage")
    if value is None or value in ("live", "shadow", "draft"):
        return value or "live", 0.0
    word, _, after = value.partition(" ")
    if word != "canary":
        mend = nearest(word, STAGES) or f"it is one of {', '.join(STAGES)}"
        table.wrong_value("stage", said=f"`{value[:80]}` is no stage", mend=mend)
        return "live", 0.0
    fraction = share(after)
    if fraction is None:
        mend = 'as in stage = "canary 10%"'
        table.wrong_value("stage", said="a canary needs its share of the customers", mend=mend)
    elif not 0 < fraction < 1:
        mend = 'write stage = "live"' if fraction else 'write stage = "shadow"'
        table.wrong_value("stage", said="this is a canary no more", mend=mend)
    return "canary", fraction or 0.0
