"""What the compiler keeps on disk is used again, and only while it is still right.

Each test runs small modules in processes of their own, as restarts do.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import ROOT

pytestmark = pytest.mark.slow  # a process that imports numba takes most of a second

INNER = """
from processors.compiled import compiled

@compiled("f8(f8)")
def inner(x):
    return x + 1.0
"""
OUTER = """
import inner_module
from inner_module import inner
from limits_module import LIMIT
from processors.compiled import compiled

@compiled("f8(f8)")
def outer(x):
    return min(inner(x), LIMIT)
"""
REPORT = """
from outer_module import outer
print(outer(1.0), sum(outer.stats.cache_hits.values()), sum(outer.stats.cache_misses.values()))
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "inner_module.py").write_text(INNER)
    (tmp_path / "outer_module.py").write_text(OUTER)
    (tmp_path / "limits_module.py").write_text("LIMIT = 10.0\n")
    return tmp_path


def run(modules: Path, code: str = REPORT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new process that finds the modules, compiler on, no cache folder given."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    paths = os.pathsep.join([str(modules), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=modules,
        capture_output=True,
        text=True,
        check=False,
    )


def report(modules: Path, **environment: str) -> tuple[float, int, int]:
    """Result of `outer(1.0)`, how many compilations came from disk, and how many did not."""
    done = run(modules, **environment)
    assert done.returncode == 0, done.stderr
    result, hits, misses = done.stdout.split()
    return float(result), int(hits), int(misses)


def test_the_second_start_does_not_compile(modules: Path) -> None:
    """A user waits for the compiler once, not at every start."""
    first, second = report(modules), report(modules)

    assert first == (2.0, 0, 1)
    assert second == (2.0, 1, 0)


def test_a_changed_callee_recompiles_its_callers(modules: Path) -> None:
    """Numba looks at the caller's file alone and would go on with the old callee inlined."""
    report(modules)
    (modules / "inner_module.py").write_text(INNER.replace("1.0", "5.0"))

    assert report(modules) == (6.0, 0, 1)


def test_a_changed_constant_recompiles_its_readers(modules: Path) -> None:
    """A limit raised in one file must not stay as it was in the kernels of another."""
    report(modules)
    (modules / "limits_module.py").write_text("LIMIT = 1.5\n")

    assert report(modules) == (1.5, 0, 1)


def test_installed_read_only_the_users_cache_serves(modules: Path, tmp_path: Path) -> None:
    """A system-wide installation must not compile at each start either."""
    (modules / "__pycache__").write_text("a file, so that no folder can be made here")
    home = str(tmp_path / "home")

    assert report(modules, HOME=home, XDG_CACHE_HOME=home) == (2.0, 0, 1)
    assert report(modules, HOME=home, XDG_CACHE_HOME=home) == (2.0, 1, 0)


def test_with_no_place_at_all_it_runs_and_says_so(modules: Path) -> None:
    """A container without any writable folder is slow to start, but starts."""
    (modules / "__pycache__").write_text("a file, so that no folder can be made here")
    nowhere = str(modules / "__pycache__" / "below a file")
    done = run(modules, HOME=nowhere, XDG_CACHE_HOME=nowhere)

    assert done.stdout.split()[0] == "2.0"
    assert "set NUMBA_CACHE_DIR" in done.stderr


def test_other_types_than_declared_are_refused(modules: Path) -> None:
    """Compiling takes as long as thousands of events; it must not begin in the middle of them."""
    done = run(modules, "from outer_module import outer; outer('text')")

    assert done.returncode != 0
    assert "TypeError" in done.stderr


def test_with_the_compiler_off_plain_python_is_left(modules: Path) -> None:
    """Debuggers and coverage see the kernels only so."""
    done = run(modules, "from outer_module import outer; print(outer(1.0))", NUMBA_DISABLE_JIT="1")

    assert done.stdout.strip() == "2.0", done.stderr
