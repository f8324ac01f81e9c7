"""Rules change while events are folded: whole sets only, and never into something broken."""

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from processors.model import Model
from rules.rule import Rule
from rules.ruleset import RuleSet
from streams.clock import ManualClock
from streams.errors import MissingError
from streams.loader import Sources
from streams.metrics import Metrics
from streams.rulebook import POLL_MS, Rulebook

RULE = """
[rule.big-order]
version = {version}
on = "order.placed"
when = "{when}"
then = [{{ log = "orders", type = "order.big" }}]
"""


class World:
    """A folder with one rule file, and a rulebook on a clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "rules" / "mine.toml"
        self.file.parent.mkdir()
        self.write(1)
        self.clock = ManualClock(now_ms=5_000)
        self.metrics = Metrics("test")
        self.rulebook = Rulebook(Sources(rules=self.file.parent), self.metrics, self.clock)
        self.stop = asyncio.Event()

    def write(self, version: int, when: str = "amount > 1000") -> None:
        # Of another length each time: the clock of a file system may be coarse.
        padding = "#" * version
        self.file.write_text(padding + RULE.format(version=version, when=when))

    @property
    def versions(self) -> list[int]:
        return [rule.version for rule in self.rulebook.engine.rules.rules]

    async def look(self) -> None:
        """One look of the watcher, with all that follows from it."""
        await self._until_it_waits()
        self.clock.advance(POLL_MS)
        await self._until_it_waits()

    async def _until_it_waits(self) -> None:
        while (self.clock.next_ms() or 0) <= self.clock.now_ms():  # noqa: ASYNC110  files are looked at by a thread
            await asyncio.sleep(0)

    def reloads(self, result: str) -> float:
        name, labels = "rapport_rules_reloads_total", {"result": result}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_change_is_in_force_once_it_has_lasted_for_one_look(world: World) -> None:
    """An editor may be half way through its file at the first."""
    watching = asyncio.create_task(world.rulebook.watch(world.stop))
    before = world.rulebook.engine
    await world.look()
    world.write(2)
    await world.look()
    assert world.rulebook.current() is before
    await world.look()
    world.stop.set()
    await watching

    assert world.versions == [2]
    assert world.reloads("ok") == 1
    assert world.rulebook.told()["loaded_ms"] == 5_000 + 3 * POLL_MS


async def test_files_written_while_they_are_read_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else rules of two versions were in force together, for up to two seconds."""
    read = world.rulebook.sources.read_rules
    reads = []

    def written_meanwhile(sources: Sources, model: Model) -> RuleSet:
        found = read(model)
        reads.append([rule.version for rule in found.rules])
        if len(reads) == 1:
            world.write(3)
        return found

    monkeypatch.setattr(Sources, "read_rules", written_meanwhile)
    world.write(2)

    assert await world.rulebook.reload()
    assert reads == [[2], [3]]
    assert world.versions == [3]


async def test_mistakes_of_a_file_that_is_being_written_are_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file is nobody's mistake when the other half follows."""
    read = world.rulebook.sources.read_rules
    tried: list[bool] = []
    world.write(2, "amou")

    def finished_meanwhile(sources: Sources, model: Model) -> RuleSet:
        try:
            return read(model)
        finally:
            if not tried:
                world.write(3)
            tried.append(True)

    monkeypatch.setattr(Sources, "read_rules", finished_meanwhile)

    assert await world.rulebook.reload()
    assert (world.versions, len(tried)) == ([3], 2)
    assert world.reloads("refused") == 0


async def test_files_that_stay_as_they_are_are_read_once(world: World) -> None:
    """A reload costs a compiled plan, and moves every row."""
    watching = asyncio.create_task(world.rulebook.watch(world.stop))
    before = world.rulebook.engine
    for _ in range(3):
        await world.look()
    assert await world.rulebook.reload()
    after = world.rulebook.engine
    for _ in range(3):
        await world.look()
    world.stop.set()
    await watching

    assert before is not after
    assert world.rulebook.engine is after


async def test_mistakes_keep_the_old_rules_and_are_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks for the rules sees them, and the log is not filled with them."""
    watching = asyncio.create_task(world.rulebook.watch(world.stop))
    before = world.rulebook.engine
    world.write(2, when="amout > 3")
    for _ in range(4):
        await world.look()
    broken = world.rulebook.told()
    world.write(3)
    for _ in range(2):
        await world.look()
    world.stop.set()
    await watching

    assert "mine.toml" in broken["error"]
    assert [each["version"] for each in broken["rules"]] == [1]
    assert world.reloads("refused") == 1
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    assert world.versions == [3]
    assert world.rulebook.told()["error"] is None
    assert before is not world.rulebook.engine


async def test_a_folder_that_goes_away_keeps_the_rules(world: World) -> None:
    """A deployment may swap folders."""
    world.file.unlink()
    world.file.parent.rmdir()

    assert await world.rulebook.reload() is False
    assert world.versions == [1]
    assert isinstance(world.rulebook.error, MissingError)


async def test_a_folder_that_cannot_be_looked_at_keeps_the_rules(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that hangs, or too many open files, once ended the whole process."""

    def fails(_place: Path, _pattern: str) -> list[Path]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "rglob", fails)

    assert await world.rulebook.reload() is False
    assert world.versions == [1]
    assert "Too many open files" in str(world.rulebook.error)


async def test_the_first_set_must_be_good(tmp_path: Path) -> None:
    """Nobody wants a start that does nothing."""
    with pytest.raises(MissingError):
        Rulebook(Sources(rules=tmp_path / "gone"), Metrics("test"), ManualClock())


async def test_a_target_that_leads_nowhere_is_told_once_its_rule_is_in_force(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start somebody reads the log; a week later the log is all that there is."""

    def missing(rules: Sequence[Rule]) -> list[str]:
        names = {target.name for rule in rules for target in rule.targets} - {"orders"}
        return [f"there is no endpoint {name}" for name in names]

    rulebook = Rulebook(world.rulebook.sources, world.metrics, world.clock, missing)
    world.write(2)
    await rulebook.reload()
    assert "no endpoint" not in caplog.text
    world.file.write_text(world.file.read_text().replace('log = "orders"', 'webhook = "cmr"'))
    await rulebook.reload()
    await rulebook.reload()

    assert caplog.text.count("there is no endpoint cmr") == 1
    assert rulebook.missing() == ["there is no endpoint cmr"]
