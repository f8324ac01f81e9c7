"""A query as a source: DuckDB reads anything, one SELECT yields event columns.

Promise   Rows come in the query's order and in the same order each time. A column of the wrong type,
          or a missing one, is reported by name with its mend before the first row is read.
How       The SELECT is wrapped into another that writes each row as JSON inside DuckDB, which costs
          0.6 µs a row of seven columns; fetching the columns and encoding them here costs 1.5 µs.
          One thread, because with several DuckDB gives groups and ties in any order. Parameters are
          bound to the prepared statement, never pasted into it; the SQL can also ask for an optional
          one by getvariable('NAME').
Limits    MEMORY for DuckDB; what does not fit is spilled to a temporary folder. Exactly one SELECT;
          nothing is downloaded: extensions (sqlite, postgres) must have been installed by the user.
Not here  Rows that are no good events: processors/decode.py. NaN is written as NaN, to be refused.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb

from processors.batch import RECORDS_MAX
from processors.event import NUMBER_FIELDS, TEXT_FIELDS
from streams.source import Chunk, SourceError, fingerprint_of_file

MEMORY: Final = "1GB"
REQUIRED: Final = ("id", "type", "action", "customer_id")
TIMES: Final = ("at_ms", "timestamp")  # exactly one of them
COLUMNS: Final = (*REQUIRED, *TIMES, *NUMBER_FIELDS, *TEXT_FIELDS, "attributes")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_VARIABLE = re.compile(r"getvariable\s*\(\s*'([^']*)'\s*\)", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^']|'')+)'")
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BIGNUM")
_NUMBER = re.compile(r"FLOAT|DOUBLE|DECIMAL\(.*|" + _WHOLE.pattern)
_TEXT = re.compile(r"VARCHAR|UUID|ENUM\(.*|" + _WHOLE.pattern, re.DOTALL)
_MOMENT = re.compile(r"TIMESTAMP.*|DATE")
_OBJECT = re.compile(r"JSON|STRUCT\(.*|MAP\(.*", re.DOTALL)
_NOTHING: Final = '"NULL"'  # the type of a bare NULL
_EXTENSION = re.compile(r"extension ['\"](\w+)")

_CONFIGURATION: Final[Mapping[str, str]] = {
    "threads": "1",
    "memory_limit": MEMORY,
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "TimeZone": "UTC",
}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: str


class QuerySource:
    """The rows of one SELECT."""

    def __init__(self, file: Path, parameters: Mapping[str, str], *, sort: bool = False) -> None:
        """Prepare the query and check its columns; no row is read yet.

        Args:
            file: the SQL file.
            parameters: the values of `$NAME` and `getvariable('NAME')`, as texts.
            sort: order the rows by time, and by id within a millisecond.

        Raises:
            SourceError: The SQL, a parameter or a column is not as it should be.
        """
        self.name = str(file)
        self._parameters = dict(parameters)
        try:
            self._text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{file}: cannot be read: {error}") from error
        # DuckDB makes this folder when it must spill, and removes it with the connection.
        spill = Path(tempfile.gettempdir()) / f"rapport-query-{uuid4().hex}"
        try:
            self._connection = duckdb.connect(
                config={**_CONFIGURATION, "temp_directory": str(spill)}
            )
            self._select, self._bound = self._prepared()
            self._connection.execute("SET lock_configuration = true")
            columns = [
                _Column(str(name), str(kind))
                for name, kind, *_ in self._connection.execute(
                    f"DESCRIBE ({self._select}\n)", self._bound
                ).fetchall()
            ]
        except duckdb.Error as error:
            raise SourceError(f"{file}: {_told(error)}") from error
        self.notices = _check(file, columns)
        names = {column.name.lower(): column for column in columns}
        self._order = f" ORDER BY {_time(names)}, id" if sort else ""
        self._record = _record(names)

    def _prepared(self) -> tuple[str, dict[str, str]]:
        """The one SELECT without its semicolon, and the parameters that it binds."""
        statements = self._connection.extract_statements(self._text)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SourceError(f"{self.name}: must be exactly one SELECT, and nothing else")
        bound = set(statements[0].named_parameters)
        variables = set(_VARIABLE.findall(self._text))
        problems = [
            f"{self.name}: asks for ${name}: give it with --set {name}=VALUE"
            for name in sorted(bound - set(self._parameters))
        ]
        for name in self._parameters:
            if name not in bound | variables:
                close = get_close_matches(name, sorted(bound | variables), n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                problems.append(f"--set {name}: {self.name} does not ask for ${name}{meant}")
            elif name in variables and not _NAME.fullmatch(name):
                problems.append(f"--set {name}: a name has letters, digits and _ only")
        if problems:
            raise SourceError(*problems)
        for name in sorted(variables & set(self._parameters)):
            value = {"value": self._parameters[name]}
            self._connection.execute(f"SET VARIABLE {name} = $value", value)
        return _without_semicolon(self._text), {
            name: self._parameters[name] for name in sorted(bound)
        }

    def fingerprint(self) -> str:
        """A hash of the SQL, its parameters, and the files that either of them names literally."""
        digest = hashlib.sha256(repr((self._text, sorted(self._parameters.items()))).encode())
        named = {match.replace("''", "'") for match in _QUOTED.findall(self._text)}
        for name in sorted(named | set(self._parameters.values())):
            try:
                is_file = Path(name).is_file()
            except (OSError, ValueError):  # too long, or with a NUL: some other text
                continue
            if is_file:
                digest.update(fingerprint_of_file(Path(name)).encode())
        return digest.hexdigest()

    def count(self) -> int | None:
        try:
            row = self._connection.execute(
                f"SELECT count(*) FROM ({self._select}\n)",  # noqa: S608  the user's own SELECT
                self._bound,
            ).fetchone()
        except duckdb.Error as error:
            raise SourceError(f"{self.name}: {_told(error)}") from error
        return None if row is None else int(row[0])

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        done = skip
        query = (
            f"SELECT {self._record} FROM ({self._select}\n){self._order}"  # noqa: S608  the user's own SELECT
            f" OFFSET {int(skip)}"
        )
        try:
            self._connection.execute(query, self._bound)
            while rows := self._connection.fetchmany(size):
                yield Chunk(range(done + 1, done + len(rows) + 1), [row[0] for row in rows])
                done += len(rows)
        except duckdb.Error as error:
            told = f"{self.name}: broke off after row {done}: {_told(error)}"
            raise SourceError(told) from error


def _without_semicolon(text: str) -> str:
    r"""The text of a single statement, without what follows its end.

    >>> _without_semicolon("SELECT ';' -- a; b\n; -- c")
    "SELECT ';' -- a; b\n"
    """
    data = text.encode()  # DuckDB counts bytes
    begun = False
    for offset, kind in duckdb.tokenize(text):
        is_semicolon = kind == duckdb.token_type.operator and data[offset : offset + 1] == b";"
        if is_semicolon and begun:
            return data[:offset].decode()
        begun = begun or not (is_semicolon or kind == duckdb.token_type.comment)
    return text


def _told(error: duckdb.Error) -> str:
    words = str(error).strip()
    missing = _EXTENSION.search(words)
    if missing is None:
        return words
    return (
        f"needs DuckDB's extension {missing[1]}, and Rapport downloads no code by itself;"
        f" install it once: python -c \"import duckdb; duckdb.execute('INSTALL {missing[1]}')\""
    )


def _check(file: Path, columns: list[_Column]) -> tuple[str, ...]:
    """Check names and types of the columns; the result is the notices."""
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
    if name == "attributes":
        return "" if _OBJECT.fullmatch(kind) else "it must be a STRUCT, a MAP or JSON"
    if _TEXT.fullmatch(kind):
        return ""
    if _NUMBER.fullmatch(kind):
        return f"17850 would become '17850.0', so write CAST({name} AS BIGINT) AS {name}"
    return f"write CAST({name} AS VARCHAR) AS {name}"


def _time(names: Mapping[str, _Column]) -> str:
    column = next(names[name] for name in TIMES if name in names)
    if _MOMENT.fullmatch(column.kind):
        return f'epoch_ms("{column.name}"::TIMESTAMP)'
    return f'"{column.name}"'


def _record(names: Mapping[str, _Column]) -> str:
    """The expression that writes a row as JSON: concat leaves out what is NULL, with its name."""
    parts = []
    for name in COLUMNS:
        if name not in names:
            continue
        value = f'"{names[name].name}"'
        if name in TIMES:
            name, value = "at_ms", _time(names)  # noqa: PLW2901  all of them become at_ms
        elif name in NUMBER_FIELDS:
            value = f"{value}::DOUBLE"
        elif name != "attributes":
            value = f"{value}::VARCHAR"
        parts.append(f"""',"{name}":' || to_json({value})""")
    return f"encode(concat('{{', substr(concat({', '.join(parts)}), 2), '}}'))"
