"""A query is the door for every other format; what comes through it must be events, exactly."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from processors.event import Event
from streams.query import QuerySource, open_source
from streams.source import LinesSource, SourceError

EVENT = "SELECT 'e' AS id, 'order' AS type, 'placed' AS action, 'c' AS customer_id, 1000 AS at_ms"


def query(
    folder: Path, text: str, parameters: Mapping[str, str] | None = None, *, sort: bool = False
) -> QuerySource:
    file = folder / "events.sql"
    file.write_text(text)
    return QuerySource(file, parameters or {}, sort=sort)


def values_of(source: QuerySource, skip: int = 0, size: int = 4096) -> list[bytes]:
    return [value or b"" for chunk in source.chunks(skip, size) for value in chunk.values]


def problems_of(folder: Path, text: str, parameters: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        query(folder, text, parameters)
    return str(caught.value)


def test_rows_become_the_events_that_their_columns_say(tmp_path: Path) -> None:
    """The types that databases have are turned into those that events have, without loss."""
    source = query(
        tmp_path,
        """
        SELECT 7::BIGINT AS id, 'order' AS "TYPE", 'placed'::ENUM('placed') AS action,
            '0b7cdc4e-5a3c-4a29-8f5e-000000000001'::UUID AS customer_id,
            TIMESTAMPTZ '2018-04-01 02:00:31+02' AS timestamp,
            12.34::DECIMAL(10, 2) AS amount, 3 AS items_count, NULL AS score, MAP {'sms': false} AS consent,
            'Zürich "A\\B"' || chr(10) AS page, {'vip': true, 'tags': ['a']} AS attributes; -- end
        """,
    )

    (value,) = values_of(source)

    assert "score" not in json.loads(value)
    assert msgspec.json.decode(value, type=Event) == Event(
        id="7",
        type="order",
        action="placed",
        customer_id="0b7cdc4e-5a3c-4a29-8f5e-000000000001",
        at_ms=1_522_540_831_000,
        amount=12.34,
        items_count=3.0,
        page='Zürich "A\\B"\n',
        attributes={"vip": True, "tags": ["a"]},
        consent={"sms": False},
    )


@pytest.mark.parametrize(
    "moment", ["TIMESTAMP '2020-01-01'", "DATE '2020-01-01'", "1577836800000::HUGEINT"]
)
def test_a_time_without_a_zone_is_utc(moment: str, tmp_path: Path) -> None:
    """Otherwise the same file would give other events on another machine."""
    source = query(tmp_path, EVENT.replace("1000", moment))

    assert json.loads(values_of(source)[0])["at_ms"] == 1_577_836_800_000


def test_numbers_keep_every_bit_on_their_way(tmp_path: Path) -> None:
    """Money that changes in the last digit between source and profile is found by the auditor."""
    numbers = [0.1 + 0.2, 1e-300, 3_540_070.961, 2.0**53 - 1, -0.1]
    rows = ", ".join(f"('{number!r}')" for number in numbers)

    source = query(tmp_path, f"{EVENT}, CAST(n AS DOUBLE) AS amount FROM (VALUES {rows}) t(n)")

    assert [json.loads(value)["amount"] for value in values_of(source)] == numbers


def test_a_number_that_is_none_stays_recognisable(tmp_path: Path) -> None:
    """Written as null it would pass for 'not given', and a broken export would go unnoticed."""
    source = query(tmp_path, f"{EVENT}, 'nan'::DOUBLE AS amount")

    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(values_of(source)[0], type=Event)


def test_parameters_are_values_and_never_sql(tmp_path: Path) -> None:
    """A file name comes from a script's argument; it must not be able to read another file."""
    hostile = "x'; DROP TABLE t; --"
    (tmp_path / hostile).write_text("customer\nann\n")

    source = query(
        tmp_path,
        "SELECT 'e' AS id, 'order' AS type, getvariable('action') AS action,"
        " customer || $suffix AS customer_id, 1 AS at_ms FROM read_csv($file)",
        {"file": str(tmp_path / hostile), "suffix": hostile, "action": hostile},
    )

    event = json.loads(values_of(source)[0])
    assert event["customer_id"] == f"ann{hostile}"
    assert event["action"] == hostile


