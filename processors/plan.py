"""The plan: everything that rules, models and scores ask of an event and its profile, asked only once.

Promise   Two asks that mean the same share one register or one column; a new set of asks is new data
          for the same kernels, never a compilation.
How       A `PlanBuilder` collects registers in three stages: EVENT (fields of the event and operations
          on them), FEATURE (readings of aggregates, and operations) and SCORE (what score kernels fill
          in, time averages, and operations on all of these). `build` lays out rows and programs.
Limits    REGISTERS_MAX registers; row width by layout.py.
Not here  What users write (rules/), what scores mean (health.py, anomaly.py), the kernels (fold.py).
"""

from typing import Final

import msgspec

from processors.aggregate import (
    BUCKETS,
    BUCKETS_MAX,
    EXACT_EVENTS_MAX,
    READINGS,
    WINDOW_MS_MAX,
    WINDOW_MS_MIN,
    Aggregate,
    AggregateKind,
    Reading,
)
from processors.event import KINDS, NAME_CHARS_MAX, NUMBER_FIELDS, TEXT_FIELDS
from processors.machine import COMMUTATIVE, UNARY, Op
from processors.register import (
    ACTION,
    WHOLE,
    Asked,
    Named,
    Read,
    Register,
    Stage,
    TextTest,
    TimeAverage,
    Told,
)
from processors.tables import CORE_STATES, Plan, compile_plan

REGISTERS_MAX: Final = 16_384  # 1,000 rules of some fifteen registers each
DUPLICATES_KEPT: Final = 64  # event ids remembered a customer
LATENESS_MS: Final = 7 * 86_400_000  # an event older than the customer's newest by more is too late


