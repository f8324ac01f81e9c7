"""The settings' tables [endpoints.NAME]: where receivers are, and what is agreed with them.

Promise   An endpoint is well-formed, or there is a sentence for each mistake.
How       One parser a field, as the other settings have; what fields mean together is checked at the end.
Limits    ENDPOINTS_MAX endpoints. Neither addresses, which may hold tokens, nor secrets are in `repr`.
Not here  What targets make of endpoints (endpoints.py). Keeping to a rate (lane.py).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.given import Given, flag, secret, unknown, url, whole

ENDPOINTS_MAX: Final = 256  # each has a queue of its own in the relay
RATE_MAX: Final = 1_000_000  # more than one process can send

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RATE = re.compile(r"([0-9]{1,7}) ?/ ?([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}
_PARTS: Final = 3  # of a name: endpoints.NAME.field


@dataclass(frozen=True, slots=True)
class Rate:
    """So many actions in a unit of time.

    >>> Rate(600, "m").a_second, str(Rate(600, "m"))
    (10.0, '600/m')
    """

    count: int
    unit: str  # "s", "m" or "h"

    @property
    def a_second(self) -> float:
        return self.count / _SECONDS[self.unit]

    def __str__(self) -> str:
        """As it is written in the settings."""
        return f"{self.count}/{self.unit}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of webhooks, alerts or messages, by the name that rules use."""

    name: str
    url: str = field(repr=False)  # may hold a token, as Slack's do
    secret: str | None = field(default=None, repr=False)  # "whsec_" and base64, or None: unsigned
    allow_private: bool = False  # may its address be inside the own network?
    secret_old: str | None = field(default=None, repr=False)  # signs too: a secret being replaced
    rate: Rate | None = None  # None: as fast as it takes them
    burst: int | None = None  # None: what comes together in a second, and at least one

    @property
    def burst_of_rate(self) -> int:
        """How many may go at once after a pause."""
        if self.burst is not None or self.rate is None:
            return self.burst or 1
        return max(1, int(self.rate.a_second))


def rate(one: Given) -> Rate:
    """A rate such as `10/s`, `600/m` or `1000/h`."""
    found = _RATE.fullmatch(str(one.value).strip().lower())
    if found is None:
        raise ValueError(f'must be a rate such as "10/s", "600/m" or "1000/h", got {one.value!r}')
    if not 1 <= int(found[1]) <= RATE_MAX:
        raise ValueError(f"must be from 1 to {RATE_MAX}, got {one.value!r}")
    return Rate(int(found[1]), found[2])


PARSERS: Final[Mapping[str, Callable[[Given], object]]] = {
    "url": url,
    "secret": secret,
    "secret_old": secret,
    "allow_private": flag,
    "rate": rate,
    "burst": whole(1, RATE_MAX),
}
FIELDS: Final = tuple(PARSERS)


def endpoint_field(name: str) -> tuple[str, str]:
    """The endpoint and the field that `endpoints.NAME.field` means.

    Raises:
        ValueError: There can be no such setting.
    """
    parts = name.split(".")
    if len(parts) != _PARTS:
        raise ValueError('is not a table; write [endpoints.NAME] and in it url = "https://…"')
    if not _NAME.fullmatch(parts[1]):
        raise ValueError("an endpoint's name has letters, digits, - and _ only, at most 64")
    if parts[2] not in PARSERS:
        raise ValueError(unknown(parts[2], FIELDS))
    return parts[1], parts[2]


def lacking(endpoints: Mapping[str, Mapping[str, object]], given: Mapping[str, Given]) -> list[str]:
    """What the fields of each endpoint lack, those in `given` that cannot be read counting as there."""
    found = []
    for name, each in endpoints.items():
        if f"endpoints.{name}.url" not in given:
            found.append(f'endpoints.{name}: has no url; add url = "https://…" to it')
        if "secret_old" in each and f"endpoints.{name}.secret" not in given:
            said = "secret_old is for changing a secret; add the new one as secret"
            found.append(f"endpoints.{name}: {said}")
        if "burst" in each and f"endpoints.{name}.rate" not in given:
            found.append(f'endpoints.{name}: burst is for a rate; add rate = "10/s" or the like')
    if len(endpoints) > ENDPOINTS_MAX:
        found.append(f"endpoints: {len(endpoints)} are more than {ENDPOINTS_MAX}")
    return found
