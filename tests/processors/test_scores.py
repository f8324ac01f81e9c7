"""The facade: what a model makes known to rules."""

from processors.model_file import default_model, parse
from processors.plan import PlanBuilder
from processors.scores import Scores
from tests.processors.models import model_text

EXPECTED = {
    *("health", "health.band", "health.trend", "health.confidence", "health.top_reason"),
    *("health.usage", "health.commerce", "health.service", "health.sentiment"),
    *("health.engagement", "health.service.complaints", "health.commerce.last_order"),
    *("anomaly.amount", "anomaly.amount.alert", "anomaly.activity", "anomaly.activity.alert"),
    *("events_count", "orders_count", "orders_amount", "returns_count", "returns_amount"),
    "tickets_open",
}


def test_rules_can_name_every_score() -> None:
    """Rules are written against these names."""
    builder = PlanBuilder()
    Scores.compile(builder, default_model())
    reasons = builder.names["health.top_reason"].texts

    assert set(builder.names) >= EXPECTED
    assert builder.names["health.band"].texts == ("none", "red", "amber", "green")
    assert reasons is not None
    assert reasons[0] == "nothing stands out"
    assert {"complaints", "no recent orders"} <= set(reasons)
    assert len(set(reasons)) == len(reasons)


def test_compiling_twice_asks_once() -> None:
    """Backtests compile the same model into the same builder; columns must not double."""
    builder = PlanBuilder()
    Scores.compile(builder, default_model())
    words = builder.build().layout.words
    Scores.compile(builder, default_model())

    assert builder.build().layout.words == words


def test_a_new_version_keeps_the_columns_that_mean_the_same() -> None:
    """An edited weight must not cost a year of history."""
    layouts = []
    for data in (model_text(), model_text(version="=2", weight="=0.5", clip="=2")):
        builder = PlanBuilder()
        scores = Scores.compile(builder, parse(data))
        layouts.append((scores.model.id, builder.build().layout.fingerprint))

    assert [each for each, _ in layouts] == ["default@1", "default@2"]
    assert layouts[0][1] == layouts[1][1]
