"""The rule table: what the kernels know of each rule, as integers.

Promise   Only numbers of columns, words and codes; each has one name here.
Not here  Filling the tables (evaluate.py). Reading them (decide.py, runs.py).
"""

from typing import Final

RESTRAINTS: Final = (
    "consent",
    "snooze",
    "quiet",
    "cap",
    "cooldown",
    "over",
)  # in order of precedence

# Columns of `RulePlan.table`, one row a rule; the first ones are looked at for each event and fill one cache
# line. Registers and places are -1 where the rule has no such thing.
CONDITION: Final = 0  # register of `when and not unless`; for `on`, of the events too
TRIGGER: Final = 1  # EDGE, EACH or SEQUENCE
STATE_AT: Final = 2  # word: 2 × time of the last fire + whether the condition held
TOUCHED: Final = 3  # register: without it an event is nothing to a rule that is no EDGE
FOR_AT: Final = 4  # word: when the condition will have held for long enough
COOLDOWN_MS: Final = 5
FOR_MS: Final = 6
CONSENT: Final = 7  # register
SNOOZED_MS: Final = 8  # until then; written while running
QUIET_AT: Final = 9  # word: when the quiet hours end that a fire waits for
QUIET_FROM: Final = 10
QUIET_TO: Final = 11
QUIET_WAITS: Final = 12
QUIET_ZONE: Final = 13  # register with the zone's code
CAP_AT: Final = 14  # words: place in the ring, then the ring of CAP_SIZE times
CAP_SIZE: Final = 15
CAP_COUNT: Final = 16
CAP_MS: Final = 17
HELD_BACK_AT: Final = 18  # words: 8 × when + which restraint, allowed again
RUNS_AT: Final = 19  # words: RUN_WORDS a run
RUNS: Final = 20
KEY: Final = 21  # register with the hash of the run's key
STEPS_AT: Final = 22  # first row of the rule's steps in `RulePlan.steps`
STEPS: Final = 23
SNOOZED_AT: Final = 24  # register: until when the rule is snoozed for the event's customer
ENDS: Final = 25  # 1 where somebody is told when the condition is over
COLUMNS: Final = 26

EDGE, EACH, SEQUENCE = 0, 1, 2
CONSENT_IS_MISSING, IS_SNOOZED, IS_QUIET, IS_CAPPED, IS_COOLING, IS_OVER = range(len(RESTRAINTS))

# Columns of `RulePlan.steps`.
FILTER, WITHIN_MS, IS_ABSENT = 0, 1, 2

# Words of one run in a row.
RUN_AT: Final = 0  # when the step before was done; 0: no run
RUN_STEP: Final = 1  # which step is awaited
RUN_KEY: Final = 2
RUN_BEGAN: Final = 3
RUN_WORDS: Final = 4

# Words of the kernel's notes.
FIRED, ALLOWED_MS, DROPPED_RUNS, HELD_BACK = 0, 1, 2, 3
NOTES: Final = 4
