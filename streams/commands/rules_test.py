"""`rapport rules test`: events at times, and what rules must make of them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams import kernels
from streams.commands.options import (
    Problems,
    UsageError,
    as_json,
    counted,
    fail,
    print_json,
    say,
    settings_options,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.rule_tests import Report


class Percentage(click.ParamType):
    """A share of a whole."""

    name = "percentage"

    def convert(
        self,
        value: Any,  # noqa: ANN401  as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The fraction."""
        from rules.table import share

        found = share(str(value))
        if found is None:
            self.fail(f"{value!r} is no percentage; as in 90%", param, ctx)
        return found


@click.command(short_help="Run the tests of rules.")
@click.argument("places", metavar="[DIR|FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--min-coverage", "least", type=Percentage(), help="How much tests must show; as in 90%."
)
@as_json
@settings_options("rules", "model")
def test(
    settings: Settings, *, places: tuple[Path, ...], least: float | None, as_json: bool
) -> None:
    """Run test files (*.test.toml): events at times, and the fires that they must lead to.

    Then it says what the tests have not shown of the rules: rules that never fired, and clauses that were
    never true or never false.
    """
    kernels.load(say)
    from rules.errors import RulesError
    from streams.loader import TESTS_ENDING, Sources
    from streams.rule_tests import run

    asked = places or (Sources(rules=settings.rules).place,)
    for place in asked:
        if not place.exists() or not (place.is_dir() or place.name.endswith(TESTS_ENDING)):
            raise UsageError(f"{place}: give folders, or test files, which end in {TESTS_ENDING}")
    try:
        report = run(asked, Sources(model=settings.model).read_model())
    except RulesError as error:
        if as_json:
            print_json({"ok": False, "problems": [asdict(each) for each in error.problems]})
            raise Problems("") from error
        click.echo("\n\n".join(map(str, error.problems)), err=True)
        fail(f"{counted(len(error.problems), 'mistake')}; nothing can be tested")
    if not report.files:
        fail(f"there is no test file (*{TESTS_ENDING}) in {', '.join(map(str, asked))}")
    is_covered = least is None or report.coverage.share >= least
    is_good = is_covered and not report.failures
    if as_json:
        print_json({"ok": is_good, **_told(report)})
    else:
        _print(report)
    if report.failures:
        raise Problems("" if as_json else f"{counted(report.failed, 'case')} failed")
    if not is_covered:
        raise Problems("" if as_json else f"the coverage is to be at least {least:.0%}")


def _told(report: "Report") -> dict[str, Any]:
    coverage = report.coverage
    return {
        "problems": [],
        "files": report.files,
        "cases": report.cases,
        "failed": report.failed,
        "failures": [asdict(each) for each in report.failures],
        "untested": report.untested,
        "coverage": {
            "share": coverage.share,
            "met": coverage.met,
            "of": coverage.of,
            "rules": [
                {
                    "rule": each.rule.name,
                    "file": each.rule.file,
                    "line": each.rule.line,
                    "fires": each.fires,
                    "clauses": [asdict(clause) for clause in each.clauses],
                }
                for each in coverage.rules.values()
            ],
        },
    }


def _print(report: "Report") -> None:
    from streams.rule_tests import uncovered

    for each in report.failures:
        click.echo(f"{each.file}:{each.line}: {each.case}")
        click.echo(f"  expected: {each.expected}\n       got: {each.got}")
    cases, files = counted(report.cases, "case"), counted(report.files, "file")
    click.echo(f"{cases} in {files}, {report.failed} failed")
    coverage = report.coverage
    click.echo(f"coverage: {coverage.share:.1%} ({coverage.met} of {coverage.of})")
    for file in report.untested:
        click.echo(f"  {file}: no test file is about it")
    for rule, never in uncovered(coverage):
        click.echo("\n    ".join((f"  {rule}", *never)))
