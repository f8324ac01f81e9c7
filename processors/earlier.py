"""Earlier: the earlier of two times, where 0 says that there is none.

Promise   For kernels: of times that something in a row waits for.
Not here  What waits: rules/decide.py, health_ahead.py.
"""

from processors.compiled import compiled


@compiled("i8(i8, i8)")
def earlier(first_ms: int, second_ms: int) -> int:
    """The earlier of two times, of which 0 is none."""
    if first_ms == 0 or second_ms == 0:
        return max(first_ms, second_ms)
    return min(first_ms, second_ms)
