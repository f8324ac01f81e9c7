"""Services that are told to end before they have begun."""

import subprocess
import sys
from pathlib import Path

import pytest

TOLD_AT_START = """
import os, signal, sys
from streams.commands import scale_out, up

def told(_settings):
    os.kill(os.getpid(), signal.SIGTERM)

scale_out.check_access = up.check_access = told
from streams.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("name", ["worker", "gateway", "relay", "up"])
def test_a_service_that_has_not_begun_ends_with_0(name: str, tmp_path: Path) -> None:
    """An orchestrator that changes its mind must not see a crash."""
    log = f"embedded:{tmp_path}" if name == "up" else "kafka://127.0.0.1:1"
    ended = subprocess.run(
        [sys.executable, "-c", TOLD_AT_START, name, "--log", log, "--redis", "redis://127.0.0.1:1"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
