"""Loading: from rule files to a set of rules, or to every mistake in them at once.

Promise   A set of rules is whole or it is not there: one mistake in one file refuses them all.
How       tomllib for values, position.py for places, definition.py for each rule.
Limits    RULES_MAX rules, FILE_BYTES_MAX a file, RUNS_MAX runs of sequences, PROBLEMS_MAX mistakes told.
Not here  Opening files: the caller hands their bytes over, by name.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Final

from processors.register import Named
from rules.definition import definition
from rules.errors import Problem, RulesError
from rules.position import Positions, positions
from rules.rule import Rule
from rules.ruleset import RuleSet
from rules.sequence import RUNS_KEYED_MAX, RUNS_MAX
from rules.syntax import Span
from rules.table import NAME, Table

RULES_MAX: Final = 1_000
FILE_BYTES_MAX: Final = 64 * 1024
PROBLEMS_MAX: Final = 100  # nobody mends more in one go
NAMED_MAX: Final = 10  # rules named in one message
_TOML_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TOML_TWICE: Final = re.compile(r"^Cannot (?:declare \(.*\) twice|overwrite a value)|^Duplicate ")


def load(files: Mapping[str, bytes], names: Mapping[str, Named]) -> RuleSet:
    """Read and check rule files.

    Args:
        files: the bytes of each file by its name, as messages should show it.
        names: the scores that rules may use (`PlanBuilder.names`).

    Raises:
        RulesError: With every mistake that was found, up to PROBLEMS_MAX.
    """
    scores = {name: named.texts for name, named in names.items()}
    problems: list[Problem] = []
    rules: dict[str, Rule | None] = {}
    places: dict[str, str] = {}
    for file in sorted(files):
        found = document(file, files[file], problems)
        if found is None:
            continue
        values, where = found
        for name, table in _tables(values, where, problems).items():
            span = where.keys.get(("rule", name), Span(0, 0))
            if name in places:
                message = f"there is another rule `{name}`, in {places[name]}"
                problems.append(where.problem(span, message, "give one of them another name"))
                continue
            places[name] = file
            rules[name] = definition(Table(name, table, where, scores, problems))
    problems.sort(key=lambda each: (each.file, each.line, each.column))
    if len(rules) > RULES_MAX:
        message = f"there are {len(rules)} rules, at most {RULES_MAX} are allowed"
        problems.append(Problem("", 0, 0, message, "take some away"))
    good = [rule for rule in rules.values() if rule is not None]
    problems += _too_many_runs(good)
    if problems:
        raise RulesError(problems[:PROBLEMS_MAX])
    return RuleSet(tuple(good))


def _too_many_runs(rules: Sequence[Rule]) -> list[Problem]:
    """Whether a customer could have more runs of sequences open than a row has room for."""
    runs = {rule.name: rule.sequence.runs_max for rule in rules if rule.sequence is not None}
    many = sum(runs.values())
    if many <= RUNS_MAX:
        return []
    largest = sorted(runs, key=lambda name: -runs[name])  # in the order of files where equal
    named = ", ".join(f"{name} ({runs[name]})" for name in largest[:NAMED_MAX])
    more = f" and {len(runs) - NAMED_MAX} more" if len(runs) > NAMED_MAX else ""
    message = (
        f"sequences could have {many} runs open for one customer, at most {RUNS_MAX} are allowed:"
        f" {named}{more}"
    )
    mend = f"take `key` away where one run will do ({RUNS_KEYED_MAX} with it), or take rules away"
    return [Problem("", 0, 0, message, mend)]


def document(
    file: str, data: bytes, problems: list[Problem]
) -> tuple[dict[str, object], Positions] | None:
    """What TOML says in a file, and where; None, and a problem noted, where it is none."""
    if len(data) > FILE_BYTES_MAX:
        message = f"the file has {len(data)} bytes, at most {FILE_BYTES_MAX} are allowed"
        problems.append(Problem(file, 0, 0, message, "split it into several files"))
        return None
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problems.append(
            Problem(file, line, column, "the file is not UTF-8 text", "save it as UTF-8")
        )
        return None
    try:
        return tomllib.loads(text), positions(file, text)
    except (
        ValueError
    ) as error:  # TOMLDecodeError is one; a number of thousands of digits is another
        problems.append(_toml_problem(Positions(file, text), str(error)))
    except RecursionError:
        problems.append(
            Problem(file, 0, 0, "the file is nested too deeply", "a rule needs no such depth")
        )
    return None


def _toml_problem(where: Positions, said: str) -> Problem:
    place = _TOML_PLACE.search(said)
    message = f"this is not TOML: {_TOML_PLACE.sub('', said)}"
    mend = "texts stand in quotes, one `key = value` a line"
    if _TOML_TWICE.match(said):
        message = "this was given before in this file"
        mend = "take one of the two away, or rename it; other mistakes of this file are told after that"
    elif place is None:
        mend = "something is missing at the end"
    if place is None:
        end = max(0, len(where.text.rstrip()) - 1)
        return where.problem(Span(end, end + 1), message, mend)
    line, column = int(place[1]), int(place[2])
    start = 0
    for _ in range(line - 1):
        start = where.text.find("\n", start) + 1
    at = start + column - 1
    return where.problem(Span(at, at + 1), message, mend)


def _tables(
    document: dict[str, object], where: Positions, problems: list[Problem]
) -> dict[str, dict[str, object]]:
    """The rules' tables of one file by name."""
    for key in document:
        if key != "rule":
            span = where.keys.get((key,)) or _first_below(where, key)
            message = f"`{key}` is no part of a rule file"
            problems.append(where.problem(span, message, "rules are written as [rule.NAME]"))
    listed = document.get("rule", {})
    tables: dict[str, dict[str, object]] = {}
    for name, table in listed.items() if isinstance(listed, dict) else [("rule", listed)]:
        span = where.keys.get(("rule", name)) or _first_below(where, "rule")
        if not isinstance(table, dict):
            problems.append(where.problem(span, f"`{name}` is no rule", "write [rule.NAME]"))
        elif not NAME.fullmatch(name):
            mend = "use up to 64 letters, digits and - _ ."
            problems.append(where.problem(span, f"`{name[:80]}` cannot name a rule", mend))
        else:
            tables[name] = table
    return tables


def _first_below(where: Positions, key: str) -> Span:
    return next((span for address, span in where.keys.items() if address[0] == key), Span(0, 1))
