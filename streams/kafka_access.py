"""The settings' table [kafka]: how brokers are spoken to, and how much is fetched at once.

Promise   What comes out of `contradictions` empty can be told to every client. The password is in no
          repr and in no sentence.
How       One parser a field; then what only makes sense together is looked at together.
Limits    Shapes only: certificates are opened in kafka_security.py. OAuth and Kerberos are left out.
Not here  Where settings come from (settings.py). The words of each client (kafka_security.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streams.given import Given, choice, path, text, whole

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
FETCH_MIN_BYTES_MAX: Final = 1 << 20  # more would only wait for `fetch_wait_ms_max`, each time
FETCH_WAIT_MS_MAX: Final = 5_000  # a shard that waits longer for its records looks stuck


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The table with its defaults; names are those of the settings."""

    security_protocol: str = "PLAINTEXT"  # one of PROTOCOLS
    sasl_mechanism: str | None = None  # one of MECHANISMS
    sasl_user: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca: Path | None = None  # a PEM file; None: the system's authorities
    ssl_cert: Path | None = None  # ours, with `ssl_key`, where the brokers ask for one
    ssl_key: Path | None = None
    fetch_min_bytes: int = 1  # 1: lowest latency; 2048 with 2 ms halves the CPU at 2,000 events/s
    fetch_wait_ms_max: int = (
        100  # also how long a newly assigned topic may wait for its first fetch
    )


PARSERS: Final[Mapping[str, Callable[[Given], object]]] = {
    "security_protocol": choice(*PROTOCOLS),
    "sasl_mechanism": choice(*MECHANISMS),
    "sasl_user": text,
    "sasl_password": text,
    "ssl_ca": path,
    "ssl_cert": path,
    "ssl_key": path,
    "fetch_min_bytes": whole(1, FETCH_MIN_BYTES_MAX),
    "fetch_wait_ms_max": whole(1, FETCH_WAIT_MS_MAX),
}


def contradictions(access: KafkaAccess) -> list[str]:
    """What is given and would be ignored, and what is missing for what is given.

    >>> contradictions(KafkaAccess(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_user="a"))
    ['kafka.sasl_password: is missing, and security_protocol is SASL_SSL']
    """
    protocol = access.security_protocol
    login = ("sasl_mechanism", "sasl_user", "sasl_password")
    files = ("ssl_ca", "ssl_cert", "ssl_key")
    given = {name for name in (*login, *files) if getattr(access, name) is not None}
    if protocol.startswith("SASL_"):
        found = [
            f"kafka.{name}: is missing, and security_protocol is {protocol}"
            for name in login
            if name not in given
        ]
    else:
        found = [
            f"kafka.{name}: is for a login; set kafka.security_protocol to SASL_SSL"
            for name in login
            if name in given
        ]
    if not protocol.endswith("SSL"):
        found += [
            f"kafka.{name}: is for TLS; set kafka.security_protocol to SSL or SASL_SSL"
            for name in files
            if name in given
        ]
    for name, other in (("ssl_cert", "ssl_key"), ("ssl_key", "ssl_cert")):
        if name in given and other not in given:
            found.append(f"kafka.{other}: is missing, and {name} is of no use without it")
    return found
