"""The maps show the land: every file is in its package's list, and ARCHITECTURE.md has the lists.

A package's `__init__` lists its files in the order an event meets them; ARCHITECTURE.md repeats the
lists word for word, so that a reader finds all of them in one place.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.keys import Keys
from tests.machine import ROOT
from tests.sources import PACKAGES

MAPPED = (*PACKAGES, "streams/commands")
MADE = {"__pycache__", "py.typed", "__init__.py"}
ENTRY = re.compile(r"^([a-z_.]+/?)  +(\S.*)$")


def architecture() -> str:
    return (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def docstring(package: str) -> str:
    source = (ROOT / package / "__init__.py").read_text("utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def listing(package: str) -> str:
    """The part of a package's docstring that lists its files: from the first heading on."""
    found = re.search(r"^[^\n]+:\n\n(?=[a-z_.]+/?  )", docstring(package), re.MULTILINE)
    return docstring(package)[found.start() :] if found else ""


def entries(package: str) -> Iterator[tuple[str, str]]:
    """Each listed name, and what is said of it."""
    for line in listing(package).splitlines():
        found = ENTRY.match(line)
        if found:
            yield found[1], found[2]


def present(folder: Path) -> set[str]:
    """What a list has to name: modules by their stem, other files whole, folders with a slash."""
    return {
        f"{path.name}/" if path.is_dir() else path.name.removesuffix(".py")
        for path in folder.iterdir()
        if path.name not in MADE
    }


@pytest.mark.parametrize("package", MAPPED)
def test_every_file_is_in_its_packages_list_once_and_nothing_else_is(package: str) -> None:
    """Who looks for a file asks the list; a list with holes sends him away."""
    listed = [name for name, _ in entries(package)]
    there = present(ROOT / package)

    assert len(there) >= 10
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("package", MAPPED)
def test_the_architecture_repeats_each_packages_list(package: str) -> None:
    """Two maps that differ are worse than one."""
    assert listing(package).strip() in architecture()


def test_the_architecture_names_every_kind_of_key() -> None:
    """Who stands before a strange Redis looks its keys up there."""
    keys = Keys.of(7)
    names = {getattr(keys, field).decode().removeprefix("rapport:{7}:") for field in Keys.__slots__}

    assert len(names) >= 11
    assert {name for name in names if f"`rapport:{{p}}:{name}" not in architecture()} == set()


def test_files_named_in_the_documents_exist() -> None:
    """A document that names a file which has moved sends its reader nowhere."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    missing = {
        f"{document.name}: {name}"
        for document in documents
        for name in re.findall(r"`([a-z_]+/[\w./-]+\.\w+)`", document.read_text("utf-8"))
        if not (ROOT / name).exists() and not (document.parent / name).exists()
    }
    linked = {
        f"{document.name}: {name}"
        for document in documents
        for name in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8"))
        if not (document.parent / name).exists()
    }

    assert len(documents) >= 8
    assert missing | linked == set()


def test_a_list_with_a_hole_is_found(tmp_path: Path) -> None:
    """The checker is code too."""
    (tmp_path / "one.py").touch()
    (tmp_path / "grammar.lark").touch()
    (tmp_path / "packs").mkdir()
    (tmp_path / "__init__.py").touch()

    assert present(tmp_path) == {"one", "grammar.lark", "packs/"}
