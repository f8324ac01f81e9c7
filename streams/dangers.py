"""Dangers: settings that would work, and give away or lose what is entrusted to us.

Promise   Each is refused at the start, with the setting, the danger and the mend. Who writes its name into
          `unsafe` may start all the same, and is warned in the log at each start.
How       Pure functions find them; `refused` says what may not be, `warn` tells what was allowed.
Limits    What cannot be made right by allowing it has no name here and is always refused: settings that
          do not exist (settings.py), topics with unequal partition counts (topics.py), an address for
          everybody without a token (access.py), a Redis that is too old or a cluster (safety.py).
          Of a secret only what is plain to see is found: too short, or of too few different bytes.
Not here  How a Redis is set up: safety.py.
"""

import base64
import binascii
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sinks.signing import SECRET_PREFIX
from streams.given import Address
from streams.kafka_access import KafkaAccess

EVICTION: Final = "eviction"
NO_AOF: Final = "no-aof"
PLAINTEXT_SASL: Final = "plaintext-sasl"
WEAK_SECRETS: Final = "weak-secrets"
NAMES: Final = (EVICTION, NO_AOF, PLAINTEXT_SASL, WEAK_SECRETS)

TOKEN_CHARS_MIN: Final = 16  # 80 bits, if they are drawn from 32 letters and digits
DIFFERENT_MIN: Final = (
    8  # bytes or characters; 24 drawn ones have fewer in one case of 10 to the 20
)

_log = logging.getLogger("rapport")


@dataclass(frozen=True, slots=True)
class Danger:
    """One thing that is unsafe; without a name nothing can allow it."""

    name: str
    detail: str  # setting, danger and mend, a sentence or more

    @property
    def refusal(self) -> str:
        if not self.name:
            return self.detail
        return f'{self.detail} To start all the same, add "{self.name}" to unsafe.'


class Secretive(Protocol):
    """What is looked at of an endpoint: `Endpoint`."""

    @property
    def secret(self) -> str | None: ...
    @property
    def secret_old(self) -> str | None: ...


class Chosen(Protocol):
    """What is looked at of the settings: `Settings`."""

    @property
    def http(self) -> Address: ...
    @property
    def token(self) -> str | None: ...
    @property
    def kafka(self) -> KafkaAccess: ...
    @property
    def endpoints(self) -> Mapping[str, Secretive]: ...
    @property
    def unsafe(self) -> frozenset[str]: ...


def of(settings: Chosen) -> list[Danger]:
    """What is unsafe about the settings, as far as they alone can tell."""
    found = []
    if settings.kafka.security_protocol == "SASL_PLAINTEXT":
        found.append(
            Danger(
                PLAINTEXT_SASL,
                "kafka.security_protocol is SASL_PLAINTEXT: whoever sees the network reads the login or"
                " takes the connection over, and reads all events. Set it to SASL_SSL.",
            )
        )
    for name, endpoint in settings.endpoints.items():
        for field, secret in (("secret", endpoint.secret), ("secret_old", endpoint.secret_old)):
            if secret is not None and is_monotonous(_bytes_of(secret)):
                found.append(
                    Danger(
                        WEAK_SECRETS,
                        f"endpoints.{name}.{field} is weak: it repeats few bytes, and who guesses it can"
                        f" forge our webhooks. Make one with: openssl rand -base64 32, after"
                        f" {SECRET_PREFIX}",
                    )
                )
    token = settings.token
    if token is not None and not settings.http.is_loopback and is_weak_token(token):
        found.append(
            Danger(
                WEAK_SECRETS,
                f"token is weak: it is shorter than {TOKEN_CHARS_MIN} characters or repeats few of them,"
                f" and {settings.http.host} can be reached from other machines, where who guesses it reads"
                " all profiles. Make one with: openssl rand -base64 32",
            )
        )
    return found


def is_weak_token(token: str) -> bool:
    """Whether a token can be guessed.

    >>> is_weak_token("secret"), is_weak_token("a" * 40), is_weak_token("9Rk2mQ7xVt4LwZ8b")
    (True, True, False)
    """
    return len(token) < TOKEN_CHARS_MIN or is_monotonous(token.encode())


def is_monotonous(value: bytes) -> bool:
    """Whether there are too few different bytes in it to have been drawn."""
    return len(set(value)) < DIFFERENT_MIN


def refused(found: Iterable[Danger], allowed: Collection[str]) -> list[str]:
    """What may not be, a sentence or more each."""
    return [each.refusal for each in found if not each.name or each.name not in allowed]


def warn(found: Iterable[Danger], allowed: Collection[str]) -> None:
    """Remind, in the log, of what was allowed."""
    for each in found:
        if each.name and each.name in allowed:
            _log.warning('allowed by "%s" in unsafe: %s', each.name, each.detail)


def _bytes_of(secret: str) -> bytes:
    bare = secret.removeprefix(SECRET_PREFIX)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""  # signing.py has refused it before
