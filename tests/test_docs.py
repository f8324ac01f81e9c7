"""Examples in docstrings are run: what documentation shows is what the code does."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import processors.compiled as compiled_module
from tests.sources import PACKAGES

MODULES = sorted(
    found.name
    for package in PACKAGES
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
)

KERNEL = """
from processors.compiled import compiled

@compiled("i8(i8)")
def double(number):
    '''
    >>> double(2)
    4
    '''
    return 2 * number
"""


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """The docstrings of the module's own functions, compiled ones too, that hold an example."""
    found = doctest.DocTestFinder(exclude_empty=True).find(module)
    return [each for each in found if each.examples]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name: str) -> None:
    """A wrong example is worse than none."""
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    said: list[str] = []
    for example in examples(importlib.import_module(name)):
        runner.run(example, out=said.append)

    assert runner.failures == 0, "".join(said)


@pytest.mark.slow
def test_examples_of_compiled_functions_are_found() -> None:
    """Numba's functions are objects of their own, which a finder may pass over in silence."""
    module = ModuleType("made_here")
    exec(KERNEL, module.__dict__)  # noqa: S102  our own text, above

    assert [each.name for each in examples(module)] == ["made_here.double"]


def test_modules_and_their_examples_are_found() -> None:
    """A walk that finds nothing passes every test."""
    assert {"processors.compiled"} <= set(MODULES)
    assert [each.name for each in examples(compiled_module)] == ["processors.compiled.compiled"]
