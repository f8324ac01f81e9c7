"""The controls: what people, and the guard, have said about rules while they run.

Promise   A control is a value; each change makes another one of it, and says nothing about time or
          place that it was not told. What was said by command about a stage holds for the version of
          the rule that it was said about and for later ones, until the file says another stage.
How       One control a rule. A rule that is paused is snoozed for ever.
Limits    SNOOZED_MAX customers a rule for whom it is snoozed; WORDS_MAX characters of a reason or a name.
Not here  Keeping them (controls_redis.py). Rules under them (controlled.py). Judging (guard.py).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from processors.event import TIME_MS_MAX
from streams.errors import StreamsError

SNOOZED_MAX: Final = 10_000
WORDS_MAX: Final = 500
FOREVER_MS: Final = TIME_MS_MAX + 1  # beyond the time of any event
STAGES: Final = ("draft", "shadow", "canary", "live")
CANARY: Final = 0.1  # its share of the customers, unless it is said
PAUSED_BY_GUARD: Final = "guard"


class ControlError(StreamsError):
    """What was asked for a rule cannot be: the sentence says what can."""


class AskError(ControlError):
    """What was asked cannot be read: the sentence says how to write it."""


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a rule has come."""

    name: str  # one of STAGES
    share: float = 0.0  # of the customers, in a canary

    @property
    def acts_for(self) -> float:
        """The share of the customers for whom the rule acts."""
        return {"canary": self.share, "live": 1.0}.get(self.name, 0.0)

    def __str__(self) -> str:
        """As a file has it.

        >>> str(Stage("canary", 0.125))
        'canary 12.5%'
        """
        return f"canary {100 * self.share:g}%" if self.name == "canary" else self.name


class Known(msgspec.Struct, frozen=True):
    """A rule as files have it, for who has no files."""

    version: int
    stage: Stage


class Expected(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule is expected to do at most, since it was promoted."""

    an_hour: float  # fires
    share: float  # of the customers, within a day


class Staged(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stage that was said by command."""

    stage: Stage
    of: Known  # what it was said about
    by: str
    at_ms: int


class Pause(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that does nothing until somebody resumes it."""

    why: str
    by: str
    at_ms: int
    found: Expected | None = None  # what the guard has found; who resumes the rule accepts it


class Snooze(msgspec.Struct, frozen=True):
    """A rule that does nothing until a time."""

    until_ms: int
    by: str
    at_ms: int


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that was said about a rule."""

    staged: Staged | None = None
    pause: Pause | None = None
    snooze: Snooze | None = None
    customers: dict[str, int] = msgspec.field(default_factory=dict)  # snoozed for each until then
    expected: Expected | None = None  # since it was promoted; None: it was not

    @property
    def until_ms(self) -> int:
        """Until when the rule does nothing for anybody; 0: it does."""
        if self.pause is not None:
            return FOREVER_MS
        return 0 if self.snooze is None else self.snooze.until_ms

    def stage(self, file: Known) -> Stage:
        """The stage in force of a rule that files have like this."""
        said = self.overridden(file)
        return file.stage if said is None else said.stage

    def overridden(self, file: Known) -> Staged | None:
        """What was said by command about the stage, if it holds for the rule in this file."""
        said = self.staged
        if said is None or file.version < said.of.version or file.stage != said.of.stage:
            return None
        return said


NOTHING: Final = Control()

Controls = Mapping[str, Control]
"""By rule; of most there is none."""


def promoted(
    control: Control, file: Known, stage: Stage, expected: Expected | None, by: str, at_ms: int
) -> Control:
    """The rule is in this stage from now on; `expected` of it where it acts.

    Raises:
        ControlError: It is there already.
    """
    if stage == control.stage(file):
        raise ControlError(f"the rule is in the stage {stage} already")
    staged = Staged(stage, file, words(by, "by"), at_ms)
    return msgspec.structs.replace(control, staged=staged, expected=expected)


def next_stage(stage: Stage) -> Stage:
    """The stage that comes after this one.

    Raises:
        ControlError: It is the last one.
    """
    if stage.name == "live":
        raise ControlError("the rule is live already; --to names another stage")
    found = STAGES[STAGES.index(stage.name) + 1]
    return Stage(found, CANARY if found == "canary" else 0.0)


def paused(
    control: Control, why: str, by: str, at_ms: int, found: Expected | None = None
) -> Control:
    """The rule does nothing from now on.

    Raises:
        ControlError: It is paused already.
    """
    if control.pause is not None:
        raise ControlError(f"the rule is paused already, by {control.pause.by}")
    pause = Pause(words(why, "why"), words(by, "by"), at_ms, found)
    return msgspec.structs.replace(control, pause=pause)


def resumed(control: Control, at_ms: int, customer_id: str | None = None) -> Control:
    """The rule goes on: for all but those for whom it is snoozed, or for this customer.

    What the guard has found counts as expected from now on.

    Raises:
        ControlError: Nothing keeps it from going on.
    """
    if customer_id is not None:
        if control.customers.get(customer_id, 0) <= at_ms:
            raise ControlError(f"the rule is not snoozed for {customer_id}")
        left = {each: until for each, until in control.customers.items() if each != customer_id}
        return msgspec.structs.replace(control, customers=left)
    if control.until_ms <= at_ms:
        raise ControlError("the rule is neither paused nor snoozed")
    expected, found = control.expected, None if control.pause is None else control.pause.found
    if expected is not None and found is not None:
        expected = Expected(max(expected.an_hour, found.an_hour), max(expected.share, found.share))
    return msgspec.structs.replace(control, pause=None, snooze=None, expected=expected)


def snoozed(
    control: Control, until_ms: int, by: str, at_ms: int, customer_id: str | None = None
) -> Control:
    """The rule does nothing until then: for this customer, or for all.

    Raises:
        ControlError: That time is over, or it is snoozed for SNOOZED_MAX customers already.
    """
    if not at_ms < until_ms <= TIME_MS_MAX:
        raise ControlError("the time until which the rule is to be snoozed is over, or never comes")
    if customer_id is None:
        snooze = Snooze(until_ms, words(by, "by"), at_ms)
        return msgspec.structs.replace(control, snooze=snooze)
    left = {each: until for each, until in control.customers.items() if until > at_ms}
    left[customer_id] = until_ms
    if len(left) > SNOOZED_MAX:
        raise ControlError(
            f"the rule is snoozed for {SNOOZED_MAX:,} customers, which is the most; give the others"
            " an attribute, and name it in the rule's unless"
        )
    return msgspec.structs.replace(control, customers=left)


def words(text: str, what: str) -> str:
    """A text that goes into the history.

    Raises:
        ControlError: It is too long, or cannot be shown.
    """
    if len(text) > WORDS_MAX:
        raise ControlError(f"{what} has {len(text):,} characters; {WORDS_MAX} are the most")
    if not text.isprintable():
        raise ControlError(f"{what} has characters that cannot be shown, such as the end of a line")
    return text
