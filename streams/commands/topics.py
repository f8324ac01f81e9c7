"""`rapport topics`: the topics in Kafka, made and measured."""

import asyncio
import time
from typing import TYPE_CHECKING

import click

from streams.commands.cluster import kafka_settings
from streams.commands.options import as_json, print_json, print_table, settings_options
from streams.commands.store import open_store
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.topics import Place

WHAT = "topics are Kafka's"


@click.group(short_help="Make topics, and see how far behind we are.")
def topics() -> None:
    """Make Kafka's topics, and see how far behind we are in them."""


@topics.command(short_help="Make the topics that are missing.")
@click.option("--replication", type=click.IntRange(1), default=3, show_default=True)
@as_json
@settings_options(
    *("log", "topic_prefix", "partitions"),
    only_kafka=True,
    said={"partitions": "Partitions of each topic; 4 when not given."},
)
def create(settings: Settings, *, replication: int, as_json: bool) -> None:
    """Make the topics that are missing, all input topics with the same number of partitions."""
    from streams import topics

    made = topics.create(kafka_settings(settings, WHAT), settings.partitions, replication)
    if as_json:
        print_json({"created": made})
    else:
        click.echo(f"made {', '.join(made)}" if made else "all topics are there")


@topics.command(short_help="How far behind we are in each topic.")
@as_json
@settings_options("log", "redis", "group", "topic_prefix", only_kafka=True)
def lag(settings: Settings, *, as_json: bool) -> None:
    """How many records wait in each topic and shard, and how old the oldest is.

    Measured from the fences in Redis when it is known, else from what the group has committed.
    """
    from streams import topics

    kafka = kafka_settings(settings, WHAT)
    places = topics.committed(kafka) if settings.redis is None else asyncio.run(_fences(settings))
    found = topics.lag(kafka, places, time.time_ns() // 1_000_000)
    if as_json:
        rows = [
            {
                "topic": each.topic,
                "shard": each.partition,
                "position": each.position,
                "end": each.end,
                "records": each.records,
                "age_ms": each.age_ms,
            }
            for each in found
        ]
        print_json({"records": sum(each.records for each in found), "topics": rows})
        return
    print_table(
        ("topic", "shard", "position", "end", "records", "seconds"),
        [
            (each.topic, each.partition, each.position, each.end, each.records, each.age_ms / 1000)
            for each in found
        ],
    )


async def _fences(settings: Settings) -> "dict[Place, int]":
    async with open_store(settings) as store:
        return {
            (topic, number): int(position)
            for number, fence in (await store.reader.fences()).items()
            for topic, position in fence.offsets.items()
        }
