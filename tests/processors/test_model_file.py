"""Model files: what is right is read, and what is wrong is told, all of it, with a mend."""

import pytest

from processors.model import Model, Points, Shape, SignalKind
from processors.model_file import MODEL_BYTES_MAX, ModelError, default_model, parse
from processors.strict_table import Problem
from tests.processors.models import model_text

DAY_MS = 86_400_000
VISITS = "component.usage.signal.visits"
PACE = "component.usage.signal.pace"
CSAT = "component.sentiment.signal.satisfaction"
MOST = "health.signal_points_max"
CURVE = "most = 25, half_at = 8"
USUALLY = 'usual_half_life = "60d"'
SILENCE = "silence_counts = true"


def problems_of(data: bytes) -> list[Problem]:
    with pytest.raises(ModelError) as caught:
        parse(data)
    return caught.value.problems


def test_the_default_model_is_whole() -> None:
    """It is what everybody starts with, and what they copy."""
    model: Model = default_model()
    components = {each.name: each for each in model.health.components}
    complaints = components["service"].signals[0]

    assert model.id == "default@1"
    assert list(components) == ["usage", "commerce", "service", "sentiment", "engagement"]
    assert sum(each.weight for each in components.values()) == pytest.approx(1)
    assert components["service"].silence_counts
    assert complaints.kind == SignalKind.COUNT
    assert complaints.half_life_ms == 30 * DAY_MS
    assert complaints.points == Points(Shape.SATURATING, first=1, at_first=-90)
    assert [each.name for each in model.detectors] == ["amount", "activity"]
    assert (model.health.bands.amber, model.health.bands.green) == (50, 75)
    assert (model.admit.duplicates_kept, model.admit.lateness_ms) == (64, 7 * DAY_MS)


