"""A steady load beside whatever else happens."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.integration.shop import Sender, Told


@contextmanager
def loading(sender: Sender, events: Iterator[Told], rate: int) -> Iterator[None]:
    """Send `rate` events a second as long as the block lasts; then Kafka has all of them.

    Raises:
        Exception: What ended the sending, at the end of the block.
    """
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            sender.send(events, max(1, rate // 4), rate=rate)

    with ThreadPoolExecutor(1, "load") as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            ended.set()
        sending.result()
        sender.flush()
