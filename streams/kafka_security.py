"""How a Kafka cluster is told who we are: TLS and SASL, in the words of each client library.

Promise   One description, the same rights for the group, the data and the administration.
How       Of the settings' table [kafka]; certificates are tried once, before any client has them, for
          each library says in words of its own, or not at all, that a file is not there.
Limits    Certificates are paths: an SSLContext cannot be handed to librdkafka. OAuth is left out.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from streams.kafka_access import KafkaAccess
from streams.settings import SettingsError

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Security:
    """Plain text unless something is given."""

    tls: bool = False
    ca: Path | None = None  # None: the system's
    certificate: Path | None = None  # ours, with `key`, where the brokers ask for one
    key: Path | None = None
    mechanism: Mechanism | None = None  # None: no SASL
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, access: KafkaAccess) -> "Security":
        """As the settings have it.

        Raises:
            SettingsError: A certificate or key cannot be used.
        """
        made = cls(
            tls=access.security_protocol.endswith("SSL"),
            ca=access.ssl_ca,
            certificate=access.ssl_cert,
            key=access.ssl_key,
            mechanism=cast("Mechanism | None", access.sasl_mechanism),
            user=access.sasl_user or "",
            password=access.sasl_password or "",
        )
        made._check()
        return made

    def _check(self) -> None:
        problems = []
        for name, path in (("ca", self.ca), ("cert", self.certificate), ("key", self.key)):
            try:
                if path is not None:
                    path.read_bytes()
            except OSError as error:
                problems.append(f"kafka.ssl_{name}: {path}: cannot be read: {error.strerror}")
        if self.tls and not problems:
            try:
                self.context()
            except ssl.SSLError as error:
                problems.append(
                    "kafka.ssl_ca, ssl_cert, ssl_key: must be PEM files that fit together, the key"
                    f" without a passphrase: {error}"
                )
        if problems:
            raise SettingsError(tuple(problems))

    @property
    def protocol(self) -> str:
        """Kafka's name for it.

        >>> Security(tls=True, mechanism="PLAIN").protocol
        'SASL_SSL'
        """
        transport = "SSL" if self.tls else "PLAINTEXT"
        return transport if self.mechanism is None else f"SASL_{transport}"

    def librdkafka(self) -> dict[str, object]:
        """Settings of the data plane and of producers."""
        settings: dict[str, object] = {"security.protocol": self.protocol}
        files = {"ca": self.ca, "certificate": self.certificate, "key": self.key}
        for name, path in files.items():
            if self.tls and path is not None:
                settings[f"ssl.{name}.location"] = str(path)
        if self.mechanism is not None:
            settings["sasl.mechanism"] = self.mechanism
            settings["sasl.username"] = self.user
            settings["sasl.password"] = self.password
        return settings

    def kafka_python(self) -> dict[str, object]:
        """Settings of the administration."""
        settings: dict[str, object] = {"security_protocol": self.protocol}
        if self.tls:
            settings["ssl_context"] = self.context()
        if self.mechanism is not None:
            settings["sasl_mechanism"] = self.mechanism
            settings["sasl_plain_username"] = self.user
            settings["sasl_plain_password"] = self.password
        return settings

    def faust(self) -> CredentialsT | None:
        """Credentials of the control plane; None for plain text."""
        context = self.context() if self.tls else None
        if self.mechanism is not None:
            return SASLCredentials(
                mechanism=self.mechanism,
                username=self.user,
                password=self.password,
                ssl_context=context,
            )
        return None if context is None else SSLCredentials(context=context)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password="")
        return context
