"""The model file: TOML to a checked `Model`.

Promise   `parse` answers with a whole and consistent model, or with all mistakes of the file at once,
          each with where it stands, what is wrong and how to mend it.
How       Every table is a `StrictTable`; keys that nobody knows are mistakes too, so that a misspelt
          weight is never silently ignored.
Limits    MODEL_BYTES_MAX, and those of model.py.
Not here  What the values mean (model.py; for users docs/models.md). The default's own words
          (models/default.toml).
"""

import importlib.resources
import tomllib
from typing import Final

from processors.event import KINDS, NAME_CHARS_MAX, NUMBER_FIELDS
from processors.model import (
    ANOMALIES_KEPT_MAX,
    COMPONENTS_MAX,
    DETECTORS_MAX,
    SIGNALS_MAX,
    Admit,
    Bands,
    Component,
    Detector,
    Health,
    Model,
    Points,
    Shape,
    Signal,
    SignalKind,
)
from processors.strict_table import Problem, StrictTable

MODEL_BYTES_MAX: Final = 256 * 1024
_RESERVED = {"band", "trend", "confidence", "top_reason"}  # names that health has already
_AMOUNT_MAX = 1e9
_OF_MEND = 'name events as kind.action, such as of = ["order.placed"] or ["click.*"]'


