"""A cluster that wants a login: every process and every command says who it is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.free_port import free_port
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.redis_server import RedisServer
from tests.integration.test_scale_out import first_order, folder_of
from tests.integration.test_up import SECRET
from tests.integration.upstarted import rapport
from tests.machine import KAFKA_JARS, java, require
from tests.receiver import running_receiver

PASSWORD = "hunter2-hunter2"
LOGIN = f"""
unsafe = ["plaintext-sasl"]

[kafka]
security_protocol = "SASL_PLAINTEXT"
sasl_mechanism = "PLAIN"
sasl_user = "ann"
sasl_password = "{PASSWORD}"
"""


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """The listener that wants a login, of a broker that runs; the broker's own is for the fixture."""
    require("Java 17 or newer", java() is not None, "install a JRE; Kafka's broker runs on it")
    complete = (KAFKA_JARS / ".complete").exists()
    require("the jars of Kafka's broker", complete, "`make machine` fetches them with Maven")
    port, controller, login = free_port(), free_port(), free_port()
    ours = f"PLAINTEXT://127.0.0.1:{port},LOGIN://127.0.0.1:{login}"
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    settings = {
        "listeners": f"{ours},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": ours,
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "listener.name.login.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.login.plain.sasl.jaas.config": f'{module} required user_ann="{PASSWORD}";',
    }
    folder = tmp_path_factory.mktemp("guarded")
    broker = KafkaBroker(folder, settings, port=port, controller_port=controller)
    try:
        broker.start()
        yield KafkaBroker(folder, port=login)
    finally:
        broker.stop()


async def test_the_whole_scale_out_works_behind_a_login(
    tmp_path: Path, guarded: KafkaBroker, redis_server: RedisServer
) -> None:
    """Three client libraries speak to the brokers; one that is not told would be found here."""
    async with running_receiver() as receiver:
        endpoint = f'[endpoints.crm]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        folder = folder_of(tmp_path, guarded, redis_server, LOGIN + endpoint)
        await asyncio.to_thread(first_order, folder)
        letters = await asyncio.to_thread(rapport, "dlq", "list", "--json", folder=folder)
        file = folder / "rapport.toml"
        file.write_text(file.read_text().replace(PASSWORD, "wrong-" + PASSWORD))
        refused = await asyncio.to_thread(rapport, "topics", "lag", folder=folder)

    assert len(receiver.received) == 1
    assert letters.returncode == 0, letters.stderr
    assert refused.returncode == 1
    assert "refuse the login, see [kafka] in the settings" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert PASSWORD not in refused.stderr + refused.stdout
