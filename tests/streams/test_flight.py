"""A flight lands once, whatever its commit meets."""

from dataclasses import dataclass, field

import pytest

from streams.errors import LogDownError, StoreDownError, StreamsError
from streams.flight import Flight


@dataclass
class Wavering:
    """A commit that cannot be begun or finished at first."""

    fails: set[str]
    calls: list[str] = field(default_factory=list)
    late: int = 0  # how often its letters are not there yet

    def _do(self, what: str) -> None:
        self.calls.append(what)
        if what in self.fails:
            self.fails.remove(what)
            raise StoreDownError("connection", "gone")

    def prepare(self) -> bool:
        self.late -= 1
        return self.late < 0

    def begin(self) -> None:
        self._do("begin")

    def finish(self) -> None:
        self._do("finish")

    def __call__(self) -> None:
        self._do("commit")


def test_what_was_begun_is_finished() -> None:
    commit, told = Wavering(set()), list[StreamsError]()
    flight = Flight(commit, {}, 1)
    flight.begin(told.append)
    flight.settle()

    assert commit.calls == ["begin", "finish"]
    assert told == []


def test_what_could_not_be_begun_is_committed_when_it_lands() -> None:
    commit, told = Wavering({"begin"}), list[StreamsError]()
    flight = Flight(commit, {}, 1)
    flight.begin(told.append)
    flight.settle()

    assert commit.calls == ["begin", "commit"]
    assert len(told) == 1


def test_a_lost_reply_is_asked_for_by_another_commit() -> None:
    """Finishing again would wait for a reply that never comes."""
    commit = Wavering({"finish", "commit"})
    flight = Flight(commit, {}, 1)
    flight.begin(lambda _error: None)
    with pytest.raises(StoreDownError):
        flight.settle()
    with pytest.raises(StoreDownError):
        flight.settle()
    flight.settle()

    assert commit.calls == ["begin", "finish", "commit", "commit"]


def test_it_waits_for_its_letters_and_nobody_waits_for_it() -> None:
    """A commit before its dead letters are durable would skip what is kept nowhere."""
    commit = Wavering(set(), late=2)
    flight = Flight(commit, {}, 1)
    for _ in range(2):
        flight.begin(lambda _error: None)
        assert flight.is_waiting
        assert commit.calls == []
    flight.begin(lambda _error: None)

    assert commit.calls == ["begin"]


def test_with_its_letters_refused_it_is_committed_when_it_lands() -> None:
    """The commit sends them again, and waits."""

    class Refused(Wavering):
        def prepare(self) -> bool:
            raise LogDownError("delivery", "no answer in time")

    commit, told = Refused(set()), list[StreamsError]()
    flight = Flight(commit, {}, 1)
    flight.begin(told.append)

    assert not flight.is_waiting
    assert len(told) == 1
    flight.settle()
    assert commit.calls == ["commit"]
