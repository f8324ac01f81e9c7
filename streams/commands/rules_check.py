"""`rapport rules check`: mistakes in rules, remarks on them, and what they cost."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from streams import kernels
from streams.commands.options import (
    Problems,
    as_json,
    counted,
    fail,
    print_json,
    say,
    settings_options,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from rules.cost import Cost, Costs
    from rules.errors import RulesError
    from rules.remark import Remark
    from rules.ruleset import RuleSet

DEAREST: Final = 3  # rules named where a budget is exceeded


@click.command(short_help="Check rule files.")
@click.argument("place", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail on remarks too.")
@click.option(
    "--budget-ns", type=click.IntRange(1), metavar="N", help="Nanoseconds an event may cost."
)
@click.option(
    "--budget-bytes",
    type=click.IntRange(1),
    metavar="N",
    help="Bytes of state a customer may have.",
)
@as_json
@settings_options("rules", "model")
def check(
    settings: Settings,
    *,
    place: Path | None,
    strict: bool,
    budget_ns: int | None,
    budget_bytes: int | None,
    as_json: bool,
) -> None:
    """Check all rule files of a folder, and say every mistake with its place and its mend.

    Then it remarks on what is allowed and hardly meant: conditions that never hold, bands with gaps,
    messages without a cooldown. It says what all rules cost, and refuses those beyond a budget.
    """
    kernels.load(say)
    from rules.cost import BUDGET_BYTES, BUDGET_NS, Costing
    from rules.errors import RulesError
    from rules.lint import lint
    from streams.loader import Sources

    sources = Sources(settings.model, place or settings.rules)
    try:
        files = sources.read()
    except RulesError as error:
        _refuse(error, as_json=as_json)
    sources.compiled(files, {})
    rules = files.rules
    remarks = lint(rules.rules)
    costs = Costing(files.model).costs(rules.rules)
    budget = {"ns": budget_ns or round(BUDGET_NS), "bytes": budget_bytes or BUDGET_BYTES}
    beyond = [name for name, most in budget.items() if getattr(costs.total, name) > most]
    is_good = not beyond and not (strict and remarks)
    if as_json:
        print_json({"ok": is_good, **_told(rules, remarks, costs), "budget": budget})
    else:
        _print(rules, remarks, costs)
    if beyond and not as_json:
        _print_beyond(beyond, budget, costs)
    if beyond:
        raise Problems("" if as_json else f"the rules cost too much; see --budget-{beyond[0]}")
    if not is_good:
        raise Problems("" if as_json else f"{counted(len(remarks), 'remark')}, with --strict")


def _print_beyond(beyond: list[str], budget: dict[str, int], costs: "Costs") -> None:
    for name in beyond:
        unit = "ns an event" if name == "ns" else "bytes a customer"
        said = f"{getattr(costs.total, name):,.0f} {unit}, the budget is {budget[name]:,}"
        click.echo(f"{said}; most by themselves: {_dearest(costs, name)}", err=True)


def _dearest(costs: "Costs", name: str) -> str:
    """The rules that cost most beside all others, in nanoseconds or bytes."""
    found = sorted(costs.rules.items(), key=lambda each: -getattr(each[1], name))[:DEAREST]
    return ", ".join(f"{rule} ({getattr(cost, name):,.0f})" for rule, cost in found)


def _refuse(error: "RulesError", *, as_json: bool) -> NoReturn:
    if as_json:
        told = [asdict(each) for each in error.problems]
        names = ("file", "line", "column", "message", "mend")
        print_json(
            {"ok": False, "problems": [{name: each[name] for name in names} for each in told]}
        )
        raise Problems("") from error
    click.echo("\n\n".join(map(str, error.problems)), err=True)
    fail(f"{counted(len(error.problems), 'mistake')}; the rules cannot be used")


def _told(rules: "RuleSet", remarks: list["Remark"], costs: "Costs") -> dict[str, Any]:
    return {
        "problems": [],
        "rules": len(rules.rules),
        "remarks": [asdict(each) for each in remarks],
        "cost": {
            "total": _cost(costs.total),
            "rules": {name: _cost(each) for name, each in costs.rules.items()},
        },
    }


def _cost(cost: "Cost") -> dict[str, float]:
    return {"ns": round(cost.ns, 1), "bytes": cost.bytes}


def _print(rules: "RuleSet", remarks: list["Remark"], costs: "Costs") -> None:
    for each in remarks:
        click.echo(f"{each}\n")
    noted = counted(len(remarks), "remark") if remarks else "no remarks"
    click.echo(f"{counted(len(rules.rules), 'rule')}, no mistakes, {noted}")
    if rules.rules:
        total = costs.total
        click.echo(f"together about {total.ns:,.0f} ns an event; most: {_dearest(costs, 'ns')}")
        click.echo(f"and {total.bytes:,} bytes a customer; most: {_dearest(costs, 'bytes')}")
