"""A query as a source: DuckDB reads anything, one SELECT yields event columns.

Promise   Rows come in the query's order and in the same order each time.
How       The SELECT is wrapped into another that writes each row as JSON inside DuckDB, which costs
          0.6 µs a row of seven columns; fetching the columns and encoding them here costs 1.5 µs.
          One thread, because with several DuckDB gives groups and ties in any order. Parameters are
          bound to the prepared statement, never pasted into it; the SQL can also ask for an optional
          one by getvariable('NAME').
Limits    MEMORY for DuckDB; what does not fit is spilled to a temporary folder. Exactly one SELECT;
          nothing is downloaded: extensions (sqlite, postgres) must have been installed by the user.
Not here  Which columns there may be (mapping.py). Rows that are no good events: processors/decode.py;
          NaN is written as NaN, to be refused.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb

from processors.batch import RECORDS_MAX
from streams.errors import MissingError
from streams.mapping import Column, check_columns, record_expression, time_expression
from streams.source import Chunk, LinesSource, Source, SourceError, fingerprint_of_file

MEMORY: Final = "1GB"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_VARIABLE = re.compile(r"getvariable\s*\(\s*'([^']*)'\s*\)", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^']|'')+)'")
_EXTENSION = re.compile(r"extension ['\"](\w+)")

_CONFIGURATION: Final[Mapping[str, str]] = {
    "threads": "1",
    "memory_limit": MEMORY,
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "TimeZone": "UTC",
}


class QuerySource:
    """The rows of one SELECT."""

    def __init__(self, file: Path, parameters: Mapping[str, str], *, sort: bool = False) -> None:
        """Prepare the query and check its columns; no row is read yet.

        Args:
            file: the SQL file.
            parameters: the values of `$NAME` and `getvariable('NAME')`, as texts.
            sort: order the rows by time, and by id within a millisecond.

        Raises:
            MissingError: There is no such file.
            SourceError: The SQL, a parameter or a column is not as it should be.
        """
        self.name = str(file)
        self._parameters = dict(parameters)
        try:
            self._text = file.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise MissingError(file) from error
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
                Column(str(name), str(kind))
                for name, kind, *_ in self._connection.execute(
                    f"DESCRIBE ({self._select}\n)", self._bound
                ).fetchall()
            ]
        except duckdb.Error as error:
            raise SourceError(f"{file}: {_told(error)}") from error
        self.notices = check_columns(file, columns)
        names = {column.name.lower(): column for column in columns}
        self._order = f" ORDER BY {time_expression(names)}, id" if sort else ""
        self._record = record_expression(names)

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


def open_source(
    file: Path | None, sql: Path | None, parameters: Mapping[str, str], *, sort: bool = False
) -> Source:
    """The source that a command line names.

    Args:
        file: a file of JSON Lines; or
        sql: an SQL file.
        parameters: for the SQL.
        sort: order the rows by time; for the SQL.

    Raises:
        SourceError: Not exactly one of the two is given, what only SQL takes is given with the other,
            or the source cannot be read.
    """
    if sql is not None and file is None:
        return QuerySource(sql, parameters, sort=sort)
    if file is None or sql is not None:
        raise SourceError("name one source: a file of JSON Lines, or --sql FILE.sql")
    if parameters or sort:
        given = "--set" if parameters else "--sort"
        raise SourceError(f"{given} is for --sql, where read_json($file) reads {file.name} as well")
    return LinesSource(file)
