"""Readings: checks functions over events, such as `count(order.paid where amount < 5, 10m)`.

Promise   What comes out asks the plan for nothing that it cannot keep: windows, sizes and fields fit.
How       The signatures stand in vocabulary.py; arguments may come in any order after the events.
Limits    WINDOW_MS_MIN to WINDOW_MS_MAX, EXACT_EVENTS_MAX (processors/aggregate.py).
Not here  Conditions inside `where` (check.py hands its own check over). Columns (compile.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, cast

from processors.aggregate import EXACT_EVENTS_MAX, WINDOW_MS_MAX, WINDOW_MS_MIN
from processors.event import KINDS, NAME_CHARS_MAX
from rules.expression import Events, Expression, Function, Reading, Type
from rules.syntax import Call, Literal, Option, Path, Span, Syntax, Where
from rules.vocabulary import (
    ACTIONS,
    FIELDS,
    MOMENTS_HALF_LIFE_MS,
    OPEN_KINDS,
    SIGNATURES,
    Signature,
    nearest,
)

EXACT_EVENTS: Final = 16  # what a window keeps one by one when the rule asks for no more
Wrong = Callable[[Span, str, str], None]


@dataclass(slots=True)
class _Arguments:
    """The arguments of one call, sorted out."""

    path: Path | None = None
    where: Syntax | None = None
    window: Literal | None = None
    half_life: Option | None = None
    exact: Option | None = None
    before: Option | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """Checks calls; `condition` checks what stands in a `where`, `wrong` takes mistakes."""

    condition: Callable[[Syntax], Expression | None]
    wrong: Wrong

    def reading(self, call: Call) -> Reading | None:
        """Check a call whose name is in SIGNATURES."""
        function = cast("Function", call.name)
        signature = SIGNATURES[function]
        arguments = self._sort(call, signature)
        if arguments is None or arguments.path is None:
            return None
        found = self._events_and_field(arguments.path, arguments.where, signature)
        if found is None or not self._spans_fit(call, arguments, signature):
            return None
        events, field = found
        half_life_ms = int(arguments.half_life.value) if arguments.half_life else 0
        if signature.spans == {"half_life"} and not half_life_ms:
            half_life_ms = MOMENTS_HALF_LIFE_MS
        window_ms = int(cast("float", arguments.window.value)) if arguments.window else 0
        windowed = window_ms > 0 and function != "distinct"
        return Reading(
            function=function,
            events=events,
            field=field,
            window_ms=window_ms,
            half_life_ms=half_life_ms,
            exact=(int(arguments.exact.value) if arguments.exact else EXACT_EVENTS)
            if windowed
            else 0,
            before=arguments.before is not None or function == "zscore",
            span=call.span,
        )

    def approximate(self, call: Call) -> Reading | None:
        """Check `approximate(reading)`: whether a window holds more events than it keeps exactly."""
        inner = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(inner, Call) or inner.name not in SIGNATURES:
            self.wrong(
                call.span,
                "approximate asks about one function over a window",
                "as in approximate(count(order.placed, 30d))",
            )
            return None
        reading = self.reading(inner)
        if reading is None:
            return None
        if not reading.exact:
            self.wrong(
                inner.span,
                "only a count, sum, mean, min, max or rate over a window is ever approximate",
                "take approximate(…) away, or give a window",
            )
            return None
        return replace(reading, function="approximate", span=call.span)

    def events(self, path: Path, where: Syntax | None) -> Events | None:
        """Check `kind.action [where …]`, without a field."""
        found = self._events_and_field(path, where, SIGNATURES["count"])
        return None if found is None else found[0]

    def _sort(self, call: Call, signature: Signature) -> _Arguments | None:
        arguments = _Arguments()
        good = True
        for each in call.arguments:
            name: str
            if isinstance(each, Option):
                name = each.name
            elif isinstance(each, Literal) and each.kind == "duration":
                name = "window"
            elif isinstance(each, Path | Where):
                name = "path"
            else:
                number = isinstance(each, Literal) and each.kind == "number"
                mend = (
                    "a window needs a unit, such as 30d" if number else f"as in {signature.example}"
                )
                self.wrong(each.span, f"{call.name} does not take this", mend)
                good = False
                continue
            if getattr(arguments, name) is not None:
                self.wrong(
                    each.span, f"{call.name} takes this only once", f"as in {signature.example}"
                )
                good = False
            elif isinstance(each, Where):
                arguments.path, arguments.where = each.path, each.condition
            else:
                setattr(arguments, name, each)
        if arguments.path is None and good:
            self.wrong(call.span, f"{call.name} needs events", f"as in {signature.example}")
        return arguments if good else None

    def _events_and_field(
        self, path: Path, where: Syntax | None, signature: Signature
    ) -> tuple[Events, str | None] | None:
        condition = None if where is None else self.condition(where)
        known = self._known_action(path, signature)
        field = self._field(path, signature) if known else None
        if not known or (where is not None and condition is None):
            return None
        if signature.field != "none" and field is None:
            return None
        return Events(path.parts[0], path.parts[1], condition, path.span), field

    def _known_action(self, path: Path, signature: Signature) -> bool:
        kind = path.parts[0]
        if kind not in KINDS:
            self.wrong(
                path.span,
                f"`{kind}` is no kind of event",
                nearest(kind, KINDS) or f"kinds are {', '.join(KINDS)}",
            )
            return False
        if len(path.parts) == 1:
            self.wrong(
                path.span,
                f"`{kind}` needs an action",
                f"as in {kind}.{ACTIONS[kind][0]}, or {kind}.* for any",
            )
            return False
        if len(path.parts) > (2 if signature.field == "none" else 3):
            self.wrong(path.span, f"`{path.text}` has too many parts", f"as in {signature.example}")
            return False
        action = path.parts[1]
        if len(action) > NAME_CHARS_MAX or not action:
            self.wrong(path.span, f"an action has 1 to {NAME_CHARS_MAX} characters", "")
            return False
        sure = kind in OPEN_KINDS or path.quoted[1] or action == "*"
        if not sure and action not in ACTIONS[kind]:
            near = nearest(action, ACTIONS[kind]).replace("`", f"`{kind}.", 1)
            self.wrong(
                path.span,
                f"`{kind}.{action}` is not known",
                near or f'if that is what you send, quote it: {kind}."{action}"',
            )
            return False
        return True

    def _field(self, path: Path, signature: Signature) -> str | None:
        if signature.field == "none":
            return None
        wanted = Type.NUMBER if signature.field == "number" else Type.TEXT
        fields = [name for name, kind in FIELDS.items() if kind == wanted and name != "action"]
        if len(path.parts) == 2:  # noqa: PLR2004  kind and action, but no field
            self.wrong(
                path.span,
                f"{signature.field} field needed after `{path.text}`",
                f"as in {signature.example}",
            )
            return None
        field = path.parts[2]
        if field not in fields:
            self.wrong(
                path.span,
                f"`{field}` is no {signature.field} field",
                nearest(field, fields) or f"such fields are {', '.join(fields)}",
            )
            return None
        return field

    def _spans_fit(self, call: Call, arguments: _Arguments, signature: Signature) -> bool:
        window, half_life, exact = arguments.window, arguments.half_life, arguments.exact
        if window and half_life:
            self.wrong(half_life.span, "a window or a half-life, not both", "take one away")
            return False
        given = window or half_life
        span = "window" if window else "half_life" if half_life else "life"
        optional = span == "life" and signature.spans == {"half_life"}
        if span not in signature.spans and not optional:
            what = {"window": "no window", "half_life": "no half-life", "life": "a window"}[span]
            self.wrong(
                (given or call).span, f"{call.name} takes {what}", f"as in {signature.example}"
            )
            return False
        if window and not WINDOW_MS_MIN <= cast("float", window.value) <= WINDOW_MS_MAX:
            self.wrong(window.span, "a window is between 1m and 366d", "")
            return False
        if half_life and half_life.value <= 0:
            self.wrong(half_life.span, "a half-life is longer than nothing", "")
            return False
        if exact and (not window or call.name == "distinct"):
            self.wrong(exact.span, "`exact` is about counting in a window", "take it away")
            return False
        if exact and not (exact.value.is_integer() and 1 <= exact.value <= EXACT_EVENTS_MAX):
            self.wrong(exact.span, f"`exact` takes a whole number from 1 to {EXACT_EVENTS_MAX}", "")
            return False
        return True
