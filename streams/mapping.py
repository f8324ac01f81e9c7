"""The mapping: from the columns of a query to the fields of an event.

Promise   A column of the wrong type, or a missing one, is told by name with its mend, all at once; what is
          right is turned into JSON without loss.
How       DuckDB's type names decide. Integers and UUIDs may be ids; times may be timestamps (without a
          zone: UTC) or milliseconds; doubles are no ids, because 17850 would become '17850.0'.
Limits    A FLOAT is taken as the double that it is: 0.1 becomes 0.10000000149011612.
Not here  Running the query (query.py). Whether a row is a good event (processors/decode.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from processors.event import NUMBER_FIELDS, TEXT_FIELDS
from streams.source import SourceError

REQUIRED: Final = ("id", "type", "action", "customer_id")
TIMES: Final = ("at_ms", "timestamp")  # exactly one of them
OBJECTS: Final = ("attributes", "consent")
COLUMNS: Final = (*REQUIRED, *TIMES, *NUMBER_FIELDS, *TEXT_FIELDS, *OBJECTS)

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BIGNUM")
_NUMBER = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*|" + _WHOLE.pattern)
_TEXT = re.compile(r"VARCHAR|UUID|ENUM\(.*|" + _WHOLE.pattern, re.DOTALL)
_MOMENT = re.compile(r"TIMESTAMP.*|DATE")
_OBJECT = re.compile(r"JSON|STRUCT\(.*|MAP\(.*", re.DOTALL)
_NOTHING: Final = '"NULL"'  # the type of a bare NULL


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query, and the type that DuckDB has found."""

    name: str
    kind: str


def check_columns(file: Path, columns: Sequence[Column]) -> tuple[str, ...]:
    """Check names and types of the columns.

    Returns:
        What the user should know, and need not mend.

    Raises:
        SourceError: Columns are missing, there twice, or of a wrong type.
    """
    problems: list[str] = []
    notices: list[str] = []
    names = [column.name.lower() for column in columns]
    problems += [
        f"{file}: the column {name} is there {names.count(name)} times; keep one of them"
        for name in dict.fromkeys(names)
        if names.count(name) > 1 and name in COLUMNS
    ]
    problems += [
        f"{file}: the column {name} is missing; select it, such as {mend}"
        for name, mend in zip(
            REQUIRED,
            ("order_number AS id", "'order' AS type", "'placed' AS action", "… AS customer_id"),
            strict=True,
        )
        if name not in names
    ]
    times = [name for name in names if name in TIMES]
    if len(times) != 1:
        found = " and ".join(times) or "none"
        problems.append(
            f"{file}: the time of the event must be in one column, at_ms (integer milliseconds"
            f" since 1970) or timestamp (in UTC); there is {found}"
        )
    for column in columns:
        if column.name.lower() not in COLUMNS:
            close = get_close_matches(column.name.lower(), COLUMNS, n=1, cutoff=0.75)
            meant = f"; did you mean {close[0]}?" if close else ""
            notices.append(f"the column {column.name} is no field of an event: ignored{meant}")
        elif column.kind != _NOTHING:
            mend = _mend(column.name.lower(), column.kind)
            if mend:
                problems.append(f"{file}: the column {column.name} is {column.kind}; {mend}")
    if problems:
        raise SourceError(*problems)
    return tuple(notices)


def _mend(name: str, kind: str) -> str:
    """What to write where a column's type is wrong; empty where it is right."""
    if name in TIMES:
        if _MOMENT.fullmatch(kind) or (name == "at_ms" and _WHOLE.fullmatch(kind)):
            return ""
        if kind == "VARCHAR":
            return f"it must be a time, such as CAST({name} AS TIMESTAMP) AS timestamp"
        return f"it must be a time, such as CAST({name} AS BIGINT) AS at_ms for milliseconds"
    if name in NUMBER_FIELDS:
        return "" if _NUMBER.fullmatch(kind) else f"write CAST({name} AS DOUBLE) AS {name}"
    if name in OBJECTS:
        return "" if _OBJECT.fullmatch(kind) else "it must be a STRUCT, a MAP or JSON"
    if _TEXT.fullmatch(kind):
        return ""
    if _NUMBER.fullmatch(kind):
        return f"17850 would become '17850.0', so write CAST({name} AS BIGINT) AS {name}"
    return f"write CAST({name} AS VARCHAR) AS {name}"


def time_expression(names: Mapping[str, Column]) -> str:
    """The expression of the event's time in milliseconds."""
    column = next(names[name] for name in TIMES if name in names)
    if _MOMENT.fullmatch(column.kind):
        return f'epoch_ms("{column.name}"::TIMESTAMP)'
    return f'"{column.name}"'


def record_expression(names: Mapping[str, Column]) -> str:
    """The expression that writes a row as JSON: concat leaves out what is NULL, with its name.

    `names` has each column by its name in lower case.
    """
    parts = []
    for name in COLUMNS:
        if name not in names:
            continue
        value = f'"{names[name].name}"'
        if name in TIMES:
            name, value = "at_ms", time_expression(names)  # noqa: PLW2901  all of them become at_ms
        elif name in NUMBER_FIELDS:
            value = f"{value}::DOUBLE"
        elif name not in OBJECTS:
            value = f"{value}::VARCHAR"
        parts.append(f"""',"{name}":' || to_json({value})""")
    return f"encode(concat('{{', substr(concat({', '.join(parts)}), 2), '}}'))"
