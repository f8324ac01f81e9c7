"""The loader: from files to an engine.

Promise   An engine is made of a whole model and a whole set of rules, or every mistake in them is told
          with its file and line.
How       The model that the settings name, else the one that comes along; the rule files of the folder
          that the settings name, else the starter packs. Rules are read with the names of the model's
          scores. What was said by command is applied to them (controlled.py).
Limits    FILES_MAX rule files; sizes as rules/load.py and processors/model_file.py have them.
Not here  Doing it again when the files change: rulebook.py.
"""

import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from processors.batch import Origin, Records
from processors.decode import decode
from processors.layout import Layout
from processors.model import Model
from processors.model_file import ModelError, default_model, parse
from processors.plan import PlanBuilder
from processors.scores import Scores
from rules.load import load
from rules.ruleset import RuleSet
from streams.controlled import controlled
from streams.controls import Controls
from streams.errors import MissingError, StreamsError
from streams.step import Engine, run

FILES_MAX: Final = 1_000
ENDING: Final = ".toml"
TESTS_ENDING: Final = ".test.toml"  # beside rule files, and none of them

Fingerprint = tuple[tuple[str, int, int], ...]  # name, time of change and size of each file


class LoadError(StreamsError):
    """Files that cannot be read, or that ask for more than an engine may hold."""


@dataclass(frozen=True, slots=True)
class Files:
    """What was read."""

    model: Model
    rules: RuleSet  # as the files have them


@dataclass(frozen=True, slots=True)
class Sources:
    """Where model and rules are; None: those that come along."""

    model: Path | None = None
    rules: Path | None = None  # a folder, or one file

    @property
    def place(self) -> Path:
        """Where the rules are read."""
        return packs() if self.rules is None else self.rules

    def fingerprint(self) -> Fingerprint:
        """What changes when a file is written, added or removed. Raises as `engine` does."""
        paths = [*rule_paths(self.place), *([] if self.model is None else [self.model])]
        try:
            stats = [(str(path), path.stat()) for path in paths]
        except OSError as error:
            raise LoadError(f"{error.filename}: cannot be read: {error.strerror}") from error
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def engine(self, controls: Controls = MappingProxyType({})) -> Engine:
        """Read and compile everything, under these controls. Raises as `read` and `compiled` do."""
        return self.compiled(self.read(), controls)

    def read(self) -> Files:
        """Read everything.

        Raises:
            RulesError: Rules with mistakes; all are told.
            MissingError: The model file or the folder of rules is not there.
            LoadError: A file cannot be read, or the model has mistakes.
        """
        model = self.read_model()
        return Files(model, self.read_rules(model))

    def compiled(self, files: Files, controls: Controls) -> Engine:
        """The engine of what was read.

        Raises:
            LoadError: It is all too much.
        """
        try:
            return controlled(files.model, files.rules, controls)
        except ValueError as error:
            raise LoadError(f"{self.place}: the rules do not fit into one plan: {error}") from error

    def read_model(self) -> Model:
        """The model alone. Raises MissingError and LoadError."""
        if self.model is None:
            try:
                return default_model()
            except OSError as error:  # while no descriptor is left, for instance
                raise LoadError(f"the default model cannot be read: {error.strerror}") from error
        try:
            return parse(self.model.read_bytes())
        except FileNotFoundError as error:
            raise MissingError(self.model) from error
        except OSError as error:
            raise LoadError(f"{self.model}: cannot be read: {error.strerror}") from error
        except ModelError as error:
            raise LoadError(f"{self.model}: {error}") from error

    def read_rules(self, model: Model, more: Mapping[str, bytes] = MappingProxyType({})) -> RuleSet:
        """The rules alone, as this model lets them be written, and those of `more` files.

        Raises as `read` does.
        """
        return read_files(rule_paths(self.place), model, more)


def packs() -> Path:
    """The folder of the starter packs."""
    return Path(str(importlib.resources.files("rules"))) / "packs"


def read_files(
    paths: Iterable[Path], model: Model, more: Mapping[str, bytes] = MappingProxyType({})
) -> RuleSet:
    """The rules of these files, as this model lets them be written.

    Raises:
        RulesError: Rules with mistakes; all are told.
        LoadError: A file cannot be read.
    """
    builder = PlanBuilder(
        duplicates_kept=model.admit.duplicates_kept, lateness_ms=model.admit.lateness_ms
    )
    Scores.compile(builder, model)
    return load({**_bytes_of(paths), **more}, builder.names)


def rule_paths(place: Path) -> list[Path]:
    """The rule files of a folder, or the one file; tests of rules are none.

    Raises:
        MissingError: There is no such folder.
        LoadError: It cannot be looked at, or has too many files.
    """
    try:
        if place.is_file():
            return [place]
        if not place.is_dir():
            raise MissingError(place, "folder of rules")
        found = [path for path in toml_paths(place) if not path.name.endswith(TESTS_ENDING)]
    except OSError as error:  # a disk that fails, a share that is away, no descriptor left
        raise LoadError(f"{place}: cannot be looked at: {error.strerror}") from error
    if len(found) > FILES_MAX:
        raise LoadError(f"{place}: has {len(found)} rule files, at most {FILES_MAX} are allowed")
    return found


def toml_paths(place: Path) -> list[Path]:
    """All TOML files of a folder, in the order of their names. Raises OSError."""
    return sorted(path for path in place.rglob(f"*{ENDING}") if not _is_hidden(path, place))


def _is_hidden(path: Path, place: Path) -> bool:
    """Whether an editor or a version control put it there."""
    return any(part.startswith(".") for part in path.relative_to(place).parts)


def _bytes_of(paths: Iterable[Path]) -> dict[str, bytes]:
    try:
        return {str(path): path.read_bytes() for path in paths}
    except OSError as error:
        raise LoadError(f"{error.filename}: cannot be read: {error.strerror}") from error


def warm(engine: Engine) -> None:
    """Run a step on nobody's table, so that the first event does not wait for what is made once."""
    at_ms = 1_700_000_000_000
    value = b'{"id":"w","type":"click","action":"view","customer_id":"w","at_ms":%d}' % at_ms
    origin = Origin("", 0, "", None, (), at_ms)
    records = Records([value], [at_ms], lambda _index: origin)
    table = engine.table()
    layouts: dict[bytes, Layout] = {}
    table.insert(["w"], [None], layouts.__getitem__)
    run(engine, table, records, decode(records), 0)
