"""Real histories, with figures that others have published: the engine must come to the same.

The data lie beside the repository and are not ours to copy; without them these tests are skipped.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import pytest

from streams.features import FeatureFile, features_of
from streams.query import QuerySource
from streams.replay import ActionTotal, Replayed, Watchers, replay
from streams.source import LinesSource, Source
from streams.step import Engine
from tests.replaying import differences, disordered, engine_of, values_of, write_lines

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT.parent / "shared" / "data"
EXAMPLES: Final = ROOT / "examples"
NOW_MS: Final = 1_800_000_000_000
SEED: Final = 20_260

RETAIL: Final = "retail/online_retail_2010-12_2011-06.parquet"
CARDS: Final = "cards/transactions_2018-04_2018-08-14.parquet"
PUBLISHED: Final = "cards/published_windows_2018-04_2018-06.parquet"
PUBLISHED_ROWS: Final = 872_795
WINDOWS: Final = {1: "1d", 7: "1w", 30: "30d"}
FLOAT32_REL: Final = 1e-6  # the published means have 24 bits
RESIDUE: Final = (
    1e-9  # a published mean of one payment of 0.00 is −3.6e-15: a running sum's rounding
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def data(name: str) -> str:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"{name} is not in ../shared/data")
    return str(file)


def retail_source(**parameters: str) -> Source:
    return QuerySource(EXAMPLES / "online_retail.sql", {"file": data(RETAIL), **parameters})


def cards_source() -> Source:
    parameters = {"file": data(CARDS), "until": "2018-07-01"}
    return QuerySource(EXAMPLES / "cards.sql", parameters)


def cards_engine() -> Engine:
    return engine_of(*(file.read_text() for file in (EXAMPLES / "cards_rules").glob("*.toml")))


def view_sum(replayed: Replayed, field: str) -> float:
    return math.fsum(msgspec.json.decode(view)[field] for view in replayed.views.values())


def test_retail_comes_to_the_figures_that_are_known(tmp_path: Path) -> None:
    """Each order and each return once, to the tenth of a penny, in the summary and in the views."""
    engine = engine_of()
    with FeatureFile(tmp_path / "features.parquet", features_of(engine)) as file:
        watchers = Watchers(observe=file.observe)
        replayed = replay(retail_source(), engine, NOW_MS, watchers, keep=True)

    summary = replayed.summary
    assert summary.by_action == {
        "order.placed": ActionTotal(7_887, 3_540_070.961),
        "order.returned": ActionTotal(1_782, 361_416.88),
    }
    assert summary.events_read == summary.events_admitted == 7_887 + 1_782
    assert (summary.duplicates, summary.dead_letters) == (0, {})
    assert view_sum(replayed, "orders_count") == 7_887
    assert view_sum(replayed, "returns_count") == 1_782
    assert round(view_sum(replayed, "orders_amount"), 3) == 3_540_070.961
    assert round(view_sum(replayed, "returns_amount"), 3) == 361_416.88

    customers = duckdb.execute(
        "SELECT action, count(DISTINCT customer_id) FROM read_parquet($file)"
        " WHERE customer_id <> 'no-customer' GROUP BY action ORDER BY action",
        {"file": str(tmp_path / "features.parquet")},
    ).fetchall()
    assert customers == [("order.placed", 2_800), ("order.returned", 930)]


def test_retail_returns_without_a_customer_can_be_left_out() -> None:
    """They are fees and write-offs; the known total of returns has them, a customer has not."""
    source = retail_source(returns_without_customer="drop")

    replayed = replay(source, engine_of(), NOW_MS, keep=True)

    assert replayed.summary.by_action["order.returned"] == ActionTotal(1_693, 215_621.8)
    assert "no-customer" not in replayed.views


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_retail_in_disorder_and_with_duplicates_ends_in_the_same_state(
    seed: int, tmp_path: Path
) -> None:
    """What is late and what comes twice must not be seen in any profile."""
    engine = cards_engine()
    values, duplicates = disordered(values_of(retail_source()), seed)
    file = write_lines(tmp_path / "arrived.jsonl", values)

    sorted_ = replay(retail_source(), engine, NOW_MS, keep=True)
    arrived = replay(LinesSource(file), engine, NOW_MS, keep=True)

    assert duplicates > 0
    assert arrived.summary.duplicates == duplicates
    assert arrived.summary.by_action == sorted_.summary.by_action
    assert arrived.summary.dead_letters == {}
    assert differences(engine, sorted_, arrived) == {}


@dataclass(frozen=True)
class Cards:
    """The payments of April to June, replayed in order."""

    engine: Engine
    replayed: Replayed
    features: Path


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    engine = cards_engine()
    features = tmp_path_factory.mktemp("cards") / "features.parquet"
    with FeatureFile(features, features_of(engine)) as file:
        watchers = Watchers(observe=file.observe)
        replayed = replay(cards_source(), engine, NOW_MS, watchers, keep=True)
    return Cards(engine, replayed, features)


def test_card_windows_equal_the_published_ones(cards: Cards) -> None:
    """Count and mean amount over 1, 7 and 30 days, (t − w, t], the payment itself included.

    Both go through payments in order; where a customer pays twice in one second, the order of the two
    is anybody's, so such rows may differ. No other row does.
    """
    assert cards.replayed.summary.by_action["order.placed"].count == PUBLISHED_ROWS
    unequal = " OR ".join(
        f"""f."count(order.placed, {spelled}, exact 256)" <> p.CUSTOMER_ID_NB_TX_{days}DAY_WINDOW
        OR abs(f."mean(order.placed.amount, {spelled}, exact 256)"
            - p.CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW)
            > {FLOAT32_REL} * p.CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW + {RESIDUE}"""
        for days, spelled in WINDOWS.items()
    )
    row = duckdb.execute(
        f"""
        WITH rows AS (
            SELECT coalesce({unequal}, true) AS unequal,
                count(*) OVER (PARTITION BY f.customer_id, f.at_ms) > 1 AS tied
            FROM read_parquet($features) f
            LEFT JOIN read_parquet($published) p ON p.TRANSACTION_ID::VARCHAR = f.id
        )
        SELECT count(*), count_if(unequal), count_if(tied), count_if(unequal AND NOT tied) FROM rows
        """,  # noqa: S608  column names from a constant
        {"features": str(cards.features), "published": data(PUBLISHED)},
    ).fetchone()

    # 15 pairs of payments of one customer in one second; the published columns take 4 of the pairs in
    # the other order. 99.999 % are equal.
    assert row == (PUBLISHED_ROWS, 8, 30, 0)


def test_cards_in_disorder_and_with_duplicates_end_in_the_same_state(
    cards: Cards, tmp_path: Path
) -> None:
    """Three months and 870 duplicates: windows of 30 days, totals and decays are the same."""
    values, duplicates = disordered(values_of(cards_source()), SEED)
    file = write_lines(tmp_path / "arrived.jsonl", values)

    arrived = replay(LinesSource(file), cards.engine, NOW_MS, keep=True)

    assert duplicates > 800
    assert arrived.summary.duplicates == duplicates
    assert arrived.summary.by_action == cards.replayed.summary.by_action
    assert arrived.summary.dead_letters == {}
    assert differences(cards.engine, cards.replayed, arrived) == {}
