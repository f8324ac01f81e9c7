"""What the documents show is what the code does: README and docs/ are tried.

Promise   Rules load, settings are read, events decode, commands and targets of make exist with these
          options, Python runs; every setting and metric has its line, and no other has one.
Limits    Nothing is started or sent.
Not here  The language of rules (tests/rules/test_reference.py). Maps and links (tests/test_architecture.py).
"""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, tzinfo
from pathlib import Path

import click
import pytest
from standardwebhooks import webhooks

from processors.batch import Origin, Records
from processors.decode import decode
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.register import Named
from processors.scores import Scores
from rules.load import load
from sinks.signing import Signer
from streams.cli import main
from streams.settings import Endpoint, KafkaAccess, Settings, read
from tests.machine import ROOT, promtool, require
from tests.streams.metrics_filled import filled

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
PACKAGES = ("processors", "rules", "sinks", "streams", "benchmarks")
NOW_MS = 1_800_000_000_000

# A measured figure in a table, with where it was kept: | … | 4.1 µs | `reference: rival.cpu_us_per_event` |
FIGURE = re.compile(r"\|\s*([\d,]+(?:\.\d+)?)[^|\d]*\|\s*`(\w+): ([\w.]+)`\s*\|")


def blocks(language: str) -> list[str]:
    """The blocks of code in this language, of all documents."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [block for each in DOCUMENTS for block in pattern.findall(each.read_text("utf-8"))]


def commands(program: str) -> list[list[str]]:
    """The calls of a program in blocks for the shell, without its name."""
    return [
        shlex.split(line, comments=True)[1:]
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith(f"{program} ")
    ]


def tables(name: str) -> list[str]:
    """The blocks of TOML that have this table."""
    return [block for block in blocks("toml") if name in tomllib.loads(block)]


def parsed(arguments: list[str]) -> click.Context:
    """The context of a command that is parsed and not run. Raises when click refuses it."""
    command: click.Command = main
    name: str | None = "rapport"
    context, rest = click.Context(main, info_name=name), arguments
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    return command.make_context(name, rest, parent=context)


def events() -> Iterator[str]:
    """The events of all documents: blocks that are one, and what curl posts, line by line."""
    for block in blocks("json"):
        value = json.loads(block)
        if "action" in value:
            yield json.dumps(value)
    for block in blocks("sh"):
        for body in re.findall(r"-d '(.*?)'", block, re.DOTALL):
            yield from (line for line in body.splitlines() if line.strip())


def fault_of(value: str) -> str:
    """Why a record is no event, by the engine; empty when it is one."""
    origin = Origin("document", 0, "0", None, (), 0)
    dead = decode(Records([value.encode()], [NOW_MS], lambda _index: origin)).dead
    return dead[0].detail if dead else ""


def score_names() -> Mapping[str, Named]:
    """What rules may call by name, with the default model."""
    builder = PlanBuilder()
    Scores.compile(builder, default_model())
    return builder.names


def test_rules_in_the_documents_load() -> None:
    """The first rule of a new user is one that was copied from here."""
    found = tables("rule")
    known = score_names()

    assert len(found) >= 2
    for block in found:
        assert load({"document.toml": block.encode()}, known).rules


def test_settings_in_the_documents_are_read(tmp_path: Path) -> None:
    """So is the first settings file."""
    found = tables("log")

    assert len(found) >= 1
    for block in found:
        (tmp_path / "rapport.toml").write_text(block)
        assert read({}, {}, tmp_path) != Settings()


def test_commands_in_the_documents_exist_with_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that does not work as printed ends a first try."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-rules").mkdir()
    found = commands("rapport")

    assert len(found) >= 15
    for arguments in found:
        parsed(arguments).close()


def test_a_command_that_does_not_exist_is_refused() -> None:
    """The checker is code too."""
    with pytest.raises(click.UsageError):
        parsed(["rules", "guess"])
    with pytest.raises(click.UsageError):
        parsed(["topics", "create", "--quickly"])


def test_commands_that_messages_and_headers_name_exist() -> None:
    """Who is told to run a command that does not exist is left alone with the problem."""
    sources = [file for name in PACKAGES for file in sorted((ROOT / name).rglob("*.py"))]
    named = {
        (file.name, *words)
        for file in [*sources, *DOCUMENTS]
        for words in re.findall(r"\brapport ([a-z]+)(?: ([a-z]+))?", file.read_text("utf-8"))
    }
    missing = []
    for file, name, after in sorted(named):
        command = main.commands.get(name)
        inner = command.commands if isinstance(command, click.Group) else {}
        if command is None or (inner and after and after not in inner):
            missing.append((file, name, after))

    assert len(named) >= 30
    assert missing == []


def test_make_targets_in_the_documents_exist() -> None:
    """The same, for make."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {target for arguments in commands("make") for target in arguments}

    assert {"run", "test"} <= asked <= targets


