"""The rules of form that are checked: size, names, no real time in unit tests, nothing local.

Each rule is a function over one source that says what is wrong, so that each is itself tested
on a source that breaks it: a checker that finds nothing must not pass for tidiness.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import PurePosixPath

import pytest

from tests.machine import ROOT
from tests.sources import (
    FOLDERS,
    PACKAGES,
    Source,
    all_files,
    code_lines,
    dotted,
    functions,
    imported,
    sources,
)

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
NAMES_THAT_SAY_NOTHING = {"utils", "common", "helpers", "base", "manager", "core", "misc"}
OUR_DISTRIBUTION = "rapport-engine"

# Built from parts, so that this file does not name what it forbids.
REGISTRY_HOSTS = [
    f"{name}.{top}"
    for name, top in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("maven", "org"),
        ("maven.apache", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("deb.debian", "org"),
    ]
]
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:work|root|home|Users)/")


def too_long(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{source.name}: {lines} lines, at most {FILE_LINES_MAX}"
    code = code_lines(source)
    for function in functions(source):
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        length = len(code.intersection(range(first, (function.end_lineno or first) + 1)))
        if length > FUNCTION_LINES_MAX:
            yield (
                f"{source.name}:{function.lineno}: {function.name} has {length} lines of code,"
                f" at most {FUNCTION_LINES_MAX}"
            )


def badly_named(source: Source) -> Iterator[str]:
    path = PurePosixPath(source.name)
    for part in [*path.parts[:-1], path.stem]:
        if part.removeprefix("test_") in NAMES_THAT_SAY_NOTHING:
            yield f"{source.name}: {part} says nothing; name the noun it holds"


@cache
def owners_of_modules() -> Mapping[str, list[str]]:
    return packages_distributions()


def shadowing(source: Source) -> Iterator[str]:
    parts = PurePosixPath(source.name).with_suffix("").parts
    for part in parts[1:]:  # the first is the package itself; test_imports.py guards it
        if part in sys.stdlib_module_names and part not in {"__init__", "__main__"}:
            yield f"{source.name}: {part} is a module of the standard library"
        owners = set(owners_of_modules().get(part, [])) - {OUR_DISTRIBUTION}
        if owners:
            yield f"{source.name}: {part} is a module of {', '.join(sorted(owners))}"


def real_time(source: Source) -> Iterator[str]:
    for line, name in imported(source):
        if name == "time" or name.startswith("time."):
            yield f"{source.name}:{line}: imports the real clock; hand a manual one in"
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        last = name.rpartition(".")[2]
        if last == "sleep" and not is_mere_yield(node):
            yield f"{source.name}:{node.lineno}: {name} sleeps; a manual clock does not"
        if re.search(r"\b(datetime|date)\.(now|utcnow|today)$", name):
            yield f"{source.name}:{node.lineno}: {name} reads the real time"


def is_mere_yield(call: ast.Call) -> bool:
    """`asyncio.sleep(0)`: lets others run, and takes no time."""
    arguments = call.args
    return (
        dotted(call.func) == "asyncio.sleep"
        and len(arguments) == 1
        and isinstance(arguments[0], ast.Constant)
        and arguments[0].value == 0
    )


def local(name: str, text: str) -> Iterator[str]:
    for host in REGISTRY_HOSTS:
        if re.search(rf"\b{re.escape(host)}\b", text):
            yield f"{name}: names the registry host {host}; where packages come from is the machine's"
    for found in MACHINE_PATH.finditer(text):
        yield f"{name}: {found.group()} is a path of one machine"


def is_unit_test(source: Source) -> bool:
    return not source.name.startswith(("tests/integration/", "tests/faults/"))


def test_files_and_functions_are_short_enough_to_be_read_at_once() -> None:
    """A file of 300 lines and a function of 50 fit a head; more is two things."""
    found = sources(*FOLDERS)

    assert len(found) >= 15
    assert [each for source in found for each in too_long(source)] == []


def test_names_say_what_a_file_holds() -> None:
    """What is called utils grows for ever."""
    found = sources(*FOLDERS)

    assert len(found) >= 15
    assert [each for source in found for each in badly_named(source)] == []


def test_no_module_is_named_like_one_that_we_or_a_reader_could_mean() -> None:
    """Run as a script, or with its folder on the path, a module shadows its namesake."""
    found = sources(*PACKAGES)

    assert len(found) >= 5
    assert [each for source in found for each in shadowing(source)] == []


def test_unit_tests_neither_sleep_nor_read_the_clock() -> None:
    """What waits for real time is slow on a good day and red on a bad one."""
    found = [source for source in sources("tests") if is_unit_test(source)]

    assert len(found) >= 5
    assert [each for source in found for each in real_time(source)] == []


def test_nothing_of_one_machine_is_in_the_project() -> None:
    """It must build anywhere; where packages come from is a setting of each machine."""
    names: list[str] = []
    problems: list[str] = []
    for path in all_files():
        name = str(path.relative_to(ROOT))
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        names.append(name)
        problems.extend(local(name, text))

    assert {"pyproject.toml", "requirements-dev.txt", "Makefile", ".ci/run"} <= set(names)
    assert problems == []


def test_every_dependency_is_pinned_with_hashes() -> None:
    """A build of today and one of next year install the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=]", each)[0] for each in project["dependencies"]}
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        entries = re.split(r"\n(?=\S)", text.replace("\\\n", "").strip())
        pinned = {entry.split("==")[0].split("[")[0] for entry in entries}

        assert len(entries) >= len(wanted)
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
        assert wanted <= pinned


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import asyncio\nasync def test() -> None:\n    await asyncio.sleep(0.1)",
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)",
        "from datetime import date\nnow = date.today()",
    ],
)
def test_real_time_is_found(text: str) -> None:
    """The checker is code too."""
    assert list(real_time(Source("tests/test_x.py", text)))


def test_yielding_to_the_event_loop_is_no_sleep() -> None:
    """Tests of asynchronous code need a way to let it run."""
    assert not list(real_time(Source("tests/test_x.py", "import asyncio\nx = asyncio.sleep(0)")))


def test_documentation_is_not_counted_as_code_and_all_else_is() -> None:
    """A limit that punished docstrings and comments would cost us both."""
    document = '    """First.\n\n    More.\n    """\n    # why\n\n'
    body = "".join(f"    x{number} = {number}\n" for number in range(FUNCTION_LINES_MAX))

    assert len(list(too_long(Source("a.py", f"def f():\n{document}{body}")))) == 1
    shorter = body.partition("\n")[2]
    assert not list(too_long(Source("a.py", f"def f():\n{document}{shorter}")))


@pytest.mark.parametrize("name", ["rules/utils.py", "sinks/base/x.py", "tests/test_helpers.py"])
def test_names_that_say_nothing_are_found(name: str) -> None:
    """The checker is code too."""
    assert list(badly_named(Source(name, "")))


@pytest.mark.parametrize("name", ["rules/types.py", "streams/redis.py", "sinks/json/x.py"])
def test_shadowing_names_are_found(name: str) -> None:
    """The checker is code too."""
    assert list(shadowing(Source(name, "")))


@pytest.mark.parametrize("text", [f"see {REGISTRY_HOSTS[0]}", "open('" + "/work" + "/x')"])
def test_local_names_are_found(text: str) -> None:
    """The checker is code too."""
    assert list(local("README.md", text))
