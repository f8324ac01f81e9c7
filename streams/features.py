"""The feature file: one row for each admitted event, with the features as they stood right after it.

Promise   What is written is what the rules and models saw at that event, to the bit: training data that
          equals what is served. Rows are in folding order. The file is there when it is whole.
How       Columns are gathered from the registers of each batch and appended to a DuckDB table beside the
          file, which is copied out as Parquet at the end; so memory stays bounded, whatever the number of
          events.
          Columns: id, customer_id, at_ms, action ("order.placed"), then the scores by name, then every
          value that a rule reads, as the rule language spells it. Missing is NULL.
Limits    MEMORY for DuckDB, and about the file's size of disk beside it while it is written.
Not here  What the features are (rules/, processors/scores.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import numpy as np
import numpy.typing as npt

from processors.fold import ADMITTED
from streams.errors import StreamsError
from streams.step import Engine, Observed

MEMORY: Final = "512MB"
BATCHES_A_COMMIT: Final = 64  # a commit waits for the disk
FIXED: Final = ("id", "customer_id", "at_ms", "action")


class FeatureFileError(StreamsError):
    """The file cannot be written; nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: a register, what its numbers stand for, or (register < 0) a text of the event."""

    name: str
    register: int
    texts: tuple[str, ...] | None
    field: str = ""  # the text of the event


def features_of(engine: Engine) -> tuple[Feature, ...]:
    """The scores by name, and every value that a rule reads, each once."""
    found = {
        name: Feature(name, named.register.number, named.texts)
        for name, named in engine.plan.names.items()
    }
    for bound in engine.rule_plan.bound:
        for each in bound.data:
            found.setdefault(each.name, Feature(each.name, each.register, each.texts, each.text))
    taken = set(FIXED)
    features: list[Feature] = []
    for name, feature in found.items():
        column, number = name, 1
        while column.lower() in taken:  # Parquet readers often take no notice of case
            number += 1
            column = f"{name} #{number}"
        taken.add(column.lower())
        features.append(replace(feature, name=column))
    return tuple(features)


class FeatureFile:
    """Writes the file; use as a context, call `observe` for each batch."""

    def __init__(self, file: Path, features: Sequence[Feature]) -> None:
        """Begin the file.

        Raises:
            FeatureFileError: Its folder cannot be written.
        """
        self.rows = 0
        self._file = file
        self._features = features
        self._numbers = [each.register for each in features]
        self._batches = 0
        try:
            self._folder = TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent)
        except OSError as error:
            raise FeatureFileError(f"{file}: cannot be written: {error}") from error
        self._connection = duckdb.connect(
            str(Path(self._folder.name) / "rows.duckdb"),
            config={
                "threads": "1",
                "memory_limit": MEMORY,
                "autoinstall_known_extensions": "false",
                "temp_directory": self._folder.name,
            },
        )

    def __enter__(self) -> Self:
        columns = [
            '"id" VARCHAR, "customer_id" VARCHAR, "at_ms" BIGINT, "action" VARCHAR',
            *(f"{_quoted(each.name)} {_kind(each)}" for each in self._features),
        ]
        self._connection.execute(f"CREATE TABLE features ({', '.join(columns)})")
        self._connection.execute("BEGIN")
        return self

    def observe(self, seen: Observed) -> None:
        """Append the admitted events of a batch.

        Raises:
            FeatureFileError: The disk is full, or the like.
        """
        chosen = np.flatnonzero(seen.status == ADMITTED)
        if not len(chosen):
            return
        events = [seen.events[index] for index in chosen.tolist()]
        columns: dict[str, npt.NDArray[Any]] = {
            "id": _texts([event.id for event in events]),
            "customer_id": _texts([event.customer_id for event in events]),
            "at_ms": np.array([event.at_ms for event in events], dtype=np.int64),
            "action": _texts([f"{event.type}.{event.action}" for event in events]),
        }
        for feature in self._features:
            if feature.register < 0:
                texts = [getattr(event, feature.field) for event in events]
                columns[feature.name] = _texts(texts)
            else:
                values = seen.registers[feature.register, chosen]
                columns[feature.name] = (
                    values if feature.texts is None else _told(values, feature.texts)
                )
        self._append(columns)
        self.rows += len(events)

    def _append(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        try:
            self._connection.register("batch", columns)
            self._connection.execute("INSERT INTO features SELECT * FROM batch")
            self._connection.unregister("batch")
            self._batches += 1
            if self._batches % BATCHES_A_COMMIT == 0:
                self._connection.execute("COMMIT")
                self._connection.execute("BEGIN")
        except duckdb.Error as error:
            raise FeatureFileError(f"{self._file}: cannot be written: {error}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the whole file in its place; after an error, leave nothing."""
        whole = Path(self._folder.name) / "features.parquet"
        try:
            if kind is None:
                self._connection.execute("COMMIT")
                self._connection.execute(
                    "COPY features TO $file (FORMAT parquet, COMPRESSION zstd)",
                    {"file": str(whole)},
                )
                whole.replace(self._file)
        except (duckdb.Error, OSError) as failed:
            raise FeatureFileError(f"{self._file}: cannot be written: {failed}") from failed
        finally:
            self._connection.close()
            self._folder.cleanup()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _kind(feature: Feature) -> str:
    return "DOUBLE" if feature.register >= 0 and feature.texts is None else "VARCHAR"


def _texts(texts: Sequence[str | None]) -> npt.NDArray[np.object_]:
    return np.array(texts, dtype=np.object_)


def _told(codes: npt.NDArray[np.float64], texts: tuple[str, ...]) -> npt.NDArray[np.object_]:
    """The texts that the codes stand for; what stands for none is missing."""
    known = (codes >= 0) & (codes < len(texts))
    table = np.array([*texts, None], dtype=np.object_)
    found: npt.NDArray[np.object_] = table[np.where(known, codes, len(texts)).astype(np.int64)]
    return found
