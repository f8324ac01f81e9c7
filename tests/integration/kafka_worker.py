"""A worker in a process of its own, for tests that stop, kill and freeze it. Run as a script.

It is a worker's log with rules of the test, and four switches that no product has:

    naive       no fence: positions come from the group's committed offsets, rows are just written
    hasty       the batch in hand is not waited for when shards are handed on, and where it ended is
                not told first: Faust's way, unless it is told to wait
    unaligned   topics are not aligned in time
    SIGUSR1     die between sending the next commit and reading its reply, as a power cut would
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from processors.batch import Records
from processors.decode import decode
from processors.model_file import default_model
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.load import load
from streams.clock import SystemClock
from streams.control_plane import GroupConsumer
from streams.deliveries import NoDeliveries
from streams.faust_log import FaustLog
from streams.kafka_claim import claim_of
from streams.kafka_settings import KafkaSettings
from streams.keys import Keys
from streams.metrics import Metrics
from streams.outbox import encode
from streams.ownership import Claim, Commit, HeldShard
from streams.rows import Rows
from streams.step import Engine, run
from streams.store import Command, Connection, StoreAddress
from streams.work import Work
from tests.at_once import AtOnce


def engine_of(rules: bytes) -> Engine:
    """The engine with the default model and these rules.

    It remembers one event id a customer: what the fence has to do, duplicates must not hide.
    """
    model = default_model()
    model = replace(model, admit=replace(model.admit, duplicates_kept=1))
    builder = PlanBuilder()
    Scores.compile(builder, model)
    return Engine(model, load({"test.toml": rules}, builder.names))


class NaiveShard:
    """A shard as one would write it without thinking of two owners."""

    def __init__(
        self, engine: Engine, kafka: KafkaSettings, store: StoreAddress, number: int
    ) -> None:
        self.number = number
        self.engine = engine
        self.table = engine.table()
        self.connection = Connection(store)
        self.rows = Rows(self.connection, number, {})
        self.offsets = committed(kafka, number)

    def is_full(self) -> bool:
        return False

    def look(self) -> None:
        """There is no fence to look at."""

    @property
    def due_ms(self) -> int | None:
        return None

    def fire(self, until_ms: int) -> AtOnce | None:
        """It knows of no timers."""

    def step(self, records: Records, offsets: dict[str, str]) -> AtOnce:
        del offsets  # Kafka keeps them, a second late
        decoded = decode(records)
        self.rows.keep_layout(self.engine.plan.layout)
        ids = [event.customer_id for event in decoded.events]
        missing = self.table.missing(ids)
        if missing:
            rows = self.rows.load(missing, lambda _fence: None)
            self.table.insert(missing, rows, self.rows.layout_of, keep=ids)
        outcome = run(self.engine, self.table, records, decoded, self.number)
        keys = Keys.of(self.number)
        commands: list[Command] = []
        for customer, row, view in zip(
            outcome.changed_ids, outcome.rows, outcome.views, strict=True
        ):
            name = customer.encode()
            commands.append(("MSET", keys.row_ + name, row, keys.customer_ + name, view))
        if outcome.actions:
            sequence = self.connection.call("INCR", f"naive:{{{self.number}}}:sequence")
            assert isinstance(sequence, int)
            commands.append(("SET", keys.outbox(sequence), encode(outcome.actions)))

        def commit() -> None:
            self.connection.ask(commands)

        return AtOnce(commit)

    def close(self) -> None:
        self.connection.close()


class Spoken(NoDeliveries):
    """Writes down who claimed what, so that a checker can tell whose a shard was."""

    def claimed(self, number: int, nonce: str, last: int) -> None:
        logging.getLogger(__name__).info("claimed shard %d as %s, outbox %d", number, nonce, last)


def committed(settings: KafkaSettings, number: int) -> dict[str, str]:
    """Where the group's committed offsets say that a shard is."""
    consumer = Consumer({**settings.client(), "group.id": settings.group})
    try:
        asked = [TopicPartition(topic, number) for topic in settings.inputs]
        found = consumer.committed(asked, timeout=10)
        return {each.topic: str(each.offset) for each in found if each.offset >= 0}
    finally:
        consumer.close()


def dying_between_send_and_reply(claim: Claim) -> Claim:
    """Claim as `claim` does; after SIGUSR1 the next commit is sent, and then we die."""
    is_marked = False

    def mark(_number: int, _frame: object) -> None:
        nonlocal is_marked
        is_marked = True

    signal.signal(signal.SIGUSR1, mark)

    def claimed(number: int, generation: int, forced: bool) -> HeldShard:
        shard = claim(number, generation, forced)
        step = shard.step

        def marked_step(records: Records, offsets: dict[str, str]) -> Commit:
            commit = step(records, offsets)
            if is_marked and isinstance(commit, Work):
                commit.shard.begin(commit)
                os.kill(os.getpid(), signal.SIGKILL)
            return commit

        shard.step = marked_step  # type: ignore[method-assign]  # a test's own way in
        return shard

    return claimed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("redis")
    parser.add_argument("prefix")
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--session-timeout-ms", type=int, default=2_000)
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--hasty", action="store_true")
    parser.add_argument("--unaligned", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    engine = engine_of(options.rules.read_bytes())
    kafka = KafkaSettings(
        (options.bootstrap,),
        group=options.prefix + "group",
        topic_prefix=options.prefix,
        session_timeout_ms=options.session_timeout_ms,
    )
    store = StoreAddress.parse(options.redis)
    if options.hasty:
        GroupConsumer.wait_empty = hand_on  # type: ignore[method-assign,assignment]  # a test's own way in
    if options.naive:
        log = FaustLog(
            kafka, lambda number, _generation, _forced: NaiveShard(engine, kafka, store, number)
        )
    else:
        metrics, clock = Metrics("test"), SystemClock()
        claim = claim_of(kafka, store, lambda: engine, metrics, clock, Spoken())
        log = FaustLog(kafka, dying_between_send_and_reply(claim), aligned=not options.unaligned)
    asyncio.run(until_signalled(log))


async def hand_on(_consumer: GroupConsumer) -> None:
    """Wait for nothing."""


async def until_signalled(log: FaustLog) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await log.run(stop)


if __name__ == "__main__":
    main()
