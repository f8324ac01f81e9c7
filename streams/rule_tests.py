"""The tests of rules: cases run by the engine that runs live, and what of them fails.

Promise   A case passes when every fire that it expects comes, at the second, and no other fire of the
          rules that it looks at. The engine, the timers and the replay are those of everywhere else.
How       A case is a replay of its events, for customers of whom nothing was known. Rules are judged as
          if they were live for everybody, without hold-out: which customers a hash would leave out
          must not decide a test. Drafts are tested too.
Limits    Those of rule_cases.py. One engine for each set of rule files.
Not here  Reading test files (rule_cases.py). What tests have shown of rules (rule_coverage.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from processors.batch import RECORDS_MAX
from processors.model import Model
from rules.action import Action
from rules.duration import UNITS_MS
from rules.errors import Problem, RulesError
from rules.ruleset import RuleSet
from streams.loader import TESTS_ENDING, LoadError, read_files, rule_paths, toml_paths
from streams.replay import Watchers, replay
from streams.rule_cases import Case, Expected, case_file
from streams.rule_coverage import Coverage
from streams.source import Chunk
from streams.step import Engine

GOT_MAX: Final = 5  # fires told beside one that did not come
TOLD_MAX: Final = 10  # failures told of one case


@dataclass(frozen=True, slots=True)
class Fired:
    """A fire that came."""

    rule: str
    customer_id: str
    at_ms: int  # after the start
    reason: str

    def __str__(self) -> str:
        said = f": {self.reason}" if self.reason else ""
        return f"{self.rule} at {offset_text(self.at_ms)} for {self.customer_id}{said}"


@dataclass(frozen=True, slots=True)
class Failure:
    """What of a case is not as it should be."""

    file: str
    line: int
    case: str
    expected: str
    got: str


@dataclass(slots=True)
class Report:
    """What came of all test files."""

    files: int = 0
    cases: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    untested: list[str] = field(default_factory=list)  # rule files that no test file names


def run(places: Sequence[Path], model: Model) -> Report:
    """Run the test files of these folders, and those that are named.

    Rule files of the folders that no test is about count as not covered.

    Raises:
        RulesError: Mistakes in test files or in rules; those of all files.
        LoadError: A file or folder cannot be read.
    """
    report = Report()
    engines: dict[tuple[Path, ...], Engine] = {}
    problems: list[Problem] = []
    for path in dict.fromkeys(each for place in places for each in _test_paths(place)):
        try:
            _run_file(path, model, engines, report)
        except RulesError as error:
            problems += error.problems
    if problems:
        raise RulesError(list(dict.fromkeys(problems)))
    tested = {path.resolve() for paths in engines for path in paths}
    for place in places:
        if place.is_dir():
            rest = [path for path in rule_paths(place) if path.resolve() not in tested]
            report.untested += map(str, rest)
            report.coverage.add(read_files(rest, model).rules)
    return report


def failures_of(case: Case, engine: Engine, coverage: Coverage) -> list[Failure]:
    """Run one case, and say what fails.

    Args:
        case: of these rules.
        engine: made by `acting`.
        coverage: is told what was seen.
    """
    fired: dict[tuple[str, str, str], Fired] = {}

    def note(actions: Sequence[Action]) -> None:
        for each in actions:  # one for each target
            after_ms = each.at_ms - case.start_ms
            fire = Fired(each.rule, each.customer_id, after_ms, each.reason)
            fired.setdefault((each.rule, each.customer_id, each.cause), fire)

    before = engine.rule_plan.suppressed_by
    watchers = Watchers(coverage.observer(engine), note)
    replayed = replay(
        _Records(case), engine, case.newest_ms, watchers, until_ms=case.until_ms, table_bytes_max=0
    )
    held_back = _more(before, engine.rule_plan.suppressed_by)
    assert not replayed.dead, "what is no event, or late, is none of a case"
    found = list(_compared(case, list(fired.values()), held_back))
    if len(found) > TOLD_MAX:
        rest = f"{len(found) - TOLD_MAX} more failures"
        found[TOLD_MAX:] = [Failure(case.file, case.line, case.name, "none of these", rest)]
    return found


def acting(model: Model, rules: RuleSet) -> Engine:
    """An engine in which every rule acts for everybody."""
    live = tuple(replace(each, stage="live", canary=0.0, holdout=0.0) for each in rules.rules)
    return Engine(model, RuleSet(live))


def offset_text(time_ms: int) -> str:
    """A time after the start, as test files write it.

    >>> offset_text(93_784_000), offset_text(0)
    ('1d 2h 3m 4s', '0s')
    """
    left, said = time_ms, []
    for unit in ("d", "h", "m", "s", "ms"):
        many, left = divmod(left, UNITS_MS[unit])
        if many:
            said.append(f"{many}{unit}")
    return " ".join(said) or "0s"


def _test_paths(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    try:
        return [path for path in toml_paths(place) if path.name.endswith(TESTS_ENDING)]
    except OSError as error:
        raise LoadError(f"{place}: cannot be looked at: {error.strerror}") from error


def _run_file(
    path: Path, model: Model, engines: dict[tuple[Path, ...], Engine], report: Report
) -> None:
    try:
        tests = case_file(path, path.read_bytes())
    except OSError as error:
        raise LoadError(f"{path}: cannot be read: {error.strerror}") from error
    paths = tests.rules
    if paths not in engines:
        engines[paths] = acting(model, read_files(paths, model))
    engine = engines[paths]
    cases = tests.cases([each.name for each in engine.rules.rules])
    report.files += 1
    report.cases += len(cases)
    for case in cases:
        found = failures_of(case, engine, report.coverage)
        report.failed += bool(found)
        report.failures += found


class _Records:
    """The events of a case, as a source."""

    def __init__(self, case: Case) -> None:
        self.name = case.file
        self.notices: tuple[str, ...] = ()
        self._case = case

    def fingerprint(self) -> str:
        return f"{self._case.file}:{self._case.line}"

    def count(self) -> int | None:
        return len(self._case.values)

    def chunks(self, skip: int = 0, size: int = RECORDS_MAX) -> Iterator[Chunk]:
        values = self._case.values
        for first in range(skip, len(values), size):
            part = list(values[first : first + size])
            yield Chunk(range(first + 1, first + 1 + len(part)), [*part])


def _more(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """What has held each rule back since."""
    return {
        rule: {
            why: many - before[rule].get(why, 0)
            for why, many in found.items()
            if many > before[rule].get(why, 0)
        }
        for rule, found in after.items()
    }


def _compared(
    case: Case, fired: list[Fired], held_back: dict[str, dict[str, int]]
) -> Iterator[Failure]:
    taken = _paired(case.fires, fired)
    missed = [each for place, each in enumerate(case.fires) if place not in taken]
    for each in missed:
        others = [fire for fire in fired if fire.rule == each.rule]
        shown = [str(fire) for fire in others[:GOT_MAX]] or ["no fire"]
        shown += [f"and {len(others) - GOT_MAX} more"] if len(others) > GOT_MAX else []
        shown += [f"held back by {why}: {n}" for why, n in held_back[each.rule].items()]
        yield Failure(case.file, each.line, case.name, _words(each), "; ".join(shown))
    known = {*taken.values()}
    told = {each.rule for each in missed}  # with its fires, above
    for number, fire in enumerate(fired):
        if number not in known and fire.rule not in told and case.looks_at(fire.rule):
            wanted = "no fire" if fire.rule in case.fires_not else "no such fire"
            yield Failure(case.file, case.line, case.name, f"{wanted} of {fire.rule}", str(fire))


def _words(expected: Expected) -> str:
    for_whom = "" if expected.customer is None else f" for {expected.customer}"
    because = f", the reason with {expected.reason!r}" if expected.reason else ""
    return f"{expected.rule} at {offset_text(expected.at_ms)}{for_whom}{because}"


def _paired(expected: Sequence[Expected], fired: Sequence[Fired]) -> dict[int, int]:
    """Of each expected fire that came, the one that it is: as many pairs as there can be."""
    owner: dict[int, int] = {}  # of a fire, whom it is given to

    def give(place: int, asked: set[int]) -> bool:
        for number, fire in enumerate(fired):
            if number in asked or not _is(expected[place], fire):
                continue
            asked.add(number)
            if number not in owner or give(owner[number], asked):
                owner[number] = place
                return True
        return False

    for place in range(len(expected)):
        give(place, set())
    return {place: number for number, place in owner.items()}


def _is(expected: Expected, fire: Fired) -> bool:
    second_ms = UNITS_MS["s"]
    return (
        fire.rule == expected.rule
        and fire.at_ms // second_ms == expected.at_ms // second_ms
        and expected.customer in (None, fire.customer_id)
        and expected.reason in fire.reason
    )


def uncovered(coverage: Coverage) -> Iterable[tuple[str, list[str]]]:
    """Each rule of which something was not shown, with what."""
    for each in coverage.rules.values():
        never = [] if each.fires else ["never fired"]
        for clause in each.clauses:
            never += [] if clause.seen_true else [f"never true: {clause.text}"]
            never += [] if clause.seen_false else [f"never false: {clause.text}"]
        if never:
            yield f"{each.rule.file}:{each.rule.line}: {each.rule.name}", never
