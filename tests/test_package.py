"""What is built is what is meant to be installed: four packages with their data, and the command."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.machine import ROOT
from tests.sources import PACKAGES

MADE = {".pyc", ".nbi", ".nbc"}


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_whole_and_nothing_else(tmp_path: Path) -> None:
    """A model or grammar left out is found by the first user, and `tests` would be installed."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        commands = archive.read(entry).decode()
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in MADE
    }

    assert {f"{package}/py.typed" for package in PACKAGES} <= held
    assert held == wanted
    assert "rapport = streams.cli:main" in commands
