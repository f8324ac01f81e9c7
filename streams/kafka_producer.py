"""The producer: records into Kafka from asyncio.

Promise   A place is returned when the record is on all in-sync replicas, in the order of the calls for
          each key. A call that fails may have written its record; nothing is dropped without a word.
How       confluent-kafka, idempotent. Its delivery reports come on a thread of their own, which wakes
          the event loop once for all that have come.
Limits    IN_FLIGHT_MAX records under way; more wait for their turn. DELIVERY_MS_MAX each.
Not here  Dead letters, which are written by the data plane's thread (kafka_dead_letters.py).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.event import Event
from sinks.errors import ProduceError
from streams.appender import AppendError, Refused
from streams.delivery_report import failure
from streams.kafka_settings import KafkaSettings
from streams.probes import Check

IN_FLIGHT_MAX: Final = 10_000  # 10 MB at 1 KB each; at 2,000/s two or three are under way
POLL_SECONDS: Final = 0.1
CLOSE_SECONDS_MAX: Final = 1.0
PROBE_SECONDS_MAX: Final = 1.0
FINAL: Final = frozenset(  # sending it again cannot help
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_TIMESTAMP,
    )
)

Header: TypeAlias = tuple[str, bytes]
Report: TypeAlias = tuple["asyncio.Future[str]", KafkaError | None, str]


class KafkaProducer:
    """One producer; to be made and used on one event loop. It is a `sinks.topic.Producer`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._producer = Producer(settings.producer())
        self._reports: deque[Report] = deque()  # as many as are under way
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer", daemon=True)
        self._thread.start()

    async def produce(
        self, topic: str, key: bytes, value: bytes, headers: Sequence[Header] = ()
    ) -> str:
        """Write one record and return where it is once that is durable, as "topic/partition/offset".

        Raises:
            ProduceError: It is not known to be written.
        """
        return await (await self.send(topic, key, value, headers))

    async def send(
        self, topic: str, key: bytes, value: bytes, headers: Sequence[Header] = ()
    ) -> "asyncio.Future[str]":
        """Queue one record, waiting for room; the future is as `produce`. Calls keep their order."""
        await self._room.acquire()
        future: asyncio.Future[str] = self._loop.create_future()
        future.add_done_callback(self._make_room)

        def report(error: KafkaError | None, message: Message) -> None:  # on the polling thread
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            self._reports.append((future, failure(error, message), place))
            if len(self._reports) == 1:
                self._loop.call_soon_threadsafe(self._settle)

        try:
            self._producer.produce(
                topic, value=value, key=key, headers=list(headers), on_delivery=report
            )
        except KafkaException as error:  # at once, for instance because it is too large for us
            future.set_exception(_failure(error.args[0]))
        except BufferError as error:
            future.set_exception(ProduceError(str(error), is_final=False))
        return future

    async def probe(self) -> Check:
        """Whether a broker answers."""
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=PROBE_SECONDS_MAX)
        except KafkaException as error:
            return Check(ok=False, detail=f"no broker answers: {error.args[0]}")
        return Check(ok=True)

    async def close(self) -> None:
        """Wait for what is under way, CLOSE_SECONDS_MAX at most. Afterwards nothing can be sent."""
        await asyncio.to_thread(self._producer.flush, CLOSE_SECONDS_MAX)
        self._closed.set()
        await asyncio.to_thread(self._thread.join)
        self._settle()

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(POLL_SECONDS)

    def _make_room(self, _future: "asyncio.Future[str]") -> None:
        self._room.release()

    def _settle(self) -> None:
        while self._reports:
            future, error, place = self._reports.popleft()
            if future.done():  # whoever waited was cancelled
                continue
            if error is None:
                future.set_result(place)
            else:
                future.set_exception(_failure(error))


def _failure(error: KafkaError) -> ProduceError:
    return ProduceError(str(error), is_final=error.code() in FINAL)


class KafkaAppender:
    """The way into the Kafka log: each event to the topic of its kind, by customer."""

    def __init__(self, settings: KafkaSettings, producer: KafkaProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def append(self, records: Sequence[tuple[Event, bytes]]) -> Sequence[Refused]:
        """Append in order, per customer and kind; return when durable. See `Appender`."""
        futures = [
            await self._producer.send(
                self._settings.input_of(event.type), event.customer_id.encode(), value
            )
            for event, value in records
        ]
        outcomes: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        refused: list[Refused] = []
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, ProduceError) and outcome.is_final:
                refused.append(Refused(index, "log", str(outcome)))
            elif isinstance(outcome, BaseException):
                raise AppendError(str(outcome)) from outcome
        return refused
