"""Logs: one line a message, for people or for collectors, and never both."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from streams import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    levels = {name: logging.getLogger(name).level for name in logs.OURS}
    yield
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_collector_gets_an_object_a_line_with_the_trace_inside() -> None:
    """A trace over many lines would be many messages."""
    stream = io.StringIO()
    logs.set_up(stream)
    try:
        int("inner\nworkings")
    except ValueError:
        logging.getLogger("streams.x").exception("it failed for %s", "c-1")
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)

    assert (found["level"], found["logger"]) == ("error", "streams.x")
    assert found["message"] == "it failed for c-1"
    assert "ValueError: invalid literal" in found["trace"]
    assert found["at"].endswith("Z")


def test_people_get_a_plain_line() -> None:
    """On a terminal nobody reads JSON."""
    stream = Terminal()
    logs.set_up(stream)
    logging.getLogger("rapport.rules").info("%d rules are in force", 3)

    assert stream.getvalue()[8:] == " info     3 rules are in force\n"


def test_libraries_are_heard_from_warnings_on() -> None:
    """Faust and Kafka's client tell their whole life."""
    stream = io.StringIO()
    logs.set_up(stream)
    logging.getLogger("faust").info("connecting")
    logging.getLogger("faust").warning("no broker")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["no broker"]
