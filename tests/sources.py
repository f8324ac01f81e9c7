"""The project's own files, as the tests of its form see them: text, syntax tree, lines of code."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.machine import ROOT

PACKAGES = ("processors", "rules", "sinks", "streams")
"""In the order in which data flows; imports point back."""

FOLDERS = (*PACKAGES, "tests", "benchmarks")
NOT_OURS = {".git", ".venv", ".cache", "__pycache__", "build", "dist", "rapport-data"}
NOT_OURS |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its name relative to the project, and its text."""

    name: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files under these folders of the project."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(Source(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths)


def all_files(folder: Path = ROOT) -> Iterator[Path]:
    """All files of the project: code, documents, settings; nothing made or fetched."""
    for path in sorted(folder.iterdir()):
        if path.name in NOT_OURS:
            continue
        if path.is_dir():
            yield from all_files(path)
        else:
            yield path


def functions(source: Source) -> Iterator[FunctionNode]:
    for node in ast.walk(source.tree):
        if isinstance(node, FunctionNode):
            yield node


def code_lines(source: Source) -> frozenset[int]:
    """Numbers of the lines that hold code: not blank, not comment, not docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(source.tree):
        # A string that stands alone is documentation, of a function or of the line above it.
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def imported(source: Source) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, wherever it stands; relative ones made absolute."""
    package = source.name.split("/")[:-1]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}".lstrip(".")


def dotted(node: ast.expr) -> str:
    """`datetime.now` of the expression `datetime.now`; the part that is plain names, else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""
