"""Compiled functions: the one place where Rapport meets the numba compiler.

Promise   A kernel declared with a signature is compiled for exactly that, once per machine, and never
          while an event waits: other types than declared raise TypeError instead of compiling again.
How       Compiling happens when the kernel's module is imported; the result is kept on disk, in
          NUMBA_CACHE_DIR, else beside the source, else (installed read-only) in the user's cache folder.
          What is kept counts as stale when the kernel's file, a kernel that it calls, or a constant
          that it reads has changed; numba by itself looks at the file alone.
Limits    The first import takes a second or so a kernel, so a command that needs kernels imports them
          late and says that it is compiling. NUMBA_DISABLE_JIT=1 leaves plain Python functions, for a
          debugger or coverage; integers then overflow as numpy's do, with a warning.
Not here  Which kernels there are: each lives with its noun.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Modules whose constants change with numba's version at most, which numba's own stamp holds.
_SETTLED = frozenset({"math", "numba", "numpy"})
_OPTIONS: Final[dict[str, bool | None]] = {
    "nogil": True,
    "fastmath": False,
    "boundscheck": None,
    "_nrt": False,
}
_CONSTANTS = (bool, int, float, complex, str, bytes, tuple, np.generic)


def compiled(
    signature: str | Sequence[str],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Compile the decorated function for one signature or several, without Python objects or the GIL.

    Kernels allocate nothing, so arrays are not reference-counted inside: counting cost two atomic
    operations an array and call, 20 of the 25 ns of reading an empty aggregate. Scratch space is the
    caller's.

    Arithmetic is strict IEEE 754 (no fastmath), so live and replay agree to the last bit.
    Indices are not checked: a kernel's caller hands over arrays of the promised shapes.
    NUMBA_BOUNDSCHECK=1 checks them, to look for a mistake.

    Args:
        signature: numba's notation, such as `"f8(f8[::1], i8)"`; the first that fits is taken.

    Raises:
        numba.core.errors.NumbaError: The body cannot be compiled for the signature, or allocates.

    >>> @compiled("i8(i8, i8)")
    ... def larger(left: int, right: int) -> int:
    ...     return left if left > right else right
    >>> larger(2, 3)
    3
    """
    signatures = [signature] if isinstance(signature, str) else list(signature)

    def compile_now(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        kernel: Any = cast("Any", numba.njit)(**_OPTIONS)(function)
        if not isinstance(kernel, Dispatcher):
            return function  # NUMBA_DISABLE_JIT=1
        _keep_on_disk(kernel)
        for each in signatures:
            kernel.compile(each)
        kernel.disable_compile()
        return cast("Callable[Parameters, Result]", kernel)

    return compile_now


def _keep_on_disk(kernel: Any) -> None:  # noqa: ANN401  numba types neither its dispatchers nor their caches
    function = kernel.py_func
    if function.__code__.co_filename.startswith("<"):
        return  # typed in at a prompt or in a doctest: there is no file to keep it beside
    try:
        kernel.enable_caching()
    except RuntimeError:
        warnings.warn(
            f"no writable place for the compiled {function.__qualname__}, so each start compiles it"
            " again; set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=4,
        )
        return
    kept = kernel._cache._cache_file  # noqa: SLF001  numba has no public way; tests/processors/test_compiled.py guards it
    stamp = (kept._source_stamp, tuple(_OPTIONS.items()))  # noqa: SLF001  the same
    digest = hashlib.sha256(repr(stamp).encode())
    for name, value in sorted(_constants_and_kernels(function), key=lambda pair: pair[0]):
        digest.update(f"{name}={value}\n".encode())
    kept._source_stamp = digest.hexdigest()  # noqa: SLF001  the same


def _constants_and_kernels(function: FunctionType) -> Iterator[tuple[str, str]]:
    """Name and fingerprint of everything outside its own file that the compiled code is built from."""
    names = set(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            for attribute in names if value.__name__ not in _SETTLED else ():
                fingerprint = _fingerprint(getattr(value, attribute, None))
                if fingerprint is not None:
                    yield f"{name}.{attribute}", fingerprint
        else:
            fingerprint = _fingerprint(value)
            if fingerprint is not None:
                yield name, fingerprint


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _fingerprint(value: object) -> str | None:
    """What the compiler would freeze of this value; None for what it would not."""
    if isinstance(value, Dispatcher):
        cache = cast("Any", value)._cache  # noqa: SLF001  see _keep_on_disk
        file = getattr(cache, "_cache_file", None)
        return "not kept" if file is None else str(file._source_stamp)  # noqa: SLF001  see _keep_on_disk
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return repr(value) if isinstance(value, _CONSTANTS) else None
