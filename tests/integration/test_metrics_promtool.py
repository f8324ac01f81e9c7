"""Prometheus' own checker has nothing to say about our metrics."""

import subprocess

from tests.machine import promtool, require
from tests.streams.metrics_filled import filled


def test_promtool_finds_no_fault_with_a_scrape() -> None:
    """Names, units, types and help, as Prometheus' conventions want them."""
    path = promtool()
    require("promtool", path is not None, "install prometheus, which brings it")
    assert path is not None
    _, text = filled().text()

    checked = subprocess.run(
        [path, "check", "metrics"], input=text, capture_output=True, check=False
    )

    assert text.count(b"# HELP rapport_") >= 25
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