@pytest.mark.parametrize(
    ("old", "new", "where", "what", "mend"),
    [
        ('name = "default"', 'name = ""', "name", "no text", "write a text"),
        ("version = 1", "version = 1.5", "version", "no whole number", "from 1"),
        ("version = 1", "", "version", "missing", "whole number"),
        ("duplicates_kept = 64", "duplicates_kept = 0", "admit.duplicates_kept", "range", "from 1"),
        ('lateness = "7d"', 'lateness = "7 days"', "admit.lateness", "no duration", "14d"),
        ('lateness = "7d"', 'lateness = "9999d"', "admit.lateness", "range", "ten years"),
        ('lateness = "7d"', "lateness = 7", "admit.lateness", "no duration", "14d"),
        ("signal_points_max = 30", "signal_points_max = nan", MOST, "no number", "from 1"),
        ("signal_points_max = 30", "signal_points_max = true", MOST, "no number", "from 1"),
        ("green = 75", "green = 45", "health.bands.green", "above amber", "red < amber"),
        ("margin = 2", "margin = 25.5", "health.bands.margin", "range", "25"),
        ("green = 75, margin = 2", "green = 90, margin = 20", "health.bands.margin", "never", "smaller"),
        ('short = "3d"', 'short = "30d"', "health.trend.short", "not shorter", "longer"),
        ("weight = 0.25", "wieght = 0.25", "component.usage.wieght", "not known", "did you mean 'weight'"),
        ("weight = 0.25", "weight = 0", "component.usage.weight", "range", "0.001"),
        ("[component.usage]", "[component.Usage]", "component.Usage", "no name", "a-z"),
        ('kind = "count"', 'kind = "cuont"', f"{VISITS}.kind", "not known", "'count'"),
        ('of = ["click.*"]', 'of = ["clicks.*"]', f"{VISITS}.of", "no event", "click, order"),
        ('of = ["click.*"]', "of = []", f"{VISITS}.of", "no events", "kind.action"),
        (CURVE, "most = 250, half_at = 8", f"{VISITS}.points.most", "range", "100"),
        (CURVE, "most = 25", f"{VISITS}.points.half_at", "missing", "number"),
        ("from = 0.2, to = 1.0", "from = 1.0, to = 0.2", f"{PACE}.points.to", "ends", "from < to"),
        ("gives = [-35, 10]", "gives = [-35]", f"{PACE}.points.gives", "pair", "points at"),
        (USUALLY, 'usual_half_life = "7d"', f"{PACE}.usual_half_life", "longer", "longer"),
        ('costs = "fewer visits than usual"', "", f"{PACE}.costs", "missing", "text"),
        ('value = "score"', 'value = "scor"', f"{CSAT}.value", "not known", "'score'"),
        (SILENCE, 'silence_counts = "yes"', "component.service.silence_counts", "neither", "true or false"),
        ("kept = 4", "kept = 100", "anomaly.kept", "range", "16"),
        ('value = "amount"', "", "anomaly.detector.amount", "either value or period", "span"),
        ("clip = 3", "clip = 0", "anomaly.detector.amount.clip", "range", "0.5"),
        ("[anomaly]", "[anomalies]", "anomaly.kept", "missing", "whole number"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_place_and_mend(
    old: str, new: str, where: str, what: str, mend: str
) -> None:
    """People edit this file by hand, at the worst of times."""
    text = default_text()
    assert old in text
    problems = problems_of(text.replace(old, new, 1).encode())

    assert any(
        each.where == where and what in each.what and mend in each.mend for each in problems
    ), problems


def default_text() -> str:
    return model_text().decode()


def test_all_mistakes_are_told_at_once() -> None:
    """Mending one only to meet the next is what makes people give up."""
    text = default_text()
    for old, new in [
        ("version = 1", "version = 0"),
        ("weight = 0.30", "weight = -1"),
        ('half_life = "14d"', 'half_life = "14 d"'),
        ("alert = 4", "alarm = 4"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)

    assert [each.where for each in problems_of(text.encode())] == [
        "version",
        f"{VISITS}.half_life",
        "component.commerce.weight",
        "anomaly.detector.amount.alert",
        "anomaly.detector.amount.alarm",
    ]


def test_a_missing_table_is_told_once() -> None:
    """Not once for each key that it would have had."""
    wheres = [each.where for each in problems_of(b'name = "x"\nversion = 1\n')]

    assert wheres == ["admit", "health", "component", "anomaly"]


def test_a_value_where_a_table_should_be_is_told() -> None:
    """Whatever stands in the file, the answer is a list of mistakes."""
    wheres = [
        each.where for each in problems_of(b'name = "x"\nversion = 1\nhealth = 3\nadmit = []')
    ]

    assert wheres == ["admit", "health", "component", "anomaly"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"name = ", "Invalid value"),
        (b'name = "\xff"', "utf-8"),
        (b"#" * (MODEL_BYTES_MAX + 1), "bytes"),
        (b"version = " + b"9" * 5_000, "Exceeds the limit"),
        (b"name = " + b"[" * 5_000 + b"]" * 5_000, "recursion"),
    ],
)
def test_what_is_no_toml_is_told(data: bytes, what: str) -> None:
    """With the line and column that the parser found."""
    problems = problems_of(data)

    assert len(problems) == 1
    assert what in problems[0].what


@pytest.mark.parametrize("value", ["0x{0}", "[[0x{0}], 1]", "[{{ a = 0x{0} }}]", "{{ a = 0x{0} }}"])
def test_a_number_that_cannot_be_shown_is_told_all_the_same(value: str) -> None:
    """A reload happens in a running engine, and a message that fails takes it down."""
    endless = value.format("f" * 5_000)
    for key in ("version", "kept", "of", "silence_counts", "evidence", "half_life"):
        first, *_ = problems_of(model_text(**{key: "=" + endless + " #"}))

        assert first.where.rpartition(".")[2] == key
        assert "64 bits" in first.what


def test_too_many_signals_are_refused() -> None:
    """The bound of what one event may cost to score."""
    signal = (
        '\n[component.usage.signal.s{}]\nof = "click.*"\nkind = "since"\n'
        'points = {{ from = 0, to = 1, gives = [1, 0] }}\ngives = "g"\n'
    )
    many = "".join(signal.format(k) for k in range(50))

    assert [each.where for each in problems_of((default_text() + many).encode())] == ["component"]


def test_a_component_cannot_take_a_name_of_healths_own() -> None:
    """health.band would be two things."""
    text = default_text().replace("component.usage", "component.band")

    assert [each.where for each in problems_of(text.encode())] == ["component.band"]


def test_the_message_lists_every_mistake() -> None:
    """It is what the command line prints."""
    with pytest.raises(ModelError, match=r"version: 0 is out of range; give a whole number"):
        parse(default_text().replace("version = 1", "version = 0").encode())
