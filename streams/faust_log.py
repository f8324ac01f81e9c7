"""The Kafka log of a worker: Faust holds the group, librdkafka carries the data.

Promise   Until it is told to stop, each shard that the group gives to this worker is read from its
          fence on and committed. It ends in order within two seconds, and with an error when either
          plane cannot go on: a worker that does nothing must not look alive.
How       Two planes that share a target: control_plane.py publishes it, data_plane.py follows it on a
          thread of its own. First the topics are checked.
Limits    JOIN_SECONDS_MAX for the thread to end.
Not here  What a worker runs beside it (worker.py).
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Final

from confluent_kafka import Consumer

from streams.control_plane import GroupApp
from streams.data_plane import DataPlane
from streams.kafka_settings import KafkaSettings
from streams.ownership import Claim, Claims
from streams.patience import Trouble
from streams.shard_status import ShardStatus
from streams.topics import check, partition_counts

JOIN_SECONDS_MAX: Final = 1.5
WATCH_SECONDS: Final = 0.1

logger = logging.getLogger(__name__)


async def _nothing() -> None:
    """Nobody else has anything to end."""


class FaustLog:
    """The log, and the loop over it. One a process: Faust and its metrics are process-wide."""

    def __init__(
        self,
        settings: KafkaSettings,
        claim: Claim,
        trouble: Trouble = lambda _error: None,
        *,
        aligned: bool = True,
    ) -> None:
        self._settings = settings
        self._claim = claim
        self._trouble = trouble
        self._aligned = aligned
        self._plane: DataPlane | None = None
        self._failure: BaseException | None = None

    @property
    def statuses(self) -> tuple[ShardStatus, ...]:
        """The shards of this worker, as of the last second."""
        return () if self._plane is None else self._plane.statuses

    @property
    def beat_ms(self) -> int | None:
        """When the data plane last turned, by the monotonic clock in ms; None before the start."""
        return None if self._plane is None else self._plane.beat_ms

    async def run(
        self, stop: asyncio.Event, leaving: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Work until `stop` is set; then `leaving` is called while the shards are still ours.

        Raises:
            TopicsError: The topics are not as they must be; nothing was started.
            BaseException: What ended one of the planes.
        """
        counts = await asyncio.to_thread(partition_counts, self._settings)
        check(self._settings, counts)
        self._plane = plane = self._made()
        thread = threading.Thread(target=self._carry, args=(plane,), name="data-plane", daemon=True)
        app = GroupApp(self._settings, plane)
        starting = asyncio.create_task(app.start())
        thread.start()
        try:
            while not stop.is_set() and thread.is_alive() and not app.should_stop:
                if starting.done():
                    starting.result()
                await _first(stop, WATCH_SECONDS)
        finally:
            try:
                await leaving()
                await app.stop()
            finally:  # whatever Faust says: a thread that goes on would hold its shards
                plane.halt()
                await asyncio.to_thread(thread.join, JOIN_SECONDS_MAX)
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        failure = self._failure or app.crash_reason
        if failure is not None:
            raise failure

    def _made(self) -> DataPlane:
        consumer = Consumer(self._settings.consumer(_written_down))
        # An owner that lives has shown itself to the group within a session.
        claims = Claims(self._claim, patience_ms=2 * self._settings.session_timeout_ms)
        return DataPlane(
            consumer,
            self._settings.inputs,
            claims,
            trouble=self._trouble,
            accept_gap=self._settings.accept_gap,
            aligned=self._aligned,
        )

    def _carry(self, plane: DataPlane) -> None:
        try:
            plane.run()
        except BaseException as error:  # noqa: BLE001  whatever it was, `run` raises it
            self._failure = error


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _written_down(error: object) -> None:
    """What librdkafka reports and mends by itself: brokers that are away, connections that broke."""
    logger.warning("Kafka: %s", error)
