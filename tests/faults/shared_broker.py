"""One Kafka broker for all experiments that do not harm it: starting one takes seconds of both cores.

Promise   `broker_of` hands over a broker that answers. It is the one that `python -m tests.faults` has
          started for all of them, or one of its own for an experiment that is run otherwise.
How       Its port is handed down in the environment. Topics and groups are told apart by `Run.prefix`.
Limits    Nobody may stop, pause or kill it: who does starts a broker of its own (running_broker).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.faults.experiment import Run
from tests.integration.kafka_broker import KafkaBroker, running_broker

PORT: Final = "FAULTS_BROKER_PORT"  # not RAPPORT_…: workers would take it for a setting


@contextmanager
def broker_of(run: Run) -> Iterator[KafkaBroker]:
    """The broker of this run, without topics of this prefix."""
    port = os.environ.get(PORT)
    if port is None:
        with running_broker(run.folder / "kafka") as broker:
            yield broker
    else:
        yield KafkaBroker(folder=run.folder / "kafka", port=int(port))


@contextmanager
def shared() -> Iterator[None]:
    """Start the broker, and let processes that are started in the block know of it."""
    assert PORT not in os.environ, "there is one already"
    with (
        TemporaryDirectory(prefix="rapport-faults-kafka-") as folder,
        running_broker(Path(folder) / "kafka") as broker,
    ):
        os.environ[PORT] = str(broker.port)
        try:
            yield
        finally:
            del os.environ[PORT]
