"""The keys of a rule: each read whole, and every mistake told at its place, with its mend."""

import pytest

from rules.restraint import CAP_COUNT_MAX, Cap, Quiet
from rules.spell import spell
from tests.rules.loading import mistakes, rule

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


def test_a_condition_with_its_exception_and_its_time_is_read() -> None:
    """A rule without its `unless` would be another rule, and call the wrong people."""
    read = rule('when = "health < 40"\nunless = "orders_count > 3"\nfor = "10m"')

    assert read.when is not None
    assert read.unless is not None
    assert (spell(read.when), spell(read.unless)) == ("health < 40", "orders_count > 3")
    assert read.for_ms == 10 * MINUTE_MS


def test_restraints_are_read_whole() -> None:
    """They decide who is called at night."""
    read = rule("""
when     = "health < 40"
cap      = { per_customer = "3 per 30d", channel = "phone" }
quiet    = { from = "21:00", to = "09:00", zone = "customer", then = "drop" }
consent  = "phone"
holdout  = "12.5%"
stage    = "canary 10%"
cooldown = "14d"
""")

    assert read.cap == Cap(3, 30 * DAY_MS, "phone")
    assert read.quiet == Quiet(21 * 60, 9 * 60, "customer", waits=False)
    assert (read.consent, read.purpose, read.holdout) == ("phone", "marketing", 0.125)
    assert (read.stage, read.canary, read.cooldown_ms) == ("canary", 0.1, 14 * DAY_MS)


def test_what_is_not_said_has_defaults() -> None:
    """A rule of before, without any of the new keys, is what it was."""
    read = rule('when = "health < 40"')

    assert (read.on, read.sequence, read.unless, read.for_ms) == (None, None, None, 0)
    assert (read.cap, read.quiet, read.consent, read.purpose) == (None, None, None, "")
    assert (read.holdout, read.stage, read.canary) == (0.0, "live", 0.0)


@pytest.mark.parametrize(
    ("lines", "purpose", "holdout"),
    [
        ('purpose = "marketing"', "marketing", 0.1),
        ('consent = "email"', "marketing", 0.1),
        ('consent = "email"\npurpose = "service"', "service", 0.0),
        ('purpose = "marketing"\nholdout = "0%"', "marketing", 0.0),
        ('purpose = "risk"\nholdout = "50 %"', "risk", 0.5),
    ],
)
def test_marketing_holds_out_a_tenth_unless_told_otherwise(
    lines: str, purpose: str, holdout: float
) -> None:
    """Without a group that is left alone, nobody knows what a campaign was worth."""
    read = rule(f'when = "health < 40"\n{lines}')

    assert (read.purpose, read.holdout) == (purpose, holdout)


def test_a_plain_cap_counts_this_rule_and_quiet_hours_are_in_utc() -> None:
    """The short forms mean what the reference says."""
    read = rule('when = "health < 4"\ncap = "1 per 1d"\nquiet = { from = "00:00", to = "06:30" }')

    assert read.cap == Cap(1, DAY_MS, None)
    assert read.quiet == Quiet(0, 390, "UTC", waits=True)


@pytest.mark.parametrize("stage", ["draft", "shadow", "live"])
def test_a_stage_is_a_word(stage: str) -> None:
    """From doing nothing to acting for everybody."""
    assert rule(f'when = "health < 4"\nstage = "{stage}"').stage == stage