class PlanBuilder:
    """Collects what is asked for; see the module's head for the stages."""

    def __init__(
        self, *, duplicates_kept: int = DUPLICATES_KEPT, lateness_ms: int = LATENESS_MS
    ) -> None:
        """Start with the columns that every profile has.

        Args:
            duplicates_kept: how many event ids a profile remembers.
            lateness_ms: how much older than the customer's newest event an event may be.
        """
        self.duplicates_kept = duplicates_kept
        self.lateness_ms = lateness_ms
        self.names: dict[str, Named] = {}
        self._by_name: dict[str, Register] = {}
        self._asked = Asked(
            constants={},
            numbers={},
            tests={},
            hashes={},
            operations={stage: [] for stage in Stage},
            aggregates=[],
            reads=[],
            averages=[],
            states=[*CORE_STATES, ("recent_ids", 1 + duplicates_kept)],
            features=[],
        )
        self._aggregates: dict[str, Aggregate] = {}
        self._offsets: dict[str, int] = {}
        self._words = 0
        for name, words in self._asked.states:
            self._offsets[name] = self._words
            self._words += words
        self.whole = self.constant(1.0)
        assert self.whole.number == WHOLE, "kernels take register 0 for 'each event counts one'"

    def _register(self, name: str, stage: Stage) -> tuple[Register, bool]:
        """The register of this canonical name, and whether it is new."""
        known = self._by_name.get(name)
        if known is not None:
            return known, False
        number = len(self._by_name)
        if number >= REGISTERS_MAX:
            raise ValueError(
                f"rules and models ask for more than {REGISTERS_MAX} different values: use fewer"
            )
        register = Register(number, stage, name)
        self._by_name[name] = register
        return register, True

    def constant(self, value: float) -> Register:
        """A register that always holds `value`."""
        register, new = self._register(repr(float(value)), Stage.EVENT)
        if new:
            self._asked.constants[register.number] = float(value)
        return register

    def given(self, name: str) -> Register:
        """A register that whoever runs the plan fills for each batch, before the first program."""
        return self._register(f"given.{name}", Stage.EVENT)[0]

    def number(self, field_name: str) -> Register:
        """A number field of the event; missing where the event has none."""
        if field_name not in NUMBER_FIELDS:
            raise ValueError(f"{field_name!r} is no number field: {', '.join(NUMBER_FIELDS)}")
        register, new = self._register(f"event.{field_name}", Stage.EVENT)
        if new:
            self._asked.numbers[field_name] = register.number
        return register

    def text_test(self, field_name: str, test: TextTest) -> Register:
        """1.0 where the event's text field passes the test; a missing field is tested as None."""
        if field_name not in (*TEXT_FIELDS, ACTION):
            raise ValueError(f"{field_name!r} is no text field: {', '.join(TEXT_FIELDS)}")
        register, new = self._register(f"{field_name} {test.name}", Stage.EVENT)
        if new:
            self._asked.tests.setdefault(field_name, []).append((test.passes, register.number))
        return register

    def text_hash(self, field_name: str) -> Register:
        """A hash of the text field within 52 bits, for DISTINCT; missing where the event has none."""
        if field_name not in TEXT_FIELDS:
            raise ValueError(f"{field_name!r} is no text field: {', '.join(TEXT_FIELDS)}")
        register, new = self._register(f"hash({field_name})", Stage.EVENT)
        if new:
            self._asked.hashes[field_name] = register.number
        return register

    def action(self, kind: str, action: str) -> Register:
        """1.0 where the event is `kind.action`; the action "*" is any."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of event: {', '.join(KINDS)}")
        wanted = f"{kind}.{action}"
        if action == "*":
            prefix = f"{kind}."
            return self.text_test(
                ACTION, TextTest(wanted, lambda text: text is not None and text.startswith(prefix))
            )
        return self.text_test(ACTION, TextTest(wanted, lambda text: text == wanted))

    def attribute_number(self, name: str) -> Register:
        """The number that this event tells of this attribute, 1 or 0 for true or false; else missing."""
        return self._told(Told.NUMBER, name)

    def attribute_hash(self, name: str) -> Register:
        """`text_code` of the text that this event tells of this attribute; else missing."""
        return self._told(Told.TEXT, name)

    def consent(self, channel: str) -> Register:
        """1.0 where this event gives consent to the channel, 0.0 where it withdraws it; else missing."""
        return self._told(Told.CONSENT, channel)

    def _told(self, what: Told, name: str) -> Register:
        if not 1 <= len(name) <= NAME_CHARS_MAX:
            raise ValueError(f"{name!r} is no name of 1 to {NAME_CHARS_MAX} characters")
        register, new = self._register(
            f"{what.value}({msgspec.json.encode(name).decode()})", Stage.EVENT
        )
        if new:
            self._asked.told[what, name] = register.number
        return register

    def attribute(self, name: str, *, text: bool) -> Register:
        """What the customer's events told last: a number, or `text_code` of a text; missing if never."""
        return self._last(self.attribute_hash(name) if text else self.attribute_number(name))

    def consented(self, channel: str) -> Register:
        """1.0 where the last word on this channel was consent."""
        # LAST takes the larger of two at one time. That must be the withdrawal, hence the sign.
        refused = self._last(self.apply(Op.NEG, self.consent(channel)))
        return self.apply(Op.EQ, refused, self.constant(-1.0))

    def _last(self, value: Register) -> Register:
        kept = self.aggregate(AggregateKind.LAST, self.apply(Op.HAS, value), value)
        return self.read(kept, Reading.VALUE)

    def apply(self, op: Op, *args: Register) -> Register:
        """The operation on registers of any stage; equal operations share a register."""
        if len(args) != (1 if op in UNARY else 2):
            raise ValueError(f"{op.name} does not take {len(args)} operands")
        # By name, not by number: names are columns' names, and must not change with what else is asked.
        ordered = sorted(args, key=lambda each: each.name) if op in COMMUTATIVE else args
        name = f"{op.name.lower()}({', '.join(each.name for each in ordered)})"
        register, new = self._register(name, max(each.stage for each in args))
        if new:
            first, second = ordered[0].number, ordered[-1].number
            self._asked.operations[register.stage].append((op, register.number, first, second))
        return register

    def aggregate(
        self,
        kind: AggregateKind,
        where: Register,
        value: Register | None = None,
        *,
        half_life_ms: int = 0,
        exact_events: int = 16,
        buckets: int = BUCKETS,
    ) -> Aggregate:
        """Remember events where `where` is 1.0; see aggregate.py for the kinds.

        Raises:
            ValueError: A size or half-life out of range, or a `where` that is no event register.
        """
        if where.stage != Stage.EVENT or (value is not None and value.stage != Stage.EVENT):
            raise ValueError("an aggregate filters and adds up fields of the event, nothing else")
        if kind == AggregateKind.DISTINCT and value is None:
            raise ValueError("DISTINCT needs a value to tell apart: a text_hash")
        size = {AggregateKind.EVENTS: exact_events, AggregateKind.DISTINCT: buckets}.get(kind, 0)
        size_max = BUCKETS_MAX if kind == AggregateKind.DISTINCT else EXACT_EVENTS_MAX
        if not 0 <= size <= size_max:
            raise ValueError(f"at most {size_max} can be kept a customer, not {size}")
        decays = kind in (AggregateKind.DECAY, AggregateKind.MOMENTS)
        if decays != (half_life_ms > 0):
            raise ValueError(f"{kind.name} takes {'a' if decays else 'no'} half-life")
        text = "1" if value is None else value.name
        name = f"{kind.name.lower()}|{where.name}|{text}|{half_life_ms}|{size}"
        known = self._aggregates.get(name)
        if known is None:
            number = -1 if value is None else value.number
            known = Aggregate(kind, where.number, number, name, half_life_ms, size)
            self._aggregates[name] = known
            self._asked.aggregates.append(known)
        return known

    def read(
        self, aggregate: Aggregate, reading: Reading, *, window_ms: int = 0, before: bool = False
    ) -> Register:
        """Read an aggregate right after each event, or (`before`) as it stood before it.

        Raises:
            ValueError: The kind has no such reading, or the window is out of range.
        """
        if reading not in READINGS[aggregate.kind]:
            raise ValueError(f"{aggregate.kind.name} has no reading {reading.name}")
        windowed = aggregate.kind == AggregateKind.EVENTS
        if (windowed or window_ms) and not WINDOW_MS_MIN <= window_ms <= WINDOW_MS_MAX:
            raise ValueError("a window is between one minute and 366 days")
        when = " before" if before else ""
        name = f"{reading.name.lower()}({aggregate.name}, {window_ms}){when}"
        register, new = self._register(name, Stage.FEATURE)
        if new:
            self._asked.reads.append(Read(aggregate, reading, window_ms, before, register))
            self._asked.features.append(register)
        return register

    def time_average(self, source: Register, half_life_ms: int) -> Register:
        """`source` minus its time-weighted average of this half-life: how far above its usual level."""
        if half_life_ms <= 0:
            raise ValueError("a half-life is positive")
        register, new = self._register(f"trend({source.name}, {half_life_ms})", Stage.SCORE)
        if new:
            self._asked.averages.append(TimeAverage(source, half_life_ms, register))
        return register

    def state(self, name: str, words: int) -> int:
        """Columns of the caller's own; the first word. The same name gives the same columns."""
        known = self._offsets.get(name)
        if known is not None:
            assert (name, words) in self._asked.states, "one name is one width"
            return known
        self._asked.states.append((name, words))
        self._offsets[name] = self._words
        self._words += words
        return self._offsets[name]

    def score(self, name: str, texts: tuple[str, ...] | None = None) -> Register:
        """A register that a score kernel fills, callable by `name` in rules."""
        register, new = self._register(f"score.{name}", Stage.SCORE)
        if new:
            self._asked.features.append(register)
            self.names[name] = Named(register, texts)
        return register

    def build(self) -> Plan:
        """Lay out the row and compile all that was asked for; the builder may be asked on and built again."""
        return compile_plan(
            self._asked,
            registers=len(self._by_name),
            names=self.names,
            duplicates_kept=self.duplicates_kept,
            lateness_ms=self.lateness_ms,
        )
