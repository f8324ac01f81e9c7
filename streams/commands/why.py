"""`rapport why`: why a rule has fired for a customer, or has not."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape
from rich.tree import Tree

from rules.duration import duration_text
from streams import kernels
from streams.asked import TimeTextError, clock_text, time_ms
from streams.commands.options import (
    UsageError,
    as_json,
    print_json,
    say,
    settings_options,
    stdout,
)
from streams.commands.rules_life import controls_of
from streams.commands.store import open_store
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.step import Engine

Told = Mapping[str, Any]

# Whether a clause is as it should be; None: that only an event can tell.
MARKS: Final[Mapping[bool | None, str]] = {True: "✓", False: "✗", None: "?"}
COLOURS: Final[Mapping[bool | None, str]] = {True: "green", False: "red", None: "yellow"}


@click.command(short_help="Say why a rule fired for a customer, or did not.")
@click.argument("rule", metavar="RULE")
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--at", metavar="TIME", help="When, as 2024-05-01T12:00 (UTC); by default now.")
@as_json
@settings_options("log", "redis", "rules", "model")
def why(settings: Settings, *, rule: str, customer_id: str, at: str | None, as_json: bool) -> None:
    """Say why a rule fired for a customer, or did not.

    Each clause with its value and what it needs, the events behind the value, what holds the rule back
    and until when, its last fires; and first of all what would have to change.
    """
    try:
        at_ms = None if at is None else time_ms(at)
    except TimeTextError as error:
        raise UsageError(f"--at: {error}") from error
    kernels.load(say)
    from streams.loader import Sources

    engine = Sources(settings.model, settings.rules).engine(controls_of(settings))
    told = asyncio.run(_asked(settings, engine, rule, customer_id, at_ms))
    if as_json:
        print_json(told)
        return
    console = stdout()
    if console.is_terminal:
        console.print(f"[bold]{_plain(told['sentence'])}[/bold]")
        console.print(tree_of(told))
    else:
        click.echo("\n".join(lines_of(told)))


async def _asked(
    settings: Settings, engine: "Engine", rule: str, customer_id: str, at_ms: int | None
) -> dict[str, Any]:
    from streams.clock import SystemClock
    from streams.inquiry import Inquiry

    async with open_store(settings) as store:
        inquiry = Inquiry(store.reader, lambda: engine, SystemClock().now_ms)
        return await inquiry.why(rule, customer_id, at_ms)


@dataclass(frozen=True, slots=True)
class Outline:
    """A line, and what stands below it."""

    text: str
    inside: tuple["Outline", ...] = ()
    mark: str = ""
    colour: str = ""


def tree_of(told: Told) -> Tree:
    """The explanation, drawn."""
    return _tree(_outline(told))


def lines_of(told: Told) -> list[str]:
    """The explanation as indented lines, the sentence first."""
    return [_clean(told["sentence"]), *_lines(_outline(told))]


def _outline(told: Told) -> Outline:
    head = f"{told['rule']} (version {told['version']}) and {told['customer_id']}"
    head += f", as of {clock_text(told['at_ms'])} UTC"
    if told["asked_ms"] < told["at_ms"]:
        head += ": what was before the customer's newest event or timer is not kept"
    parts = [] if told["clause"] is None else [_clause(told["clause"], told)]
    parts += [_restraint(each) for each in told["suppressed_by"]]
    parts += [_run(each) for each in told["runs"]]
    if told["held_back"] is not None:
        last = told["held_back"]
        allowed = "" if last["allowed_ms"] is None else f", until {clock_text(last['allowed_ms'])}"
        parts.append(
            Outline(
                f"last held back at {clock_text(last['at_ms'])} by {last['restraint']}{allowed}"
            )
        )
    parts += [_fire(each) for each in told["fires"]]
    if not told["fires"] and told["fired_ms"] is not None:
        parts.append(Outline(f"last fired at {clock_text(told['fired_ms'])}; its record is gone"))
    if told["fired_ms"] is None:
        parts.append(Outline("never fired for this customer"))
    return Outline(head, tuple(parts))


def _clause(clause: Told, told: Told) -> Outline:
    """A clause as it is wanted: `not` stands before what is compared, and turns `and` into `or`."""
    sign, wanted = clause.get("sign"), clause["should_hold"]
    if sign == "not":
        return _clause(clause["clauses"][0], told)
    is_fine = None if clause["holds"] is None else clause["holds"] == wanted
    mark, colour = MARKS[is_fine], COLOURS[is_fine]
    if sign is not None:
        inside = tuple(_clause(each, told) for each in clause["clauses"])
        return Outline("all of" if (sign == "and") == wanted else "one of", inside, mark, colour)
    text = clause["clause"] if wanted else f"not {clause['clause']}"
    if is_fine is None:
        text += ": that only the event can tell"
    else:
        text += f": is {clause['value_text']}"
    if "needs" in clause:
        text += f", needs {clause['needs']}"
    values = {each["name"]: each for each in told["values"]}
    inside = tuple(
        line
        for name in clause["reads"]
        for line in _evidence(values[name], is_alone=len(clause["reads"]) == 1)
    )
    return Outline(text, inside, mark, colour)


def _evidence(value: Told, *, is_alone: bool) -> Iterator[Outline]:
    """What stands behind a value; its name only where there are several."""
    name = "" if is_alone else f"{value['name']} is {value['value_text']}: "
    if value.get("points"):
        moved = ", ".join(f"{each['signal']} {each['points']:+.1f}" for each in value["points"])
        yield Outline(f"{name}points: {moved}")
    elif "events" in value:
        yield Outline(name + _events(value["events"]))
    elif name:
        yield Outline(name.removesuffix(": "))


def _events(events: Told) -> str:
    said = []
    if events["count"] is not None:
        about = "" if events["is_exact"] else "about "
        count = round(events["count"])
        said.append(f"{about}{count:,} {'event' if count == 1 else 'events'}")
    if events["first_ms"] is not None:
        said.append(f"the first at {clock_text(events['first_ms'])}")
    if events["last_ms"] is not None:
        said.append(f"the last at {clock_text(events['last_ms'])}")
    if events["from_ms"] is not None:
        said.append(f"in the window since {clock_text(events['from_ms'])}")
    if events["half_life_ms"] is not None:
        said.append(f"each counting half after {duration_text(events['half_life_ms'])}")
    if not events["is_kept"]:
        said.append("counted only from the customer's next event on")
    return ", ".join(said) or "no such event"


def _restraint(suppression: Told) -> Outline:
    until = (
        "" if suppression["until_ms"] is None else f" until {clock_text(suppression['until_ms'])}"
    )
    return Outline(f"would be held back by {suppression['restraint']}{until}", (), "!", "yellow")


def _run(run: Told) -> Outline:
    until = "" if run["until_ms"] is None else f", until {clock_text(run['until_ms'])}"
    text = f"begun at {clock_text(run['began_ms'])}: awaits step {run['step']}, {run['awaited']}{until}"
    return Outline(text)


def _fire(fire: Told) -> Outline:
    target = fire["target"]
    where = f"{target['kind']} {target['name']}: {fire['status']}"
    text = f"fired at {clock_text(fire['at_ms'])} because of {fire['cause']}: {fire['reason']} ({where})"
    return Outline(text)


def _tree(outline: Outline) -> Tree:
    mark = f"[{outline.colour}]{outline.mark}[/] " if outline.mark else ""
    tree = Tree(mark + _plain(outline.text))
    for each in outline.inside:
        tree.add(_tree(each))
    return tree


def _lines(outline: Outline, depth: int = 0) -> Iterator[str]:
    mark = f"{outline.mark} " if outline.mark else ""
    yield "  " * depth + mark + _clean(outline.text)
    for each in outline.inside:
        yield from _lines(each, depth + 1)


def _plain(words: str) -> str:
    return escape(_clean(words))


def _clean(words: str) -> str:
    """Ids and reasons come from outside: they cannot write on the terminal."""
    return "".join(c if c.isprintable() else " " for c in words)