IN_WHEN = [
    (f"version = {2**31}", f"{2**31}", "whole number from 1", "version = 1"),
    (f'describe = "{"x" * 1_001}"', None, "at most 1000 characters", ""),
    ('for = "10"', "10", "no duration", '"10m"'),
    ('for = "0s"', '"0s"', "longer than nothing", "take it away"),
    ('for = "400d"', '"400d"', "at most 366d", "check the unit"),
    ("for = 10", "10", "`for` takes a text", 'for = "…"'),
    ('unless = "helth < 4"', "helth", "not known", "`health`"),
    ('unless = "amount < 4"', "amount", "not about one event", "count(order.placed where amount"),
    ('key = "session_id"', "key", "and there is none", 'sequence = ["click.add_to_cart"'),
    ("cap = 3", "3", "a text or a table", '"3 per 30d"'),
    ('cap = "3"', '"3"', "this is no cap", '"3 per 30d"'),
    ('cap = "3 per 30"', "30", "no duration", '"10m"'),
    ('cap = "0 per 30d"', '"0 per 30d"', "from 1 to 64, not 0", 'stage = "draft"'),
    ('cap = "65 per 30d"', '"65 per 30d"', "from 1 to 64, not 65", "shorter time"),
    ('cap = "3 per 367d"', '"3 per 367d"', "over 1m to 366d", "in between"),
    ('cap = "3 per 59s"', '"3 per 59s"', "over 1m to 366d", "in between"),
    ("cap = { }", "{ }", "how many for a customer", 'per_customer = "3 per 30d"'),
    ("cap = { per_customer = 3 }", "3", "how many for a customer", ""),
    ('cap = { per_custmer = "1 per 1d" }', "per_custmer", "no key of `cap`", "`per_customer`"),
    ('cap = { per_customer = "1 per 1d", channel = "a b" }', '"a b"', "cannot be a channel", ""),
    ('quiet = "21:00"', '"21:00"', "takes a table", 'from = "21:00", to = "09:00"'),
    ('quiet = { from = "21:00" }', '{ from = "21:00" }', "`quiet` needs `to`", "as in quiet"),
    ('quiet = { from = "21", to = "09:00" }', '"21"', "no time of the day", '"00:00" to "23:59"'),
    ('quiet = { from = "21:00", to = "24:00" }', '"24:00"', "no time of the day", ""),
    ("quiet = { from = 21, to = '09:00' }", "21", "no time of the day", ""),
    ("quiet = { from = '21:00', to = 09:00:00 }", "09:00:00", "no time of the day", ""),
    ('quiet = { from = "09:00", to = "09:00" }', '"09:00"', "begin when they end", "another end"),
    (
        'quiet = { from = "21:00", to = "09:00", zone = "Europe/Rom" }',
        '"Europe/Rom"',
        "no time zone",
        "did you mean `Europe/Rome`?",
    ),
    ('quiet = { from = "21:00", to = "09:00", zone = 1 }', "1", "no time zone", '"customer"'),
    ('quiet = { from = "21:00", to = "09:00", then = "drp" }', '"drp"', "can be done", "`drop`"),
    ('quiet = { from = "21:00", to = "09:00", till = "x" }', "till", "no key of `quiet`", ""),
    ('consent = "e-mail"', '"e-mail"', "cannot be a channel", '"email"'),
    ("consent = true", "true", "cannot be a channel", ""),
    ('purpose = "marketting"', '"marketting"', "no purpose", "`marketing`"),
    ("holdout = 0.1", "0.1", "no share of the customers", 'holdout = "10%"'),
    ('holdout = "101%"', '"101%"', "no share of the customers", ""),
    ('holdout = "10"', '"10"', "no share of the customers", ""),
    ('holdout = "100%"', '"100%"', "nobody would be left", 'stage = "shadow"'),
    ('stage = "canry 5%"', '"canry 5%"', "no stage", "`canary`"),
    ('stage = "canary"', '"canary"', "needs its share", '"canary 10%"'),
    ('stage = "canary 0%"', '"canary 0%"', "a canary no more", '"shadow"'),
    ('stage = "canary 100%"', '"canary 100%"', "a canary no more", '"live"'),
    ('on = "order.placed"\nfor = "1h"', "for", "looks at a moment", "take `on` away"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "piece", "said", "mend"), IN_WHEN)
def test_a_mistake_in_a_key_is_told_with_its_piece_and_its_mend(
    lines: str, piece: str | None, said: str, mend: str
) -> None:
    """Nobody knows the forms by heart; the message is where they are learned."""
    ((found, problem),) = mistakes(f'when = "health < 4"\n{lines}')

    assert piece is None or found == piece
    assert said in problem.message
    assert mend in problem.mend


def test_a_share_of_alerts_may_be_held_out() -> None:
    """Whether an alarm helps can be measured too."""
    assert rule('when = "health < 4"\nholdout = "5%"').holdout == 0.05


def test_a_cap_reaches_its_bound() -> None:
    """The times of so many fires are words of the row."""
    read = rule(f'when = "health < 4"\ncap = "{CAP_COUNT_MAX} per 366d"')

    assert read.cap == Cap(CAP_COUNT_MAX, 366 * DAY_MS, None)
