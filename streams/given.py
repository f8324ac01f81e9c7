"""One setting as it was given, and the ways to read its value.

Promise   A parser returns a well-formed value or raises ValueError with a sentence that goes on
          from the setting's name and says what is allowed.
How       One function a kind of value. What may hold a secret (also a URL may) is never repeated
          in a sentence, because logs keep sentences.
Limits    Shapes only: nothing is connected to, looked up or opened.
Not here  Which settings there are, and where they come from: settings.py.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rules.duration import DURATION_MS_MAX, UNITS_MS
from sinks.errors import SecretError
from sinks.signing import Signer

PORT_MAX: Final = 65_535
NEVER: Final = "never"

_WORDS_TRUE: Final = ("true", "yes", "on", "1")
_WORDS_FALSE: Final = ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class EmbeddedLog:
    """The log of one machine: Redis Streams, with the server's files in this folder."""

    directory: Path


@dataclass(frozen=True, slots=True)
class KafkaLog:
    """The log for scale-out."""

    servers: tuple[str, ...]  # "host:port" each


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 asks the system for a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it, so that no token is needed."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Given:
    """The value of one setting, from wherever it was read."""

    value: object
    place: str  # how to find it: "rapport.toml", "RAPPORT_LOG", "--log"
    folder: Path  # what a relative path in it is relative to


def unknown(name: str, known: tuple[str, ...]) -> str:
    """What to say of a setting that is none of these."""
    close = get_close_matches(name.lower(), known, n=1)
    if close:
        return f"there is no such setting; did you mean {close[0]}?"
    return f"there is no such setting; there are {', '.join(known)}"


def text(one: Given) -> str:
    if isinstance(one.value, (str, Path)) and str(one.value).strip():
        return str(one.value).strip()
    raise ValueError(f"must be a text that is not empty, got {type(one.value).__name__}")


def matching(pattern: re.Pattern[str], says: str) -> Callable[[Given], str]:
    def parse(one: Given) -> str:
        if not isinstance(one.value, str) or not pattern.fullmatch(one.value):
            raise ValueError(f"{says}, got {one.value!r}")
        return one.value

    return parse


def choice(*words: str) -> Callable[[Given], str]:
    """One of these words, in capitals or not."""

    def parse(one: Given) -> str:
        word = str(one.value).upper()
        if word not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return word

    return parse


def whole(least: int, most: int) -> Callable[[Given], int]:
    def parse(one: Given) -> int:
        digits = str(one.value)
        if isinstance(one.value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", digits):
            raise ValueError(f"must be a whole number, got {one.value!r}")
        if not least <= int(digits) <= most:
            raise ValueError(f"must be from {least} to {most}, got {digits}")
        return int(digits)

    return parse


def percentage(one: Given) -> float:
    """A share such as `10%`, as a fraction; 0 needs no sign."""
    found = fraction("0%" if str(one.value).strip() == "0" else str(one.value))
    if found is None:
        raise ValueError(f'must be a percentage such as "10%", or 0, got {one.value!r}')
    return found


def fraction(words: str) -> float | None:
    """What a percentage from 0% to 100% means; None where it is none.

    As rules/table.py has it, whose import costs a parser.

    >>> fraction("12.5%"), fraction("101%"), fraction("0.1")
    (0.125, None, None)
    """
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%\s*", words)
    share = float(found[1]) / 100 if found else 2.0
    return share if share <= 1 else None


def duration(one: Given) -> timedelta | None:
    """A time such as `90m`, `1d` or `2w`; None for "never"."""
    words = str(one.value).strip().lower()
    if words == NEVER:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([a-z]{1,2})", words)
    if found is None or found[2] not in UNITS_MS:
        raise ValueError(f'must be a time such as "90m" or "1d", or "{NEVER}", got {one.value!r}')
    value_ms = int(found[1]) * UNITS_MS[found[2]]
    if not 0 < value_ms <= DURATION_MS_MAX:
        raise ValueError(f"must be more than nothing and at most ten years, got {one.value!r}")
    return timedelta(milliseconds=value_ms)


def some_of(*words: str) -> Callable[[Given], frozenset[str]]:
    """Any of these words: a list, or one text with commas."""

    def parse(one: Given) -> frozenset[str]:
        value = one.value.split(",") if isinstance(one.value, str) else one.value
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"must be a list of {', '.join(words)}")
        found = frozenset(each.strip().lower() for each in value) - {""}
        if not found <= set(words):
            unknown = ", ".join(sorted(found - set(words)))
            raise ValueError(f"must be a list of {', '.join(words)}; there is no {unknown}")
        return found

    return parse


def flag(one: Given) -> bool:
    if isinstance(one.value, bool):
        return one.value
    word = str(one.value).lower()
    if word in _WORDS_TRUE or word in _WORDS_FALSE:
        return word in _WORDS_TRUE
    raise ValueError(f"must be true or false, got {one.value!r}")


def path(one: Given) -> Path:
    return one.folder / Path(text(one)).expanduser()


def log(one: Given) -> EmbeddedLog | KafkaLog:
    scheme, _, rest = text(one).partition(":")
    if scheme == "embedded" and rest:
        return EmbeddedLog(one.folder / Path(rest).expanduser())
    if "@" in rest:  # never repeated: what stands before it is a password
        raise ValueError(
            "must be kafka://HOST:PORT,… without a login; logins go into [kafka]:"
            " sasl_user and sasl_password"
        )
    if scheme == "kafka" and rest.startswith("//"):
        servers = tuple(part.strip() for part in rest[2:].rstrip("/").split(","))
        for server in servers:
            host_and_port(server)
        return KafkaLog(servers)
    raise ValueError(f"must be embedded:DIR or kafka://HOST:PORT,…, got {text(one)!r}")


def redis(one: Given) -> str:
    try:
        parts = urlsplit(text(one))
        place = parts.path if parts.scheme == "unix" else parts.hostname
        port_is_good = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError("is not a URL; write redis://HOST:PORT") from error
    if parts.scheme not in {"redis", "rediss", "unix"} or not place or not port_is_good:
        raise ValueError("must be redis://HOST:PORT, rediss://HOST:PORT or unix:///SOCKET")
    return text(one)


def http(one: Given) -> Address:
    host, port = host_and_port(text(one))
    return Address(host, port)


def host_and_port(words: str) -> tuple[str, int]:
    """Split an address; an IPv6 host is in brackets.

    >>> host_and_port("[::1]:8787")
    ('::1', 8787)
    """
    host, colon, port = words.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    bracketed = bare != host
    if not colon or not bare or (":" in bare) != bracketed or not re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f"must be HOST:PORT, got {words!r}")
    if int(port) > PORT_MAX:
        raise ValueError(f"has a port above {PORT_MAX}: {words!r}")
    return bare, int(port)


def url(one: Given) -> str:
    try:
        parts = urlsplit(text(one))
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ValueError("is not a URL; write https://HOST/…") from error
    if not good:
        raise ValueError("must be https://HOST/… or http://HOST/…")
    return text(one)


def secret(one: Given) -> str:
    words = text(one)
    try:
        Signer([words])
    except SecretError as error:
        raise ValueError(f"cannot be used: {error}") from error
    return words
