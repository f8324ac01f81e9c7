"""The control plane: Faust holds the group, and fetches nothing.

Promise   The shards that the group gives us are published to the data plane, whole shards only, and
          taken from it before the group hands them on. Kafka's committed offsets follow what Redis
          has stored; they are progress information, and nobody starts from them.
How       A Faust app whose transport has its own consumer and conductor. Faust does membership,
          heartbeats, rebalancing and commits; aiokafka's partitions are paused the moment they are
          assigned. Once a second, while the data plane turns, aiokafka is asked for records that it
          cannot have: this keeps us in the group, and a stuck data plane takes us out of it.
Limits    REVOKE_SECONDS_MAX for a batch in hand; SILENCE_SECONDS_MAX without a turn.
Not here  Records (data_plane.py). Starting and ending it all (faust_log.py).
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, cast

import aiokafka
import faust
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.assignor import PartitionAssignorT
from mode.types import ServiceT
from mode.utils.objects import cached_property

from streams.data_plane import DataPlane
from streams.errors import TopicsError
from streams.kafka_settings import KafkaSettings
from streams.ownership import Target

COMMIT_SECONDS_MAX: Final = 1.0  # to tell Kafka how far we are, which is progress information
REVOKE_SECONDS_MAX: Final = 5.0  # then the fence alone protects, as it always does
SILENCE_SECONDS_MAX: Final = 30.0  # a data plane that is stuck for so long loses its shards
TICK_SECONDS: Final = 1.0
REBALANCE_SECONDS: Final = (
    15.0  # a rebalance waits so long for its slowest member; Faust's 60 is long
)

logger = logging.getLogger(__name__)

# What is overridden or used below; a Faust that has renamed it would go on without us.
OVERRIDDEN: Final = {
    Conductor: ("_update_indices", "on_partitions_assigned"),
    driver.Consumer: (
        *("_new_consumer_thread", "_drain_messages", "_filter_tps_with_pending_acks"),
        *("_new_offset", "perform_seek", "verify_event_path", "wait_empty", "RebalanceListener"),
    ),
    driver.AIOKafkaConsumerThread: ("_commit",),
    driver.Transport: ("Consumer", "Conductor"),
    SubscriptionState: ("fetch_context",),
    faust.App: ("_new_transport", "on_first_start", "assignor"),
}


class Topics(Conductor):
    """Subscribes to the input topics, without agents or streams."""

    async def _update_indices(self) -> Iterable[str]:
        return cast("GroupApp", self.app).topic_names

    async def on_partitions_assigned(self, assigned: set[TP]) -> None:
        """Nothing to index."""


class Listener(driver.ConsumerRebalanceListener):
    """Pauses every partition before the first fetch could be sent."""

    async def on_partitions_assigned(self, assigned: Iterable[aiokafka.TopicPartition]) -> None:
        partitions = list(assigned)
        self._thread._ensure_consumer().pause(*partitions)  # noqa: SLF001  Faust has no public way
        await super().on_partitions_assigned(partitions)


class GroupThread(driver.AIOKafkaConsumerThread):
    """Gives a commit up when no broker takes it: else the worker could neither end nor let go of shards."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                return await super()._commit(offsets)
        except TimeoutError:
            logger.warning("no broker takes the group's positions; the fences have them")
            return False


