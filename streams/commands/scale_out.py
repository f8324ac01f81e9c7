"""`rapport worker`, `rapport gateway` and `rapport relay`: the parts of the scale-out."""

import logging
from typing import TYPE_CHECKING, Final

import click

from streams import dangers, kernels, logs
from streams.commands.cluster import kafka_settings
from streams.commands.options import (
    check_access,
    ends_at_once,
    say,
    settings_options,
    stdout,
    until_signalled,
    version,
)
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.worker import Running

_log = logging.getLogger("rapport")

SHARED: Final = ("log", "redis", "group", "topic_prefix", "session_timeout_ms", "token", "http")
ANY_FREE: Final = {"http": "127.0.0.1:0"}  # many of them run on one machine


@click.command(short_help="Fold the events of Kafka.")
@click.option("--no-relay", is_flag=True, help="Deliver nothing; `rapport relay` does it.")
@settings_options(
    *(*SHARED, "rules", "model", "accept_gap", "stale_after"),
    only_kafka=True,
    said={"http": "Where metrics and profiles are served; by default any free port."},
    defaults=ANY_FREE,
)
def worker(settings: Settings, *, no_relay: bool) -> None:
    """Fold the events of Kafka into profiles in Redis, decide, and deliver.

    Any number of workers share the shards. SIGTERM ends one in order.
    """
    ends_at_once()
    kafka = kafka_settings(settings, "a worker reads from Kafka")
    check_access(settings)
    kernels.load(say)
    from streams.outfit import outfit_of
    from streams.scale_out import redis_of
    from streams.store import StoreAddress
    from streams.worker import run

    store = StoreAddress.parse(redis_of(settings))
    outfit = outfit_of(settings, version(), stdout())
    _begin(settings)

    def started(made: "Running") -> None:
        for sentence in outfit.rulebook.missing():
            _log.warning("%s", sentence)
        _started(made.url)

    until_signalled(lambda stop: run(outfit, kafka, store, stop, started, with_relay=not no_relay))


@click.command(short_help="Take events in over HTTP, into Kafka.")
@settings_options(*SHARED, only_kafka=True)
def gateway(settings: Settings) -> None:
    """Take events in over HTTP and write them to Kafka; show profiles when Redis is known."""
    ends_at_once()
    kafka = kafka_settings(settings, "a gateway writes to Kafka")
    check_access(settings)
    from streams.clock import SystemClock
    from streams.gateway import run
    from streams.metrics import Metrics

    _begin(settings)
    until_signalled(
        lambda stop: run(settings, kafka, Metrics(version()), SystemClock(), stop, _started)
    )


@click.command(short_help="Deliver for workers that do not.")
@settings_options(
    *SHARED,
    only_kafka=True,
    said={"http": "Where metrics are served; by default any free port."},
    defaults=ANY_FREE,
)
def relay(settings: Settings) -> None:
    """Deliver the actions of workers that run with --no-relay.

    One delivers at a time: a second one waits until the first has ended.
    """
    ends_at_once()
    kafka = kafka_settings(settings, "a relay alone is for Kafka, and `rapport up` has its own")
    check_access(settings)
    from streams.clock import SystemClock
    from streams.lone_relay import run
    from streams.metrics import Metrics

    _begin(settings)
    until_signalled(
        lambda stop: run(
            settings, kafka, Metrics(version()), SystemClock(), stdout(), stop, _started
        )
    )


def _begin(settings: Settings) -> None:
    """Set up the log, and say in it what was allowed although it is unsafe."""
    logs.set_up()
    dangers.warn(dangers.of(settings), settings.unsafe)


def _started(url: str) -> None:
    _log.info("listening at %s", url)