def test_events_in_the_documents_are_events() -> None:
    """Who copies an event must see it accepted."""
    found = list(events())

    assert len(found) >= 4
    assert {value: fault_of(value) for value in found if fault_of(value)} == {}
    assert fault_of('{"id": "x"}')


def test_json_in_the_documents_is_json() -> None:
    """Somebody will feed it to a parser."""
    assert len([json.loads(block) for block in blocks("json")]) >= 4


class _Now(datetime):
    """A clock that stands, for the library reads one."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Now":
        return cls.fromtimestamp(NOW_MS / 1000, tz)


def test_the_receiver_in_the_documents_takes_what_we_sign_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the one piece of code that every user has to write."""
    monkeypatch.setattr(webhooks, "datetime", _Now)
    (code,) = blocks("python")
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", OPERATIONS)
    body = next(block for block in blocks("json") if "action_id" in block).encode()
    headers = Signer([secret]).headers("act_1", NOW_MS, body)
    called: list[Mapping[str, object]] = []
    seen: set[str] = set()
    scope: dict[str, object] = {
        "call_the_customer": called.append,
        "given": (secret, body, headers, seen),
    }
    exec(f"{code}\nreceive(*given)\nreceive(*given)", scope)  # noqa: S102  our own text, of docs/actions.md

    assert [each["customer_id"] for each in called] == ["c-42"]


def test_every_setting_has_its_line_in_the_documents() -> None:
    """And no line is about a setting that is gone."""
    told = set(re.findall(r"^\| `([a-z_]+(?:\.NAME)?(?:\.[a-z_]+)?)` \|", OPERATIONS, re.MULTILINE))
    there = {each.name for each in fields(Settings)} - {"endpoints", "kafka"}
    there |= {f"kafka.{each.name}" for each in fields(KafkaAccess)}
    there |= {f"endpoints.NAME.{each.name}" for each in fields(Endpoint) if each.name != "name"}
    section = OPERATIONS.partition("## Settings")[2].partition("\n## ")[0]

    assert len(there) >= 12
    assert {name for name in told if f"| `{name}` |" in section} == there


def test_every_metric_has_its_line_in_the_documents() -> None:
    """And nobody alerts on a metric that does not exist: such an alert is silent for ever."""
    _, text = filled().text()
    there = set(re.findall(r"^# TYPE (rapport_\w+)", text.decode(), re.MULTILINE))
    told = {
        name
        for line in OPERATIONS.splitlines()
        if line.startswith("| `rapport_")
        for name in re.findall(r"`(rapport_\w+)`", line.split("|")[1])
    }
    everywhere = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"\brapport_[a-z_]+\b", document.read_text("utf-8"))
    }

    assert len(there) >= 25
    assert told == there
    assert everywhere <= there


def test_the_alerts_in_the_documents_are_rules_of_prometheus(tmp_path: Path) -> None:
    """They are copied as they stand."""
    path = promtool()
    require("promtool", path is not None, "install prometheus, which brings it")
    assert path is not None
    (block,) = blocks("yaml")
    file = tmp_path / "alerts.yml"
    file.write_text(block)

    checked = subprocess.run([path, "check", "rules", str(file)], capture_output=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, b"")


def invented(text: str, results: Mapping[str, object]) -> list[str]:
    """The figures of a text that are not those of the results, rounded as the text does."""
    found = []
    for shown, name, path in FIGURE.findall(text):
        value: object = results.get(name)
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        digits = len(shown.partition(".")[2])
        is_kept = isinstance(value, int | float)
        if not is_kept or round(float(str(value)), digits) != float(shown.replace(",", "")):
            found.append(f"{name}: {path} is {value}, not {shown}")
    return found


def test_measured_figures_in_the_documents_are_those_that_were_kept() -> None:
    """A figure that nobody can trace is an advertisement."""
    folder = ROOT / "benchmarks" / "results"
    results = {file.stem: json.loads(file.read_text("utf-8")) for file in folder.glob("*.json")}
    problems = [each for file in DOCUMENTS for each in invented(file.read_text("utf-8"), results)]

    assert problems == []


def test_an_invented_figure_is_found() -> None:
    """The checker is code too."""
    results = {"step": {"one": {"us": 76.12}, "events_per_second": 62_054}}

    assert not invented("| a | 76.1 µs | `step: one.us` |", results)
    assert not invented("| a | 62,054 | `step: events_per_second` |", results)
    assert len(invented("| a | 76.2 µs | `step: one.us` |\n| b | 1 | `x: y` |", results)) == 2
