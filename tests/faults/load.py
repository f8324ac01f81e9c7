"""A steady load beside whatever else happens."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.beside import beside
from tests.integration.shop import Sender, Told


@contextmanager
def loading(sender: Sender, events: Iterator[Told], rate: int) -> Iterator[None]:
    """Send `rate` events a second as long as the block lasts; then Kafka has all of them.

    Raises:
        Exception: What ended the sending, at the end of the block.
    """
    with beside(lambda: sender.send(events, max(1, rate // 4), rate=rate), "load"):
        yield
    sender.flush()