class ModelError(ValueError):
    """A model file with mistakes: `problems` holds them all."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("the model has mistakes:\n" + "\n".join(f"  {each}" for each in problems))


def default_model() -> Model:
    """The model that is part of this package; the one file that the package itself reads."""
    folder = importlib.resources.files("processors") / "models"
    return parse((folder / "default.toml").read_bytes())


def parse(data: bytes) -> Model:
    """The model of a TOML file.

    Raises:
        ModelError: The file has mistakes; all are told.
    """
    problems: list[Problem] = []
    if len(data) > MODEL_BYTES_MAX:
        raise ModelError([Problem("the file", f"{len(data)} bytes", f"at most {MODEL_BYTES_MAX}")])
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad TOML, endless numbers; too deep
        raise ModelError([Problem("the file", str(error), "write it as TOML 1.0")]) from error
    top = StrictTable("", document, problems)
    name = top.text("name", chars_max=40)
    version = top.whole("version", 1, 1_000_000)
    admit = _admit(top.table("admit"))
    health = _health(top)
    anomaly = top.table("anomaly")
    kept = anomaly.whole("kept", 1, ANOMALIES_KEPT_MAX)
    detectors = tuple(
        _detector(each, table)
        for each, table in anomaly.table("detector").named(DETECTORS_MAX).items()
    )
    anomaly.finish()
    top.finish()
    if problems:
        raise ModelError(problems)
    return Model(name, version, admit, health, detectors, kept)


def _admit(table: StrictTable) -> Admit:
    admit = Admit(
        duplicates_kept=table.whole("duplicates_kept", 1, 4096),
        lateness_ms=table.duration("lateness"),
    )
    table.finish()
    return admit


def _health(top: StrictTable) -> Health:
    table = top.table("health")
    bands = _bands(table.table("bands"))
    trend = table.table("trend")
    short_ms, long_ms = trend.duration("short"), trend.duration("long")
    if trend.has("short") and trend.has("long") and short_ms >= long_ms:
        trend.note(
            "short", "it is not shorter than long", "compare a short with a longer half-life"
        )
    trend.finish()
    health = Health(
        components=tuple(
            _component(name, each)
            for name, each in top.table("component").named(COMPONENTS_MAX).items()
        ),
        bands=bands,
        signal_points_max=table.number("signal_points_max", 1, 100),
        freshness_half_life_ms=table.duration("freshness_half_life"),
        trend_short_ms=short_ms,
        trend_long_ms=long_ms,
    )
    table.finish()
    signals = sum(len(each.signals) for each in health.components)
    if signals > SIGNALS_MAX:
        top.note("component", f"{signals} signals are too many", f"keep at most {SIGNALS_MAX}")
    return health


def _bands(table: StrictTable) -> Bands:
    bands = Bands(
        amber=table.number("amber", 1, 99),
        green=table.number("green", 1, 99),
        margin=table.number("margin", 0, 25),
        dwell_ms=table.duration("dwell", least_ms=0),
    )
    if table.has("amber") and table.has("green"):
        if bands.amber >= bands.green:
            table.note("green", "green does not begin above amber", "red < amber < green")
        elif bands.amber - bands.margin < 0 or bands.green + bands.margin > 100:  # noqa: PLR2004  the scale's ends
            table.note("margin", "some colour can never be reached", "use a smaller margin")
    table.finish()
    return bands


def _component(name: str, table: StrictTable) -> Component:
    if name in _RESERVED:
        table.note("", f"health.{name} is something else already", "choose another name")
    component = Component(
        name=name,
        weight=table.number("weight", 0.001, 1000),
        start=table.number("start", 0, 100),
        silence_counts=table.yes("silence_counts", default=False),
        signals=tuple(
            _signal(each, inside)
            for each, inside in table.table("signal").named(SIGNALS_MAX).items()
        ),
    )
    table.finish()
    return component


def _signal(name: str, table: StrictTable) -> Signal:
    kinds = {each.name.lower(): each for each in SignalKind}
    kind = kinds[table.choice("kind", kinds)]
    points = _points(table.table("points"))
    least, most = points.bounds
    usual_ms = half_life_ms = 0
    if kind != SignalKind.SINCE:
        half_life_ms = table.duration("half_life", least_ms=60_000)
    if kind == SignalKind.PACE:
        usual_ms = table.duration("usual_half_life", least_ms=60_000)
        if usual_ms <= half_life_ms and table.has("usual_half_life"):
            table.note("usual_half_life", "it is not longer than half_life", "make it longer")
    signal = Signal(
        name=name,
        of=_of(table),
        kind=kind,
        points=points,
        value=_value(table) if kind in (SignalKind.SUM, SignalKind.MEAN) else None,
        half_life_ms=half_life_ms,
        usual_half_life_ms=usual_ms,
        evidence=table.number("evidence", 0.001, _AMOUNT_MAX)
        if kind in (SignalKind.MEAN, SignalKind.PACE)
        else 0.0,
        costs=table.text("costs") if least < 0 else "",
        gives=table.text("gives") if most > 0 else "",
    )
    table.finish()
    return signal


def _points(table: StrictTable) -> Points:
    if table.has("most") or table.has("half_at"):
        points = Points(
            Shape.SATURATING,
            first=table.number("half_at", 1e-6, _AMOUNT_MAX),
            at_first=table.number("most", -100, 100),
        )
    else:
        first = table.number("from", -_AMOUNT_MAX, _AMOUNT_MAX)
        last = table.number("to", -_AMOUNT_MAX, _AMOUNT_MAX)
        if first >= last and table.has("from") and table.has("to"):
            table.note("to", "the line ends where it begins, or before", "from < to")
        at_first, at_last = _gives(table)
        points = Points(Shape.LINE, first, last, at_first, at_last)
    table.finish()
    return points


def _gives(table: StrictTable) -> tuple[float, float]:
    mend = "write gives = [points at from, points at to], each from -100 to 100"
    value = table.take("gives", mend + ", or most and half_at for a curve")
    if value is None:
        return 0.0, 0.0
    if isinstance(value, list) and len(value) == 2:  # noqa: PLR2004  the two ends
        ends = [each for each in value if isinstance(each, int | float) and -100 <= each <= 100]  # noqa: PLR2004  points
        if len(ends) == len(value) and not any(isinstance(each, bool) for each in ends):
            return float(ends[0]), float(ends[1])
    table.note("gives", f"{value!r} is no pair of points", mend)
    return 0.0, 0.0


def _of(table: StrictTable) -> tuple[str, ...]:
    value = table.take("of", _OF_MEND)
    if value is None:
        return ()
    events = [value] if isinstance(value, str) else value
    if not isinstance(events, list) or not events:
        table.note("of", f"{value!r} names no events", _OF_MEND)
        return ()
    for each in events:
        kind, dot, action = each.partition(".") if isinstance(each, str) else ("", "", "")
        if kind not in KINDS or not dot or not 0 < len(action) <= NAME_CHARS_MAX:
            table.note("of", f"{each!r} names no event", f"{_OF_MEND}; kinds: {', '.join(KINDS)}")
            return ()
    return tuple(dict.fromkeys(events))


def _value(table: StrictTable) -> str:
    return table.choice("value", NUMBER_FIELDS)


def _detector(name: str, table: StrictTable) -> Detector:
    counts = table.has("period")
    if counts == table.has("value"):
        table.note("", "it needs either value or period", "a number field, or a span to count in")
    presumed = table.table("presumed")
    floor = table.table("floor")
    value = None if counts else _value(table)
    detector = Detector(
        name=name,
        of=_of(table),
        value=value,
        period_ms=table.duration("period", least_ms=60_000) if counts else 0,
        half_life_ms=table.duration("half_life", least_ms=60_000),
        history_min=table.whole("history_min", 2, 1000),
        presumed_spread=presumed.number("spread", 0, 10),
        presumed_weight=presumed.number("weight", 0, 1000),
        floor_absolute=floor.number("absolute", 1e-6, _AMOUNT_MAX),
        floor_relative=floor.number("relative", 0, 10),
        clip=table.number("clip", 0.5, 100),
        alert=table.number("alert", 1, 1000),
        low_too=not counts and table.choice("sides", ("high", "both"), default="high") == "both",
        cool_down_ms=table.duration("cool_down", least_ms=0),
    )
    for each in (presumed, floor, table):
        each.finish()
    return detector
