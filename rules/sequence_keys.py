"""The keys of a sequence: `sequence` and `key` of a rule's table.

Promise   A sequence that is read can come to an end, and each of its absences too.
Limits    STEPS_MAX steps (sequence.py); `within` up to DURATION_MS_LONGEST (table.py).
Not here  The text of a step (grammar.lark, tree.py). Its events (check.py). Running (evaluate.py).
"""

from typing import Final

from processors.event import TEXT_FIELDS
from rules.check import Checker
from rules.errors import ExpressionError
from rules.parse import parse_step
from rules.sequence import STEPS_MAX, STEPS_MIN, Sequence, Step
from rules.syntax import Span, StepText
from rules.table import DURATION_MS_LONGEST, Table
from rules.vocabulary import FIELDS, nearest

EXAMPLE: Final = 'sequence = ["click.add_to_cart", "no order.placed within 30m"]'


def sequence(table: Table) -> Sequence | None:
    """The sequence; None when there is none, or it has mistakes, which are then noted."""
    if "sequence" not in table:
        if "key" in table:
            said = "`key` is about the runs of a sequence, and there is none"
            table.wrong_key("key", said, f"take it away, or add {EXAMPLE}")
        return None
    key = _key(table)
    listed = table.values["sequence"]
    if not isinstance(listed, list):
        table.wrong_value("sequence", said="`sequence` takes a list of steps", mend=EXAMPLE)
        return None
    if not STEPS_MIN <= len(listed) <= STEPS_MAX:
        mend = "`on` is for one event" if len(listed) == 1 else f"as in {EXAMPLE}"
        said = f"a sequence has {STEPS_MIN} to {STEPS_MAX} steps, not {len(listed)}"
        table.wrong_value("sequence", said=said, mend=mend)
        return None
    steps: list[Step] = []
    absent_before = False
    for number, text in enumerate(listed):
        written = _written(table, number, text)
        if written is None:
            absent_before = False  # nobody knows
            continue
        wrong = _misplaced(written, number, absent_before=absent_before)
        if wrong is not None:
            table.mistakes([wrong], "sequence", number)
        absent_before = written.absent
        step = _step(table, number, written)
        if step is not None:
            steps.append(step)
    return Sequence(tuple(steps), key) if len(steps) == len(listed) else None


def _key(table: Table) -> str | None:
    key = table.text("key")
    if key is None or key in TEXT_FIELDS:
        return key
    if key in FIELDS:
        said, mend = f"`{key}` cannot be a key", f"a key is one of {', '.join(TEXT_FIELDS)}"
    else:
        said = f"`{key[:80]}` is no field of an event"
        mend = nearest(key, TEXT_FIELDS) or f"a key is one of {', '.join(TEXT_FIELDS)}"
    table.wrong_value("key", said=said, mend=mend)
    return None


def _written(table: Table, number: int, text: object) -> StepText | None:
    if not isinstance(text, str):
        table.wrong_value("sequence", number, said="a step is a text", mend=f"as in {EXAMPLE}")
        return None
    try:
        return parse_step(text)
    except ExpressionError as mistake:
        table.mistakes([mistake], "sequence", number)
        return None


def _misplaced(step: StepText, number: int, *, absent_before: bool) -> ExpressionError | None:
    """What is wrong with a step in its place, whatever its events are."""
    word = Span(step.span.start, step.span.start + len("no"))
    within = step.within
    if number == 0 and step.absent:
        mend = "put first what has to happen, and then what must not"
        return ExpressionError(word, "a sequence begins with an event, not with an absence", mend)
    if number == 0 and within is not None:
        mend = "take `within` away; the next step counts from this one"
        return ExpressionError(within.span, "the first step has nothing to count from", mend)
    if step.absent and absent_before:
        mend = "take one away, or put an event between them"
        return ExpressionError(word, "an absence follows right after an absence", mend)
    if step.absent and within is None:
        mend = "say how long to wait for it, as in `no order.placed within 30m`"
        return ExpressionError(step.span, "an absence without `within` would never end", mend)
    if within is not None and not 0 < within.value <= DURATION_MS_LONGEST:
        return ExpressionError(within.span, "`within` is longer than nothing, and at most 366d")
    return None


def _step(table: Table, number: int, written: StepText) -> Step | None:
    checker = Checker(table.scores, fields=False, sequence=True)
    events = checker.events(written.events)
    table.mistakes(checker.mistakes, "sequence", number)
    if events is None:
        return None
    within_ms = 0 if written.within is None else int(written.within.value)
    return Step(events, within_ms, written.absent, written.span)