class GroupConsumer(driver.Consumer):
    """Turns what the group says into targets of the data plane."""

    RebalanceListener: ClassVar[type[driver.ConsumerRebalanceListener]] = Listener

    def _new_consumer_thread(self) -> GroupThread:
        return GroupThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def plane(self) -> DataPlane:
        return cast("GroupApp", self.app).plane

    def resume_flow(self) -> None:
        """Publish the shards of this generation.

        Raises:
            TopicsError: The group has split a shard: the topics' partition counts differ.
        """
        super().resume_flow()
        app = cast("GroupApp", self.app)
        shards = whole_shards(self.assignment(), app.topic_names)
        self.plane.aim(Target(app.consumer_generation_id, shards))

    def stop_flow(self) -> None:
        """Take everything from the data plane."""
        super().stop_flow()
        self.plane.aim(Target())

    async def wait_empty(self) -> None:
        """Wait for the batch in hand, then commit. Faust calls this before partitions move."""
        deadline = self.loop.time() + REVOKE_SECONDS_MAX
        while self.plane.busy and self.loop.time() < deadline:  # noqa: ASYNC110  a thread must not wait for us
            await asyncio.sleep(0.001)
        await super().wait_empty()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ANN401  Faust's own type
        for number, positions in self.plane.positions.copy().items():
            for topic in positions:
                if topics is None or topic in topics:
                    yield TP(topic, number)

    def _new_offset(self, tp: TP) -> int | None:
        return self.plane.positions.get(tp.partition, {}).get(tp.topic)

    async def perform_seek(self) -> None:
        """Nothing: the data plane starts at the fence."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: no record comes this way, and the probes watch the data plane."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Stay, and fetch nothing, until Faust stops its fetcher.

        aiokafka leaves a group whose records nobody asks for. While the data plane turns we ask; all
        partitions are paused, so there are none, and it returns at once.
        """
        try:
            await self._stay(fetcher)
        except asyncio.CancelledError:
            # Whose fetcher is cancelled while the group rebalances has crashed, says Faust: 1. the group
            # rebalances; 2. the worker is to end; 3. it ends with an error. To end is no crash.
            if not self.app.should_stop:
                raise

    async def _stay(self, fetcher: ServiceT) -> None:
        while not (self.should_stop or fetcher.should_stop):
            beat_ms = self.plane.beat_ms
            await self.sleep(TICK_SECONDS)
            if self.plane.beat_ms != beat_ms:
                await self._thread.call_thread(self._show_life)

    async def _show_life(self) -> None:
        """Ask for records, on aiokafka's thread.

        While the group rebalances, asking would wait for its end, and not asking would never end it:
        aiokafka joins no group for who has been silent for long, as a frozen process has. So then we
        only do as if we had asked.
        """
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  Faust has no public way
        if self.app.rebalancing:
            with consumer._subscription.fetch_context():  # noqa: SLF001  nor has aiokafka
                return
        await consumer.getmany()


class GroupTransport(driver.Transport):
    """aiokafka, with our consumer and conductor."""

    Consumer: ClassVar[Any] = GroupConsumer
    Conductor: ClassVar[Any] = Topics


class GroupApp(faust.App):
    """The Faust app of a worker."""

    def __init__(self, settings: KafkaSettings, plane: DataPlane) -> None:
        check_overridden()
        self.topic_names = settings.inputs
        self.plane = plane
        super().__init__(**faust_settings(settings))

    def _new_transport(self) -> GroupTransport:
        return GroupTransport(self.conf.broker_consumer, self)

    async def on_first_start(self) -> None:
        """No folder for tables: there are none."""

    @cached_property
    def assignor(self) -> PartitionAssignorT:
        """Faust's own assignor, which keeps the partitions of one number together.

        The setting must say one standby for Faust to use it at all, but made with one standby it
        leaves a third worker idle; so it is made with none.
        """
        made: Any = self.conf.PartitionAssignor
        return cast("PartitionAssignorT", made(self, replicas=0))


def whole_shards(assigned: Iterable[TP], topics: tuple[str, ...]) -> frozenset[int]:
    """The shards of which all topics are assigned.

    Raises:
        TopicsError: Of some shard only a part is.

    >>> sorted(whole_shards({TP("a", 0), TP("b", 0), TP("a", 2), TP("b", 2)}, ("a", "b")))
    [0, 2]
    """
    held = {(each.topic, each.partition) for each in assigned}
    numbers = frozenset(number for _, number in held)
    missing = sorted(
        f"{topic} {number}" for number in numbers for topic in topics if (topic, number) not in held
    )
    if missing:
        raise TopicsError(
            (
                "the group has split shards, for the topics' partition counts differ; not ours: "
                + ", ".join(missing),
            )
        )
    return numbers


def faust_settings(settings: KafkaSettings) -> Mapping[str, Any]:
    session = settings.session_timeout_ms / 1_000
    return {
        "id": settings.group,
        "broker": [f"kafka://{server}" for server in settings.servers],
        "broker_credentials": settings.security.faust(),
        "broker_client_id": "rapport",
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(1.0, session / 3),  # also how soon we notice a rebalance
        "broker_rebalance_timeout": max(REBALANCE_SECONDS, session),
        "broker_request_timeout": max(90.0, session),
        "broker_max_poll_interval": SILENCE_SECONDS_MAX,
        "broker_commit_interval": 1.0,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": True,  # it is what commits before partitions are revoked
        "stream_recovery_delay": 0.0,
        "table_standby_replicas": 1,  # see GroupApp.assignor
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
        "store": "memory://",
    }


def check_overridden() -> None:
    """Assert that what we override is there to be overridden."""
    for owner, names in OVERRIDDEN.items():
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__}.{name} is gone: another Faust?"