def test_a_parameter_that_is_missing_or_not_asked_for_is_reported(tmp_path: Path) -> None:
    """A misspelt parameter would otherwise be ignored."""
    told = problems_of(tmp_path, f"{EVENT} FROM read_csv($file)", {"fiel": "x"})

    assert "asks for $file: give it with --set file=VALUE" in told
    assert "--set fiel: " in told
    assert "did you mean file?" in told


def test_a_variable_that_is_not_given_is_null(tmp_path: Path) -> None:
    """That is how a query offers an optional parameter."""
    source = query(tmp_path, f"{EVENT}, coalesce(getvariable('page'), 'none') AS page")

    assert json.loads(values_of(source)[0])["page"] == "none"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("id", ("column id is missing", "order_number AS id")),
        ("type", ("column type is missing", "'order' AS type")),
        ("at_ms", ("the time of the event", "there is none")),
    ],
)
def test_a_missing_column_is_named_with_its_mend(
    column: str, words: tuple[str, str], tmp_path: Path
) -> None:
    """A user who maps a table for the first time has not read the schema."""
    told = problems_of(tmp_path, EVENT.replace(f"AS {column}", "AS something"))

    assert all(each in told for each in words)


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        ("17850.0::DOUBLE AS customer_id", "CAST(customer_id AS BIGINT) AS customer_id"),
        ("DATE '2020-01-01' AS customer_id", "CAST(customer_id AS VARCHAR) AS customer_id"),
        ("'12.5' AS amount", "CAST(amount AS DOUBLE) AS amount"),
        ("'2020-01-01' AS at_ms", "CAST(at_ms AS TIMESTAMP) AS timestamp"),
        ("1e12::DOUBLE AS at_ms", "CAST(at_ms AS BIGINT) AS at_ms"),
        ("1000 AS timestamp", "milliseconds"),
        ("'text' AS attributes", "STRUCT"),
        ("[1] AS page", "CAST(page AS VARCHAR) AS page"),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_its_mend(
    wrong: str, mend: str, tmp_path: Path
) -> None:
    """Turning it silently into something else would make a million wrong customers."""
    name = wrong.rpartition(" ")[2]
    columns = {
        "id": "'e' AS id",
        "type": "'order' AS type",
        "action": "'placed' AS action",
        "customer_id": "'c' AS customer_id",
        "at_ms": "1000 AS at_ms",
        name: wrong,
    }
    if name == "timestamp":
        del columns["at_ms"]

    told = problems_of(tmp_path, f"SELECT {', '.join(columns.values())}")

    assert f"the column {name} is " in told
    assert mend in told


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two was meant only the user knows."""
    told = problems_of(tmp_path, f"{EVENT}, 'f' AS ID, now() AS timestamp")

    assert "the column id is there 2 times" in told
    assert "there is at_ms and timestamp" in told


def test_an_unknown_column_is_ignored_and_said(tmp_path: Path) -> None:
    """`SELECT *` is how one starts, and `amout` is how one fails."""
    source = query(tmp_path, f"{EVENT}, 1 AS amout, 'x' AS colour")

    assert source.notices == (
        "the column amout is no field of an event: ignored; did you mean amount?",
        "the column colour is no field of an event: ignored",
    )
    assert b"colour" not in values_of(source)[0]


@pytest.mark.parametrize(
    "text",
    ["", "SELECT 1; SELECT 2", "COPY (SELECT 1) TO 'stolen.csv'", "ATTACH 'x.db'", "SET threads=2"],
)
def test_only_one_select_is_run(text: str, tmp_path: Path) -> None:
    """A file with queries may come from anywhere; reading it must not write."""
    assert "must be exactly one SELECT" in problems_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        (f"{EVENT} FROM read_csv('/nowhere/file.csv')", "/nowhere/file.csv"),
        (f"{EVENT} FROM sqlite_scan('x.db', 't')", "INSTALL sqlite_scanner"),
        (f"{EVENT} FROM read_parquet('https://127.0.0.1:1/x')", "INSTALL httpfs"),
    ],
)
def test_what_duckdb_says_reaches_the_user_and_nothing_is_downloaded(
    text: str, words: str, tmp_path: Path
) -> None:
    """A server that loads code from the network while it reads a file is a hole."""
    told = problems_of(tmp_path, text)

    assert words in told
    assert "events.sql" in told


def test_rows_come_in_order_whatever_the_chunk_and_the_start(tmp_path: Path) -> None:
    """A resumed back-fill skips by number, so the numbers must mean the same each time."""
    source = query(
        tmp_path,
        "SELECT i AS id, 'click' AS type, 'view' AS action, count(*) AS customer_id, i AS at_ms"
        " FROM range(5000) t(i) GROUP BY i",
    )

    whole = values_of(source)

    assert len(whole) == 5000
    assert source.count() == 5000
    assert values_of(source, size=7) == whole
    assert values_of(source, skip=4321, size=100) == whole[4321:]
    (last,) = source.chunks(skip=4999)
    assert list(last.rows) == [5000]


def test_sorting_is_by_time_then_by_id(tmp_path: Path) -> None:
    """An export in any order can be replayed; ties must not depend on luck."""
    source = query(
        tmp_path,
        "SELECT id, 'click' AS type, 'view' AS action, 'c' AS customer_id, at_ms"
        " FROM (VALUES ('b', 2), ('c', 1), ('a', 2)) t(id, at_ms)",
        sort=True,
    )

    assert [json.loads(value)["id"] for value in values_of(source)] == ["c", "a", "b"]


def test_a_row_that_cannot_be_read_ends_the_source_with_its_number(tmp_path: Path) -> None:
    """The rows before are good and have been handed on."""
    (tmp_path / "rows.csv").write_text("n\n" + "1\n" * 10_000 + "x\n")
    source = query(
        tmp_path,
        f"{EVENT}, n::INTEGER AS amount FROM read_csv($file, all_varchar = true)",
        {"file": str(tmp_path / "rows.csv")},
    )

    with pytest.raises(SourceError, match=r"broke off after row \d+: .*'x'"):
        values_of(source, size=100)


def test_the_fingerprint_follows_sql_parameters_and_the_files_they_name(tmp_path: Path) -> None:
    """Each of them changes which row is the thousandth."""
    (tmp_path / "rows.csv").write_text("n\n1\n")
    text = f"{EVENT}, n AS amount FROM read_csv($file)"
    parameters = {"file": str(tmp_path / "rows.csv")}
    first = query(tmp_path, text, parameters).fingerprint()

    assert query(tmp_path, text, parameters).fingerprint() == first
    assert query(tmp_path, text + " ", parameters).fingerprint() != first

    literal = text.replace("$file", f"'{parameters['file']}'")
    before = query(tmp_path, literal).fingerprint()
    (tmp_path / "rows.csv").write_text("n\n1\n2\n")
    assert query(tmp_path, text, parameters).fingerprint() != first
    assert query(tmp_path, literal).fingerprint() != before


def test_the_command_line_names_exactly_one_source(tmp_path: Path) -> None:
    """What is silently ignored is believed to have worked."""
    lines, sql = tmp_path / "events.jsonl", tmp_path / "events.sql"
    lines.write_text("{}\n")
    sql.write_text(EVENT)

    assert isinstance(open_source(lines, None, {}), LinesSource)
    assert isinstance(open_source(None, sql, {}, sort=True), QuerySource)
    for file, query_file, parameters, sort in (
        (None, None, {}, False),
        (lines, sql, {}, False),
        (lines, None, {"file": "x"}, False),
        (lines, None, {}, True),
    ):
        with pytest.raises(SourceError):
            open_source(file, query_file, parameters, sort=sort)
