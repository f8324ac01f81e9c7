"""Endpoints: what the targets of rules stand for, by the settings.

Promise   Every target has a destination; one that means nothing has a sink that says so.
How       webhook, alert and slack look up `endpoints.NAME`, topic goes to the Kafka topic of that name
          behind the prefix, log goes to the console. Two HTTP sessions: one whose sockets may reach
          private addresses, for the endpoints that allow it, and one whose may not. One token bucket
          for each endpoint that has a rate, whatever kinds of targets go there.
Limits    An endpoint whose URL spells a loopback address, or localhost, allows private addresses:
          who writes 127.0.0.1 into the settings means this machine. All others must say so.
Not here  Reading settings (settings.py). Judging addresses (sinks/guard.py).
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from rich.console import Console

from rules.rule import Rule
from sinks.alertmanager import AlertmanagerSink
from sinks.console import ConsoleSink
from sinks.nowhere import NowhereSink
from sinks.post import TIMEOUT_MS, open_session
from sinks.retry import Policy
from sinks.signing import Signer
from sinks.sink import Sink
from sinks.slack import SlackSink
from sinks.topic import Producer, TopicSink
from sinks.webhook import WebhookSink
from streams.lane import Destination
from streams.settings import Endpoint
from streams.token_bucket import TokenBucket

ENDPOINT_KINDS: Final = (
    "webhook",
    "alert",
    "slack",
)  # of targets that are endpoints of the settings

Destinations: TypeAlias = Callable[[str, str], Destination]
"""From a target's kind and name to what it stands for."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What deliveries need besides the endpoints."""

    now_ms: Callable[[], int]
    console: Console
    producer: Producer | None = None  # None: the log is embedded, there are no topics
    topic_prefix: str = ""
    policy: Policy = field(default_factory=Policy)
    timeout_ms: int = TIMEOUT_MS


@asynccontextmanager
async def open_destinations(
    endpoints: Mapping[str, Endpoint], outside: Outside
) -> AsyncIterator[Destinations]:
    """Open the sessions, for as long as the block lasts.

    Raises:
        SecretError: A secret cannot be used.
    """
    signers = {
        name: Signer([each for each in (endpoint.secret, endpoint.secret_old) if each])
        for name, endpoint in endpoints.items()
    }
    buckets = {
        name: TokenBucket(endpoint.rate.a_second, endpoint.burst_of_rate)
        for name, endpoint in endpoints.items()
        if endpoint.rate is not None
    }
    async with (
        open_session(allow_private=False) as strict,
        open_session(allow_private=True) as private,
    ):

        def destination(kind: str, name: str) -> Destination:
            endpoint = endpoints.get(name)
            if kind in ENDPOINT_KINDS and endpoint is not None:
                session = private if may_be_private(endpoint) else strict
                sink = _http(kind, endpoint, signers[name], session, outside)
                about, bucket = about_of(endpoint), buckets.get(name)
                return Destination(sink, about, outside.policy, bucket=bucket)
            return Destination(_other(kind, name, outside), "", outside.policy)

        yield destination


def missing_endpoints(rules: Iterable[Rule], endpoints: Mapping[str, Endpoint]) -> list[str]:
    """A sentence for each endpoint that rules name and the settings do not."""
    wanted: dict[str, list[str]] = {}
    for rule in rules:
        for target in rule.targets:
            if target.kind in ENDPOINT_KINDS and target.name not in endpoints:
                wanted.setdefault(target.name, []).append(rule.name)
    return [
        f"there is no endpoint {name}: actions of {', '.join(dict.fromkeys(names))} are kept as"
        f" rejected; add [endpoints.{name}] with a url to rapport.toml"
        for name, names in wanted.items()
    ]


def may_be_private(endpoint: Endpoint) -> bool:
    """Whether an endpoint's address may be inside our own network.

    >>> may_be_private(Endpoint("a", "http://127.0.0.1:9000/hook"))
    True
    >>> may_be_private(Endpoint("a", "http://10.0.0.1/hook"))
    False
    """
    host = urlsplit(endpoint.url).hostname or ""
    if endpoint.allow_private or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _http(
    kind: str, endpoint: Endpoint, signer: Signer, session: aiohttp.ClientSession, outside: Outside
) -> Sink:
    if kind == "alert":
        return AlertmanagerSink(session, endpoint.url, outside.now_ms, outside.timeout_ms)
    if kind == "slack":
        return SlackSink(session, endpoint.url, outside.now_ms, outside.timeout_ms)
    return WebhookSink(session, endpoint.url, signer, outside.now_ms, outside.timeout_ms)


def _other(kind: str, name: str, outside: Outside) -> Sink:
    if kind == "log":
        return ConsoleSink(outside.console)
    if kind == "topic" and outside.producer is not None:
        return TopicSink(outside.producer, outside.topic_prefix + name)
    if kind == "topic":
        return NowhereSink(f"the topic {name} needs Kafka; the log is embedded")
    return NowhereSink(f"there is no endpoint {name}; add [endpoints.{name}] to the settings")


def about_of(endpoint: Endpoint) -> str:
    """Tells one address from another, without showing it: addresses may hold tokens."""
    return hashlib.blake2b(endpoint.url.encode(), digest_size=6).hexdigest()
