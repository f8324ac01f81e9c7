"""Set-up for all tests: hypothesis profiles, markers by folder, and the real servers as fixtures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.integration.kafka_broker import KafkaBroker, running_broker
from tests.integration.redis_server import RedisServer, running_redis
from tests.machine import IN_CI

# No deadline: the first example may compile a kernel. CI looks further and prints how to repeat.
settings.register_profile("laptop", deadline=None, max_examples=50)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=200,
    print_blob=True,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "laptop"))

FOLDERS_MARKED = ("integration", "faults")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        # Compiled integers wrap silently, as hashing wants; numpy's, which then stand in, say so.
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered:RuntimeWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(tests):
            folder = item.path.relative_to(tests).parts[0]
            if folder in FOLDERS_MARKED:
                item.add_marker(folder)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One real broker for the whole run. Use topics and groups of your own; do not stop it."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def kafka_alone(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A real broker for one test, to be killed and restarted as it likes."""
    with running_broker(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="session")
def redis_shared() -> Iterator[RedisServer]:
    """One real redis-server for the whole run. Use keys of your own; do not stop it."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A real, empty redis-server for one test, to be killed and restarted as it likes."""
    with running_redis() as server:
        yield server
