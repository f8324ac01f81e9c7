"""The example of the cards: what is judged of them, and when frauds are known."""

import json
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from streams.query import QuerySource
from tests.machine import ROOT

SQL: Final = ROOT / "examples" / "cards_judged.sql"
PAYMENTS: Final = (  # id, card, time, whether it is fraud
    (1, 7, "2018-07-24 10:00", 1),  # before the book's training: nobody counts it
    (2, 7, "2018-08-09 10:00", 0),
    (3, 8, "2018-07-26 10:00", 1),
    (4, 8, "2018-08-02 10:00", 0),  # seven days later: it is not known yet
    (5, 8, "2018-08-03 09:00", 0),  # eight days later
    (6, 9, "2018-08-08 10:00", 1),
    (7, 9, "2018-08-10 10:00", 0),
)


@pytest.fixture(name="events")
def events_of_the_payments(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "payments.parquet"
    rows = ", ".join(
        f"({number}, {card}, TIMESTAMP '{at}', {fraud}, 10.0, 5)"
        for number, card, at, fraud in PAYMENTS
    )
    names = "TRANSACTION_ID, CUSTOMER_ID, TX_DATETIME, TX_FRAUD, TX_AMOUNT, TERMINAL_ID"
    with duckdb.connect() as connection:
        select = f"SELECT * FROM (VALUES {rows}) AS t({names})"  # noqa: S608  our own rows, above
        connection.execute(f"COPY ({select}) TO '{file}'")
    source = QuerySource(SQL, {"file": str(file)})
    return [json.loads(value or b"") for chunk in source.chunks() for value in chunk.values]


def test_payments_of_cards_known_to_be_compromised_are_not_judged(
    events: list[dict[str, Any]],
) -> None:
    """They have no order, so that they fill profiles only; a fraud is known after a week."""
    orders = {each["id"]: each.get("order_id") for each in events if each["action"] == "placed"}

    assert orders == {"1": "1", "2": "2", "3": "3", "4": "4", "5": None, "6": "6", "7": "7"}


def test_a_fraud_is_charged_back_a_week_later(events: list[dict[str, Any]]) -> None:
    """In the order of time, as they would have come."""
    found = [each for each in events if each["action"] == "chargeback"]

    assert [each["id"] for each in found] == ["1-chargeback", "3-chargeback", "6-chargeback"]
    assert [each["order_id"] for each in found] == ["1", "3", "6"]
    placed = {each["id"]: each["at_ms"] for each in events}
    for each in found:
        assert each["at_ms"] == placed[each["order_id"]] + 7 * 86_400_000
    times = [each["at_ms"] for each in events]
    assert times == sorted(times)
