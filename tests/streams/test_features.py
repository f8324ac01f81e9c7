"""Training on other numbers than those that are served is the classic mistake."""

from pathlib import Path

import duckdb
import pytest

from processors.fold import ADMITTED
from streams.features import FeatureFile, FeatureFileError, features_of
from streams.replay import Watchers, replay
from streams.source import SourceError
from streams.step import Observed
from tests.replaying import engine_of
from tests.streams.replay_rows import (
    HOUR_MS,
    NOW_MS,
    START_MS,
    THIRD_ORDER,
    BrokenSource,
    ListSource,
    click,
    order,
)


def read_features(file: Path) -> list[dict[str, object]]:
    cursor = duckdb.connect().execute("SELECT * FROM read_parquet($file)", {"file": str(file)})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_feature_file_has_what_the_rules_saw_at_each_admitted_event(tmp_path: Path) -> None:
    """To the bit, in folding order, and nothing of what was not admitted."""
    values = [order(1, amount=2.0), click(1, "bob"), b"{", order(1), order(2, amount=3.0)]
    engine = engine_of(THIRD_ORDER)
    seen: list[float] = []
    band = engine.plan.names["health"].register.number

    with FeatureFile(tmp_path / "features.parquet", features_of(engine)) as file:

        def observe(batch: Observed) -> None:
            file.observe(batch)
            seen.extend(batch.registers[band, : len(batch.events)][batch.status == ADMITTED])

        replay(ListSource(values, [2, 4]), engine, NOW_MS, Watchers(observe=observe))

    rows = read_features(tmp_path / "features.parquet")
    assert file.rows == len(rows) == 3
    assert [(row["id"], row["customer_id"], row["action"], row["at_ms"]) for row in rows] == [
        ("o1", "ann", "order.placed", START_MS + HOUR_MS),
        ("c1", "bob", "click.view", START_MS + HOUR_MS),
        ("o2", "ann", "order.placed", START_MS + 2 * HOUR_MS),
    ]
    assert [row["count(order.placed, 30d)"] for row in rows] == [1.0, 0.0, 2.0]
    assert [row["sum(order.placed.amount, 30d)"] for row in rows] == [2.0, 0.0, 5.0]
    assert [row["health"] for row in rows] == seen
    assert {row["health.band"] for row in rows} <= {"red", "amber", "green"}
    assert rows[0]["anomaly.amount"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["features.parquet"]


def test_texts_of_the_event_that_a_rule_reads_are_features(tmp_path: Path) -> None:
    """A model trained without the channel cannot learn what the rule knows."""
    engine = engine_of(
        '[rule.web]\non = "order.placed"\nwhen = "channel = \'web\' and amount > 1"\n'
        'then = [{ log = "web" }]\n'
    )
    web = order(1, amount=2.0)[:-1] + b',"channel":"web"}'

    with FeatureFile(tmp_path / "f.parquet", features_of(engine)) as file:
        replay(ListSource([web, order(2)]), engine, NOW_MS, Watchers(observe=file.observe))

    rows = read_features(tmp_path / "f.parquet")
    assert [(row["channel"], row["amount"]) for row in rows] == [("web", 2.0), (None, 0.1)]


def test_features_that_differ_in_case_alone_keep_columns_of_their_own(tmp_path: Path) -> None:
    """DuckDB and others take no notice of case in names, but rules do in values."""
    condition = "count(order.placed where channel = '{}', 1d) > 0"
    engine = engine_of(
        f'[rule.both]\nwhen = "{condition.format("Web")} or {condition.format("web")}"\n'
        'then = [{ log = "both" }]\n'
    )

    with FeatureFile(tmp_path / "f.parquet", features_of(engine)) as file:
        web = order(1)[:-1] + b',"channel":"web"}'
        replay(ListSource([web]), engine, NOW_MS, Watchers(observe=file.observe))

    (row,) = read_features(tmp_path / "f.parquet")
    counted = {name: value for name, value in row.items() if name.startswith("count(")}
    assert sorted(counted.values(), key=str) == [0.0, 1.0]


def test_a_replay_that_fails_leaves_no_feature_file(tmp_path: Path) -> None:
    """Half a file looks like a whole one to the script that trains on it."""
    engine = engine_of()
    features = FeatureFile(tmp_path / "f.parquet", features_of(engine))

    with pytest.raises(SourceError), features as file:
        replay(BrokenSource([order(1)]), engine, NOW_MS, Watchers(observe=file.observe))

    assert list(tmp_path.iterdir()) == []


def test_a_feature_file_in_no_folder_is_refused_before_the_replay(tmp_path: Path) -> None:
    """After an hour of replay would be late."""
    with pytest.raises(FeatureFileError, match="cannot be written"):
        FeatureFile(tmp_path / "nowhere" / "f.parquet", features_of(engine_of()))
