"""What is said about a rule by command: a value, changed as people mean it."""

import pytest

from streams.controls import (
    CANARY,
    FOREVER_MS,
    NOTHING,
    SNOOZED_MAX,
    WORDS_MAX,
    Control,
    ControlError,
    Expected,
    Known,
    Stage,
    next_stage,
    paused,
    promoted,
    resumed,
    snoozed,
)

SHADOW, LIVE = Stage("shadow"), Stage("live")
FILE = Known(3, SHADOW)
DAY_MS = 86_400_000


def live(control: Control = NOTHING, file: Known = FILE) -> Control:
    return promoted(control, file, LIVE, Expected(40.0, 0.02), "ann", 1_000)


def test_a_stage_that_was_said_holds_until_the_file_says_another_or_goes_back() -> None:
    """Who writes a stage into a file means it; a file that is rolled back was never promoted."""
    control = live()

    assert control.stage(FILE) == LIVE
    assert control.stage(Known(4, SHADOW)) == LIVE
    assert control.stage(Known(2, SHADOW)) == SHADOW
    assert control.stage(Known(4, Stage("canary", 0.2))) == Stage("canary", 0.2)
    assert NOTHING.stage(FILE) == SHADOW
    assert control.expected == Expected(40.0, 0.02)


def test_a_rule_is_not_promoted_to_where_it_is() -> None:
    """Else what is expected of it would be another at each repetition."""
    with pytest.raises(ControlError, match="in the stage live already"):
        live(live())
    with pytest.raises(ControlError, match="in the stage shadow already"):
        promoted(NOTHING, FILE, SHADOW, None, "ann", 1)


def test_stages_follow_each_other() -> None:
    """`promote` without more goes one step."""
    names = ["draft"]
    stage = Stage("draft")
    while stage.name != "live":
        stage = next_stage(stage)
        names.append(str(stage))

    assert names == ["draft", "shadow", f"canary {100 * CANARY:g}%", "live"]
    with pytest.raises(ControlError, match="live already"):
        next_stage(stage)
    assert [each.acts_for for each in (SHADOW, Stage("canary", 0.25), LIVE)] == [0.0, 0.25, 1.0]


def test_a_rule_that_is_paused_is_so_until_it_is_resumed() -> None:
    """Beyond the time of any event, so that nothing wakes it but people."""
    control = paused(live(), "too many calls", "bob", 2_000)

    assert control.until_ms == FOREVER_MS
    assert control.stage(FILE) == LIVE
    with pytest.raises(ControlError, match="paused already, by bob"):
        paused(control, "", "ann", 3_000)
    assert resumed(control, 4_000) == live()
    with pytest.raises(ControlError, match="neither paused nor snoozed"):
        resumed(live(), 4_000)


def test_who_resumes_a_rule_that_the_guard_has_paused_accepts_what_it_found() -> None:
    """Else the next look would pause it again, and there were no way on."""
    control = paused(live(), "far too many", "guard", 2_000, found=Expected(900.0, 0.01))

    assert resumed(control, 3_000).expected == Expected(900.0, 0.02)


def test_a_rule_is_snoozed_for_all_or_for_one_customer() -> None:
    """And each of them ends by itself, or is ended by name."""
    control = snoozed(NOTHING, 2 * DAY_MS, "ann", DAY_MS)
    control = snoozed(control, 3 * DAY_MS, "ann", DAY_MS, "c-7")

    assert (control.until_ms, control.customers) == (2 * DAY_MS, {"c-7": 3 * DAY_MS})
    assert resumed(control, DAY_MS, "c-7").customers == {}
    assert resumed(control, DAY_MS).customers == {"c-7": 3 * DAY_MS}
    with pytest.raises(ControlError, match="not snoozed for c-8"):
        resumed(control, DAY_MS, "c-8")
    with pytest.raises(ControlError, match="neither"):
        resumed(control, 2 * DAY_MS)
    for until_ms in (DAY_MS, FOREVER_MS):
        with pytest.raises(ControlError, match="is over, or never comes"):
            snoozed(NOTHING, until_ms, "ann", DAY_MS)


def test_snoozes_that_are_over_make_room_and_more_than_the_most_are_refused() -> None:
    """A control is one value in Redis: it must not grow for ever."""
    full = Control(customers={f"c-{k}": 10 * DAY_MS for k in range(SNOOZED_MAX)})

    with pytest.raises(ControlError, match="10,000 customers"):
        snoozed(full, 20 * DAY_MS, "ann", DAY_MS, "c-new")
    assert snoozed(full, 20 * DAY_MS, "ann", 10 * DAY_MS, "c-new").customers == {
        "c-new": 20 * DAY_MS
    }


@pytest.mark.parametrize("text", ["x" * (WORDS_MAX + 1), "two\nlines", "\x1b[31m"])
def test_words_that_cannot_be_shown_on_a_line_are_refused(text: str) -> None:
    """They are shown in terminals and logs, long after who wrote them has gone."""
    with pytest.raises(ControlError, match="why has"):
        paused(NOTHING, text, "ann", 1)
