"""The settings: read once, checked whole, and never changed afterwards.

Promise   `read` returns settings that are all well-formed, or raises one `SettingsError` that lists
          every mistake with its place and its mend. A setting that we do not know is a mistake.
How       Three sources become one flat map of dotted names (`endpoints.crm.url`): `rapport.toml`,
          over it the environment (`RAPPORT_LOG`, `RAPPORT_ENDPOINTS_CRM_URL`), over it flags. Each
          name then has one parser. Paths in the file are relative to the file, other paths to the
          working directory.
Limits    Secrets are left out of `repr`, so that no log shows them.
Not here  Reading one value (given.py). The tables [kafka] (kafka_access.py) and [endpoints]
          (endpoint_table.py). Whether a server answers:
          `rapport doctor`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams import dangers
from streams.endpoint_table import ENDPOINTS_MAX, Endpoint, endpoint_field, lacking
from streams.endpoint_table import FIELDS as ENDPOINT_FIELDS
from streams.endpoint_table import PARSERS as ENDPOINT_PARSERS
from streams.errors import StreamsError
from streams.given import (
    Address,
    EmbeddedLog,
    Given,
    KafkaLog,
    duration,
    flag,
    http,
    log,
    matching,
    path,
    percentage,
    redis,
    some_of,
    text,
    unknown,
    whole,
)
from streams.kafka_access import PARSERS as KAFKA_PARSERS
from streams.kafka_access import KafkaAccess, contradictions

__all__ = (
    "ENDPOINTS_MAX",
    "Address",
    "EmbeddedLog",
    "Endpoint",
    "KafkaAccess",
    "KafkaLog",
    "Settings",
    "SettingsError",
    "read",
)

FILE_NAME: Final = "rapport.toml"
ENVIRONMENT_PREFIX: Final = "RAPPORT_"
FILE_VARIABLE: Final = "RAPPORT_SETTINGS"  # names the file; not a setting itself

PARTITIONS_MAX: Final = 1024  # each shard costs a connection and a table; FAUST.md tried 4
SESSION_TIMEOUT_MS_MIN: Final = 1_000  # brokers refuse less than 6 s unless told otherwise
SESSION_TIMEOUT_MS_MAX: Final = 1_800_000  # Kafka's own upper bound, group.max.session.timeout.ms
HISTORY_MB_MAX: Final = 10_000_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")


class SettingsError(StreamsError):
    """All that is wrong with the settings, one sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings with their defaults."""

    log: EmbeddedLog | KafkaLog = field(default_factory=lambda: EmbeddedLog(Path("rapport-data")))
    redis: str | None = field(default=None, repr=False)  # None: the embedded server
    group: str = "rapport"
    rules: Path | None = None  # a folder; None: the rules that come along
    model: Path | None = None  # a TOML file; None: the model that comes along
    http: Address = field(default_factory=lambda: Address("127.0.0.1", 8787))
    topic_prefix: str = ""
    partitions: int = 4
    session_timeout_ms: int = 10_000
    accept_gap: bool = False  # go on at the log's start where it has lost what the fence wants
    stale_after: timedelta | None = timedelta(days=1)  # see staleness.py; None: never
    history_mb: int = 1_024  # see kept_history.py; 0: none is kept
    rules_guard_times: int = 5  # see guard.py; 0: never too many fires
    rules_guard_share: float = 0.1  # the same for customers
    token: str | None = field(default=None, repr=False)
    unsafe: frozenset[str] = frozenset()  # what may be unsafe all the same: dangers.py
    kafka: KafkaAccess = field(default_factory=KafkaAccess)
    endpoints: Mapping[str, Endpoint] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def stale_ms(self) -> int | None:
        return None if self.stale_after is None else self.stale_after // timedelta(milliseconds=1)


def read(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    working_directory: Path = Path(),
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Read the settings from all three places.

    Args:
        flags: dotted setting name to what was given on the command line; None is "not given". The
            name "settings" chooses the file.
        environment: usually `os.environ`.
        working_directory: where `rapport.toml` is looked for.
        defaults: what a command takes instead of our own defaults.

    Raises:
        SettingsError: Anything is malformed, unknown or missing; all of it at once.

    >>> read({"log": "kafka://one:9092,two:9092"}, {"RAPPORT_GROUP": "shop"}).group
    'shop'
    """
    problems: list[str] = []
    given = {name: Given(value, "default", working_directory) for name, value in defaults.items()}
    named = flags.get("settings") or environment.get(FILE_VARIABLE)
    file = working_directory / (str(named) if named else FILE_NAME)
    if named or file.exists():
        given.update(_from_file(file, problems))
    given.update(_from_environment(environment, working_directory, given))
    for name, value in flags.items():
        if value is not None and name != "settings":
            given[name] = Given(value, "--" + name.replace("_", "-"), working_directory)
    settings = _parse(given, problems)
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _from_file(file: Path, problems: list[str]) -> dict[str, Given]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (
        OSError,
        ValueError,
    ) as error:  # also what is no UTF-8, no TOML, or a number of 5,000 digits
        problems.append(f"{file}: cannot be read: {error}")
        return {}
    except RecursionError:
        problems.append(f"{file}: cannot be read: it is nested too deeply; no setting is so deep")
        return {}
    return {name: Given(value, str(file), file.parent) for name, value in _flat(tree)}


