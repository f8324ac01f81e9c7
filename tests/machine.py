"""What the machine offers the tests: real servers, and what to do where one is missing.

Promise   A piece that is missing skips its tests on a laptop, with the reason and the remedy, and
          fails them in CI: there a skipped test would be a green lie.
Not here  Installing the pieces: `.ci/setup`. Starting servers: tests/integration.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KAFKA_JARS = ROOT / ".cache" / "kafka" / "libs"
IN_CI = os.environ.get("CI") == "true"

JAVA_MIN = 17  # Kafka 4's broker


def require(piece: str, present: bool, how: str) -> None:
    """Go on when `piece` is present; else skip the test, or fail it in CI. `how` says how to get it."""
    if present:
        return
    message = f"{piece} is missing: {how}"
    if IN_CI:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def java() -> str | None:
    """The path of a Java that can run Kafka's broker."""
    executable = shutil.which("java")
    if executable is None:
        return None
    answer = subprocess.run([executable, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', answer.stderr)
    return executable if version and int(version.group(1)) >= JAVA_MIN else None


def promtool() -> str | None:
    """The path of promtool, which checks Prometheus rules and metrics."""
    return shutil.which("promtool")
