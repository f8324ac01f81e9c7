"""A redis-server is found wherever there is one, and one that is too old is passed over."""

from pathlib import Path

import pytest

from streams import redis_executable as subject


def made(folder: Path, name: str, version: str) -> Path:
    """A program that says it is this version, as redis-server and valkey-server say it."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho 'Server v={version} sha=00000000:0'\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_systems_own_comes_first(system: Path) -> None:
    """Its administrators keep it patched; ours is as old as our last release."""
    own = made(system, "redis-server", "7.0.15")

    assert subject.redis_executable() == own


def test_valkey_will_do(system: Path) -> None:
    """Distributions have begun to ship it in Redis' place."""
    own = made(system, "valkey-server", "9.1.2")

    assert subject.redis_executable() == own


def test_one_that_is_too_old_is_passed_over_for_the_carried_one(system: Path) -> None:
    """Debian's of some years ago lacks commands that the store uses."""
    made(system, "redis-server", "5.0.14")
    found = subject.redis_executable()

    assert found is not None
    assert system not in found.parents
    assert subject.redis_version(found) >= subject.VERSION_MIN


@pytest.mark.parametrize("content", ["#!/bin/sh\necho hello\n", "not a program"])
def test_a_program_that_is_no_server_has_no_version(tmp_path: Path, content: str) -> None:
    """A broken installation must not stop us from starting on our own."""
    program = tmp_path / "redis-server"
    program.write_text(content)
    program.chmod(0o755)

    assert subject.redis_version(program) == (0, 0)


def test_a_package_that_is_not_there_carries_nothing() -> None:
    """Which of the carriers is installed depends on the machine."""
    assert subject.carried_by("no_such_package") is None