def _flat(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict) and prefix.count(".") <= 1:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _from_environment(
    environment: Mapping[str, str], folder: Path, given: Mapping[str, Given]
) -> dict[str, Given]:
    known = {_variable(name): name for name in (*given, *_PARSERS)}
    found = {}
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable != FILE_VARIABLE:
            name = known.get(variable) or _dotted(variable, known)
            found[name] = Given(value, variable, folder)
    return found


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + re.sub(r"[.-]", "_", name).upper()


def _dotted(variable: str, known: Mapping[str, str]) -> str:
    """The setting that a variable means: an endpoint as the file spells it, else lower case.

    >>> _dotted("RAPPORT_ENDPOINTS_CRM_ALLOW_PRIVATE", {})
    'endpoints.crm.allow_private'
    """
    bare = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
    for each in ENDPOINT_FIELDS:
        found = re.fullmatch(rf"endpoints_(.+)_{each}", bare)
        if found is None:
            continue
        for other in ENDPOINT_FIELDS:
            spelt = known.get(f"{ENVIRONMENT_PREFIX}ENDPOINTS_{found[1].upper()}_{other.upper()}")
            if spelt is not None:
                return spelt.rpartition(".")[0] + "." + each
        return f"endpoints.{found[1]}.{each}"
    return bare


def _parse(given: Mapping[str, Given], problems: list[str]) -> Settings:
    values: dict[str, object] = {}
    endpoints: dict[str, dict[str, object]] = {}
    for name, one in given.items():
        try:
            if name.startswith("endpoints."):
                endpoint, each = endpoint_field(name)
                fields = endpoints.setdefault(endpoint, {})
                fields[each] = ENDPOINT_PARSERS[each](one)
            elif name in _PARSERS:
                values[name] = _PARSERS[name](one)
            else:
                raise ValueError(unknown(name, (*_PARSERS, "endpoints")))  # noqa: TRY301  one handler names the place for all
        except ValueError as error:
            problems.append(f"{one.place}: {name}: {error}")
    problems += lacking(endpoints, given)
    if problems:
        return Settings()
    fields = {name: values.pop(f"kafka.{name}", None) for name in KAFKA_PARSERS}
    kafka = KafkaAccess(**{name: value for name, value in fields.items() if value is not None})  # type: ignore[arg-type]  # parsed above, by name
    problems += contradictions(kafka)
    made = {name: Endpoint(name, **fields) for name, fields in endpoints.items()}  # type: ignore[arg-type]  # parsed above, by name
    settings = Settings(**values, kafka=kafka, endpoints=MappingProxyType(made))  # type: ignore[arg-type]  # the same
    problems += dangers.refused(dangers.of(settings), settings.unsafe)
    return settings


_PARSERS: Final[Mapping[str, Callable[[Given], object]]] = {
    "log": log,
    "redis": redis,
    "group": matching(_NAME, "must be a name of letters, digits, . _ and -"),
    "rules": path,
    "model": path,
    "http": http,
    "topic_prefix": matching(_PREFIX, "must have letters, digits, . _ and - only"),
    "partitions": whole(1, PARTITIONS_MAX),
    "session_timeout_ms": whole(SESSION_TIMEOUT_MS_MIN, SESSION_TIMEOUT_MS_MAX),
    "accept_gap": flag,
    "stale_after": duration,
    "history_mb": whole(0, HISTORY_MB_MAX),
    "rules_guard_times": whole(0, 1_000_000),
    "rules_guard_share": percentage,
    "token": text,
    "unsafe": some_of(*dangers.NAMES),
    **{f"kafka.{name}": parser for name, parser in KAFKA_PARSERS.items()},
}
