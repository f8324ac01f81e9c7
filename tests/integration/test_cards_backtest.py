"""Rules alone on card payments, by the protocol of the book: what docs/backtest.md says of them.

The data lie beside the repository and are not ours to copy; without them this is skipped.
"""

from datetime import UTC, datetime
from typing import Final

import pytest

from streams.backtest import Judging, backtest
from streams.query import QuerySource
from tests.machine import ROOT
from tests.replaying import engine_of

FILE: Final = ROOT.parent / "shared/data/cards/transactions_2018-04_2018-08-14.parquet"
DAY_MS: Final = 86_400_000
NOW_MS: Final = 1_800_000_000_000
FROM_MS: Final = round(datetime(2018, 8, 8, tzinfo=UTC).timestamp() * 1_000)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_rules_on_cards_reach_what_the_documents_say() -> None:
    """They stand beside figures that others have published."""
    if not FILE.exists():
        pytest.skip("the card payments are not in ../shared/data")
    source = QuerySource(ROOT / "examples" / "cards_judged.sql", {"file": str(FILE)})
    engine = engine_of((ROOT / "examples" / "cards_fraud" / "rules.toml").read_text("utf-8"))
    judging = Judging(
        from_ms=FROM_MS,
        until_ms=FROM_MS + 7 * DAY_MS,
        outcome="order.chargeback",
        within_ms=8 * DAY_MS,
        units="order.placed",
    )
    report, history = backtest(source, engine, NOW_MS, judging, lambda _rows: None)

    assert len(history.orders) == 58_264
    assert report.rules["unusual"].foretold is not None
    assert report.rules["unusual"].foretold.outcomes == 385
    found = (report.average_precision, report.precision, report.recall, report.fires)
    assert found == (0.1929, 0.374, 0.2416, 1_147)
    said = (ROOT / "docs" / "backtest.md").read_text("utf-8")
    assert "| .193 |" in said
    assert "Precision is .374 and recall .242 of 385 frauds: 1,147 fires at 498 cards." in said
