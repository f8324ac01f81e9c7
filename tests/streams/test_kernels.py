"""Who waits for the compiler is told so."""

import pytest
from numba.core import event

from streams import kernels


@pytest.mark.slow
def test_who_waits_for_the_compiler_is_told_so_once_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a minute without a word looks like a fault; a word each time is noise."""
    said: list[str] = []
    kernels.load(said.append)  # at least here they are compiled already, or read from the cache
    said.clear()
    kernels.load(said.append)
    assert said == []

    def compiling(_name: str) -> None:
        for _ in range(3):
            with event.trigger_event("numba:compile", data={}):
                pass

    monkeypatch.setattr("importlib.import_module", _or(compiling))
    kernels.load(said.append)

    assert said == [kernels.SAID]


def _or(compiling: object) -> object:
    """An import that compiles, except of what the loader itself needs."""

    def imported(name: str) -> object:
        if name == "numba.core.event":
            return event
        assert callable(compiling)
        return compiling(name)

    return imported
