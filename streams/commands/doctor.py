"""`rapport doctor`: whether everything that is needed is there and fits together."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import click

from streams import dangers, kernels
from streams.commands.options import (
    Problems,
    as_json,
    counted,
    print_json,
    say,
    settings_options,
    stdout,
)
from streams.commands.store import address_of
from streams.errors import StoreDownError, StreamsError, UnsafeStoreError
from streams.settings import EmbeddedLog, KafkaLog, Settings

Answer = tuple[Literal["ok", "note", "problem"], str]
COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is."""

    part: str
    state: Literal["ok", "note", "problem"]
    detail: str


@click.command(short_help="Check settings, rules, Redis and Kafka.")
@as_json
@settings_options("log", "redis", "group", "rules", "model", "topic_prefix", "partitions")
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check whether settings, model, rules, Redis and Kafka are there and fit together."""
    kernels.load(say)
    checks: dict[str, Callable[[Settings], Answer]] = {
        "settings": _settings,
        "rules": _rules,
        "endpoints": _endpoints,
        "redis": _redis,
        "log": _log,
    }
    found = [_looked(part, check, settings) for part, check in checks.items()]
    problems = [each for each in found if each.state == "problem"]
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(each) for each in found]})
    else:
        console = stdout()
        for each in found:
            console.print(f"{each.state:8} {each.part:10} ", style=COLOURS[each.state], end="")
            console.print(each.detail.replace("\n", "\n" + " " * 20), markup=False)
    if problems:
        raise Problems("" if as_json else f"{len(problems)} of {len(found)} parts have problems")


def _looked(part: str, check: Callable[[Settings], Answer], settings: Settings) -> Finding:
    try:
        return Finding(part, *check(settings))
    except (StreamsError, ValueError) as error:
        return Finding(part, "problem", str(error))


def _settings(settings: Settings) -> Answer:
    allowed = [each.detail for each in dangers.of(settings)]  # what is not, is no settings
    state: Literal["ok", "note"] = "note" if allowed else "ok"
    if isinstance(settings.log, EmbeddedLog):
        where = f"the log is embedded, in {settings.log.directory}"
    elif settings.redis is None:
        return "problem", "the log is Kafka, so workers share a Redis: set redis to its URL"
    else:
        where = f"the log is Kafka at {', '.join(settings.log.servers)}"
    return state, "\n".join([where, *(f"allowed: {each}" for each in allowed)])


def _rules(settings: Settings) -> Answer:
    from streams.loader import Sources

    sources = Sources(settings.model, settings.rules)
    engine = sources.engine()
    count = len(engine.rules.rules)
    told = f"{counted(count, 'rule')} of {sources.place}, model {engine.model.id}"
    return ("ok", told) if count else ("note", f"{told}: nothing will ever fire")


def _endpoints(settings: Settings) -> Answer:
    from streams.endpoints import missing_endpoints
    from streams.loader import Sources

    try:
        rules = Sources(settings.model, settings.rules).engine().rules.rules
    except (StreamsError, ValueError):  # `rules` has told what it is
        return "note", "which are needed is known when the rules can be used"
    missing = missing_endpoints(rules, settings.endpoints)
    if missing and _is_demo(settings):
        return (
            "ok",
            f"{len(settings.endpoints)}; `rapport up --demo` answers for the {len(missing)} others",
        )
    if missing:
        return "note", "\n".join(missing)
    return "ok", f"{len(settings.endpoints)}, and every rule finds its own"


def _is_demo(settings: Settings) -> bool:
    """Whether the data are those of a simulated shop, which brings a receiver of its own."""
    from streams.demo import CHECKPOINT

    log = settings.log
    return isinstance(log, EmbeddedLog) and (log.directory / CHECKPOINT).exists()


def _redis(settings: Settings) -> Answer:
    from streams.redis_executable import redis_executable, redis_version
    from streams.safety import check
    from streams.store import Connection, information

    is_embedded = settings.redis is None and isinstance(settings.log, EmbeddedLog)
    executable = redis_executable() if is_embedded else None
    if is_embedded and executable is None:
        return "problem", "there is no redis-server 6.2 or newer; install Redis"
    connection = Connection(address_of(settings))
    try:
        check(connection, log_inside=is_embedded, allowed=settings.unsafe)
        version = information(connection, "server")["redis_version"]
        return "ok", f"Redis {version} answers, and keeps what it is given{_partitions(settings)}"
    except UnsafeStoreError as error:
        return "problem", str(error)
    except StoreDownError:
        if executable is not None:
            version = ".".join(map(str, redis_version(executable)))
            return "ok", f"{executable} {version} is there, not running: `rapport up` starts it"
        raise
    finally:
        connection.close()


def _partitions(settings: Settings) -> str:
    """A sentence about the number of shards; raises when it does not fit."""
    from streams import partitions
    from streams.store import Connection

    connection = Connection(address_of(settings))
    try:
        known = partitions.known(connection)
    finally:
        connection.close()
    if known is not None and isinstance(settings.log, EmbeddedLog) and known != settings.partitions:
        raise partitions.PartitionsError(settings.partitions, known)
    return "" if known is None else f"; customers in {known} partitions"


def _log(settings: Settings) -> Answer:
    if not isinstance(settings.log, KafkaLog):
        return "ok", "in Redis"
    from streams import topics
    from streams.kafka_settings import KafkaSettings

    kafka = KafkaSettings.of(settings)
    count = topics.check(kafka, topics.partition_counts(kafka))
    return "ok", f"{len(kafka.inputs)} input topics with {count} partitions each"
