"""Work that is done beside a block, again and again, on a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def beside(turn: Callable[[], None], name: str) -> Iterator[None]:
    """Take turns as long as the block lasts.

    Raises:
        Exception: What ended the turns, at the end of the block.
    """
    ended = threading.Event()

    def turns() -> None:
        while not ended.is_set():
            turn()

    with ThreadPoolExecutor(1, name) as pool:
        working = pool.submit(turns)
        try:
            yield
        finally:
            ended.set()
        working.result()
