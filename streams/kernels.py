"""The kernels: imported when a command needs them, with a word to the user if that takes long.

Promise   Who waits for the compiler is told so, once, and is told nothing when there is nothing to
          compile.
How       Kernels are compiled when their modules are imported (processors/compiled.py). numba tells a
          listener when it really compiles, and says nothing when it reads its cache.
Not here  Which kernels there are: each lives with its noun. Running them once: loader.py.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

# What a step needs; importing it compiles whatever is not in the cache.
MODULE: Final = "streams.step"
SAID: Final = "compiling, once on this machine (about 20 s) …"


def load(say: Callable[[str], object]) -> None:
    """Import all kernels; `say` is given one sentence if the compiler must run."""
    event: Any = importlib.import_module("numba.core.event")

    class Teller(event.Listener):  # type: ignore[misc]  # numba has no types
        is_told = False

        def on_start(self, _event: object) -> None:
            if not self.is_told:
                self.is_told = True
                say(SAID)

        def on_end(self, _event: object) -> None:
            """Compiling one kernel has ended; there may be more."""

    with event.install_listener("numba:compile", Teller()):
        importlib.import_module(MODULE)
